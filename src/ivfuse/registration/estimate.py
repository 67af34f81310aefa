"""Estimation of a transform: a coarse search, then refinement of its best candidates, coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ivfuse.registration.coarse import coarse_search
from ivfuse.registration.geometry import (
    MODELS,
    Matrix,
    Model,
    corner_distance,
    find_implausibility,
    scale_matrix,
)
from ivfuse.registration.prepare import PreparedPair
from ivfuse.registration.refine import Level, refine_step

COARSE_CANDIDATES = 6
KNOWN_CANDIDATES = 3  # where the fields of view are known
KEPT_CANDIDATES = 3  # after the first stage; one after the second
CONVERGED = 0.3  # mean corner movement, in pixels of a level, below which its further steps are skipped

# The coarse search leaves errors of some percent of the width, which the first stage's reach covers.
FIRST_STAGE = (Level(96, 8, "affine"),)
SECOND_STAGE = (Level(112, 6, "homography"),) * 3
FINE_LEVELS = (Level(320, 4, "homography", 1.5),) * 2
JOINT_STAGE = (*(Level(160, 6, "homography"),) * 2, *FINE_LEVELS)
LAST_STAGE = (*(Level(160, 6, "homography"),) * 4, *FINE_LEVELS)


@dataclass(frozen=True)
class Candidate:
    """A transform between prepared images and its match margin (``refine.match_margin``)."""

    matrix: Matrix
    margin: float


def estimate(
    pair: PreparedPair, model: Model, rotations: Sequence[float] = (0.0,), field_ratio: float | None = None
) -> Candidate | None:
    """Return the best-scoring transform over the rotation hypotheses; ``None`` if no refinement succeeds.

    Args:
        pair: the prepared images.
        model: the family of transforms; ``translation`` starts from the thermal stretched over the visible.
        rotations: approximate angles of the thermal, in degrees.
        field_ratio: see :func:`ivfuse.registration.coarse.coarse_search`.
    """
    candidates = [Candidate(matrix, 0.0) for matrix in _starts(pair, model, rotations, field_ratio)]
    for levels, kept in ((FIRST_STAGE, KEPT_CANDIDATES), (SECOND_STAGE, 1)):
        refined = [x for start in candidates if (x := _refine(pair, start, levels, model))]
        candidates = sorted(refined, key=lambda x: -x.margin)[:kept]
    return _refine(pair, candidates[0], LAST_STAGE, model) if candidates else None


def estimate_from(pair: PreparedPair, model: Model, start: Matrix) -> Candidate | None:
    """Refine an approximate transform without a search; ``None`` if the refinement fails.

    Args:
        pair: the prepared images.
        model: the family of transforms.
        start: thermal to visible, between the prepared images; accurate to some percent of the width.
    """
    return _refine(pair, Candidate(start, 0.0), (*FIRST_STAGE, *SECOND_STAGE, *LAST_STAGE), model)


def estimate_jointly(pairs: Sequence[PreparedPair], start: Matrix, model: Model) -> Matrix | None:
    """Refine one transform for several pairs of a rig; ``None`` if the refinement fails.

    Args:
        pairs: of equal sizes.
        start: thermal to visible, accurate to a few percent of the width.
        model: the family of transforms.
    """
    matrix = start
    for level in JOINT_STAGE:
        step = _step(pairs, matrix, level, model)
        if step is None:
            return None
        matrix = step[0]
    return matrix


def _starts(
    pair: PreparedPair, model: Model, rotations: Sequence[float], field_ratio: float | None
) -> list[Matrix]:
    if model == "translation":
        (width, height), (visible_width, visible_height) = pair.sizes
        return [scale_matrix(visible_width / width, visible_height / height)]
    count = COARSE_CANDIDATES if field_ratio is None else KNOWN_CANDIDATES
    matches = [x for angle in rotations for x in coarse_search(pair, count, angle, field_ratio)]
    matches.sort(key=lambda match: -match.score)
    return [match.matrix for match in matches[:count]]


def _refine(pair: PreparedPair, start: Candidate, levels: Sequence[Level], model: Model) -> Candidate | None:
    """Refine through the levels, skipping those that have converged; ``None`` if a step fails."""
    current, converged = start, 0
    for level in levels:
        if level.side == converged:
            continue
        step = _step([pair], current.matrix, level, model)
        if step is None:
            return None
        movement = corner_distance(step[0], current.matrix, pair.sizes[0])
        current = Candidate(*step)
        if movement * level.side < CONVERGED * np.sqrt(pair.vi.size):
            converged = level.side
    return current


def _step(
    pairs: Sequence[PreparedPair], matrix: Matrix, level: Level, model: Model
) -> tuple[Matrix, float] | None:
    """One step with the simpler of both models; ``None`` if it fails or its result is implausible."""
    allowed = MODELS[min(MODELS.index(level.model), MODELS.index(model))]
    step = refine_step(pairs, matrix, replace(level, model=allowed))
    return None if step is None or find_implausibility(step[0], *pairs[0].sizes) else step
