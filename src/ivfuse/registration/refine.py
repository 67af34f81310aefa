"""From a rough place to a precise one: many blocks vote for where they match best, the transform follows.

A block votes with the whole surface of its match, not with the best point of it: an edge votes across itself
alone, a block with nothing in it or with several equal matches does not vote (EM over blocks, in growing
resolution).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.registration.features import FLOOR, Features, describe, shrunk
from ivfuse.registration.geometry import (
    Matrix,
    Model,
    clipped,
    corners_of,
    moved,
    normalized,
    scaling,
    to_centers,
    zoom_at,
)

SHARPNESS = 30.0  # of votes: exp(SHARPNESS * correlation), as the features were trained
OUTLIERS = 0.02  # share of a block's votes that no transform explains
STIFFNESS = 1.0  # against perspective that no block asks for; a fiftieth of it against shear
UNEXPLAINED = 0.005  # of the width: what depth moves blocks by, so that none is known better than that
SEEN = 0.35  # of a block inside the thermal, at least
LEAST_BLOCKS = 12
_CELLS = 16  # along the shorter side; a block is 4 x 4 cells
_BLOCK = 4

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """What is registered.

    Attributes:
        ir: thermal, (H, W) float32.
        vi: visible luma, (H, W) float32.
        mask: where the thermal holds an image, (H, W) float32.
    """

    ir: Gray
    vi: Gray
    mask: Gray


@dataclass(frozen=True)
class Level:
    """One step of the refinement.

    Attributes:
        side: root of the area of the common part, in pixels, to work at.
        reach: how far a block looks around, in pixels of that size.
        model: what may change.
        last: the width of the votes' window at the end, in pixels of that size.
    """

    side: int
    reach: int
    model: Model
    last: float = 1.0


@dataclass(frozen=True)
class Votes:
    """How well blocks match under small shifts.

    Attributes:
        match: (blocks, shifts) correlation of features, -1..1.
        shifts: (shifts, 2) x and y in pixels of the level.
        places: (blocks, 2) centers, in pixels of the level.
        seen: (blocks,) share of the block inside the thermal.
        size: width and height of the level.
        to_level: visible to level.
    """

    match: Array
    shifts: Array
    places: Array
    seen: Array
    size: tuple[int, int]
    to_level: Matrix


def improve(pairs: Sequence[Pair], matrix: Matrix, level: Level) -> tuple[Matrix, float] | None:
    """One step: look around, follow the votes.

    Args:
        pairs: of one rig and of equal sizes, often only one.
        matrix: thermal to visible.
        level: how far and how fine to look.

    Returns:
        The new matrix and how much better the blocks match there than elsewhere; ``None`` if too little is
            common.
    """
    votes = collect_all(pairs, matrix, level.side, level.reach)
    if votes is None:
        return None
    half = max(votes.size) / 2
    middle = np.array(votes.size) / 2
    design = _design((votes.places - middle) / half, level.model)
    change, _ = follow(votes, design, level.model, max(level.reach * 0.6, 1.5), level.last)
    inner = scaling(1 / half, 1 / half) @ np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1]])
    update = np.linalg.inv(inner) @ _as_matrix(change / half, level.model) @ inner
    new = np.linalg.inv(votes.to_level) @ np.linalg.inv(update) @ votes.to_level @ matrix
    return normalized(new), evidence(votes, design @ change)


def collect_all(pairs: Sequence[Pair], matrix: Matrix, side: int, reach: int) -> Votes | None:
    """The votes of all pairs together; ``None`` if none has any."""
    found = [x for pair in pairs if (x := collect(pair, matrix, side, reach))]
    if not found:
        return None
    match, places, seen = (
        np.concatenate([getattr(x, name) for x in found]) for name in ("match", "places", "seen")
    )
    return replace(found[0], match=match, places=places, seen=seen)


def collect(pair: Pair, matrix: Matrix, side: int, reach: int) -> Votes | None:
    """Match the blocks of the common part; ``None`` if it is too small."""
    level = _common(pair, matrix, side)
    if level is None:
        return None
    visible, to_level = level
    thermal, mask = _placed(pair, to_level @ matrix, visible.shape)
    if mask.mean() < 0.1:
        return None
    cell = max(4, round(min(visible.shape) / _CELLS))
    features = describe(thermal, "ir") * mask
    match, shifts, places, seen = _match_blocks(describe(visible, "vi"), features, mask, reach, cell)
    keep = seen > SEEN
    if keep.sum() < LEAST_BLOCKS:
        return None
    size = (visible.shape[1], visible.shape[0])
    return Votes(match[keep], shifts, places[keep], seen[keep], size, to_level)


def follow(
    votes: Votes, design: Array, model: Model, first: float, last: float, rounds: int = 6
) -> tuple[Array, Array]:
    """The parameters that most votes agree on, and their information matrix.

    The window around the current transform in which votes count shrinks from ``first`` to ``last`` pixels.
    """
    stiffness = np.full(design.shape[-1], 1e-6)
    if model in ("affine", "homography"):
        stiffness[2:6] += STIFFNESS / 50
    if model == "homography":
        stiffness[6:] += STIFFNESS
    match = votes.match.astype(np.float32)
    likelihood = np.exp(np.float32(SHARPNESS) * (match - match.max(axis=1, keepdims=True)))
    everything = OUTLIERS * likelihood.sum(axis=1)
    change = np.zeros(design.shape[-1])
    information = np.eye(design.shape[-1])
    for width in np.geomspace(first, last, rounds):
        expected = design @ change
        total, means, second = _moments(likelihood, expected, width)
        weight = votes.seen * total / (total + everything)
        mean, precision, axes = _gaussians(means, second)
        # What the window itself adds to a vote is taken out again.
        own = np.maximum(precision - width**-2, 0)
        pull = np.where(own > 0, mean * precision - _along(axes, expected) * width**-2, 0)
        rows = np.matmul(axes.transpose(0, 2, 1), design)
        weight = weight[:, None] / (1 + own * (UNEXPLAINED * votes.size[0]) ** 2)
        own, pull = own * weight, pull * weight
        flat = rows.reshape(-1, rows.shape[-1])
        information = (flat * own.reshape(-1, 1)).T @ flat + np.diag(stiffness)
        change = np.linalg.solve(information, flat.T @ pull.ravel())
    return change, information


def spread(votes: Votes, matrix: Matrix, thermal: tuple[int, int], model: Model) -> float:
    """How far the corners of the common part move when any sixteenth of the image is left out.

    Args:
        votes: around ``matrix``.
        matrix: thermal to visible.
        thermal: width and height of the thermal.
        model: what the transform may do.

    Returns:
        The jackknife's standard error at the worst corner, in parts of the common part's width.

    Source: Efron & Tibshirani 1993, eq. 11.5.
    """
    half, middle = max(votes.size) / 2, np.array(votes.size) / 2
    design = _design((votes.places - middle) / half, model)
    corners = clipped(moved(votes.to_level @ matrix, corners_of(thermal)), votes.size)
    at_corners = _design((corners - middle) / half, model)
    rows = np.clip(np.floor(votes.places / votes.size * 4), 0, 3).astype(int)
    tiles = rows[:, 1] * 4 + rows[:, 0]
    shifts = []
    for tile in np.unique(tiles):
        rest = tiles != tile
        if rest.sum() < LEAST_BLOCKS:
            continue
        part = replace(votes, match=votes.match[rest], places=votes.places[rest], seen=votes.seen[rest])
        shifts.append(at_corners @ follow(part, design[rest], model, 2.0, 1.5, rounds=4)[0])
    if len(shifts) < 4 or not len(corners):
        return 1.0
    off = np.array(shifts) - np.mean(shifts, axis=0)
    errors = np.sqrt((off**2).sum(axis=(0, 2)) * (len(shifts) - 1) / len(shifts))
    return float(errors.max()) / votes.size[0]


def evidence(votes: Votes, expected: Array) -> float:
    """How much better blocks match at the expected shifts (blocks, 2) than at a median one, on average."""
    match = votes.match.astype(np.float32)
    near = _moments(np.ones_like(match), expected, 1.0)[0]
    there = np.where(near > 0.5, _moments(match, expected, 1.0)[0] / (near + 1e-9), 0)
    return float((there - np.median(match, axis=1)).mean())


def _moments(values: Gray, center: Array, width: float) -> tuple[Array, Array, Array]:
    """Sums of values (blocks, shifts) under a window of each block; means and mean products of the shifts.

    The shifts fill a square, row by row, and the window is a Gaussian: rows and columns are weighted apart.
    """
    side = int(np.sqrt(values.shape[1]))
    line = np.arange(side, dtype=np.float32) - side // 2
    x, y = (np.exp(-0.5 * ((line - c[:, None]) / width) ** 2).astype(np.float32) for c in center.T)
    square = values.reshape(-1, side, side)
    basis = np.stack([x, x * line, x * line * line], axis=-1)
    columns = square @ basis  # (blocks, rows, 3): each row's sums of 1, x and x * x
    sums = np.matmul(np.stack([y, y * line, y * line * line], axis=1), columns).astype(np.float64)
    total = sums[:, 0, 0]
    share = sums / (total[:, None, None] + 1e-30)
    means = np.stack([share[:, 0, 1], share[:, 1, 0]], axis=-1)
    mixed = share[:, 1, 1]
    second = np.stack([share[:, 0, 2], mixed, mixed, share[:, 2, 0]], axis=-1).reshape(-1, 2, 2)
    return total, means, second


def _gaussians(mean: Array, second: Array) -> tuple[Array, Array, Array]:
    """Means (along the axes), precisions and axes of each block's votes."""
    spread = second - mean[:, :, None] * mean[:, None, :] + 0.05 * np.eye(2)
    variance, axes = np.linalg.eigh(spread)
    return _along(axes, mean), 1 / np.maximum(variance, 1e-3), axes


def _along(axes: Array, vectors: Array) -> Array:
    return np.asarray(np.einsum("bij,bi->bj", axes, vectors))


def _design(places: Array, model: Model) -> Array:
    """(blocks, 2, parameters): how the shift of a block depends on the parameters, places in -1..1."""
    x, y = places.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = {
        "translation": ([one, zero], [zero, one]),
        "similarity": ([one, zero, x, -y], [zero, one, y, x]),
        "affine": ([one, zero, x, y, zero, zero], [zero, one, zero, zero, x, y]),
        "homography": (
            [one, zero, x, y, zero, zero, x * x, x * y],
            [zero, one, zero, zero, x, y, x * y, y * y],
        ),
    }[model]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _as_matrix(p: Array, model: Model) -> Matrix:
    """The small transform that has these shifts."""
    if model == "translation":
        return np.array([[1, 0, p[0]], [0, 1, p[1]], [0, 0, 1]])
    if model == "similarity":
        return np.array([[1 + p[2], -p[3], p[0]], [p[3], 1 + p[2], p[1]], [0, 0, 1]])
    tilt = [-p[6], -p[7]] if model == "homography" else [0, 0]
    return np.array([[1 + p[2], p[3], p[0]], [p[4], 1 + p[5], p[1]], [*tilt, 1]])


def _common(pair: Pair, matrix: Matrix, side: int) -> tuple[Gray, Matrix] | None:
    """The part of the visible that the thermal may show, at the size of a level."""
    height, width = pair.vi.shape
    corners = moved(matrix, corners_of((pair.ir.shape[1], pair.ir.shape[0])))
    part = clipped(corners, (width, height)) if np.isfinite(corners).all() else np.empty((0, 2))
    if not len(part):
        return None
    left, top = np.maximum(np.floor(part.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(part.max(axis=0)).astype(int), [width, height])
    if right - left < 32 or bottom - top < 32:
        return None
    crop = pair.vi[top:bottom, left:right]
    level = shrunk(crop, min(1.0, side / float(np.sqrt(crop.size))))
    scale = scaling(level.shape[1] / crop.shape[1], level.shape[0] / crop.shape[0])
    return level, scale @ np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])


def _placed(pair: Pair, matrix: Matrix, shape: tuple[int, ...]) -> tuple[Gray, Gray]:
    """Thermal and mask on a level's grid."""
    height, width = pair.ir.shape
    zoom = zoom_at(matrix, np.array([width / 2, height / 2]))
    small, mask = shrunk(pair.ir, min(1.0, zoom)), shrunk(pair.mask, min(1.0, zoom))
    grid = to_centers(matrix @ scaling(width / small.shape[1], height / small.shape[0]))
    size = (shape[1], shape[0])
    placed = cv2.warpPerspective(small, grid, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(mask, grid, size, flags=cv2.INTER_LINEAR)
    inside = cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1.0)
    return np.asarray(placed, np.float32), np.asarray(inside, np.float32)


def _match_blocks(
    visible: Features, thermal: Features, mask: Gray, reach: int, cell: int
) -> tuple[Array, Array, Array, Array]:
    """Correlation of overlapping blocks under every shift up to ``reach``."""
    height, width = mask.shape
    grid = (max(2, width // cell), max(2, height // cell))

    def cells(values: Gray) -> Gray:
        return np.asarray(
            cv2.resize(values[: grid[1] * cell, : grid[0] * cell], grid, interpolation=cv2.INTER_AREA)
        )

    def blocks(values: Gray) -> Gray:
        return np.asarray(cv2.boxFilter(values, -1, (_BLOCK, _BLOCK), borderType=cv2.BORDER_CONSTANT))

    padded = np.pad(thermal, ((0, 0), (reach, reach), (reach, reach)))
    power, area = (padded * padded).sum(axis=0), np.pad(mask, reach)
    own = (visible * visible).sum(axis=0)
    shifts = [(x, y) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    match = np.empty((len(shifts), grid[1], grid[0]), np.float32)
    for index, (x, y) in enumerate(shifts):
        rows, columns = slice(reach + y, reach + y + height), slice(reach + x, reach + x + width)
        product = np.einsum("cyx,cyx->yx", visible, padded[:, rows, columns])
        norms = (blocks(cells(own * area[rows, columns])) + FLOOR) * (
            blocks(cells(power[rows, columns])) + FLOOR
        )
        match[index] = blocks(cells(product)) / np.sqrt(norms)
    # An even box is centerd half a cell up and left of its cell's own center.
    x, y = np.meshgrid(np.arange(grid[0]) * cell, np.arange(grid[1]) * cell)
    places = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    seen = blocks(cells(mask)).ravel().astype(float)
    return match.reshape(len(shifts), -1).T.astype(float), np.array(shifts, float), places, seen
