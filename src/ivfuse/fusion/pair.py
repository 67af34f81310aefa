"""The pair of a thermal and a visible image that the stages of the pipeline exchange."""

from __future__ import annotations

from dataclasses import dataclass

from ivfuse.image.arrays import Gray
from ivfuse.image.read import Visible
from ivfuse.thermal.read import Thermal


@dataclass(frozen=True)
class Pair:
    """A pair in memory. Stages return new pairs and never modify the arrays of their input.

    Attributes:
        thermal: the thermal image, with temperatures if they are known.
        visible: the visible image, with alpha if it has one.
        aligned: whether both images are on the same grid.
        coverage: weight of the thermal image, (H, W) float32 in [0, 1]; ``None`` for 1 everywhere.
        thermal_shape: height and width of the thermal image before it was aligned; ``None`` if unknown.
        name: name of the thermal image in error messages.
        notes: remarks for the user on how the inputs were processed.
    """

    thermal: Thermal
    visible: Visible
    aligned: bool = False
    coverage: Gray | None = None
    thermal_shape: tuple[int, int] | None = None
    name: str = "thermal"
    notes: tuple[str, ...] = ()
