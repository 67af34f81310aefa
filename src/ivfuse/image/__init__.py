"""The ground: images, color, pairs, tiles and synthetic scenes, in NumPy and OpenCV."""
