"""Temporal smoothing of fused brightness where nothing moves, so that amplified noise does not flicker.

Methods that raise contrast also raise slow noise, such as that of video codecs, and their decisions vary a
little from frame to frame. The mean levels of small blocks of the fused image are smoothed exponentially over
time; detail within a block is not touched. Where a source changes, the smoothing ends at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray

BLOCK = 8  # side of a block, in pixels of the thermal image
TIME_CONSTANT = 0.3  # seconds after which a level that nothing gates has followed 63 % of a step
# Changes of a block, from its smoothed level, at which the weight of the past falls to 1/e: above noise, and
# below what an object that moves causes. That of the fused image limits a correction to 2.6 levels of 255.
SOURCE_CHANGE, FUSED_CHANGE = 4 / 255, 6 / 255

_RATES = np.array([1 / FUSED_CHANGE, 1 / SOURCE_CHANGE, 1 / SOURCE_CHANGE], np.float32)[:, None, None]
_NEIGHBORS = np.ones((3, 3), np.uint8)


@dataclass
class TemporalSmoother:
    """Smooths the block levels of fused frames, one after another.

    The smoothing is gated by motion: its weight is ``exp(-(f / FUSED_CHANGE)**2 - (i / SOURCE_CHANGE)**2 -
    (v / SOURCE_CHANGE)**2)`` with the changes of the fused, the thermal and the visible level of a block, the
    least of the 3x3 blocks around. So a scene cut needs no detection, and a moving object leaves no trail.
    """

    _levels: NDArray[np.float32] | None = None  # smoothed, of fused, thermal and visible: (3, h, w)
    _time: float = 0.0

    def apply(
        self,
        fused: Gray,
        ir: Gray,
        vi: Gray,
        time: float,
        *,
        weight: Gray | np.float32 | None = None,
        block: int = BLOCK,
    ) -> Gray:
        """Smooth a frame.

        Args:
            fused: the fused luma, (H, W) float32 in [0, 1].
            ir: the thermal image that was fused, of the same shape and range.
            vi: the luma of the visible image, of the same shape and range.
            time: of the frame, in seconds.
            weight: of the correction in [0, 1], a number or (H, W); ``None`` for 1 everywhere.
            block: side of a block, in pixels.

        Returns:
            (H, W) float32 in [0, 1]; ``fused`` itself for the first frame and after a change of size.

        Raises:
            ShapeError: if the shapes differ.
        """
        if not fused.shape == ir.shape == vi.shape:
            raise ShapeError(
                f"fused {fused.shape}, thermal {ir.shape}, visible {vi.shape}: expected one shape"
            )
        # A value that is no number would stay in the levels for ever.
        levels = np.nan_to_num(np.stack([_block_levels(image, block) for image in (fused, ir, vi)]))
        past, elapsed = self._levels, max(0.0, time - self._time)
        self._levels, self._time = levels, time
        if past is None or past.shape != levels.shape:
            return fused
        change = past - levels
        self._levels = levels + math.exp(-elapsed / TIME_CONSTANT) * _stillness(change) * change
        return _add_enlarged(fused, self._levels[0] - levels[0], weight)


def _block_levels(image: Gray, block: int) -> Gray:
    """The means of blocks of about ``block`` pixels a side."""
    import cv2

    height, width = image.shape
    size = (-(-width // block), -(-height // block))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _stillness(change: NDArray[np.float32]) -> Gray:
    """1 where nothing changes, near 0 where a source or the fused image does, (h, w)."""
    import cv2

    relative = change * _RATES
    motion = np.einsum("chw,chw->hw", relative, relative)
    return np.asarray(np.exp(-cv2.dilate(motion, _NEIGHBORS)), np.float32)


def _add_enlarged(fused: Gray, correction: Gray, weight: Gray | np.float32 | None) -> Gray:
    """Add a correction of blocks, interpolated bilinearly, and clip to [0, 1]."""
    import cv2

    height, width = fused.shape
    out = np.asarray(cv2.resize(correction, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    if weight is not None:
        out *= weight
    out += fused
    return np.clip(out, 0, 1, out=out)
