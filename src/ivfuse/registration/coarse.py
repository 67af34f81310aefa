"""Coarse search over scales and translations: tiles of the smaller image are correlated with the larger one.

Each tile may be displaced a little on its own, which tolerates rotation, shear, perspective and parallax.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.image.correlation import Spectrum, cross_correlation, fft_shape, spectrum
from ivfuse.registration.features import Features, describe
from ivfuse.registration.geometry import (
    Matrix,
    image_corners,
    scale_matrix,
    transform_points,
    translation_matrix,
)
from ivfuse.registration.prepare import PreparedPair, rescale

SEARCH_SIDE = 128  # square root of the visible's pixel count during the search
SCALES = (0.3, 2.35)  # searched range: diagonal of the thermal field over that of the visible
SCALE_STEP = 1.15  # ratio of neighboring scales
TILES = (2, 3)  # rows and columns
TOLERANCES = (0.02, 0.05)  # displacements of a tile, relative to the smaller width; their scores are averaged
MIN_OVERLAP = 0.35  # of the smaller image
# Where the fields of view are known from the lenses: steps of the scale around the known one, and the largest
# distance between the centers of the fields of parallel cameras, relative to the visible's width.
KNOWN_STEPS = (-1, 0, 1)
KNOWN_OFFSET = 0.15
CHANNELS = 3  # principal components of the features; Fourier transforms dominate the run time
_MIN_TILE_SHARE = 0.3  # of a tile must lie inside the searched image
_MIN_POWER = 0.25  # of the mean power: a tile with less structure does not count as much as the others
_PEAK_RADIUS = 8  # pixels around a peak that a second peak cannot lie in
_MIN_SEPARATION = 0.06  # of the visible's width: nearer results are one


@dataclass(frozen=True)
class CoarseMatch:
    """A candidate location of the thermal image on the visible one.

    Attributes:
        matrix: thermal to visible: a scale, a translation and possibly a rotation.
        score: comparable within one search only; higher is better.
        scale: diagonal of the thermal field over that of the visible.
    """

    matrix: Matrix
    score: float
    scale: float


@dataclass
class _Target:
    """Features of the image that is searched, with spectra that successive searches share."""

    features: Features
    spectra: dict[tuple[int, ...], Spectrum] = field(default_factory=dict)

    def spectrum(self, shape: tuple[int, ...]) -> Spectrum:
        if shape not in self.spectra:
            self.spectra[shape] = spectrum(self.features, shape)
        return self.spectra[shape]


def coarse_search(
    pair: PreparedPair, count: int = 6, rotation: float = 0.0, field_ratio: float | None = None
) -> list[CoarseMatch]:
    """Find the most likely locations of the thermal on the visible, best first.

    Args:
        pair: the images.
        count: how many locations to return at most.
        rotation: angle in degrees by which the thermal is rotated before it is searched.
        field_ratio: diagonal of the thermal field over that of the visible, if it is known from the lenses of
            parallel cameras; only locations near it are searched.
    """
    ir, vi = pair.ir, pair.vi
    found: list[CoarseMatch] = []
    ready: dict[float, tuple[_Target, Features]] = {}
    diagonals = float(np.hypot(*vi.shape) / np.hypot(*ir.shape))
    for scale in _scales(field_ratio):
        factor = SEARCH_SIDE / np.sqrt(vi.size) * _oversampling(scale)
        if factor not in ready:
            features = describe(rescale(vi, factor), "vi")
            axes = _principal_axes(features)
            ready[factor] = _Target(_project(axes, features)), axes
        target, axes = ready[factor]
        small = rescale(ir, scale * diagonals * factor)
        rotate = _rotation(small.shape, rotation)
        template = _project(axes, _thermal_features(small, pair.mask, rotate))
        shape = target.features.shape[1:]
        to_visible = scale_matrix(vi.shape[1] / shape[1], vi.shape[0] / shape[0])
        from_thermal = rotate @ scale_matrix(small.shape[1] / ir.shape[1], small.shape[0] / ir.shape[0])
        for x, y, score in _best_translations(target, template, centered=field_ratio is not None):
            matrix = to_visible @ translation_matrix(x, y) @ from_thermal
            found.append(CoarseMatch(matrix, score, float(scale)))
    return _suppress_duplicates(found, pair, count)


def _scales(field_ratio: float | None) -> NDArray[np.float64]:
    """The scales to search: all, or those near a known one."""
    if field_ratio is not None:
        return np.asarray(field_ratio * SCALE_STEP ** np.array(KNOWN_STEPS, np.float64))
    return np.asarray(np.exp(np.arange(np.log(SCALES[0]), np.log(SCALES[1]), np.log(SCALE_STEP))))


def _oversampling(scale: float) -> float:
    """A small thermal field is searched at a finer visible, so that enough pixels of it are left."""
    return 1 if scale > 0.75 else 1.5 if scale > 0.5 else 2


def _principal_axes(features: Features) -> Features:
    """The :data:`CHANNELS` principal axes of features (C, H, W), as (CHANNELS, C)."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return np.asarray(np.linalg.eigh(flat @ flat.T)[1][:, -CHANNELS:].T, np.float32)


def _project(axes: Features, features: Features) -> Features:
    return np.ascontiguousarray(np.tensordot(axes, features, 1))


def _rotation(shape: tuple[int, ...], degrees: float) -> Matrix:
    """Rotation about the center of an image."""
    rotation = cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), degrees, 1)
    return np.vstack([rotation, [0, 0, 1]])


def _thermal_features(small: Gray, mask: Gray, rotate: Matrix) -> Features:
    """Features of the rotated thermal, zero where it holds no image."""
    inside = np.asarray(cv2.resize(mask, small.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    if not np.allclose(rotate, np.eye(3)):
        size = small.shape[::-1]
        small = np.asarray(
            cv2.warpAffine(small, rotate[:2], size, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
        inside = np.asarray(cv2.warpAffine(inside, rotate[:2], size), np.float32)
    features = describe(small, "ir")
    if inside.min() < 1:
        features *= cv2.erode((inside > 0.999).astype(np.float32), np.ones((3, 3), np.uint8))
    return features


def _best_translations(
    target: _Target, template: Features, *, centered: bool
) -> Iterator[tuple[int, int, float]]:
    """The two best translations (x, y) of the thermal over the visible, with their scores."""
    height, width = target.features.shape[1:]
    rows, columns = template.shape[1:]
    if rows * columns <= height * width:
        scores = _sum_of_tiles(target, template)
    else:
        scores = _sum_of_tiles(_Target(template), target.features)[::-1, ::-1]
    down, right = np.arange(height + rows + 1) - rows, np.arange(width + columns + 1) - columns
    common_rows = np.clip(np.minimum(down + rows, height) - np.maximum(down, 0), 0, None)
    common_columns = np.clip(np.minimum(right + columns, width) - np.maximum(right, 0), 0, None)
    least = MIN_OVERLAP * min(rows * columns, height * width)
    excluded = np.outer(common_rows, common_columns) < least
    if centered:
        off = np.hypot((2 * down + rows - height)[:, np.newaxis], 2 * right + columns - width) / 2
        excluded |= off > max(1.0, KNOWN_OFFSET * width)
    scores = np.where(excluded, -1, scores).astype(np.float32)
    scores = np.array(cv2.GaussianBlur(scores, (0, 0), 1), np.float32)
    reach = _PEAK_RADIUS
    for _ in range(2):
        y, x = np.unravel_index(int(np.argmax(scores)), scores.shape)
        yield int(x) - columns, int(y) - rows, float(scores[y, x])
        scores[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = -1


def _sum_of_tiles(target: _Target, template: Features) -> NDArray[np.float32]:
    """Sum of the tiles' scores for every translation (x, y), at index (y + rows, x + columns)."""
    height, width = target.features.shape[1:]
    rows, columns = template.shape[1:]
    tile = (rows // TILES[0], columns // TILES[1])
    shape = fft_shape(height + tile[0] + 1, width + tile[1] + 1)
    searched = target.spectrum(shape)
    scale = _inverse_norms(target.features, tile)
    reaches = [max(1, round(tolerance * min(columns, width))) for tolerance in TOLERANCES]
    typical = float((template * template).sum()) / (TILES[0] * TILES[1])
    total = np.zeros((height + rows + 1, width + columns + 1), np.float32)
    for i, j in np.ndindex(*TILES):
        piece = template[:, i * tile[0] : (i + 1) * tile[0], j * tile[1] : (j + 1) * tile[1]]
        first, counts = (-tile[0], -tile[1]), (scale.shape[0], scale.shape[1])
        score = cross_correlation(searched, spectrum(piece, shape), first, counts)
        power = max(float((piece * piece).sum()), _MIN_POWER * typical, 1e-12)
        score = np.maximum(score * scale / np.sqrt(power), 0).astype(np.float32)
        y, x = rows - (i + 1) * tile[0], columns - (j + 1) * tile[1]
        total[y : y + score.shape[0], x : x + score.shape[1]] += sum(_dilated(score, r) for r in reaches)
    return np.asarray(total * np.float32(np.sqrt(tile[0] * tile[1]) / len(reaches)))


def _dilated(score: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Best score within ``reach`` pixels."""
    return np.asarray(cv2.dilate(score, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)))


def _inverse_norms(features: Features, tile: tuple[int, int]) -> NDArray[np.float32]:
    """Reciprocal norm of the features under a tile at each of its positions, also partly outside."""
    height, width = features.shape[1:]
    power = np.pad((features * features).sum(axis=0), ((tile[0],) * 2, (tile[1],) * 2))
    sums = _box_sums(power, tile)
    shares = np.outer(_covered_share(height, tile[0]), _covered_share(width, tile[1]))
    mean = float(power.sum()) / (height * width) * tile[0] * tile[1]
    norms = np.sqrt(np.maximum(sums, _MIN_POWER * mean + 1e-12))
    return np.where(shares > _MIN_TILE_SHARE, np.sqrt(shares) / norms, 0).astype(np.float32)


def _covered_share(length: int, tile: int) -> NDArray[np.float64]:
    """Share of a tile that lies inside a line of ``length``, for its starts from -tile to length."""
    start = np.arange(length + tile + 1) - tile
    return (np.minimum(start + tile, length) - np.maximum(start, 0)) / max(tile, 1)


def _box_sums(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """Sums over boxes of a size, indexed by their upper left corner."""
    sums = cv2.integral(values, sdepth=cv2.CV_64F)
    rows, columns = size
    return np.asarray(
        sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    )


def _suppress_duplicates(found: list[CoarseMatch], pair: PreparedPair, count: int) -> list[CoarseMatch]:
    """The best matches that map the inner part of the thermal to different places (greedy suppression)."""
    size = pair.sizes[0]
    inner = image_corners(size) * 0.6 + np.array(size) * 0.2
    kept: list[tuple[CoarseMatch, NDArray[np.float64]]] = []
    for match in sorted(found, key=lambda match: -match.score):
        corners = transform_points(match.matrix, inner)
        if all(np.abs(corners - other).max() > _MIN_SEPARATION * pair.vi.shape[1] for _, other in kept):
            kept.append((match, corners))
        if len(kept) == count:
            break
    return [match for match, _ in kept]
