"""Thermal cameras' own files, and thermal values as temperatures, windows and colors."""
