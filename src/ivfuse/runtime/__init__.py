"""Small foundations: files written atomically, processes and threads, ONNX sessions, limits."""
