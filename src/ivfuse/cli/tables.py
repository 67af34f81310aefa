"""Tables of the command line, laid out by rich: aligned columns without lines, plain text when piped."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from itertools import chain, repeat

_UNLIMITED = 1_000_000  # characters; for output that is not wrapped
_MIN_TEXT = 24  # characters that a wrapped last column needs at least


def format_table(rows: Sequence[Sequence[str]], justify: str, width: int | None = None) -> list[str]:
    """Align rows of cells in columns.

    Args:
        rows: rows of equal length, the header first.
        justify: ``l`` or ``r`` for each column; the last letter also applies to further columns.
        width: width in characters at which a left-justified last column wraps; by default that of the
            terminal, and no limit in a pipe or file.

    Returns:
        The lines of the table, without trailing spaces.

    Example:
        >>> format_table([("name", "parameters"), ("swift", "98,024")], "lr")
        ['name   parameters', 'swift      98,024']
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    letters = [letter for letter, _ in zip(chain(justify, repeat(justify[-1])), rows[0], strict=False)]
    wraps = letters[-1] == "l"
    for column, (cell, letter) in enumerate(zip(rows[0], letters, strict=True)):
        no_wrap = not wraps or column < len(letters) - 1
        table.add_column(Text(cell), justify="left" if letter == "l" else "right", no_wrap=no_wrap)
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    fixed = sum(2 + max(len(row[column]) for row in rows) for column in range(len(letters) - 1))
    limit = width or _terminal_width()
    out = io.StringIO()
    console = Console(
        file=out,
        width=limit if limit and wraps and limit - fixed >= _MIN_TEXT else _UNLIMITED,
        color_system=None,
        legacy_windows=False,
    )
    console.print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
