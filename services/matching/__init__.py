"""The matching service: who belongs to whom, and how good what was found is."""
