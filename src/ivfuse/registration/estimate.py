"""The transform of one pair: search, refine the likely places, keep the one for which most speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.registration.coarse import search
from ivfuse.registration.features import frame_mask, shrunk
from ivfuse.registration.geometry import (
    MODELS,
    Matrix,
    Model,
    Size,
    corner_distance,
    fault_of,
    normalized,
    scaling,
)
from ivfuse.registration.refine import Level, Pair, improve

LARGEST = 900  # root of the area, in pixels, that images are registered at
SMALLEST = 48  # pixels of a side
PLACES = 6
KEPT = 3
STILL = 0.3  # pixels of a level: nearer corners have come to rest

# Rough to fine: the search leaves a scale and a shift, off by some percent of the width.
FIRST = (Level(96, 8, "affine"),)
SECOND = (Level(112, 6, "homography"),) * 3
LAST = (
    *(Level(160, 6, "homography"),) * 4,
    *(Level(320, 4, "homography", 1.5),) * 2,
)


@dataclass(frozen=True)
class Candidate:
    """A transform in the pixels of a reduced pair, and how much better blocks match there than elsewhere."""

    matrix: Matrix
    evidence: float


@dataclass(frozen=True)
class Reduced:
    """A pair at the size it is registered at.

    Attributes:
        pair: what is registered.
        ir_scale: thermal to reduced thermal.
        vi_scale: visible to reduced visible.
    """

    pair: Pair
    ir_scale: Matrix
    vi_scale: Matrix

    @property
    def sizes(self) -> tuple[Size, Size]:
        """Width and height of the reduced thermal and visible."""
        (a, b), (c, d) = self.pair.ir.shape, self.pair.vi.shape
        return (b, a), (d, c)

    def full(self, matrix: Matrix) -> Matrix:
        """A transform of the reduced pair for the full one."""
        return normalized(np.linalg.inv(self.vi_scale) @ matrix @ self.ir_scale)


def reduced(ir: Gray, vi: Gray) -> Reduced:
    """Shrink a pair where it is larger than registration needs."""
    small = [shrunk(x, min(1.0, LARGEST / float(np.sqrt(x.size)))) for x in (ir, vi)]
    scales = [
        scaling(after.shape[1] / before.shape[1], after.shape[0] / before.shape[0])
        for after, before in zip(small, (ir, vi), strict=True)
    ]
    return Reduced(Pair(small[0], small[1], frame_mask(small[0])), *scales)


def climb(data: Reduced, start: Candidate, levels: Sequence[Level], model: Model) -> Candidate | None:
    """Follow the votes through the levels; ``None`` if the images come apart."""
    current, resting = start, 0
    for level in levels:
        if level.side == resting:
            continue
        step = _step([data], current.matrix, level, model)
        if step is None:
            return None
        moved = corner_distance(step[0], current.matrix, data.sizes[0])
        current = Candidate(*step)
        if moved * level.side < STILL * np.sqrt(data.pair.vi.size):
            resting = level.side
    return current


def settle(data: Sequence[Reduced], start: Matrix, model: Model) -> Matrix | None:
    """One transform for several pairs of a rig, from one nearly right; ``None`` if they come apart."""
    current = start
    for level in LAST[2:]:
        step = _step(data, current, level, model)
        if step is None:
            return None
        current = step[0]
    return current


def _step(data: Sequence[Reduced], matrix: Matrix, level: Level, model: Model) -> tuple[Matrix, float] | None:
    """One level's step, with no more freedom than the model has; ``None`` if the images come apart."""
    allowed = MODELS[min(MODELS.index(level.model), MODELS.index(model))]
    step = improve([one.pair for one in data], matrix, replace(level, model=allowed))
    return None if step is None or fault_of(step[0], *data[0].sizes) else step


def best_candidate(data: Reduced, model: Model, turns: Sequence[float] = (0.0,)) -> Candidate | None:
    """The transform for which most speaks, for a thermal that is turned by about one of these degrees."""
    pair = data.pair
    if model == "translation":
        (a, b), (c, d) = data.sizes
        starts = [scaling(c / a, d / b)]
    else:
        places = [x for turn in turns for x in search(pair.ir, pair.vi, pair.mask, PLACES, turn)]
        places.sort(key=lambda place: -place.evidence)
        starts = [place.matrix for place in places[:PLACES]]
    current = [Candidate(matrix, 0.0) for matrix in starts]
    for levels, kept in ((FIRST, KEPT), (SECOND, 1)):
        found = [x for start in current if (x := climb(data, start, levels, model))]
        current = sorted(found, key=lambda x: -x.evidence)[:kept]
    return climb(data, current[0], LAST, model) if current else None
