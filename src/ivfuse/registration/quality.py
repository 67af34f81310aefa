"""Whether a transform that was found is right: how many blocks agree; limits that chance does not reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.registration.estimate import SMALLEST, Reduced
from ivfuse.registration.geometry import Matrix, Model, corners_of, fault_of, moved, stretches
from ivfuse.registration.refine import collect_all, spread

# Between images of different scenes, which agree by chance, and right transforms: docs/registration.md.
AGREEMENT = 0.54
DISTINCTNESS = 1.1
SPREAD = 0.0105
_SIDE = 200  # root of the area, in pixels, that blocks are matched at
_REACH = 5  # pixels that they look around
_MOST_UNEQUAL = 2.0  # longest side of the placed thermal in shortest ones, each relative to its own length
_FLAT = 1e-3  # of the range 0..1: a standard deviation below it is no image


@dataclass(frozen=True)
class Trust:
    """How far a transform can be trusted.

    Attributes:
        agreement: share of the blocks whose own best match is where the transform puts it, to 1 of 5 pixels.
        distinctness: how far that match stands out of the others of its block, in standard deviations.
        spread: how far corners move when any sixteenth of the image is left out, in parts of its width.
        fault: why the transform cannot be right; empty if it can.
    """

    agreement: float
    distinctness: float
    spread: float = 1.0
    fault: str = ""

    @property
    def enough(self) -> bool:
        """Whether to accept the transform."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why it is refused; empty if it is not."""
        if self.fault:
            return self.fault
        if self.agreement < AGREEMENT:
            return (
                f"not sure: {self.agreement:.0%} of the image's parts agree with the best transform found,"
                f" {AGREEMENT:.0%} are needed"
            )
        if self.distinctness < DISTINCTNESS:
            return (
                f"not sure: the best transform stands out by {self.distinctness:.2f} only,"
                f" {DISTINCTNESS} is needed"
            )
        if self.spread > SPREAD:
            return (
                f"not sure: corners are known to {self.spread:.2%} of the width only, {SPREAD:.2%} are needed"
            )
        return ""


NOTHING = Trust(0.0, 0.0, 1.0, "nothing that both images show was found")


def judge(data: Sequence[Reduced], matrix: Matrix, model: Model) -> Trust:
    """Match blocks once more, around a final transform of reduced pairs."""
    votes = collect_all([one.pair for one in data], matrix, _SIDE, _REACH)
    if votes is None:
        return NOTHING
    best = np.abs(votes.shifts[votes.match.argmax(axis=1)]).max(axis=1)
    here = votes.match[:, len(votes.shifts) // 2]
    stands_out = (here - np.median(votes.match, axis=1)) / (votes.match.std(axis=1) + 0.02)
    fault = fault_of(matrix, *data[0].sizes) or _unlikely(matrix, data[0])
    off = spread(votes, matrix, data[0].sizes[0], model)
    return Trust(float((best <= 1).mean()), float(stands_out.mean()), off, fault)


def fault_of_images(ir: Gray, vi: Gray) -> str:
    """Why a pair cannot be registered at all; empty if it may."""
    for name, image in (("thermal", ir), ("visible", vi)):
        height, width = image.shape
        if min(height, width) < SMALLEST:
            return f"the {name} image is {width}x{height}, expected {SMALLEST} pixels or more on both sides"
        if float(image.std()) < _FLAT:
            return f"the {name} image is flat"
    return ""


def _unlikely(matrix: Matrix, data: Reduced) -> str:
    size = data.sizes[0]
    lengths = stretches(moved(matrix, corners_of(size)), size)
    if lengths.max() > _MOST_UNEQUAL * lengths.min():
        return "not sure: the best transform found is distorted as no rig is"
    return ""
