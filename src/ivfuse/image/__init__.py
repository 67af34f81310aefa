"""Images in NumPy and OpenCV: reading and writing files, color, pairing of files by name, and tiling."""
