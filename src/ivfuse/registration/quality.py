"""Acceptance of a transform: quality measures, and thresholds that unrelated images do not reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivfuse.registration.blocks import MIN_BLOCKS, BlockMatches, match_blocks
from ivfuse.registration.geometry import (
    Matrix,
    Model,
    clip_polygon,
    find_implausibility,
    image_corners,
    side_scales,
    transform_points,
)
from ivfuse.registration.prepare import PreparedPair
from ivfuse.registration.refine import design_matrix, solve_correction

# Set between unrelated images, which match by chance, and correct transforms: docs/results/registration.md.
MIN_INLIER_RATIO = 0.54
MIN_PEAK_ZSCORE = 1.1
MAX_CORNER_STDERR = 0.0105
_SIDE = 200  # square root of the pixel count of the grid that blocks are matched on
_REACH = 5  # pixels of that grid
_INLIER_DISTANCE = 1  # pixels of that grid, in x and y
_STD_FLOOR = 0.02  # added to the standard deviation of a block's scores: flat surfaces have no peak
_MAX_ANISOTROPY = 2.0  # largest over smallest scale of the sides of the thermal frame
_JACKKNIFE_TILES = 4  # per axis


@dataclass(frozen=True)
class RegistrationQuality:
    """How reliable a transform is.

    Attributes:
        inlier_ratio: share of the blocks, 0..1, whose best match lies within 1 pixel (of 5 that are searched)
            of where the transform maps it.
        peak_zscore: match score at the transform minus the median of the block's scores, in their standard
            deviations; mean over the blocks.
        corner_stderr: jackknife standard error of the worst corner, relative to the common field's width.
        fault: why the transform cannot be right; empty if it can.
    """

    inlier_ratio: float
    peak_zscore: float
    corner_stderr: float = 1.0
    fault: str = ""

    @property
    def accepted(self) -> bool:
        """Whether every measure passes its threshold."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why the transform is rejected; empty if it is accepted."""
        if self.fault:
            return self.fault
        if self.inlier_ratio < MIN_INLIER_RATIO:
            return f"inlier ratio {self.inlier_ratio:.2f} is below {MIN_INLIER_RATIO:.2f}"
        if self.peak_zscore < MIN_PEAK_ZSCORE:
            return f"peak z-score {self.peak_zscore:.2f} is below {MIN_PEAK_ZSCORE:.2f}"
        if self.corner_stderr > MAX_CORNER_STDERR:
            return (
                f"corner standard error {self.corner_stderr:.2%} of the width is above"
                f" {MAX_CORNER_STDERR:.2%}"
            )
        return ""

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorting key: accepted transforms first, then by inlier ratio and peak z-score."""
        return self.accepted, self.inlier_ratio + self.peak_zscore


def rejected(fault: str = "no common structure was found") -> RegistrationQuality:
    """The quality of a pair without any transform."""
    return RegistrationQuality(0.0, 0.0, 1.0, fault)


REJECTED = rejected()


def assess(pairs: Sequence[PreparedPair], matrix: Matrix, model: Model) -> RegistrationQuality:
    """Match blocks around a final transform and measure its quality.

    Args:
        pairs: one, or several of one rig and of equal sizes.
        matrix: thermal to visible.
        model: the family of transforms it was estimated in.
    """
    matches = match_blocks(pairs, matrix, _SIDE, _REACH)
    if matches is None:
        return REJECTED
    best = np.abs(matches.shifts[matches.scores.argmax(axis=1)]).max(axis=1)
    here = matches.scores[:, len(matches.shifts) // 2]
    zscore = (here - np.median(matches.scores, axis=1)) / (matches.scores.std(axis=1) + _STD_FLOOR)
    fault = find_implausibility(matrix, *pairs[0].sizes) or _find_distortion(matrix, pairs[0])
    stderr = corner_stderr(matches, matches.to_grid @ matrix, pairs[0], model)
    return RegistrationQuality(float((best <= _INLIER_DISTANCE).mean()), float(zscore.mean()), stderr, fault)


def corner_stderr(matches: BlockMatches, to_grid: Matrix, pair: PreparedPair, model: Model) -> float:
    """Jackknife standard error of the worst corner of the common field, as a fraction of its width.

    Args:
        matches: around the transform.
        to_grid: (3, 3), thermal to working grid.
        pair: one of those that were matched.
        model: the family of transforms.

    Returns:
        The error when each sixteenth of the field is left out in turn; 1 if too few blocks remain.

    Source: Efron & Tibshirani 1993, eq. 11.5.
    """
    design = design_matrix(matches, matches.centers, model)
    corners = clip_polygon(transform_points(to_grid, image_corners(pair.sizes[0])), matches.size)
    if not len(corners):
        return 1.0
    at_corners = design_matrix(matches, corners, model)
    count = _JACKKNIFE_TILES
    columns_rows = np.clip(np.floor(matches.centers / matches.size * count), 0, count - 1).astype(int)
    tiles = columns_rows[:, 1] * count + columns_rows[:, 0]
    shifts = []
    for tile in np.unique(tiles):
        rest = tiles != tile
        if rest.sum() >= MIN_BLOCKS:
            change = solve_correction(matches.subset(rest), design[rest], model, 2.0, 1.5, rounds=4)
            shifts.append(at_corners @ change)
    if len(shifts) < 4:
        return 1.0
    deviation = np.array(shifts) - np.mean(shifts, axis=0)
    errors = np.sqrt((deviation**2).sum(axis=(0, 2)) * (len(shifts) - 1) / len(shifts))
    return float(errors.max()) / matches.size[0]


def _find_distortion(matrix: Matrix, pair: PreparedPair) -> str:
    """Explain why no pair of fixed cameras has this transform; empty if one may."""
    size = pair.sizes[0]
    scales = side_scales(transform_points(matrix, image_corners(size)), size)
    least, most = float(scales.min()), float(scales.max())
    if most > _MAX_ANISOTROPY * least:
        return f"the transform scales the sides of the thermal image unequally, by {least:.3g} to {most:.3g}"
    return ""
