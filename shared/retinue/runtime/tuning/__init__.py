"""How `retinue tune` finds the best setup of a model: what is tried, how it is measured, what is kept."""
