"""What the classical methods share: checks, choices between two activities, weighted sums."""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.errors import ShapeError, UsageError
from ivfuse.image.arrays import Gray

# Activities nearer than this are a tie: far below one gray level of 8 bits, far above rounding. Without it,
# rounding would decide where two images show equal structure, differently in a tile than in the whole.
TIE = 1e-5


def as_planes(ir: Gray, vi: Gray) -> tuple[Gray, Gray]:
    """Both images as contiguous float32.

    Raises:
        ShapeError: if they are not two (H, W) planes of one size.
    """
    if ir.ndim != 2 or ir.shape != vi.shape or ir.size == 0:
        raise ShapeError(f"infrared {ir.shape} and visible {vi.shape}: expected the same (H, W), H, W >= 1")
    return np.ascontiguousarray(ir, dtype=np.float32), np.ascontiguousarray(vi, dtype=np.float32)


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raise UsageError unless an option lies in its range."""
    if not low <= value <= high:
        raise UsageError(f"{name}: found {value}, expected {low}..{high}")


def window_max(plane: Gray) -> Gray:
    """Maximum over 3x3 pixels."""
    return np.asarray(cv2.dilate(plane, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE))


def larger(a: Gray, b: Gray | np.float32, tie: float) -> Gray:
    """1 where ``a`` exceeds ``b`` by ``tie``, 0 the other way round, and a straight line between."""
    lead = a - b
    lead *= np.float32(0.5 / tie)
    lead += np.float32(0.5)
    return np.clip(lead, 0, 1, out=lead)


def majority_choice(a: Gray, b: Gray, radius: int) -> Gray:
    """Which of two activities is larger, by a majority vote over the window: 1, 0, or between for a tie."""
    side = 2 * radius + 1
    votes = cv2.boxFilter(
        larger(a, b, TIE), -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101
    )
    return larger(np.asarray(votes, np.float32), np.float32(side * side / 2), tie=0.25)


def mix(a: Gray, b: Gray, weight: Gray) -> Gray:
    """``weight`` of the first and the rest of the second."""
    fused = a - b
    fused *= weight
    fused += b
    return fused


def to_range(fused: Gray) -> Gray:
    """Clip to [0, 1], in place."""
    return np.clip(fused, 0, 1, out=fused)
