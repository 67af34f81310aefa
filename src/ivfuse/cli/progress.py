"""The bar that long work shows on a terminal, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Moves a bar."""

    def __call__(self, name: str, parts: int = 1) -> None:
        """Show a name after so many more parts are done."""
        ...


@contextmanager
def bar(total: int | None) -> Iterator[Advance]:
    """Show a bar with the time left; call what it gives with a name after each of ``total`` parts.

    Without a total, which is ``None`` where nobody knows when the work ends, the bar shows that it goes on.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=total)

        def advance(name: str, parts: int = 1) -> None:
            shown.update(task, advance=parts, description=escape(name))

        yield advance
