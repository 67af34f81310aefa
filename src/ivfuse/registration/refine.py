"""Refinement of a transform: robust least squares over match surfaces, by expectation-maximization.

A block contributes its whole match surface rather than its best displacement: an edge constrains the
transform across itself only, a block without structure or with several equal matches not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.registration.blocks import Array, BlockMatches, match_blocks
from ivfuse.registration.geometry import Matrix, Model, Points, normalize, scale_matrix, translation_matrix
from ivfuse.registration.prepare import PreparedPair

SHARPNESS = 30.0  # likelihood of a displacement: exp(SHARPNESS * score), as the features were trained
OUTLIERS = 0.02  # share of a block's likelihood that no transform explains
STIFFNESS = 1.0  # ridge penalty on perspective parameters
_SHEAR_STIFFNESS = 0.02  # the same for the linear part, relative to STIFFNESS
_SHIFT_STIFFNESS = 1e-6  # the same for translations, for numerical stability only
# Parallax noise floor: residual block displacement, as a fraction of the width, that no transform explains.
PARALLAX_NOISE = 0.005
_INITIAL_SIGMA = 0.6  # of the window, relative to the reach
_SUBPIXEL_VARIANCE = 0.05  # of the displacements within one pixel, about 1 / 12


@dataclass(frozen=True)
class Level:
    """One step of the refinement.

    Attributes:
        side: square root of the pixel count of the working grid.
        reach: largest displacement of a block, in pixels of the grid.
        model: the family of transforms.
        final_sigma: standard deviation of the window at the end, in pixels of the grid.
    """

    side: int
    reach: int
    model: Model
    final_sigma: float = 1.0


def refine_step(pairs: Sequence[PreparedPair], matrix: Matrix, level: Level) -> tuple[Matrix, float] | None:
    """Match blocks around a transform and solve for the correction that explains their displacements.

    Args:
        pairs: one, or several of one rig and of equal sizes.
        matrix: thermal to visible.
        level: resolution, reach and model.

    Returns:
        The corrected matrix and its match margin (:func:`match_margin`); ``None`` if the common field is
            too small.
    """
    matches = match_blocks(pairs, matrix, level.side, level.reach)
    if matches is None:
        return None
    design = design_matrix(matches, matches.centers, level.model)
    first = max(level.reach * _INITIAL_SIGMA, 1.5)
    change = solve_correction(matches, design, level.model, first, level.final_sigma)
    half, middle = max(matches.size) / 2, np.array(matches.size) / 2
    inner = scale_matrix(1 / half, 1 / half) @ translation_matrix(*-middle)
    update = np.linalg.inv(inner) @ _correction_matrix(change / half, level.model) @ inner
    new = np.linalg.inv(matches.to_grid) @ np.linalg.inv(update) @ matches.to_grid @ matrix
    return normalize(new), match_margin(matches, design @ change)


def solve_correction(
    matches: BlockMatches, design: Array, model: Model, first: float, last: float, rounds: int = 6
) -> Array:
    """Estimate the parameters of a correction by expectation-maximization.

    Each round weights displacements by a Gaussian window around the current estimate, reduces each block's
    surface to a Gaussian, and solves the weighted normal equations.

    Args:
        matches: the match surfaces.
        design: (blocks, 2, parameters), see :func:`design_matrix`.
        model: the family of transforms.
        first: standard deviation of the window in the first round, in pixels of the grid.
        last: the same in the last round; it shrinks geometrically.
        rounds: how many rounds.

    Returns:
        (parameters,) in pixels of the grid.
    """
    scores = matches.scores.astype(np.float32)
    likelihood = np.exp(np.float32(SHARPNESS) * (scores - scores.max(axis=1, keepdims=True)))
    outliers = OUTLIERS * likelihood.sum(axis=1)
    ridge = np.diag(_penalties(design.shape[-1], model))
    noise = (PARALLAX_NOISE * matches.size[0]) ** 2
    change = np.zeros(design.shape[-1])
    for sigma in np.geomspace(first, last, rounds):
        expected = design @ change
        total, means, second = _window_moments(likelihood, expected, sigma)
        inlier = matches.coverage * total / (total + outliers)
        mean, precision, axes = _principal_gaussians(means, second)
        # The window narrows every surface: its own precision, and its pull towards itself, are taken out.
        own = np.maximum(precision - sigma**-2, 0)
        pull = np.where(own > 0, mean * precision - _to_axes(axes, expected) * sigma**-2, 0)
        weight = inlier[:, None] / (1 + own * noise)
        own, pull = own * weight, pull * weight
        rows = np.matmul(axes.transpose(0, 2, 1), design).reshape(-1, design.shape[-1])
        information = (rows * own.reshape(-1, 1)).T @ rows + ridge
        change = np.linalg.solve(information, rows.T @ pull.ravel())
    return change


def match_margin(matches: BlockMatches, expected: Array) -> float:
    """Mean excess of the scores at the expected displacements (blocks, 2) over each block's median score."""
    scores = matches.scores.astype(np.float32)
    near = _window_moments(np.ones_like(scores), expected, 1.0)[0]
    there = np.where(near > 0.5, _window_moments(scores, expected, 1.0)[0] / (near + 1e-9), 0)
    return float((there - np.median(scores, axis=1)).mean())


def design_matrix(matches: BlockMatches, points: Points, model: Model) -> Array:
    """Derivative of the displacement of points (N, 2) of the grid by the parameters, (N, 2, parameters).

    Coordinates are centered on the grid and divided by half of its longer side.
    """
    x, y = ((points - np.array(matches.size) / 2) / (max(matches.size) / 2)).T
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


def _penalties(count: int, model: Model) -> Array:
    """Ridge penalties of the parameters, in the order of :func:`design_matrix`."""
    penalties = np.full(count, _SHIFT_STIFFNESS)
    if model in ("affine", "homography"):
        penalties[2:6] += STIFFNESS * _SHEAR_STIFFNESS
    if model == "homography":
        penalties[6:] += STIFFNESS
    return penalties


def _correction_matrix(p: Array, model: Model) -> Matrix:
    """The transform near the identity that has these parameters."""
    if model == "translation":
        return translation_matrix(*p)
    if model == "similarity":
        return np.array([[1 + p[2], -p[3], p[0]], [p[3], 1 + p[2], p[1]], [0, 0, 1]])
    perspective = [-p[6], -p[7]] if model == "homography" else [0, 0]
    return np.array([[1 + p[2], p[3], p[0]], [p[4], 1 + p[5], p[1]], [*perspective, 1]])


def _window_moments(values: Gray, center: Array, sigma: float) -> tuple[Array, Array, Array]:
    """Moments of surfaces (blocks, shifts) under a Gaussian window around ``center`` (blocks, 2).

    The window is separable, and the shifts fill a square: rows and columns are weighted one after the other.

    Returns:
        Sums (blocks,), means of the shifts (blocks, 2), and means of their products (blocks, 2, 2).
    """
    side = int(np.sqrt(values.shape[1]))
    line = np.arange(side, dtype=np.float32) - side // 2
    x, y = (np.exp(-0.5 * ((line - c[:, None]) / sigma) ** 2).astype(np.float32) for c in center.T)
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


def _principal_gaussians(mean: Array, second: Array) -> tuple[Array, Array, Array]:
    """Means and precisions along the principal axes of each block's surface, and these axes."""
    covariance = second - mean[:, :, None] * mean[:, None, :] + _SUBPIXEL_VARIANCE * np.eye(2)
    variance, axes = np.linalg.eigh(covariance)
    return _to_axes(axes, mean), 1 / np.maximum(variance, 1e-3), axes


def _to_axes(axes: NDArray[np.float64], vectors: Array) -> Array:
    return np.asarray(np.einsum("bij,bi->bj", axes, vectors))
