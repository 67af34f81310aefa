"""Large images in overlapping tiles, put together without a seam.

Neighbors overlap by ``2 * margin + fade``: within the fade, in the middle of the overlap, one tile's result
goes over into the next one's linearly, and each tile still knows ``margin`` pixels beyond it. So a method
whose output depends on no more than ``margin`` pixels around each pixel gives exactly what it gives on the
whole image, and one that looks further changes slowly instead of at a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ivfuse.errors import ShapeError, UsageError
from ivfuse.image.arrays import Gray

FuseGray = Callable[[Gray, Gray], Gray]

MAX_FADE = 48  # pixels; wider fades cost more than they hide


@dataclass(frozen=True)
class Tile:
    """A rectangle of the image, context included.

    Attributes:
        top: first row, a multiple of the alignment.
        left: first column, a multiple of the alignment.
        height: rows.
        width: columns.
    """

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class _Span:
    """One tile along one side: pixels ``start:stop`` are fused, ``first:last`` of these are used.

    The result fades in over ``first : first + rise`` and out over ``last - fall : last``.
    """

    start: int
    stop: int
    first: int
    last: int
    rise: int
    fall: int

    def weights(self) -> Gray:
        """Share of this tile in each of the pixels ``first:last``; over all tiles they add up to one."""
        out = np.ones(self.last - self.first, np.float32)
        if self.rise:
            out[: self.rise] = _ramp(self.rise)
        if self.fall:
            out[-self.fall :] = 1 - _ramp(self.fall)
        return out


def plan_tiles(
    height: int, width: int, *, tile: int, margin: int, align: int, fade: int | None = None
) -> list[Tile]:
    """Cut an image into overlapping tiles, row by row.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        tile: the largest side of a tile, context included; an image whose sides are both no longer is one
            tile. Where it leaves no room between two overlaps, tiles are as much larger as is needed.
        margin: context in pixels beyond the fade, on each inner side.
        align: tiles begin on multiples of this many pixels.
        fade: width of the fade between neighbors; ``None`` for ``margin``, at most 48.

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
    """Fuse a pair tile by tile; needs memory for the result and for one tile.

    Args:
        fuse: takes two (h, w) float32 arrays and gives one of the same shape; it may be called with views.
        ir: infrared, (H, W) float32.
        vi: luma of the visible, the same shape.
        tile: see :func:`plan_tiles`.
        margin: see :func:`plan_tiles`; the reach of ``fuse`` for a result equal to that of the whole image.
        align: see :func:`plan_tiles`.
        fade: see :func:`plan_tiles`.

    Returns:
        The fused image, (H, W) float32. An image of one tile is given to ``fuse`` as it is.

    Raises:
        ShapeError: if the shapes differ or ``fuse`` changes the shape.
        UsageError: as :func:`plan_tiles`.
    """
    if ir.ndim != 2 or ir.shape != vi.shape:
        raise ShapeError(f"infrared {ir.shape} and visible {vi.shape}: expected the same (height, width)")
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
    """The result of a method, refused if its shape is not that of its inputs."""
    if piece.shape != shape:
        raise ShapeError(f"the method gave {piece.shape} for a tile of {shape}, expected the same")
    return piece


def _plan(
    height: int, width: int, tile: int, margin: int, align: int, fade: int | None
) -> tuple[list[_Span], list[_Span]]:
    """The spans along both sides."""
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
    """Cut one side into tiles of nearly equal length, so that a runtime sees few different shapes."""
    if length <= tile:
        return [_Span(0, length, 0, length, 0, 0)]
    overlap = 2 * margin + fade
    # Fades of neighbors must not meet, else three tiles would share a pixel.
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
    """A line from 0 to 1 through the middles of ``length`` pixels."""
    return ((np.arange(length) + 0.5) / length).astype(np.float32)
