"""Programs of ``benchmarks/``: a document names each, and they take the options that documents give them."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = [
    file for file in sorted((ROOT / "benchmarks").glob("*.py")) if "__main__" in file.read_text("utf-8")
]
DOCUMENTS = [
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / "docs/results").glob("*.md"),
]
COMMAND = re.compile(r"python benchmarks/(\w+)\.py([^`\n#]*)")
PLACEHOLDER = re.compile(r"\[|\.\.\.|\b(KIND|OPTIONS|PROOF)\b")
EXTRAS = ("av", "matplotlib", "torch", "yaml")
TEXT = "\n".join(file.read_text("utf-8") for file in DOCUMENTS)


def documented() -> list[tuple[str, str]]:
    """Program and options of each command in a document; only programs that have a parser."""
    parsed = {
        file.stem for file in PROGRAMS if re.search(r"(make_parser|parse)\(__doc__", file.read_text("utf-8"))
    }
    found = dict.fromkeys((name, options.strip(" \\")) for name, options in COMMAND.findall(TEXT))
    return [each for each in found if each[0] in parsed and not PLACEHOLDER.search(each[1])]


class UnderstoodError(Exception):
    """The arguments were parsed."""


@pytest.fixture
def parse(load_program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Start a program and end it once it has parsed its arguments."""
    parse_args = argparse.ArgumentParser.parse_args

    def parse_only(*arguments: Any) -> None:
        parse_args(*arguments)
        raise UnderstoodError

    def start(name: str, arguments: list[str]) -> None:
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        try:
            program = load_program(name)
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            pytest.skip(f"{name}.py needs {error.name}")
        with pytest.raises(UnderstoodError):
            program.main()

    return start


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda file: file.stem)
def test_a_document_names_the_program(program: Path) -> None:
    assert f"benchmarks/{program.name}" in TEXT or f"`{program.name}`" in TEXT


def test_documents_have_commands_of_most_programs() -> None:
    assert len({name for name, _ in documented()}) > 12


@pytest.mark.parametrize(("name", "options"), documented())
def test_a_documented_command_is_understood(name: str, options: str, parse: Callable[..., None]) -> None:
    parse(name, shlex.split(options))


def test_an_unknown_option_is_not_understood(parse: Callable[..., None]) -> None:
    with pytest.raises(SystemExit):
        parse("offset", ["DATA", "--none"])


def test_the_page_is_photographed_by_the_browser_of_the_tests(load_program: Callable[[str], Any]) -> None:
    assert load_program("page_image").load_page_class().__name__ == "Page"


def test_all_measurements_in_one_go_are_understood(
    load_program: Callable[[str], Any], parse: Callable[..., None], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for name in ("msrs640", "labels", "m3svd_video"):
        (data / name).mkdir(parents=True)
    (tmp_path / "oracle").mkdir()
    for name in ("baselines.md", "radiometric.csv"):
        (tmp_path / "oracle" / name).touch()
    commands = load_program("run_all").commands(data)
    assert len(commands) == 8
    for program, *arguments in commands:
        parse(program.removesuffix(".py"), arguments)
