"""The correction that match surfaces of blocks support."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivfuse.registration.blocks import BlockMatches
from ivfuse.registration.geometry import MODELS
from ivfuse.registration.refine import design_matrix, match_margin, solve_correction

PARAMETERS = {
    "translation": [1.2, -0.8],
    "similarity": [1.2, -0.8, 0.9, 0.5],
    "affine": [1.2, -0.8, 0.9, 0.5, -0.6, 0.7],
    "homography": [1.2, -0.8, 0.9, 0.5, -0.6, 0.7, 0.4, -0.3],
}


def surfaces(model: Any, curvature: float, side: int = 8) -> tuple[BlockMatches, np.ndarray]:
    """A grid of ``side`` x ``side`` blocks whose scores fall with the squared distance from their peak."""
    shifts = np.array([(x, y) for y in range(-5, 6) for x in range(-5, 6)], float)
    x, y = np.meshgrid(np.linspace(10, 190, side), np.linspace(10, 140, side))
    centers = np.stack([x.ravel(), y.ravel()], axis=1)
    empty = BlockMatches(
        np.empty((len(centers), 0)), shifts, centers, np.ones(len(centers)), (200, 150), np.eye(3)
    )
    design = design_matrix(empty, centers, model)
    peaks = design @ np.array(PARAMETERS[model])
    distance = ((shifts[None] - peaks[:, None]) ** 2).sum(axis=-1)
    matches = BlockMatches(
        -curvature * distance, shifts, centers, np.ones(len(centers)), (200, 150), np.eye(3)
    )
    return matches, design


@pytest.mark.parametrize("model", MODELS)
def test_distinct_peaks_give_the_parameters_back(model: Any) -> None:
    matches, design = surfaces(model, 0.02)
    found = solve_correction(matches, design, model, 3.0, 1.0)
    linear = slice(0, 6)  # perspective is shrunk by its penalty
    assert found[linear] == pytest.approx(PARAMETERS[model][linear], abs=0.05)


@pytest.mark.parametrize("model", MODELS)
def test_a_third_of_the_blocks_with_distant_peaks_hardly_matter(model: Any) -> None:
    matches, design = surfaces(model, 0.02)
    scores = matches.scores.copy()
    scores[::3] = -0.02 * ((matches.shifts - [-5, 5]) ** 2).sum(axis=1)
    outliers = BlockMatches(scores, *[getattr(matches, x) for x in _OTHERS])
    found = solve_correction(outliers, design, model, 3.0, 1.0)
    assert found[:2] == pytest.approx(PARAMETERS[model][:2], abs=0.25)


def test_blocks_without_a_peak_do_not_count() -> None:
    matches, design = surfaces("translation", 0.02)
    scores = matches.scores.copy()
    scores[::2] = 0.3
    found = solve_correction(
        BlockMatches(scores, *[getattr(matches, x) for x in _OTHERS]), design, "translation", 3.0, 1.0
    )
    assert found == pytest.approx(PARAMETERS["translation"], abs=0.02)


def test_an_edge_constrains_across_itself_only() -> None:
    matches, design = surfaces("translation", 0.02)
    along = -0.02 * (matches.shifts[:, 0] - 1.5) ** 2  # vertical edges: any y matches
    edges = BlockMatches(np.tile(along, (64, 1)), *[getattr(matches, x) for x in _OTHERS])
    found = solve_correction(edges, design, "translation", 3.0, 1.0)
    assert found == pytest.approx([1.5, 0.0], abs=0.05)


def test_the_margin_is_the_score_at_the_displacement_above_the_median() -> None:
    matches, design = surfaces("translation", 0.02)
    right = match_margin(matches, design @ np.array(PARAMETERS["translation"]))
    assert right > match_margin(matches, np.zeros((64, 2))) > 0
    flat = BlockMatches(np.full((64, 121), 0.4), *[getattr(matches, x) for x in _OTHERS])
    assert match_margin(flat, np.zeros((64, 2))) == pytest.approx(0, abs=1e-6)


_OTHERS = ("shifts", "centers", "coverage", "size", "to_grid")
# Shrunk by the penalties: little in the linear part, much in the perspective.
WEAK = {
    "affine": [1.2002, -0.8000, 0.8796, 0.4786, -0.5863, 0.6699],
    "homography": [1.3472, -0.8649, 0.8799, 0.4780, -0.5864, 0.6705, 0.1281, -0.0701],
}


@pytest.mark.parametrize("model", ["affine", "homography"])
def test_few_weak_blocks_are_shrunk_by_the_penalties_as_recorded(model: Any) -> None:
    matches, design = surfaces(model, 0.004, side=3)
    found = solve_correction(matches, design, model, 3.0, 1.0)
    assert found == pytest.approx(WEAK[model], abs=2e-3)
