"""Output of the command line, in which names of files cannot control the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from ivfuse.errors import escape_controls


def echo(line: object, *, err: bool = False) -> None:
    """Print one line; control characters in it are escaped, line breaks included.

    Args:
        line: the line.
        err: print to standard error.
    """
    typer.echo(escape_controls(str(line)), err=err)


def echo_lines(lines: Iterable[object]) -> None:
    """Print lines, each as :func:`echo` does, but all at once: a reader may leave after the first."""
    typer.echo("".join(f"{escape_controls(str(line))}\n" for line in lines), nl=False)
