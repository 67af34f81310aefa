"""Doubts about a pair of images: swapped inputs, drawn images, shapes that do not fit, and double frames.

A doubt is a note for the user and changes nothing, because each of these pairs can be intended.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ivfuse.image.arrays import Gray, Pixels
from ivfuse.image.color import is_colored
from ivfuse.image.read import Visible
from ivfuse.thermal.formats.registry import holds_photo
from ivfuse.thermal.read import Thermal

FIELD_TOLERANCE = 0.1  # relative difference of the fields of view, which focal lengths are rounded to
SHAPE_TOLERANCE = 0.02  # relative difference of the aspect ratios, which rounding and small crops stay within
DRAWN = (
    0.5  # share of colors that temperatures explain: 0.66 and 0.92 of two drawn images, 0.1 to 0.34 of photos
)
_SIDE, _GROUPS = 64, 24  # pixels and groups of equal size in which colors are compared


def doubts_about_order(thermal: Thermal, visible: Visible) -> tuple[str, ...]:
    """Doubt a thermal image in color; at most one note, see :func:`doubts_about_colors`."""
    gray = "16-bit gray" if visible.depth > 8 else "gray"
    return doubts_about_colors(thermal.colored, thermal.colored and is_colored(visible.stored), gray)


def doubts_about_colors(thermal: bool, visible: bool, gray: str = "gray") -> tuple[str, ...]:
    """Doubt a thermal image in color: swapped beside a gray visible image, else in a palette.

    Args:
        thermal: whether the thermal image is in color.
        visible: whether the visible image is.
        gray: what a visible image without color is called.
    """
    if not thermal:
        return ()
    if visible:
        return (
            "thermal: the image is in color, as in a palette, whose brightness need not rise with the"
            " temperature; a white-hot image is fused better",
        )
    return (f"thermal: the image is in color and the visible one is {gray}; the two may be swapped",)


def doubts_about_drawing(ir: Path, vi: Path, thermal: Thermal, visible: Visible) -> tuple[str, ...]:
    """Doubt a visible image that the camera has drawn from the temperatures, beside a file with a photo.

    Args:
        ir: the thermal file.
        vi: the visible file; only one of the same folder and stem is doubted.
        thermal: the thermal image.
        visible: the visible image.
    """
    beside = vi != ir and vi.stem == ir.stem and vi.parent.resolve() == ir.parent.resolve()
    if not beside or not holds_photo(ir) or _explained(thermal.pixels, visible.pixels) < DRAWN:
        return ()
    return (
        f"visible: {vi.name} looks like the image that the camera draws of the temperatures; {ir.name} holds"
        " the photo too, give it alone",
    )


def _explained(thermal: Gray, visible: Pixels) -> float:
    """Share of the variance of the colors that the thermal values explain (correlation ratio), 0..1."""
    side = (_SIDE, _SIDE)
    values = cv2.resize(thermal, side, interpolation=cv2.INTER_AREA).ravel()
    colors = cv2.resize(visible, side, interpolation=cv2.INTER_AREA).reshape(values.size, -1)
    groups = np.array_split(colors[np.argsort(values, kind="stable")], _GROUPS)
    within = sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in groups)
    total = float(((colors - colors.mean(axis=0)) ** 2).sum())
    return 1 - within / total if total > 0 else 0.0


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
