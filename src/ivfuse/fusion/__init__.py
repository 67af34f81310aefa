"""A pair becomes a picture: the method registry, classical and trained methods, the Fuser."""
