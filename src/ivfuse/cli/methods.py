"""``ivfuse methods``: lists the fusion methods, or prints the properties and model card of one."""

from __future__ import annotations

import dataclasses
import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo_lines

if TYPE_CHECKING:
    from ivfuse.fusion.method import MethodInfo


def methods(
    name: Annotated[str | None, typer.Argument(help="Method to describe, with its model card.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the fusion methods, or describe one.

    \b
    Examples:
      ivfuse methods
      ivfuse methods guided-filter
      ivfuse methods --json
    """
    from ivfuse.fusion.registry import default_method, list_methods, method_info

    default = default_method()
    if name is None:
        infos = [method_info(each) for each in list_methods()]
        if json:
            typer.echo(json_module.dumps([_facts(info, default) for info in infos], indent=2))
        else:
            echo_lines(_table(infos, default))
        return
    info = method_info(name)
    if json:
        typer.echo(json_module.dumps({**_facts(info, default), "card": _card(name)}, indent=2))
        return
    lines = [f"{key + ':':<12}{_plain(value)}" for key, value in _facts(info, default).items()]
    if card := _card(name):
        lines += ["", *card.rstrip().splitlines()]
    echo_lines(lines)


def _table(infos: list[MethodInfo], default: str) -> list[str]:
    """One row per method: name, kind, parameters and summary."""
    rows = [("name", "kind", "parameters", "summary")]
    for info in infos:
        mark = " *" if info.name == default else ""
        rows.append(
            (info.name + mark, info.kind, f"{info.parameters:,}" if info.parameters else "-", info.summary)
        )
    return [*format_table(rows, "llrl"), "", "* default method"]


def _facts(info: MethodInfo, default: str) -> dict[str, Any]:
    """The properties of a method, including those of its weights if it is a learned one."""
    from ivfuse.fusion.manifest import load_manifest

    facts = {**dataclasses.asdict(info), "default": info.name == default}
    if entry := load_manifest().models.get(info.name):
        facts |= {
            "variant": entry.variant,
            "file": entry.file,
            "size": entry.size,
            "sha256": entry.sha256,
            "license": entry.license,
        }
    return facts


def _card(name: str) -> str:
    from ivfuse.fusion.manifest import load_manifest

    entry = load_manifest().models.get(name)
    return entry.card_text() if entry else ""


def _plain(value: Any) -> str:
    if value is None:
        return "unbounded"  # only the reach of a method can be None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
