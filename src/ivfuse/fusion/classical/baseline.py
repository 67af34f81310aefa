"""The two baselines of every comparison: the mean and the maximum of both images."""

from __future__ import annotations

import numpy as np

from ivfuse.fusion.classical.planes import (
    as_planes,
)
from ivfuse.fusion.method import classical_method
from ivfuse.image.arrays import Gray


@classical_method("average", summary="mean of both images", paper="baseline")
def average(ir: Gray, vi: Gray) -> Gray:
    """Mean of both.

    Args: two (H, W) float32 planes in [0, 1].
    Returns: (H, W) float32 in [0, 1].
    """
    ir, vi = as_planes(ir, vi)
    return (ir + vi) * np.float32(0.5)


@classical_method("maximum", summary="brighter of both images at each pixel", paper="baseline")
def maximum(ir: Gray, vi: Gray) -> Gray:
    """The brighter of both at each pixel.

    Args: two (H, W) float32 planes in [0, 1].
    Returns: (H, W) float32 in [0, 1].
    """
    ir, vi = as_planes(ir, vi)
    return np.maximum(ir, vi)
