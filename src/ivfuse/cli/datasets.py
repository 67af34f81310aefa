"""``ivfuse datasets``: lists the known data sets, describes one, or checks a folder against it."""

from __future__ import annotations

import dataclasses
import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo, echo_lines

if TYPE_CHECKING:
    from ivfuse.benchmark.datasets import Check, KnownSet

_MAX_PROBLEMS = 20  # printed ones; JSON has all


def datasets(
    name: Annotated[str | None, typer.Argument(help="Data set to describe.")] = None,
    *,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Check a folder against the data set, by default the one its name suggests.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the known data sets with their sources and terms. Nothing is downloaded.

    Any other folder with ir/ and vi/ works as well. With --check the exit code is 0 if the folder is
    complete, 1 if it has problems, 2 for wrong use.

    \b
    Examples:
      ivfuse datasets
      ivfuse datasets msrs
      ivfuse datasets msrs --check downloads/MSRS
    """
    from ivfuse.benchmark.datasets import check_set, get_set, known_sets, open_set

    known = get_set(name) if name else None
    if check is not None:
        found = check_set(open_set(check, known))
        _print_check(found, json=json)
        raise typer.Exit(1 if found.problems else 0)
    if known:
        facts = dataclasses.asdict(known)
        echo_lines(json_module.dumps(facts, indent=2).splitlines() if json else _facts(known))
    elif json:
        typer.echo(json_module.dumps([dataclasses.asdict(each) for each in known_sets().values()], indent=2))
    else:
        echo_lines(_list(list(known_sets().values())))


def _list(sets: list[KnownSet]) -> list[str]:
    """One row per data set: name, sizes of the test splits, source and terms."""
    rows = [("name", "test pairs", "source", "terms")]
    for known in sets:
        counts = ", ".join(str(split.pairs) for split in known.splits) or "-"
        rows.append((known.name, counts, known.repository or known.obtained.split(",")[0], known.terms))
    return [
        *format_table(rows, "l"),
        "",
        "Any other folder with ir/ and vi/ works too; `ivfuse datasets NAME` describes a data set.",
    ]


def _facts(known: KnownSet) -> list[str]:
    """The description of a data set."""
    sizes = ", ".join(f"{width}x{height}" for width, height in known.sizes) or "various"
    layouts = [f"{ir}/ + {vi}/" for ir, vi in known.layouts]
    lines = [
        f"{known.name}: {known.title}",
        f"scenes:    {known.scenes}",
        f"sizes:     {sizes}",
        f"layout:    {' or '.join([*layouts, 'ir/ + vi/ or similar'])}",
        f"source:    {known.obtained}",
        f"terms:     {known.terms}",
        f"cite:      {known.paper}",
    ]
    return lines + [f"test split of {split.pairs}: {split.note}" for split in known.splits]


def _print_check(found: Check, *, json: bool) -> None:
    if json:
        typer.echo(json_module.dumps(_check_facts(found), indent=2))
        return
    data = found.data
    sizes = ", ".join(f"{width}x{height} ({count})" for (width, height), count in found.sizes.most_common(4))
    more = f" and {len(found.sizes) - 4} more" if len(found.sizes) > 4 else ""
    echo(f"{data.root}: {len(data.pairs)} pairs in {data.layout}")
    echo(f"recognized: {data.recognized}")
    echo(f"sizes: {sizes or '-'}{more}")
    for problem in found.problems[:_MAX_PROBLEMS]:
        echo(f"problem: {problem}", err=True)
    if len(found.problems) > _MAX_PROBLEMS:
        echo(f"and {len(found.problems) - _MAX_PROBLEMS} more problems; --json lists all of them", err=True)
    if not found.problems:
        echo("complete: nothing is missing")


def _check_facts(found: Check) -> dict[str, Any]:
    return {
        "root": str(found.data.root),
        "set": found.data.known.name if found.data.known else None,
        "recognized": found.data.recognized,
        "layout": found.data.layout,
        "pairs": len(found.data.pairs),
        "sizes": [{"width": w, "height": h, "images": count} for (w, h), count in found.sizes.items()],
        "problems": list(found.problems),
    }
