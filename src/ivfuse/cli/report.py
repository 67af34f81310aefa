"""``ivfuse report``: what this installation consists of, to be pasted into the report of a bug."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from ivfuse.cli.terminal import echo_lines


def report(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print versions, devices, codecs, extras and threads of this installation, for reports of bugs.

    It holds no paths, no names of users or machines, and no settings but numbers of threads.
    (The report of a comparison is written by `ivfuse benchmark`.)

    \b
    Examples:
      ivfuse report
      ivfuse report --json
    """
    from ivfuse.runtime.environment import describe_environment

    facts = describe_environment()
    if json:
        typer.echo(json_module.dumps(facts, indent=2))
    else:
        echo_lines(_lines(facts))


def _lines(facts: dict[str, Any]) -> list[str]:
    """Facts as lines of name and value, those in groups indented below the name of the group."""
    lines = []
    for key, value in facts.items():
        name = "memory, GiB" if key == "memory_gib" else key
        if not isinstance(value, dict):
            lines.append(f"{name + ':':<13} {_plain(value)}")
            continue
        lines.append(f"{name}:")
        width = 1 + max(map(len, value), default=0)
        lines += [f"  {each + ':':<{width}} {_plain(found)}" for each, found in value.items()]
    return lines


def _plain(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, dict):
        parts = [", ".join(f"{name} {found}" for name, found in value.items() if found is not None)]
        if missing := [name for name, found in value.items() if found is None]:
            parts.append(f"not installed: {', '.join(missing)}")
        return "; ".join(filter(None, parts))
    return str(value)
