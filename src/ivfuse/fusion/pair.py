"""A thermal and a visible image that belong together, as they pass through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from ivfuse.image.arrays import Gray
from ivfuse.image.read import Visible
from ivfuse.thermal.read import Thermal


@dataclass(frozen=True)
class Pair:
    """A pair in memory. Stages return new pairs and never write to the arrays of one they were given.

    Attributes:
        thermal: with its temperatures, where they are known.
        visible: with its alpha, where it has one.
        aligned: both are on one grid.
        coverage: weight of the thermal, (H, W) float32 in [0, 1]; ``None`` for 1 everywhere.
        name: of the thermal, for errors.
        notes: what was done to the inputs, for users.
    """

    thermal: Thermal
    visible: Visible
    aligned: bool = False
    coverage: Gray | None = None
    name: str = "thermal"
    notes: tuple[str, ...] = ()
