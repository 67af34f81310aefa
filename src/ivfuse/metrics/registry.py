"""All metrics by name; the modules of the families fill the dict through the decorator."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getdoc

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.metrics.metric import Function, Metric, Needs

METRICS: dict[str, Metric] = {}


def metric(
    name: str, *, higher_is_better: bool, range: tuple[float, float], needs: Needs, source: str
) -> Callable[[Function], Function]:
    """Register the function below as the metric ``name``; see :class:`Metric` for the facts."""

    def add(function: Function) -> Function:
        if name in METRICS:
            raise UsageError(f"two metrics are named {name!r}")
        doc = getdoc(function) or ""
        METRICS[name] = Metric(name, function, higher_is_better, range, needs, source, doc)
        return function

    return add


def list_metrics() -> list[str]:
    """Return the names of all metrics, family by family."""
    return list(METRICS)


def get_metric(name: str) -> Metric:
    """Return the metric of that name, in any letter case.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    by_lower = {known.lower(): known for known in METRICS}
    if name.lower() not in by_lower:
        raise UnknownNameError("metric", name, METRICS)
    return METRICS[by_lower[name.lower()]]
