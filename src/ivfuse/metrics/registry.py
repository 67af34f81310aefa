"""All metrics by name; the modules of the families fill the dict through the decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import getdoc

from ivfuse.errors import UnknownNameError, UsageError, check_type
from ivfuse.metrics.metric import Count, Family, Function, Metric, Needs

METRICS: dict[str, Metric] = {}


def metric(
    name: str,
    *,
    higher_is_better: bool,
    range: tuple[float, float],
    needs: Needs,
    source: str,
    family: Family = "images",
    count: Count | None = None,
) -> Callable[[Function], Function]:
    """Register the function below as the metric ``name``; see :class:`Metric` for the facts."""

    def add(function: Function) -> Function:
        if name in METRICS:
            raise UsageError(f"two metrics are named {name!r}")
        doc = getdoc(function) or ""
        METRICS[name] = Metric(name, function, higher_is_better, range, needs, source, doc, family, count)
        return function

    return add


def list_metrics() -> list[str]:
    """Return the names of all metrics, family by family."""
    return list(METRICS)


def get_metric(name: str) -> Metric:
    """Return the metric of that name, in any letter case.

    Raises:
        UsageError: it is neither a name nor names.
        UnknownNameError: there is none; the message names the nearest.
    """
    by_lower = {known.lower(): known for known in METRICS}
    if name.lower() not in by_lower:
        raise UnknownNameError("metric", name, METRICS)
    return METRICS[by_lower[name.lower()]]


def expand_names(names: Iterable[str]) -> list[str]:
    """Return the metrics that are named, each once: ``all``, a family, or names in any letter case.

    Raises:
        UnknownNameError: there is no such metric or family; the message names the nearest.
    """
    check_type("metrics", names, (Iterable,), "names of metrics")
    families = {each.family for each in METRICS.values()}
    found: dict[str, None] = {}
    for name in [names] if isinstance(names, str) else names:
        group = name.casefold()
        if group == "all":
            found.update(dict.fromkeys(METRICS))
        elif group in families:
            found.update({each.name: None for each in METRICS.values() if each.family == group})
        else:
            found[get_metric(name).name] = None
    return list(found)
