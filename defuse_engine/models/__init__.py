"""ONNX files: opened, run on a device, and turned into something that can be trained."""
