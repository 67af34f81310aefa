"""Shared foundations: atomic file writing, worker processes, ONNX sessions and size limits."""
