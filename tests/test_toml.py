"""TOML: plain lines are read without the parser of the standard library, and mean what it says they mean."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ivfuse
from ivfuse.runtime.toml import parse_toml

MANIFEST = Path(ivfuse.__file__).with_name("weights") / "manifest.toml"
LINES = [
    "",
    "# a comment",
    "# a\ttab",
    "# a carriage return\r",
    "[a.b]",
    "[a.c]",
    "[a]",
    "[b.a]",
    "[[a.b]]",
    "a = 1",
    "b = 0",
    "c = 01",
    "d = -1",
    "e = 123456789012345678901",
    'a = "text # no comment"',
    'f = "escaped \\n"',
    'g = "a\ttab"',
    'h = ""',
    'i = "" # a comment',
    "j = true",
    "k = false",
    "l = 1.5",
    "m=1",
    '"n" = 1',
    "o.p = 1",
    "q = [1, 2]",
    "r = 1979-05-27",
    's = """',
    "ü = 1",
    "٣ = ٣",
    "nonsense",
]


def outcome(parse: object, text: str) -> object:
    try:
        return parse(text)  # type: ignore[operator]
    except ValueError:
        return "refused"


@given(st.lists(st.sampled_from(LINES), max_size=6))
def test_every_document_means_what_the_standard_library_says(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert outcome(parse_toml, text) == outcome(tomllib.loads, text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_shipped_manifest_means_the_same_with_any_line_ends(end: str) -> None:
    text = MANIFEST.read_text(encoding="utf-8").replace("\n", end)
    assert parse_toml(text) == tomllib.loads(text)


def test_the_shipped_manifest_needs_no_parser_but_its_own() -> None:
    code = "import sys, ivfuse; ivfuse.list_methods(); sys.exit('tomllib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
