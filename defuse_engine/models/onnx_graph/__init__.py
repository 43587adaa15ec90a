"""An ONNX file as bytes and as a graph: checked, read, and changed before anything runs it."""
