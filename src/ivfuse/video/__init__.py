"""Video fusion: frame sources, pairing by time, automatic gain, writers; PyAV only at the edges."""
