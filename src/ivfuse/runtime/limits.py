"""Limits on the memory that an input file may request, as a defense against damaged or hostile files."""

from __future__ import annotations

MAX_PIXELS = 400_000_000  # a header that states a larger size is considered damaged or hostile

_pixels = MAX_PIXELS  # the limit of this process


def pixel_limit() -> int:
    """Return the largest number of pixels that this process decodes."""
    return _pixels


def limit_pixels(most: int) -> None:
    """Lower the pixel limit of this process; used by servers.

    Args:
        most: the largest number of pixels per image, from 1 to :data:`MAX_PIXELS`.
    """
    global _pixels
    _pixels = min(most, MAX_PIXELS)
