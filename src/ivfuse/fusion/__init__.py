"""A pair becomes an image: the method registry, classical and trained methods, the Fuser."""
