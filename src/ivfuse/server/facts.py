"""Facts about images that a response contains: scores, and the range of the thermal values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.fusion.pair import Pair
from ivfuse.image.arrays import Levels
from ivfuse.thermal.radiometry import ZERO_C
from ivfuse.thermal.read import ThermalOptions, read_raw
from ivfuse.thermal.tone_mapping import percentile_window

_BINS = 128  # of the histogram of the thermal values
_COUNTED = 1_000_000  # values from which on only a sample is counted
_LONGEST_SIDE = 640  # of the grid of temperatures


def score_facts(
    fused: Levels, ir: Levels, vi: Levels, metrics: list[str], convention: str = "default"
) -> dict[str, Any]:
    """Score a fused image.

    Returns:
        The fields of :class:`ivfuse.server.schemas.Scores`; a metric that is undefined has a reason.
    """
    from ivfuse.metrics.evaluate import score_many
    from ivfuse.metrics.registry import get_metric

    scores = score_many({"fused": fused}, ir, vi, metrics, convention)["fused"]
    values = {name: value if math.isfinite(value) else None for name, value in scores.values.items()}
    return {
        "convention": scores.convention,
        "values": values,
        "higher_is_better": {name: get_metric(name).higher_is_better for name in values},
        "reasons": scores.reasons,
    }


def thermal_range(ir: Path, options: ThermalOptions, pair: Pair) -> dict[str, Any]:
    """The range of the thermal values and the displayed window, for the sliders of the page.

    Returns:
        The fields of :class:`ivfuse.server.schemas.ThermalRange`.
    """
    if pair.thermal.celsius is not None:
        values, degrees = pair.thermal.celsius, True
    else:
        raw = read_raw(ir, options)
        values, degrees = raw.values if raw.valid is None else raw.values[raw.valid], raw.degrees
    is_8_bit = values.dtype == np.uint8
    # a registered image is undefined outside of its own field of view
    values = values[np.isfinite(values)].reshape(1, -1)
    lowest, highest = (0.0, 255.0) if is_8_bit else (float(values.min()), float(values.max()))
    span = options.rule.span
    if span is not None:
        low, high = span.low, span.high
    elif options.rule.kind == "plateau":
        low, high = float(values.min()), float(values.max())
    else:
        low, high = (0.0, 255.0) if is_8_bit else percentile_window(values)
    unit = "C" if degrees else "levels" if is_8_bit else "counts" if values.dtype.kind in "ui" else "values"
    range_ = {"min": lowest, "max": highest, "low": low, "high": high, "unit": unit}
    return range_ | {"histogram": _histogram(values, lowest, highest)}


def _histogram(values: NDArray[Any], lowest: float, highest: float) -> list[int]:
    """Count the values in equally wide bins; integers get no more bins than there are of them."""
    bins = _BINS if values.dtype.kind == "f" else min(_BINS, int(highest - lowest) + 1)
    sample = values[:, :: 1 + values.size // _COUNTED]
    counts: list[int] = np.histogram(sample, bins, (lowest, highest))[0].tolist()
    return counts


def write_temperatures(file: Path, celsius: NDArray[np.float32]) -> dict[str, int]:
    """Write temperatures as the data of :class:`ivfuse.server.schemas.Temperatures`.

    Args:
        file: where to write them.
        celsius: (H, W) in degC, NaN where unknown.

    Returns:
        The width and height of the grid.
    """
    step = max(1.0, max(celsius.shape) / _LONGEST_SIDE)
    height, width = (max(1, int(size / step)) for size in celsius.shape)
    rows, columns = (
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in zip((height, width), celsius.shape, strict=True)
    )
    kelvin = np.nan_to_num(celsius[rows][:, columns].astype(np.float64) + ZERO_C, nan=0.0)
    file.write_bytes(np.rint(np.clip(10 * kelvin, 0, 65535)).astype("<u2").tobytes())
    return {"width": width, "height": height}
