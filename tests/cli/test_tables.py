"""Tables of the command line: aligned, complete in a pipe, wrapped in the last column on a terminal."""

from __future__ import annotations

import pytest

from ivfuse.cli import tables
from ivfuse.cli.tables import format_table

ROWS = [("name", "count", "text"), ("[bold]a", "1", "one two three four five six seven"), ("b", "1,000", "")]


def test_columns_are_aligned_and_cells_are_literal() -> None:
    assert format_table(ROWS, "lrl") == [
        "name     count  text",
        "[bold]a      1  one two three four five six seven",
        "b        1,000",
    ]


def test_the_last_letter_applies_to_further_columns() -> None:
    assert format_table([("a", "b", "c"), ("x", "10", "10"), ("y", "1", "1")], "lr") == [
        "a   b   c",
        "x  10  10",
        "y   1   1",
    ]


def test_a_last_column_of_text_wraps_at_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [
        "name     count  text",
        "[bold]a      1  one two three four five",
        "                six seven",
        "b        1,000",
    ]
    assert format_table(ROWS, "lrl", 42) == expected
    monkeypatch.setattr(tables, "_terminal_width", lambda: 42)
    assert format_table(ROWS, "lrl") == expected


@pytest.mark.parametrize(("justify", "width"), [("lrl", 20), ("lrr", 30)])
def test_a_table_that_cannot_wrap_is_not_cut(justify: str, width: int) -> None:
    assert len(format_table(ROWS, justify, width)) == 3
    assert "seven" in format_table(ROWS, justify, width)[1]
