"""Arrays to arrays: packages, backends, the batcher and its workers. Knows nothing of gRPC."""
