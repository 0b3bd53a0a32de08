"""What runs a model: torch, ONNX Runtime, a draft, a reference's vector."""
