"""The methods, colormaps and metrics that this installation offers, from their registries."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from ivfuse.server import schemas


def default_metrics() -> list[str]:
    """Names of the metrics that are computed where a request names none."""
    from ivfuse.metrics.evaluate import DEFAULT_METRICS

    return list(DEFAULT_METRICS)


@cache
def capabilities() -> dict[str, Any]:
    """Fields of :class:`ivfuse.server.schemas.Capabilities`, except for the limits."""
    from ivfuse.fusion.registry import default_method
    from ivfuse.metrics.conventions import CONVENTIONS

    return {
        "version": version("ivfuse"),
        "default": default_method(),
        "methods": _methods(),
        "colormaps": _colormaps(),
        "metrics": _metrics(),
        "usual_metrics": default_metrics(),
        "conventions": list(CONVENTIONS),
    }


def _methods() -> list[schemas.MethodFacts]:
    from ivfuse.fusion.registry import list_methods, method_info

    return [
        schemas.MethodFacts(
            name=info.name,
            kind=info.kind,
            summary=info.summary,
            paper=info.paper,
            parameters=info.parameters,
        )
        for info in map(method_info, list_methods())
    ]


def _colormaps() -> list[schemas.ColormapFacts]:
    from ivfuse.thermal.colormaps import CAMERA, colormap_names, find_colormap

    own = [
        schemas.ColormapFacts(name=name, colors=_hex(find_colormap(name).colors)) for name in colormap_names()
    ]
    return [*own, schemas.ColormapFacts(name=CAMERA, colors=[])]


def _metrics() -> list[schemas.MetricFacts]:
    from ivfuse.metrics.registry import get_metric, list_metrics

    return [
        schemas.MetricFacts(
            name=metric.name, summary=metric.doc.splitlines()[0], higher_is_better=metric.higher_is_better
        )
        for metric in map(get_metric, list_metrics())
    ]


def _hex(colors: Any) -> list[str]:
    """Sixteen evenly spaced colors of a colormap, its first and last one included, as ``#rrggbb``."""
    return [
        f"#{bytes(round(255 * float(part)) for part in color).hex()}"
        for color in colors[:: len(colors) // 15]
    ]
