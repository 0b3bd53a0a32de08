"""Models for other engines: StableLM folders, ONNX graphs, and the hub."""
