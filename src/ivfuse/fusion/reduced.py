"""Fusion at half the resolution of the thermal image, carried up to the size of the visible image.

What is warm for this scene is decided at a coarser scale than that of pixels, and the time of a network grows
with their number. So the network sees both images reduced, at a scale like that of its training, and its
result is applied to both in full size (:mod:`ivfuse.image.upsampling`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.image.color import resize_to
from ivfuse.image.upsampling import CELL, apply_gains, fit_gains

Shape = tuple[int, int]  # height and width, in pixels
Fuse = Callable[[Gray, Gray], Gray]

REDUCTION = 2  # side of a pixel of the method, in pixels of the thermal image, about
LEAST_PIXELS = 50_000  # a smaller image would show the network too little of the scene
MOST_PIXELS = 1024 * 768  # time and memory; thermal cameras at half their resolution have fewer


def reduced_shape(visible: Shape, thermal: Shape, covered: float = 1.0) -> Shape | None:
    """Choose the shape at which to fuse: that of the visible image divided by a whole number.

    The number is the one with which a pixel is about :data:`REDUCTION` pixels of the thermal image wide, or
    a neighbor that divides the sides without remainder. Sides are rounded up to even numbers.

    Args:
        visible: shape of the visible image.
        thermal: shape of the thermal image as it was recorded.
        covered: fraction of the visible image that the thermal image covers, above 0 and at most 1.

    Returns:
        The smaller shape, or ``None`` if the visible image is small itself.
    """
    pixels = _pixels(thermal, covered) / REDUCTION**2
    wanted = math.sqrt(math.prod(visible) / min(max(pixels, LEAST_PIXELS), MOST_PIXELS))
    divisor = round(wanted)
    if divisor < 2:
        return None
    for near in (divisor, divisor + 1, divisor - 1):
        if abs(near - wanted) < 0.25 * wanted and all(side % (CELL * near) == 0 for side in visible):
            divisor = near
            break
    height, width = (CELL * -(-side // (CELL * divisor)) for side in visible)
    return height, width


def thermal_grid(visible: Shape, thermal: Shape, covered: float = 1.0) -> Shape:
    """Choose the shape of a grid over the visible image whose pixels are about as large as the thermal's.

    The arguments are those of :func:`reduced_shape`; the result is at most the shape of the visible image.
    """
    divisor = max(1, round(math.sqrt(math.prod(visible) / _pixels(thermal, covered))))
    return -(-visible[0] // divisor), -(-visible[1] // divisor)


def reduction_note(visible: Shape, shape: Shape | None) -> str | None:
    """Tell the user where a method sees less than half of the visible image's resolution."""
    if shape is None or visible[0] <= (REDUCTION + 0.5) * shape[0]:
        return None
    return f"fused at {shape[1]}x{shape[0]}, carried up to {visible[1]}x{visible[0]}"


def _pixels(thermal: Shape, covered: float) -> float:
    """How many pixels of the thermal image the area of the visible image would hold."""
    return math.prod(thermal) / max(covered, 1e-3)


def fuse_reduced(fuse: Fuse, ir: Gray, vi: Gray, shape: Shape) -> Gray:
    """Fuse at a smaller shape and carry the result up.

    Args:
        fuse: function of the thermal image and the luma of the visible image, at one shape.
        ir: thermal image on the grid of the visible image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.
        shape: the smaller shape, see :func:`reduced_shape`.

    Returns:
        (H, W) float32 in [0, 1].
    """
    small_ir, small_vi = resize_to(ir, *shape), resize_to(vi, *shape)
    gains = fit_gains(fuse(small_ir, small_vi), small_vi, small_ir)
    out = apply_gains(gains, (vi, ir), np.empty(vi.shape, np.float32))
    return np.clip(out, 0, 1, out=out)
