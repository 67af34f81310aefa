"""The documents: links inside the project lead somewhere, and examples with results give these."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import ivfuse
from ivfuse.registration.warp import Warper

ROOT = Path(__file__).resolve().parents[1]
BUILT = {"_build", "generated"}  # written by the site's build, which checks links itself
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if not BUILT & set(page.parts)]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
PUBLIC = [getattr(ivfuse, name) for name in ivfuse.__all__ if name not in ("__version__", "metrics")]
LINK = re.compile(r"\]\(([^)\s]+)\)")
EXAMPLE = re.compile(r"```pycon\n(.*?)```", re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The names of a document's headings, as they are linked to."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(document.read_text("utf-8")))
    return {title.strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_project_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text("utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_no_page_is_missing_in_the_menu() -> None:
    menu = (ROOT / "docs" / "index.md").read_text("utf-8")
    for page in PAGES:
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert name == "index" or re.search(rf"^(.+<{name}>|{name})$", menu, re.MULTILINE), name


def test_examples_of_the_pages_give_what_they_show() -> None:
    blocks = [block for page in PAGES for block in EXAMPLE.findall(page.read_text("utf-8"))]
    assert blocks
    for number, block in enumerate(blocks):
        check(block, f"block {number}", {})


@pytest.mark.parametrize("value", [*PUBLIC, Warper], ids=lambda value: value.__name__)
def test_examples_of_docstrings_give_what_they_show(value: Any) -> None:
    check(inspect.getdoc(value) or "", value.__name__, vars(inspect.getmodule(value)).copy())


def check(text: str, name: str, names: dict[str, Any]) -> None:
    """Run the examples of a text."""
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    said: list[str] = []
    doctest.DocTestRunner().run(test, out=said.append)
    assert not said, "".join(said)
