"""Facts that files of several formats state, and the rounding of numbers in descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Position:
    """Where a camera was, as stated by its receiver for satellite navigation.

    Attributes:
        latitude: in degrees, positive to the north, -90 to 90.
        longitude: in degrees, positive to the east, -180 to 180.
        altitude: in m above sea level; ``None`` if unknown.
        datum: geodetic datum of the coordinates, such as WGS84; "" if the file does not state it.
    """

    latitude: float
    longitude: float
    altitude: float | None = None
    datum: str = ""


def value_range(values: NDArray[Any]) -> dict[str, float] | None:
    """Return the minimum, mean and maximum of the finite values, rounded; ``None`` if there are none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return None
    return {
        "min": rounded(values.min()),
        "mean": rounded(values.mean(dtype=float)),
        "max": rounded(values.max()),
    }


def rounded(value: Any) -> float:
    """Round to the precision of float32, and to five decimals, since temperatures were converted from K."""
    short = float(f"{float(value):.6g}")
    return round(short, 5) if abs(short) >= 1 else short
