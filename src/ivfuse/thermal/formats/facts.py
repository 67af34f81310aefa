"""Rounding of numbers in the description of a thermal file."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def value_range(values: NDArray[Any]) -> dict[str, float]:
    """Return the minimum, mean and maximum, rounded."""
    return {
        "min": rounded(values.min()),
        "mean": rounded(values.mean(dtype=float)),
        "max": rounded(values.max()),
    }


def rounded(value: Any) -> float:
    """Round to the precision of float32, and to five decimals, since temperatures were converted from K."""
    short = float(f"{float(value):.6g}")
    return round(short, 5) if abs(short) >= 1 else short
