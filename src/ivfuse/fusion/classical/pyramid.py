"""Fusion by a Laplacian pyramid."""

from __future__ import annotations

import numpy as np

from ivfuse.fusion.classical.planes import (
    as_planes,
    check_range,
    majority_choice,
    mix,
    to_range,
    window_max,
)
from ivfuse.fusion.classical.transforms import collapse, laplacian_pyramid
from ivfuse.fusion.method import classical_method
from ivfuse.image.arrays import Gray

LEVELS = 4  # largest number of pyramid levels


@classical_method(
    "laplacian",
    summary="Laplacian pyramid: stronger detail of each band, mean of the bases",
    paper="Burt & Adelson, The Laplacian Pyramid as a Compact Image Code, IEEE Trans. Communications, 1983",
    align=2**LEVELS,
    reach=5 * 2**LEVELS - 4,
)
def laplacian(ir: Gray, vi: Gray, *, levels: int = LEVELS) -> Gray:
    """Select the stronger detail in each band of a Laplacian pyramid, and average the bases.

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.
        levels: number of bands, 1..4; the base is smooth at the scale of ``2**levels`` pixels.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UsageError: if ``levels`` is out of range.

    Source: the pyramid of Burt & Adelson 1983, eqs. 1-8; the selection by activity in a 3x3 window with a 3x3
        majority vote of Li, Manjunath & Mitra 1995, Graphical Models and Image Processing 57(3), 235-245.
    """
    ir, vi = as_planes(ir, vi)
    check_range("levels", levels, 1, LEVELS)
    *a, base_a = laplacian_pyramid(ir, levels)
    *b, base_b = laplacian_pyramid(vi, levels)
    bands = [
        mix(x, y, majority_choice(window_max(np.abs(x)), window_max(np.abs(y)), radius=1))
        for x, y in zip(a, b, strict=True)
    ]
    return to_range(collapse([*bands, (base_a + base_b) * np.float32(0.5)]))
