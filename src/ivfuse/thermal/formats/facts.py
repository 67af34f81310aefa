"""Numbers of a thermal file rounded for people and JSON."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def value_range(values: NDArray[Any]) -> dict[str, float]:
    """Least, mean and greatest value."""
    return {
        "min": rounded(values.min()),
        "mean": rounded(values.mean(dtype=float)),
        "max": rounded(values.max()),
    }


def rounded(value: Any) -> float:
    """The digits that a float32 holds; temperatures near 0 came from K, so no more than five decimals."""
    short = float(f"{float(value):.6g}")
    return round(short, 5) if abs(short) >= 1 else short
