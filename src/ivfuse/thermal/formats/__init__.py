"""Readers of thermal file formats, one module per format."""
