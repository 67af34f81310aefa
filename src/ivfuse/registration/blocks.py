"""Block matching: how well overlapping blocks of both images match under small displacements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.registration.features import FLOOR, Features, describe
from ivfuse.registration.geometry import (
    Matrix,
    Size,
    clip_polygon,
    image_corners,
    scale_at,
    scale_matrix,
    to_centers,
    transform_points,
    translation_matrix,
)
from ivfuse.registration.prepare import PreparedPair, rescale

MIN_BLOCKS = 12
MIN_COVERAGE = 0.35  # of a block inside the thermal
_MIN_COMMON_SIDE = 32  # pixels of the visible
_MIN_COMMON_MASK = 0.1  # of the working grid covered by the thermal
_CELLS = 16  # along the shorter side
_BLOCK_CELLS = 4  # a block is 4 x 4 cells; neighbors start one cell apart

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BlockMatches:
    """Match surfaces of blocks.

    Attributes:
        scores: (blocks, shifts) normalized correlation of features, -1..1.
        shifts: (shifts, 2) x and y in pixels of the working grid; they fill a square, row by row.
        centers: (blocks, 2) x and y in pixels of the working grid.
        coverage: (blocks,) share of the block inside the thermal, 0..1.
        size: width and height of the working grid.
        to_grid: (3, 3), visible to working grid.
    """

    scores: Array
    shifts: Array
    centers: Array
    coverage: Array
    size: Size
    to_grid: Matrix

    def subset(self, keep: NDArray[np.bool_]) -> BlockMatches:
        """The matches of some blocks."""
        return replace(
            self, scores=self.scores[keep], centers=self.centers[keep], coverage=self.coverage[keep]
        )


def match_blocks(pairs: Sequence[PreparedPair], matrix: Matrix, side: int, reach: int) -> BlockMatches | None:
    """Match the blocks of the common field around a transform.

    Args:
        pairs: one, or several of one rig and of equal sizes, whose blocks are pooled.
        matrix: thermal to visible.
        side: square root of the pixel count of the working grid.
        reach: largest displacement in x and y, in pixels of the working grid.

    Returns:
        The matches; ``None`` if no pair has enough common field.
    """
    found = [x for pair in pairs if (x := _match_pair(pair, matrix, side, reach))]
    if not found:
        return None
    scores, centers, coverage = (
        np.concatenate([getattr(x, name) for x in found]) for name in ("scores", "centers", "coverage")
    )
    return replace(found[0], scores=scores, centers=centers, coverage=coverage)


def _match_pair(pair: PreparedPair, matrix: Matrix, side: int, reach: int) -> BlockMatches | None:
    """Match the blocks of one pair; ``None`` if the common field is too small."""
    common = _common_field(pair, matrix, side)
    if common is None:
        return None
    visible, to_grid = common
    thermal, mask = _warp_thermal(pair, to_grid @ matrix, visible.shape)
    if mask.mean() < _MIN_COMMON_MASK:
        return None
    cell = max(4, round(min(visible.shape) / _CELLS))
    scores, shifts = _correlate(describe(visible, "vi"), describe(thermal, "ir") * mask, mask, reach, cell)
    coverage = _block_means(_cell_means(mask, cell)).ravel().astype(float)
    size = (visible.shape[1], visible.shape[0])
    matches = BlockMatches(scores, shifts, _block_centers(mask, cell), coverage, size, to_grid)
    keep = coverage > MIN_COVERAGE
    return matches.subset(keep) if keep.sum() >= MIN_BLOCKS else None


def _common_field(pair: PreparedPair, matrix: Matrix, side: int) -> tuple[Gray, Matrix] | None:
    """The part of the visible that the thermal may show, resized to the working grid."""
    height, width = pair.vi.shape
    corners = transform_points(matrix, image_corners(pair.sizes[0]))
    part = clip_polygon(corners, (width, height)) if np.isfinite(corners).all() else np.empty((0, 2))
    if not len(part):
        return None
    left, top = np.maximum(np.floor(part.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(part.max(axis=0)).astype(int), [width, height])
    if right - left < _MIN_COMMON_SIDE or bottom - top < _MIN_COMMON_SIDE:
        return None
    crop = pair.vi[top:bottom, left:right]
    grid = rescale(crop, min(1.0, side / float(np.sqrt(crop.size))))
    scale = scale_matrix(grid.shape[1] / crop.shape[1], grid.shape[0] / crop.shape[0])
    return grid, scale @ translation_matrix(-left, -top)


def _warp_thermal(pair: PreparedPair, matrix: Matrix, shape: tuple[int, ...]) -> tuple[Gray, Gray]:
    """Thermal and mask on the working grid; downscaled first where the grid is coarser, against aliasing."""
    height, width = pair.ir.shape
    factor = min(1.0, scale_at(matrix, np.array([width / 2, height / 2])))
    small, mask = rescale(pair.ir, factor), rescale(pair.mask, factor)
    to_grid = to_centers(matrix @ scale_matrix(width / small.shape[1], height / small.shape[0]))
    size = (shape[1], shape[0])
    warped = cv2.warpPerspective(
        small, to_grid, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpPerspective(mask, to_grid, size, flags=cv2.INTER_LINEAR)
    inside = cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1.0)
    return np.asarray(warped, np.float32), np.asarray(inside, np.float32)


def _correlate(
    visible: Features, thermal: Features, mask: Gray, reach: int, cell: int
) -> tuple[Array, Array]:
    """Normalized correlation of all blocks under each shift, (blocks, shifts), and (shifts, 2)."""
    height, width = mask.shape
    padded = np.pad(thermal, ((0, 0), (reach, reach), (reach, reach)))
    power, area = (padded * padded).sum(axis=0), np.pad(mask, reach)
    own = (visible * visible).sum(axis=0)
    shifts = [(x, y) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    scores = []
    for x, y in shifts:
        rows, columns = slice(reach + y, reach + y + height), slice(reach + x, reach + x + width)
        product = np.einsum("cyx,cyx->yx", visible, padded[:, rows, columns])
        powers = (own * area[rows, columns], power[rows, columns])
        norms = [_block_means(_cell_means(values, cell)) + FLOOR for values in powers]
        scores.append(_block_means(_cell_means(product, cell)) / np.sqrt(norms[0] * norms[1]))
    return np.stack(scores).reshape(len(shifts), -1).T.astype(float), np.array(shifts, float)


def _grid_size(shape: tuple[int, ...], cell: int) -> tuple[int, int]:
    """Columns and rows of cells."""
    return max(2, shape[1] // cell), max(2, shape[0] // cell)


def _cell_means(values: Gray, cell: int) -> Gray:
    """Means over cells of ``cell`` x ``cell`` pixels; the remainder at the right and below is dropped."""
    grid = _grid_size(values.shape, cell)
    return np.asarray(
        cv2.resize(values[: grid[1] * cell, : grid[0] * cell], grid, interpolation=cv2.INTER_AREA)
    )


def _block_means(cells: Gray) -> Gray:
    """Means over blocks of cells, the border padded with zeros."""
    return np.asarray(cv2.boxFilter(cells, -1, (_BLOCK_CELLS, _BLOCK_CELLS), borderType=cv2.BORDER_CONSTANT))


def _block_centers(mask: Gray, cell: int) -> Array:
    """Centers of the blocks, (blocks, 2): a 4 x 4 box is centered half a cell up and left of its cell."""
    columns, rows = _grid_size(mask.shape, cell)
    x, y = np.meshgrid(np.arange(columns) * cell, np.arange(rows) * cell)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
