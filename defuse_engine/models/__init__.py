"""Models: ONNX files that are opened, run on a device, and turned into torch modules."""
