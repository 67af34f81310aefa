"""Every registered metric as a public function of three arrays: ``ivfuse.metrics.ssim(fused, ir, vi)``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ivfuse.metrics.evaluate import Image, evaluate_arrays
from ivfuse.metrics.registry import METRICS, get_metric

ArrayMetric = Callable[..., float]

_ARGUMENTS = """

Args:
    fused: (H, W) or (H, W, 3) RGB; uint8, or float in [0, 1], which is rounded to 8 bit first.
    ir: the infrared image, of the same height and width, in either form.
    vi: the visible image, likewise.
    convention: which family of published tables to follow.

Returns:
    {low:g} .. {high:g}; {direction} is better. NaN where the metric has no value for the images.

Raises:
    InputError: an array is neither uint8 nor float in [0, 1].
    ShapeError: sizes differ or an array is no image.

Source: {source}.
"""


def function_names() -> list[str]:
    """Names of the functions: those of the metrics in lower case."""
    return [name.lower() for name in METRICS]


@cache
def array_metric(name: str) -> ArrayMetric:
    """The function of a metric.

    Args:
        name: of the metric, in any letter case.

    Raises:
        UnknownNameError: if there is no such metric.
    """
    metric = get_metric(name)

    def measure(fused: Image, ir: Image, vi: Image, *, convention: str = "default") -> float:
        return evaluate_arrays(fused, ir, vi, [metric.name], convention)[metric.name]

    measure.__name__ = measure.__qualname__ = name.lower()
    measure.__module__ = "ivfuse.metrics"
    direction = "higher" if metric.higher_is_better else "lower"
    low, high = metric.range
    measure.__doc__ = metric.doc + _ARGUMENTS.format(
        low=low, high=high, direction=direction, source=metric.source
    )
    return measure
