"""The progress bar of long-running commands, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ivfuse.errors import escape_controls


class Advance(Protocol):
    """Advances a progress bar."""

    def __call__(self, name: str, parts: int = 1) -> None:
        """Report that ``parts`` more parts are done, and show a name."""
        ...


@contextmanager
def bar(total: int | None) -> Iterator[Advance]:
    """Show a progress bar with the remaining time.

    Args:
        total: number of parts; ``None`` if it is unknown, for a bar that only shows activity.

    Yields:
        The function to call after each part, with a name to show.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)

        def advance(name: str, parts: int = 1) -> None:
            progress.update(task, advance=parts, description=escape(escape_controls(name)))

        yield advance
