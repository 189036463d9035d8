"""Other servers with the same graph, decode and resize, each in an environment of its own."""
