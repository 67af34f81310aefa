"""Values of the command line are those that Typer's own conversion yields, without its import of pydantic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperCommand
from typer.testing import CliRunner

from ivfuse.cli.parameters import PlainFirst

SEEN: list[dict[str, Any]] = []


class Fast(PlainFirst, TyperCommand):
    """A verb as ivfuse has them."""


def verb(
    file: Path,
    *,
    name: str = "x",
    flag: Annotated[bool, typer.Option("--flag/--no-flag")] = True,
    count: Annotated[int | None, typer.Option(min=1, max=8)] = None,
    part: Annotated[float, typer.Option(min=0, max=1)] = 1,
    any_number: float = 0.5,
    window: tuple[float, float] | None = None,
    each: list[str] | None = None,
    there: Annotated[Path | None, typer.Option(exists=True)] = None,
) -> None:
    SEEN.append(dict(locals()))


def outcome(kind: type[TyperCommand], words: list[str]) -> tuple[int, str, Any]:
    """Exit code, output, and the values with their types."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(cls=kind)(verb)
    SEEN.clear()
    done = CliRunner().invoke(app, words)
    values = {name: (type(value), value) for name, value in SEEN[0].items()} if SEEN else None
    return done.exit_code, done.output, values


@pytest.mark.parametrize(
    "words",
    [
        "",
        "in.png",
        "in.png --name é --no-flag --count 8 --part 0.25 --any-number -3 --window 1 2.5 --each a --each b",
        "in.png --count 0",
        "in.png --count 9",
        "in.png --count +4",
        "in.png --count 2.0",
        "in.png --count 1_0",
        "in.png --count ٣",
        "in.png --count many",
        "in.png --part 1.0001",
        "in.png --part 1e-3",
        "in.png --part nan",
        "in.png --any-number inf",
        "in.png --any-number 1234567890123456789012345678901234567890",
        "in.png --window 1",
        "in.png --window 1 x",
        "in.png --there absent.png",
        "in.png --there .",
        "in.png --help",
    ],
)
def test_values_and_errors_are_those_of_typer(words: str) -> None:
    assert outcome(Fast, words.split()) == outcome(TyperCommand, words.split())


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_refused_as_by_typer(tmp_path: Path) -> None:
    (tmp_path / "x").touch(mode=0)
    words = [str(tmp_path / "x")]
    assert outcome(Fast, words) == outcome(TyperCommand, words)
    assert outcome(Fast, words)[0] == 2
