"""An ONNX graph as a torch module, for gradients and for training."""
