"""Functions shared by the classical methods: validation, selection by activity, weighted sums."""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.errors import ShapeError, UsageError
from ivfuse.image.arrays import Gray

# Activities that differ by less than this are a tie. The value is far below one 8-bit gray level, but far
# above rounding errors, which would otherwise decide between equal structures, differently in each tile.
TIE = 1e-5


def as_planes(ir: Gray, vi: Gray) -> tuple[Gray, Gray]:
    """Convert both images to contiguous float32.

    Raises:
        ShapeError: if they are not two (H, W) images of the same size.
    """
    if ir.ndim != 2 or ir.shape != vi.shape or ir.size == 0:
        raise ShapeError(f"thermal {ir.shape} and visible {vi.shape}: expected the same (H, W), H, W >= 1")
    return np.ascontiguousarray(ir, dtype=np.float32), np.ascontiguousarray(vi, dtype=np.float32)


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raise UsageError unless an option is within its range."""
    if not low <= value <= high:
        raise UsageError(f"{name}: found {value}, expected {low}..{high}")


def window_max(plane: Gray) -> Gray:
    """Compute the maximum over 3x3 pixels."""
    return np.asarray(cv2.dilate(plane, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE))


def larger(a: Gray, b: Gray | np.float32, tie: float) -> Gray:
    """Return 1 where ``a - b`` is at least ``tie``, 0 where it is at most ``-tie``, and linear in between."""
    lead = a - b
    lead *= np.float32(0.5 / tie)
    lead += np.float32(0.5)
    return np.clip(lead, 0, 1, out=lead)


def majority_choice(a: Gray, b: Gray, radius: int) -> Gray:
    """Compare two activities by a majority vote over a window: 1 for ``a``, 0 for ``b``, between if tied."""
    side = 2 * radius + 1
    votes = cv2.boxFilter(
        larger(a, b, TIE), -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101
    )
    return larger(np.asarray(votes, np.float32), np.float32(side * side / 2), tie=0.25)


def mix(a: Gray, b: Gray, weight: Gray) -> Gray:
    """Compute ``weight * a + (1 - weight) * b``."""
    fused = a - b
    fused *= weight
    fused += b
    return fused


def to_range(fused: Gray) -> Gray:
    """Clip to [0, 1], in place."""
    return np.clip(fused, 0, 1, out=fused)
