"""``ivfuse metrics``: lists the metrics, or explains one and its variants in published tables."""

from __future__ import annotations

import json as json_module
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo_lines

if TYPE_CHECKING:
    from ivfuse.metrics import Metric


def metrics(
    name: Annotated[
        str | None, typer.Argument(help="Metric to explain, with its variants by convention.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the metrics, or explain one and why its values differ between papers.

    \b
    Examples:
      ivfuse metrics
      ivfuse metrics SD
      ivfuse metrics --json
    """
    from ivfuse.metrics import CONVENTIONS, METRICS, get_metric

    if name is not None:
        metric = get_metric(name)
        if json:
            typer.echo(json_module.dumps(_facts(metric), indent=2))
        else:
            echo_lines(_page(metric))
        return
    if json:
        facts = {
            "metrics": [_facts(metric) for metric in METRICS.values()],
            "conventions": {each.name: each.text for each in CONVENTIONS.values()},
        }
        typer.echo(json_module.dumps(facts, indent=2))
        return
    echo_lines(_table())


def _table() -> list[str]:
    """One row per metric: name, direction, range, inputs and summary; then the conventions."""
    from ivfuse.metrics import CONVENTIONS, METRICS

    rows = [("name", "better", "range", "needs", "summary")]
    for each in METRICS.values():
        rows.append((each.name, _better(each), _range(each), each.needs, _summary(each)))
    lines = [*format_table(rows, "l"), "", "Conventions (`ivfuse eval --convention NAME`):"]
    for convention in CONVENTIONS.values():
        lines += _wrapped(convention.name, convention.text)
    return lines


def _page(metric: Metric) -> list[str]:
    """The explanation of a metric."""
    from ivfuse.metrics import CONVENTIONS

    facts = f"{metric.name}: {_better(metric)} is better, range {_range(metric)}, needs {metric.needs}"
    lines = [facts, "", *metric.doc.splitlines(), "", f"Source: {metric.source}", "", "Conventions:"]
    for convention in CONVENTIONS.values():
        variant = convention.variants.get(metric.name)
        if variant is None:
            channels = ", but per channel for color images" if convention.color == "channels" else ""
            lines += _wrapped(convention.name, f"as above{channels}")
        else:
            lines += _wrapped(convention.name, f"{variant.note}. {_doc(variant.function)}")
    return lines


def _facts(metric: Metric) -> dict[str, Any]:
    """The properties of a metric as plain values; an unbounded end of its range is null."""
    from ivfuse.metrics import CONVENTIONS

    return {
        "name": metric.name,
        "higher_is_better": metric.higher_is_better,
        "range": [end if math.isfinite(end) else None for end in metric.range],
        "needs": metric.needs,
        "source": metric.source,
        "doc": metric.doc,
        "conventions": {
            convention.name: variant.note
            for convention in CONVENTIONS.values()
            if (variant := convention.variants.get(metric.name))
        },
    }


def _better(metric: Metric) -> str:
    return "higher" if metric.higher_is_better else "lower"


def _range(metric: Metric) -> str:
    low, high = ("inf" if math.isinf(end) else f"{end:.5g}" for end in metric.range)
    return f"{low}..{high}"


def _summary(metric: Metric) -> str:
    return metric.doc.splitlines()[0]


def _doc(function: Any) -> str:
    """The docstring of a variant as running text."""
    return " ".join((function.__doc__ or "").split())


def _wrapped(label: str, text: str) -> list[str]:
    """A paragraph with a label at its left."""
    import textwrap

    return textwrap.wrap(text, 100, initial_indent=f"  {label:<9} ", subsequent_indent=" " * 12)
