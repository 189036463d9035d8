"""Seeded training recipes of the embedded models, each runnable as a module, and of the demo's sample pictures."""
