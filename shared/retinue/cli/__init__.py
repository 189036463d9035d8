"""The `retinue` command."""
