"""What `retinue.ops` costs beside its peers on the same input, in one run, on one thread."""
