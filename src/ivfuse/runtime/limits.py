"""Limits of what files may ask for, against damage and malice."""

from __future__ import annotations

MAX_PIXELS = 400_000_000  # larger sizes in a header are taken for damage or malice

_pixels = MAX_PIXELS  # of this process


def pixel_limit() -> int:
    """Pixels of the largest image that this process decodes."""
    return _pixels


def limit_pixels(most: int) -> None:
    """Have this process refuse images of more pixels from now on; for servers.

    Args:
        most: 1 up to :data:`MAX_PIXELS`.
    """
    global _pixels
    _pixels = min(most, MAX_PIXELS)
