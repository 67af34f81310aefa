"""Rounding of numbers in the description of a thermal file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
