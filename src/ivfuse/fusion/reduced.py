"""Fusion of a large visible image at about the resolution of its thermal image, carried up to full size.

Enlarging a thermal image adds no information, and the time of a network grows with the number of pixels. So
the network sees both images reduced, at a scale like that of its training, and its result is applied to the
visible image in full size (:mod:`ivfuse.image.upsampling`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.image.color import resize_to

Shape = tuple[int, int]  # height and width, in pixels
FuseCovered = Callable[[Gray, Gray, Gray | None], Gray]

LEAST_PIXELS = 640 * 480  # a smaller image would show the network too little of the scene
MOST_PIXELS = 2048 * 1536  # time and memory; thermal cameras have fewer pixels


def reduced_shape(visible: Shape, thermal: Shape, covered: float = 1.0) -> Shape | None:
    """Choose the shape at which to fuse: that of the visible image divided by a whole number.

    The number is the one with which the result has about as many pixels as the thermal image.

    Args:
        visible: shape of the visible image.
        thermal: shape of the thermal image as it was recorded.
        covered: fraction of the visible image that the thermal image covers, above 0 and at most 1.

    Returns:
        The smaller shape, or ``None`` if that of the visible image is not much larger than the thermal's.
    """
    pixels = math.prod(thermal) / max(covered, 1e-3)
    pixels = min(max(pixels, LEAST_PIXELS), MOST_PIXELS)
    divisor = round(math.sqrt(math.prod(visible) / pixels))
    return None if divisor < 2 else (-(-visible[0] // divisor), -(-visible[1] // divisor))


def fuse_reduced(fuse: FuseCovered, ir: Gray, vi: Gray, coverage: Gray | None, shape: Shape) -> Gray:
    """Fuse at a smaller shape and carry the result up.

    Args:
        fuse: function of the thermal image, the luma of the visible image and the coverage, at one shape.
        ir: thermal image on the grid of the visible image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.
        coverage: weight of the thermal image, of the same shape; ``None`` for 1 everywhere.
        shape: the smaller shape, see :func:`reduced_shape`.

    Returns:
        (H, W) float32 in [0, 1].
    """
    from ivfuse.image.upsampling import apply_gains, fit_gains

    small_ir, small_vi = resize_to(ir, *shape), resize_to(vi, *shape)
    small_coverage = None if coverage is None else resize_to(coverage, *shape)
    small = fuse(small_ir, small_vi, small_coverage)
    gains = fit_gains(small, small_vi, small_ir, both=True)
    out = apply_gains(gains, (vi, ir), np.empty(vi.shape, np.float32))
    return np.clip(out, 0, 1, out=out)
