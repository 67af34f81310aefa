"""Write ``docs/reference/command-line.md``: every verb with its options, from the code itself.

    python docs/make_reference.py

A test compares the file with what the code says. For Python's names the site's build reads docstrings, as
``docs/reference/python.md`` lists them.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import typer.main

from ivfuse.cli.app import VERBS, build

PAGE = Path(__file__).parent / "reference" / "command-line.md"
NOTE = "<!-- Written by docs/make_reference.py; do not edit. -->\n"


def command_line() -> str:
    """The page of all verbs."""
    lines = [
        "# Command line\n",
        NOTE,
        "Exit codes: 0 done, 1 some pairs failed (they are listed), 2 wrong use, 130 interrupted.\n",
        "`ivfuse --install-completion` sets up tab completion for your shell.\n",
    ]
    for verb in VERBS:
        (command,) = typer.main.get_command(build(verb)).commands.values()  # type: ignore[attr-defined]
        lines += [f"## ivfuse {verb}\n", _prose(command.help or ""), *_table(command)]
    return "\n".join(lines).rstrip() + "\n"


def _prose(text: str) -> str:
    """Help text as Markdown: its examples become a block of code."""
    prose, _, examples = inspect.cleandoc(text.replace("\b", "\f")).partition("\f")
    block = re.sub(r"^Examples?:\n", "", inspect.cleandoc(examples.strip("\n")))
    code = f"\n```sh\n{inspect.cleandoc(block)}\n```\n" if examples.strip() else ""
    return prose.strip() + "\n" + code


def _table(command: Any) -> list[str]:
    lines = ["| option | meaning |", "|---|---|"]
    for param in command.params:
        if param.name in ("help",) or getattr(param, "hidden", False):
            continue
        if param.param_type_name == "argument":
            name, meaning = f"`{param.metavar or param.name.upper()}`", param.help or ""
        else:
            flags = ", ".join(f"`{flag}`" for flag in (*param.opts, *param.secondary_opts))
            name, meaning = f"{flags}{_metavar(param)}", param.help or ""
            if param.default not in (None, False, (), "") and not callable(param.default):
                meaning += f" Default: `{param.default}`."
        lines.append(f"| {name} | {meaning.replace('|', chr(92) + '|')} |")
    return [*lines, ""]


def _metavar(param: Any) -> str:
    return f" `{param.metavar}`" if param.metavar else ""


if __name__ == "__main__":
    PAGE.write_text(command_line(), encoding="utf-8")
