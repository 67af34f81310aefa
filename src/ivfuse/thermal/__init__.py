"""Thermal data: file formats of cameras, radiometry, tone mapping and colormaps."""
