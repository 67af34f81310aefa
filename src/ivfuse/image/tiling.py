"""Fusion of large images in overlapping tiles without visible seams.

Neighboring tiles overlap by ``2 * margin + fade`` pixels. In the middle of the overlap, over ``fade`` pixels,
the result of one tile is blended linearly into that of the next, and each tile has ``margin`` pixels of
context beyond the blended strip. A method with a receptive field of at most ``margin`` pixels around each
pixel therefore gives exactly the result of the whole image; one with a larger receptive field changes
gradually instead of abruptly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ivfuse.errors import ShapeError, UsageError
from ivfuse.image.arrays import Gray

FuseGray = Callable[[Gray, Gray], Gray]

MAX_FADE = 48  # pixels; wider fades cost more time than they improve the result


class Tile(NamedTuple):
    """A rectangle of the image, including context.

    Attributes:
        top: first row, a multiple of ``align``.
        left: first column, a multiple of ``align``.
        height: number of rows.
        width: number of columns.
    """

    top: int
    left: int
    height: int
    width: int


class _Span(NamedTuple):
    """The extent of a tile along one side: pixels ``start:stop`` are fused, and ``first:last`` are used.

    The result fades in over ``first : first + rise`` and out over ``last - fall : last``.
    """

    start: int
    stop: int
    first: int
    last: int
    rise: int
    fall: int

    def weights(self) -> Gray:
        """Weights of this tile at the pixels ``first:last``; the weights of all tiles sum to one."""
        out = np.ones(self.last - self.first, np.float32)
        if self.rise:
            out[: self.rise] = _ramp(self.rise)
        if self.fall:
            out[-self.fall :] = 1 - _ramp(self.fall)
        return out


def plan_tiles(
    height: int, width: int, *, tile: int, margin: int, align: int, fade: int | None = None
) -> list[Tile]:
    """Divide an image into overlapping tiles, row by row.

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.
        tile: largest side of a tile in pixels, including context; an image with no longer side is one tile.
            Tiles become larger if this size leaves no room between two overlaps.
        margin: context in pixels beyond the fade, on each inner side.
        align: grid of the first row and column of tiles, in pixels.
        fade: width of the blended strip between neighbors, in pixels; ``None`` for ``margin``, at most 48.

    Raises:
        UsageError: if ``tile`` or ``align`` is below 1, or ``margin`` or ``fade`` below 0.
    """
    rows, columns = _plan(height, width, tile, margin, align, fade)
    return [Tile(r.start, c.start, r.stop - r.start, c.stop - c.start) for r in rows for c in columns]


def run_tiled(
    fuse: FuseGray,
    ir: Gray,
    vi: Gray,
    *,
    tile: int = 1024,
    margin: int = 64,
    align: int = 1,
    fade: int | None = None,
) -> Gray:
    """Fuse a pair tile by tile, with memory for the result and one tile only.

    Args:
        fuse: function that takes two (h, w) float32 arrays (possibly views) and returns one of that shape.
        ir: thermal image, (H, W) float32.
        vi: luma of the visible image, (H, W) float32.
        tile: see :func:`plan_tiles`.
        margin: see :func:`plan_tiles`; the reach of ``fuse`` makes the result equal that of the whole image.
        align: see :func:`plan_tiles`.
        fade: see :func:`plan_tiles`.

    Returns:
        The fused image, (H, W) float32. An image that fits one tile is passed to ``fuse`` directly.

    Raises:
        ShapeError: if the shapes differ or ``fuse`` changes the shape.
        UsageError: as :func:`plan_tiles`.
    """
    if ir.ndim != 2 or ir.shape != vi.shape:
        raise ShapeError(f"thermal {ir.shape} and visible {vi.shape}: expected the same (height, width)")
    rows, columns = _plan(ir.shape[0], ir.shape[1], tile, margin, align, fade)
    if len(rows) == len(columns) == 1:
        return _checked(fuse(ir, vi), ir.shape)
    out = np.zeros(ir.shape, np.float32)
    for r in rows:
        for c in columns:
            window = np.s_[r.start : r.stop, c.start : c.stop]
            piece = _checked(fuse(ir[window], vi[window]), ir[window].shape)
            used = piece[r.first - r.start : r.last - r.start, c.first - c.start : c.last - c.start]
            share = used * r.weights()[:, np.newaxis]
            share *= c.weights()
            out[r.first : r.last, c.first : c.last] += share
    return out


def _checked(piece: Gray, shape: tuple[int, ...]) -> Gray:
    """Return the result of a method, or raise ShapeError if its shape is not that of the inputs."""
    if piece.shape != shape:
        raise ShapeError(f"the method returned {piece.shape} for a tile of {shape}, expected the same shape")
    return piece


def _plan(
    height: int, width: int, tile: int, margin: int, align: int, fade: int | None
) -> tuple[list[_Span], list[_Span]]:
    """Plan the spans along both sides."""
    fade = min(margin, MAX_FADE) if fade is None else fade
    for name, value, least in (
        ("tile", tile, 1),
        ("align", align, 1),
        ("margin", margin, 0),
        ("fade", fade, 0),
    ):
        if value < least:
            raise UsageError(f"{name}: found {value}, expected {least} or more")
    return _spans(height, tile, margin, align, fade), _spans(width, tile, margin, align, fade)


def _spans(length: int, tile: int, margin: int, align: int, fade: int) -> list[_Span]:
    """Divide one side into tiles of nearly equal length, so that a runtime sees few different shapes."""
    if length <= tile:
        return [_Span(0, length, 0, length, 0, 0)]
    overlap = 2 * margin + fade
    # Neighboring fades must not meet: three tiles would then share a pixel.
    longest = max((tile - overlap) // align, -(-max(fade, 1) // align), 1) * align
    count = -(-(length - overlap) // longest)
    if count <= 1:
        return [_Span(0, length, 0, length, 0, 0)]
    step = max(-(-(length - overlap) // count), fade)
    step = -(-step // align) * align
    spans: list[_Span] = []
    for start in range(0, length - overlap, step):
        stop = min(start + step + overlap, length)
        rise = fade if start else 0
        fall = fade if stop < length else 0
        first = start + margin if start else 0
        last = stop - margin if stop < length else length
        spans.append(_Span(start, stop, first, last, rise, fall))
    return spans


def _ramp(length: int) -> Gray:
    """Linear ramp from 0 to 1, sampled at the centers of ``length`` pixels."""
    return ((np.arange(length) + 0.5) / length).astype(np.float32)
