"""Thermal file formats, one module each."""
