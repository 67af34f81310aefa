"""The tools of the page: window on a histogram, temperatures, methods side by side, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivfuse.image.formats import CAMERA_SUFFIXES
from ivfuse.server.pages import STATIC

from ..browser import BROWSER, Page
from .conftest import Running
from .test_thermal_files import irg

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

FUSED = "document.getElementById('status').textContent.startsWith('Fused by {}')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("browser") / "profile", 1100, 1000) as page:
        yield page


@pytest.fixture
def page(browser: Page, server: Running, tmp_path: Path) -> Iterator[Page]:
    """An IRG file, which holds temperatures and a photo, fused by a fast method."""
    (tmp_path / "scene.irg").write_bytes(irg())
    light = {"name": "prefers-color-scheme", "value": "light"}
    browser.send("Emulation.setEmulatedMedia", features=[light])
    browser.open_anew(server.url)
    browser.until("document.querySelectorAll('#method option').length > 3")
    browser.choose("method", "average")
    browser.set_files("file-ir", tmp_path / "scene.irg")
    browser.until(FUSED.format("average"))
    yield browser
    assert browser.errors() == []


def box(page: Page, field: str) -> list[float]:
    """Left, top, width and height of an element."""
    return list(
        page.run(
            "(({x, y, width, height}) => [x, y, width, height])"
            f"(document.getElementById('{field}').getBoundingClientRect())"
        )
    )


def at(page: Page, field: str, x: float, y: float) -> tuple[float, float]:
    """The point at a share of the width and height of an element."""
    left, top, width, height = box(page, field)
    return left + x * width, top + y * height


def mouse(page: Page, kind: str, point: tuple[float, float], buttons: int = 1) -> None:
    button = "left" if buttons or kind == "mouseReleased" else "none"
    page.send(
        "Input.dispatchMouseEvent",
        type=kind,
        x=point[0],
        y=point[1],
        button=button,
        buttons=buttons,
        clickCount=1,
    )


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse(page, "mousePressed", start)
    mouse(page, "mouseMoved", end)
    mouse(page, "mouseReleased", end, 0)


def window(page: Page) -> list[float]:
    return [float(page.run(f"Number(document.getElementById('{end}').value)")) for end in ("low", "high")]


def test_the_infrared_field_offers_what_the_command_line_takes() -> None:
    accept = re.search(r'id="file-ir"[^>]*accept="([^"]*)"', (STATIC / "index.html").read_text("utf-8"))
    assert accept is not None
    assert set(CAMERA_SUFFIXES) | {"image/*", ".tif", ".tiff"} == set(accept[1].split(","))


def test_the_temperature_under_the_pointer_is_shown(page: Page) -> None:
    page.run("document.getElementById('frame').scrollIntoView({ block: 'center' })")
    for share, celsius in (((14 / 64, 20 / 48), "36.9 °C"), ((0.8, 0.8), "16.9 °C")):
        mouse(page, "mouseMoved", at(page, "frame", *share), 0)
        assert page.text("probe-value") == celsius
    mouse(page, "mouseMoved", at(page, "frame", 0.5, -0.05), 0)
    assert page.run("document.getElementById('probe').hidden")


def test_the_temperature_is_that_of_the_pixel_in_a_zoomed_image(page: Page) -> None:
    page.run("document.getElementById('frame').focus()")
    page.key("+")
    mouse(page, "mouseMoved", at(page, "frame", 0.5 + 1.5 * (14 / 64 - 0.5), 0.5 + 1.5 * (20 / 48 - 0.5)), 0)
    assert page.text("probe-value") == "36.9 °C"
    page.key("0")


def test_keys_read_temperatures_aloud(page: Page) -> None:
    page.run("document.getElementById('frame').focus()")
    page.key("Escape")  # from the middle on, and not from where the pointer is
    for _ in range(3):
        page.key("ArrowLeft", number=37, shift=True)
    assert page.text("probe-spoken") == "16.9 °C"
    assert page.run("document.getElementById('probe').style.left") == "47%"
    assert page.run("document.getElementById('split').value") == "50"
    page.key("Escape")
    assert page.run("document.getElementById('probe').hidden")


def test_a_handle_of_the_histogram_sets_one_end_of_the_window(page: Page) -> None:
    page.run("document.getElementById('histogram').scrollIntoView({ block: 'center' })")
    low, high = window(page)
    assert (low, high) == pytest.approx((16.85, 36.85), abs=0.01)
    drag(page, at(page, "histogram", 0.97, 0.2), at(page, "histogram", 0.5, 0.2))
    assert window(page)[1] == pytest.approx(26.85, abs=0.4)
    assert page.run("document.getElementById('window').value") == "range"
    assert page.text("high-value").endswith(" °C")
    page.until("document.getElementById('notes').textContent.includes('window 16.85 to 2')")


def test_the_window_is_moved_as_a_whole(page: Page) -> None:
    page.choose("low", "20")
    page.choose("high", "25")
    page.run("document.getElementById('histogram').scrollIntoView({ block: 'center' })")
    drag(page, at(page, "histogram", 0.3, 0.6), at(page, "histogram", 0.45, 0.6))
    low, high = window(page)
    assert low > 21
    assert high - low == pytest.approx(5, abs=0.2)
    drag(page, at(page, "histogram", 0.4, 0.6), at(page, "histogram", 1.5, 0.6))
    assert window(page)[1] == pytest.approx(36.85, abs=0.01)


def test_keys_move_an_end_of_the_window_but_not_past_the_other(page: Page) -> None:
    page.choose("low", "20")
    page.choose("high", "25")
    page.run("document.getElementById('low').focus()")
    page.key("ArrowRight", number=39)
    assert window(page)[0] > 20
    page.key("End", number=35)
    low, high = window(page)
    assert low < high


def test_methods_are_shown_side_by_side(page: Page) -> None:
    page.run("document.querySelector('[name=compare][value=methods]').click()")
    page.run("document.querySelector('#method-choices [value=maximum]').click()")
    page.run("document.querySelector('#method-choices [value=infrared]').click()")
    page.until("document.querySelectorAll('#tiles figure').length === 6")
    page.until("[...document.querySelectorAll('#tiles img')].every((each) => each.naturalWidth > 0)")
    assert page.run("document.querySelector('#tiles img').alt") == "Infrared image"
    page.run("document.getElementById('zoom-in').click()")
    transforms = page.run(
        "[...document.querySelectorAll('#tiles img')].map((each) => getComputedStyle(each).transform)"
    )
    assert [each.startswith("matrix(1.5, 0, 0, 1.5") for each in transforms] == [True] * 6
    page.run("document.getElementById('zoom-fit').click()")
    page.run("document.querySelector('#tiles button[title=\"Show maximum alone\"]').click()")
    page.until(FUSED.format("maximum"))
    assert not page.run("document.getElementById('single').hidden")
    assert page.run("document.getElementById('methods').hidden")


def test_strength_0_is_the_visible_image(page: Page) -> None:
    before = page.run("document.getElementById('right').src")
    page.choose("strength", "0")
    page.until(f"document.getElementById('right').src !== '{before}'")
    assert page.run("document.getElementById('strength').getAttribute('aria-valuetext')") == "0 %"
    page.choose("strength", "1")
    page.until(f"document.getElementById('right').src === '{before}'")


def test_an_emphasis_changes_the_image(page: Page) -> None:
    before = page.run("document.getElementById('right').src")
    page.choose("emphasis", "targets")
    page.until(f"document.getElementById('right').src !== '{before}'")
    page.choose("emphasis", "")
    page.until(f"document.getElementById('right').src === '{before}'")


def test_colors_follow_the_system_until_the_switch_is_used(page: Page) -> None:
    def ground() -> str:
        return str(page.run("getComputedStyle(document.body).backgroundColor"))

    def system(scheme: str) -> None:
        page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    light = ground()
    system("dark")
    page.until("document.getElementById('theme').getAttribute('aria-pressed') === 'true'")
    dark = ground()
    assert dark != light
    page.run("document.getElementById('theme').click()")
    assert ground() == light
    assert page.run("localStorage.getItem('ivfuse-theme')") == "light"
    system("light")
    page.run("document.getElementById('theme').click()")
    assert ground() == dark
    page.run("document.getElementById('theme').click()")
    assert (ground(), page.run("localStorage.getItem('ivfuse-theme')")) == (light, None)
