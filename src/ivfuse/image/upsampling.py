"""Carry a small result up to the size of its sources, with their detail and their edges.

Around every pixel of the small image the fused result is described as a linear function of the sources. Its
gains and offset are smooth even where the sources have edges, so they are interpolated, and applied to the
sources in full size: the result has their detail, and its edges where theirs are.
Source: fast guided filter (He & Sun 2015, arXiv 1505.00996), with both sources as guides. Other than there,
the gains keep the local contrast of the result, of which a linear function explains only a part.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray

CELL = 2  # side of a cell, in pixels of the small image; gains are fitted for cells
RADIUS = 1  # cells; a linear model is fitted in windows of this radius, and models are averaged in such
REGULARIZATION = np.float32(1e-4)  # variance of a guide below which its gain tends to the expected one
MOST_LIFT = np.float32(2)  # by which gains grow at most where they explain little of the local contrast

# A larger image is worked on in strips of rows, so that enlarged tables need little memory.
_WHOLE_PIXELS, _STRIP_PIXELS = 1 << 21, 1 << 16


@dataclass(frozen=True)
class LocalGains:
    """A small image as a locally linear function of its guides; each table may have a size of its own.

    Attributes:
        gains: factor of each guide, (h, w) float32.
        offset: what is added to the scaled guides, (h, w) float32.
    """

    gains: tuple[Gray, ...]
    offset: Gray

    def for_levels(self, black: float, span: float) -> LocalGains:
        """The same function with levels as result and first guide, of which ``black`` means 0.

        ``black + span`` means 1. The other guides stay in [0, 1].
        """
        first, *others = self.gains
        scale, shift = np.float32(span), np.float32(black)
        return LocalGains(
            (first, *(gain * scale for gain in others)), self.offset * scale + shift * (1 - first)
        )

    def with_last(self, guide: Gray) -> LocalGains:
        """The same function of one guide less: the last one, (H, W) float32, becomes part of the offset."""
        *others, last = self.gains
        offset = apply_gains(LocalGains((last,), self.offset), (guide,), np.empty(guide.shape, np.float32))
        return LocalGains(tuple(others), offset)


def fit_gains(result: Gray, visible: Gray, thermal: Gray) -> LocalGains:
    """Describe a fused image as a locally linear function of its sources.

    Args:
        result: the fused image, (h, w) float32 in [0, 1].
        visible: the visible image of the same size.
        thermal: the thermal image of the same size.

    Returns:
        The gain of the visible image, that of the thermal image, and the offset, for cells of
        :data:`CELL` pixels a side.
    """
    mean_vi, mean_ir, mean = _window(visible), _window(thermal), _window(result)
    var_vi = _window(visible * visible) - mean_vi * mean_vi
    var_ir = _window(thermal * thermal) - mean_ir * mean_ir
    var = _window(result * result) - mean * mean
    covariance = _window(visible * thermal) - mean_vi * mean_ir
    with_vi = _window(visible * result) - mean_vi * mean
    with_ir = _window(thermal * result) - mean_ir * mean
    some_vi, some_ir = var_vi + REGULARIZATION, var_ir + REGULARIZATION
    # Where the sources are flat, the detail of the visible is expected to pass as it is.
    some_with_vi = with_vi + REGULARIZATION
    determinant = some_vi * some_ir - covariance * covariance
    gain_vi = (some_with_vi * some_ir - with_ir * covariance) / determinant
    gain_ir = (with_ir * some_vi - some_with_vi * covariance) / determinant
    explained = gain_vi * gain_vi * var_vi + gain_ir * gain_ir * var_ir
    explained += 2 * gain_vi * gain_ir * covariance
    lift = np.sqrt((np.maximum(var, 0) + REGULARIZATION) / (np.maximum(explained, 0) + REGULARIZATION))
    lift = np.clip(lift, 1, MOST_LIFT)
    gain_vi *= lift
    gain_ir *= lift
    offset = mean - gain_vi * mean_vi - gain_ir * mean_ir
    # Each pixel lies in many windows, whose models are averaged.
    return LocalGains((_box(gain_vi), _box(gain_ir)), _box(offset))


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
    for part in _strips(height, width):
        tables = (*model.gains, model.offset)
        work = _workspace(len(tables), out[part].shape)
        *scaled, total = (_enlarged(*each, height, part) for each in zip(tables, work, strict=True))
        for gain, guide in zip(scaled, guides, strict=True):
            cv2.multiply(gain, guide[part], dst=gain, dtype=cv2.CV_32F)
        *others, last = scaled
        for each in others:
            cv2.add(total, each, dst=total)
        cv2.add(total, last, dst=out[part], dtype=cv2.CV_8U if out.dtype == np.uint8 else cv2.CV_32F)
    return out


def add_enlarged(image: Gray, table: Gray) -> None:
    """Add a small table, interpolated bilinearly to the size of an image, to that image in place.

    Args:
        image: (H, W) float32.
        table: (h, w) float32.
    """
    height, width = image.shape
    for part in _strips(height, width):
        (work,) = _workspace(1, image[part].shape)
        image[part] += _enlarged(table, work, height, part)


def _strips(height: int, width: int) -> list[slice]:
    """Slices of rows of a large image, which a table is enlarged for at a time; a single one of a small."""
    rows = height if height * width <= _WHOLE_PIXELS else max(1, _STRIP_PIXELS // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _window(values: Gray) -> Gray:
    """Mean over the window around each cell."""
    import cv2

    height, width = values.shape
    cells = (-(-width // CELL), -(-height // CELL))
    return _box(np.asarray(cv2.resize(values, cells, interpolation=cv2.INTER_AREA), np.float32))


def _box(cells: Gray) -> Gray:
    """Mean over the cells around each."""
    import cv2

    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(cells, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


class _Work(threading.local):
    """Memory of a thread for enlarged tables: getting new memory takes as long as filling it."""

    values: Gray = np.empty(0, np.float32)


_WORK = _Work()


def _workspace(count: int, shape: tuple[int, ...]) -> Gray:
    """Memory of (count, *shape) to write to, the same at each call."""
    size = count * math.prod(shape)
    if _WORK.values.size < size:
        _WORK.values = np.empty(size, np.float32)
    return _WORK.values[:size].reshape(count, *shape)


def _enlarged(values: Gray, out: Gray, height: int, part: slice) -> Gray:
    """Rows of a table interpolated bilinearly to a full height; ``out`` is (rows of the part, width)."""
    import cv2

    if part != slice(0, height):
        # Rows are mixed at the small width, then columns are interpolated.
        small = values.shape[0]
        centers = np.clip((np.arange(part.start, part.stop) + 0.5) * (small / height) - 0.5, 0, small - 1)
        above = centers.astype(np.intp)
        share = (centers - above).astype(np.float32)[:, np.newaxis]
        below, values = values[np.minimum(above + 1, small - 1)], values[above]
        values += share * (below - values)
    return np.asarray(cv2.resize(values, out.shape[::-1], out, interpolation=cv2.INTER_LINEAR), np.float32)
