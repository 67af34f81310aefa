"""Fusion of image pairs: the pipeline, the registry of methods, and classical and learned methods."""
