"""Carry a small result up to the size of its source, with the detail and the edges of the source.

Around every pixel of the small image the fused result is described as a linear function of the sources. Its
gains and offset are smooth even where the sources have edges, so they are interpolated, and applied to the
source in full size: the result has the detail of the source, and its edges where those of the source are.
Source: fast guided filter (He & Sun 2015, arXiv 1505.00996), with both sources as guides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray

RADIUS = 2  # pixels of the small image; a linear model is fitted in windows of this radius
REGULARIZATION = np.float32(1e-3)  # variance of a guide below which its gain tends to the expected one

# Of float32 values that are worked on together, so that all tables of a step stay in the cache.
_FIT_BYTES, _APPLY_BYTES = 1 << 17, 1 << 18


@dataclass(frozen=True)
class LocalGains:
    """A small image as a locally linear function of its guides.

    Attributes:
        gains: factor of each guide, (h, w) float32.
        offset: what is added to the scaled guides, (h, w) float32.
    """

    gains: tuple[Gray, ...]
    offset: Gray

    def rescaled(self, black: float, span: float) -> LocalGains:
        """The same function for levels, of which ``black`` means 0 and ``black + span`` means 1."""
        offset = self.offset * np.float32(span)
        offset += np.float32(black)
        for gain in self.gains:
            offset -= gain * np.float32(black)
        return LocalGains(self.gains, offset)


def fit_gains(result: Gray, visible: Gray, thermal: Gray, *, both: bool) -> LocalGains:
    """Describe a fused image as a locally linear function of its sources.

    Args:
        result: the fused image, (h, w) float32 in [0, 1].
        visible: the visible image of the same size.
        thermal: the thermal image of the same size.
        both: whether both sources exist in full size; otherwise only the visible image does, and what the
            thermal image adds is part of the offset.

    Returns:
        The gain of the visible image, that of the thermal image if both are given, and the offset.
    """
    gains = tuple(np.empty(result.shape, np.float32) for _ in range(1 + both))
    offset = np.empty(result.shape, np.float32)
    height, width = result.shape
    halo = 2 * RADIUS
    # A few rows at a time: allocating temporary arrays of a whole image costs more than filling them.
    for rows in _strips(height, width, _FIT_BYTES):
        part = slice(max(rows.start - halo, 0), rows.stop + halo)
        gain_vi, gain_ir, rest = _fit(result[part], visible[part], thermal[part])
        inside = slice(rows.start - part.start, rows.stop - part.start)
        for target, gain in zip(gains, (gain_vi, gain_ir), strict=False):
            target[rows] = gain[inside]
        if not both:
            rest += gain_ir * thermal[part]
        offset[rows] = rest[inside]
    return LocalGains(gains, offset)


def _fit(result: Gray, visible: Gray, thermal: Gray) -> tuple[Gray, Gray, Gray]:
    """Gains of the visible and of the thermal image, and the offset."""
    mean_vi, mean_ir, mean = _box(visible), _box(thermal), _box(result)
    var_vi = _box(visible * visible) - mean_vi * mean_vi + REGULARIZATION
    var_ir = _box(thermal * thermal) - mean_ir * mean_ir + REGULARIZATION
    covariance = _box(visible * thermal) - mean_vi * mean_ir
    # Where the sources are flat, the detail of the visible is expected to pass as it is.
    with_vi = _box(visible * result) - mean_vi * mean + REGULARIZATION
    with_ir = _box(thermal * result) - mean_ir * mean
    determinant = var_vi * var_ir - covariance * covariance
    gain_vi = (with_vi * var_ir - with_ir * covariance) / determinant
    gain_ir = (with_ir * var_vi - with_vi * covariance) / determinant
    offset = mean - gain_vi * mean_vi - gain_ir * mean_ir
    # Each pixel lies in many windows, whose models are averaged.
    return _box(gain_vi), _box(gain_ir), _box(offset)


def apply_gains(model: LocalGains, guides: Sequence[NDArray[Any]], out: NDArray[Any]) -> NDArray[Any]:
    """Apply gains and offset, interpolated bilinearly, to guides in full size.

    Args:
        model: the gains, of as many guides as given.
        guides: (H, W) each, uint8 or float32.
        out: array for the result, (H, W) float32 or uint8; uint8 is rounded and saturated.

    Returns:
        ``out``.

    Raises:
        ShapeError: if the guides and ``out`` differ in shape.
    """
    import cv2

    height, width = out.shape
    if len(guides) != len(model.gains) or any(guide.shape != out.shape for guide in guides):
        raise ShapeError(
            f"guides {[guide.shape for guide in guides]}: expected {len(model.gains)} of {out.shape}"
        )
    above, below, share = _row_positions(height, model.offset.shape[0])
    for part in _strips(height, width, _APPLY_BYTES):
        size = (width, part.stop - part.start)
        positions = above[part], below[part], share[part]
        *others, last = (
            cv2.multiply(_enlarged(gain, positions, size), guide[part], dtype=cv2.CV_32F)
            for gain, guide in zip(model.gains, guides, strict=True)
        )
        total = _enlarged(model.offset, positions, size)
        for scaled in others:
            total += scaled
        out[part] = cv2.add(total, last, dtype=cv2.CV_8U if out.dtype == np.uint8 else cv2.CV_32F)
    return out


def _strips(height: int, width: int, size: int) -> list[slice]:
    """Slices of rows whose float32 values take at most ``size`` bytes."""
    rows = max(1, size // (4 * width))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _box(values: Gray) -> Gray:
    """Mean over the window around each pixel."""
    import cv2

    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _row_positions(height: int, small: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Gray]:
    """For each row in full size, the small rows above and below it, and the share of the latter."""
    centers = np.clip((np.arange(height) + 0.5) * (small / height) - 0.5, 0, small - 1)
    above = centers.astype(np.intp)
    share = (centers - above).astype(np.float32)[:, np.newaxis]
    return above, np.minimum(above + 1, small - 1), share


def _enlarged(
    values: Gray, positions: tuple[NDArray[np.intp], NDArray[np.intp], Gray], size: tuple[int, int]
) -> Gray:
    """Some rows of an enlarged image: rows are mixed at the small width, then columns are interpolated."""
    import cv2

    above, below, share = positions
    mixed = values[above]
    mixed += share * (values[below] - mixed)
    return np.asarray(cv2.resize(mixed, size, interpolation=cv2.INTER_LINEAR), np.float32)
