"""The PyTorch side, never imported when serving: architectures, checkpoint import, export to ONNX, model packages."""
