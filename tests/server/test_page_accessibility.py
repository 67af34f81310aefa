"""The page is free of what axe-core finds, in every state, light and dark, on wide and narrow screens."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..browser import BROWSER, Page
from .conftest import Running, running

_SPEC = importlib.util.find_spec("axe_playwright_python")
AXE = Path(str(_SPEC and _SPEC.origin)).with_name("axe.min.js")

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core (axe-playwright-python) is not installed"),
]


@pytest.fixture(scope="module")
def page(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("browser") / "profile", 1280, 860) as page:
        yield page
        assert page.errors() == []


@pytest.fixture(params=[("light", 1280), ("dark", 360)], ids=["light-wide", "dark-narrow"])
def width(page: Page, request: pytest.FixtureRequest) -> int:
    """A color scheme and a width of the screen."""
    scheme, width = request.param
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    page.send("Emulation.setEmulatedMedia", features=features)
    page.send(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
    )
    return int(width)


def violations(page: Page) -> list[str]:
    """What axe-core finds: rule, element and reason."""
    if not page.run("Boolean(window.axe)"):
        page.run(AXE.read_text(encoding="utf-8") + "; 0")
    return list(
        page.run(
            "axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) =>"
            " nodes.map((node) => `${id}: ${node.html.slice(0, 120)}: ${node.failureSummary}`)))"
        )
    )


def open_page(page: Page, server: Running, path: str = "/") -> None:
    page.open(server.url + path)
    if path == "/":
        page.until("document.querySelectorAll('#method option').length > 3")
        page.choose("method", "average")


def fuse_sample(page: Page) -> None:
    page.run("document.getElementById('sample').click()")
    page.until("document.getElementById('status').textContent.startsWith('Fused by average')")
    page.until("document.querySelectorAll('#scores tbody tr').length === 8")


def narrow_enough(page: Page, width: int) -> bool:
    return int(page.run("document.documentElement.scrollWidth")) <= width


def test_the_empty_page(page: Page, server: Running, width: int) -> None:
    open_page(page, server)
    assert violations(page) == []
    assert narrow_enough(page, width)


def test_the_description_of_the_api(page: Page, server: Running, width: int) -> None:
    open_page(page, server, "/docs")
    page.until("document.querySelectorAll('.endpoint').length > 3")
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert violations(page) == []
    assert narrow_enough(page, width)


def test_a_result(page: Page, server: Running, width: int) -> None:
    open_page(page, server)
    fuse_sample(page)
    page.run("document.getElementById('notes').open = true")
    assert violations(page) == []
    assert narrow_enough(page, width)


def test_methods_side_by_side(page: Page, server: Running, width: int) -> None:
    open_page(page, server)
    fuse_sample(page)
    page.run("document.querySelector('[name=compare][value=methods]').click()")
    page.until("document.querySelectorAll('#tiles figure').length === 4")
    page.until("document.querySelectorAll('#tiles .spinner').length === 0", 60)
    assert violations(page) == []
    assert narrow_enough(page, width)


def test_a_batch_with_a_failure(
    page: Page, server: Running, width: int, ir: bytes, vi: bytes, tmp_path: Path
) -> None:
    for name in ("first", "second", "a-third-pair-with-quite-a-long-name-that-has-no-spaces"):
        (tmp_path / f"{name}_ir.png").write_bytes(ir if name != "second" else b"\x89PNG\r\n\x1a\n")
        (tmp_path / f"{name}_vi.png").write_bytes(vi)
    open_page(page, server)
    page.set_files("file-ir", *tmp_path.glob("*_ir.png"))
    page.until("document.getElementById('name-ir').textContent === '3 files'")
    page.set_files("file-vi", *tmp_path.glob("*_vi.png"))
    page.until("!document.getElementById('batch').hidden")
    page.run("document.getElementById('batch-run').click()")
    page.until("document.getElementById('batch-status').textContent === '2 of 3 pairs fused, 1 failed'")
    page.run("document.querySelectorAll('#batch-list button')[2].click()")
    page.until("!document.getElementById('problem').hidden")
    assert violations(page) == []
    assert narrow_enough(page, width)
    page.events.clear()  # the browser itself logs every response of 400 and above


def test_the_question_for_a_token(tmp_path: Path) -> None:
    with running(slow=True, token="secret") as server, Page(tmp_path / "profile") as page:
        page.open(server.url)
        page.until("document.getElementById('token-dialog').open")
        assert violations(page) == []
