"""The ground: pictures, colour, pairs, tiles and synthetic scenes, in NumPy and OpenCV."""
