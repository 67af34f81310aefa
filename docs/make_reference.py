"""Write ``docs/reference/``: every verb with its options, and every public name, from the code itself.

    python docs/make_reference.py

A test compares the files with what the code says.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import typer.main

import ivfuse
from ivfuse.cli.app import VERBS, build

FOLDER = Path(__file__).parent / "reference"
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
    return "\n".join(lines)


def python() -> str:
    """The page of all public names."""
    lines = ["# Python\n", NOTE, "`dir(ivfuse)` shows these names; nothing is imported before it is used.\n"]
    for name in ivfuse.__all__:
        value = getattr(ivfuse, name)
        if name == "__version__":
            lines += ["## `ivfuse.__version__`\n", "The installed version, a string.\n"]
            continue
        lines += [f"## `ivfuse.{name}`\n"]
        if inspect.ismodule(value):
            functions = ", ".join(f"`{each}`" for each in value.function_names())
            lines += [_doc(value), f"Functions: {functions}.\n"]
            continue
        lines += [f"```python\n{name}{_signature(value)}\n```\n", _doc(value)]
        if inspect.isclass(value) and not issubclass(value, Exception):
            lines += _methods(value)
    return "\n".join(lines)


def _methods(kind: type) -> list[str]:
    lines = []
    for name, member in vars(kind).items():
        if not name.startswith("_") and callable(member) and inspect.getdoc(member):
            lines += [f"### `{kind.__name__}.{name}{_signature(member)}`\n", _doc(member)]
    init = vars(kind).get("__init__")
    if init is not None and (doc := inspect.getdoc(init)) and "Args:" in doc:
        lines.insert(0, f"```text\n{doc}\n```\n")
    return lines


def _signature(value: Any) -> str:
    """Parameters with their defaults; the types stand in the text."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:
        return "(...)"
    shown = []
    for each in parameters:
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not any(x.startswith("*") for x in shown):
            shown.append("*")
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        plain = isinstance(each.default, str | int | float | tuple | None.__class__)
        default = "" if each.default is each.empty else f"={each.default!r}" if plain else "=..."
        shown.append(f"{stars}{each.name}{default}")
    return f"({', '.join(shown)})"


def _doc(value: Any) -> str:
    return f"```text\n{inspect.getdoc(value) or ''}\n```\n"


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


PAGES = {"command-line.md": command_line, "python.md": python}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page().rstrip() + "\n", encoding="utf-8")
