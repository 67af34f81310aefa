"""Doubts about a pair of images: swapped inputs, shapes that do not fit, and double frames of a camera.

A doubt is a note for the user and changes nothing, because each of these pairs can be intended.
"""

from __future__ import annotations

from ivfuse.image.color import is_colored
from ivfuse.image.read import Visible
from ivfuse.thermal.read import Thermal

FIELD_TOLERANCE = 0.1  # relative difference of the fields of view, which focal lengths are rounded to
SHAPE_TOLERANCE = 0.02  # relative difference of the aspect ratios, which rounding and small crops stay within


def doubts_about_order(thermal: Thermal, visible: Visible) -> tuple[str, ...]:
    """Doubt a thermal image in color beside a gray visible image; at most one note."""
    if not thermal.colored or is_colored(visible.pixels):
        return ()
    gray = "16-bit gray" if visible.depth > 8 else "gray"
    return (f"thermal: the image is in color and the visible one is {gray}; the two may be swapped",)


def doubts_about_sizes(thermal: tuple[int, int], visible: tuple[int, int]) -> tuple[str, ...]:
    """Doubt images of different aspect ratios, which show different fields of view; at most one note.

    Args:
        thermal: width and height of the thermal image, in pixels.
        visible: width and height of the visible image, in pixels.
    """
    (width, height), (visible_width, visible_height) = thermal, visible
    sizes = f"{width}x{height} beside a visible image of {visible_width}x{visible_height}"
    ratio = (width / height) / (visible_width / visible_height)
    if abs(2 * ratio - 1) <= SHAPE_TOLERANCE:
        return (
            f"thermal: {sizes} looks like a double frame, two images one above the other; crop it to one"
            " of them, or use `register` if it is a single image",
        )
    if max(ratio, 1 / ratio) - 1 <= SHAPE_TOLERANCE:
        return ()
    return (
        f"thermal: {sizes} is stretched by {max(ratio, 1 / ratio) - 1:.0%} in one direction, so that objects"
        " may appear twice; use `register`",
    )


def doubts_about_fields(ratio: float | None) -> tuple[str, ...]:
    """Doubt a thermal image that is stretched over a visible one of another field of view; at most one note.

    Args:
        ratio: diagonal of the thermal field over that of the visible; ``None`` if it is unknown.
    """
    if ratio is None or abs(ratio - 1) <= FIELD_TOLERANCE:
        return ()
    return (
        f"thermal: by the focal lengths in the files it sees {ratio:.0%} of the width of the visible image,"
        " over which it is stretched, so that objects appear twice; use `register`",
    )
