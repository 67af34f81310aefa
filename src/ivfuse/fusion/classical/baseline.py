"""Baseline methods: the mean and the maximum of both images."""

from __future__ import annotations

import numpy as np

from ivfuse.fusion.classical.planes import (
    as_planes,
)
from ivfuse.fusion.method import classical_method
from ivfuse.image.arrays import Gray


@classical_method("average", summary="mean of both images", paper="baseline")
def average(ir: Gray, vi: Gray) -> Gray:
    """Compute the mean of both images.

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.

    Returns:
        (H, W) float32 in [0, 1].
    """
    ir, vi = as_planes(ir, vi)
    return (ir + vi) * np.float32(0.5)


@classical_method("maximum", summary="brighter of both images at each pixel", paper="baseline")
def maximum(ir: Gray, vi: Gray) -> Gray:
    """Compute the maximum of both images at each pixel.

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.

    Returns:
        (H, W) float32 in [0, 1].
    """
    ir, vi = as_planes(ir, vi)
    return np.maximum(ir, vi)
