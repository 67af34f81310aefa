"""The page in a real browser: the sample is fused, the divider moved, the image zoomed and downloaded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from ..browser import BROWSER, Page
from .conftest import Running, running

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

FUSED = "document.getElementById('status').textContent.startsWith('Fused by {}')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("browser") / "profile", 420, 860) as page:
        yield page


@pytest.fixture
def page(browser: Page, server: Running, tmp_path: Path) -> Iterator[Page]:
    """The page with the sample fused by a fast method; downloads go to ``tmp_path``."""
    browser.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open_anew(server.url)
    browser.until("document.querySelectorAll('#method option').length > 3")
    browser.choose("method", "average")
    browser.run("document.getElementById('sample').click()")
    browser.until(FUSED.format("average"))
    yield browser
    assert browser.errors() == []


def split(page: Page) -> str:
    return str(page.run("getComputedStyle(document.querySelector('.layer.over')).clipPath"))


def test_the_images_are_there(page: Page) -> None:
    page.until("[...document.querySelectorAll('.layer img')].every((each) => each.naturalWidth === 640)")
    page.until("document.querySelectorAll('#scores tbody tr').length === 8")
    assert page.run("document.getElementById('left').alt") == "Infrared image"
    assert page.run("document.getElementById('right').alt") == "Fused image"


def test_keys_move_the_divider_and_say_where_it_is(page: Page) -> None:
    page.run("document.getElementById('split').focus()")
    for _ in range(4):
        page.key("ArrowRight", number=39)
    assert page.run("document.getElementById('split').value") == "52"
    assert split(page) == "inset(0px 0px 0px 52%)"
    assert page.run("document.getElementById('split').getAttribute('aria-valuetext')") == "52% of the width"


def test_a_pointer_moves_the_divider(page: Page) -> None:
    box = page.run(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.getElementById('frame').getBoundingClientRect())"
    )
    at = [(box[0] + box[2] * share, box[1] + box[3] / 2) for share in (0.5, 0.25)]
    for kind, (x, y), buttons in (
        ("mousePressed", at[0], 1),
        ("mouseMoved", at[1], 1),
        ("mouseReleased", at[1], 0),
    ):
        page.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1
        )
    assert float(page.run("document.getElementById('split').value")) == pytest.approx(25, abs=0.6)


def test_keys_zoom_and_show_all_again(page: Page) -> None:
    page.run("document.getElementById('frame').focus()")
    page.key("+")
    zooms = page.run(
        "[...document.querySelectorAll('.layer img')].map((each) => getComputedStyle(each).transform)"
    )
    assert [zoom.startswith("matrix(1.5, 0, 0, 1.5") for zoom in zooms] == [True, True]
    assert page.run("document.getElementById('zoom-value').textContent") == "150%"
    page.key("0")
    assert page.run("document.getElementById('zoom-value').textContent") == "100%"


def test_another_method_and_color_are_shown_at_once(page: Page) -> None:
    before = page.run("document.getElementById('right').src")
    page.choose("method", "maximum")
    page.until(FUSED.format("maximum"))
    page.run("document.querySelector('[name=color][value=iron]').click()")
    page.until("document.getElementById('busy').hidden")
    assert page.run("document.getElementById('right').src") != before
    page.choose("window", "range")
    assert page.run("document.getElementById('low-value').textContent").endswith("°C")


def test_registration_shows_its_result(page: Page) -> None:
    page.run("document.getElementById('register').click()")
    page.until(
        "/^Registered: \\d+% of the image blocks/.test(document.getElementById('register-hint').textContent)",
        60,
    )
    page.run("document.getElementById('register').click()")
    page.until("document.getElementById('busy').hidden")
    page.until("document.getElementById('register-hint').textContent.startsWith('Aligns the infrared')")


def test_the_image_is_downloaded(page: Page, tmp_path: Path) -> None:
    page.run("document.querySelector('[data-download=png]').click()")
    file = tmp_path / "fused.png"
    deadline = time.monotonic() + 10
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert cv2.imread(str(file)).shape == (480, 640, 3)


def test_everything_can_be_reached_and_has_a_name(page: Page) -> None:
    tree = page.send("Accessibility.getFullAXTree")["nodes"]
    kinds = ("button", "slider", "combobox", "radio", "switch", "link", "checkbox")
    controls = [
        node for node in tree if node.get("role", {}).get("value") in kinds and not node.get("ignored")
    ]
    assert len(controls) > 20
    assert [node for node in controls if not node.get("name", {}).get("value")] == []
    regions = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "region"]
    assert {"Source images", "Result", "Scores", "Download"} <= set(regions)


def test_a_narrow_screen_does_not_scroll_sideways(page: Page) -> None:
    for width in (320, 390):
        page.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=True
        )
        assert page.run("document.documentElement.scrollWidth") <= width


def test_the_token_is_asked_for_and_kept(tmp_path: Path) -> None:
    with running(slow=True, token="secret") as server, Page(tmp_path / "profile") as page:
        page.open(server.url)
        page.until("document.getElementById('token-dialog').open")
        page.run("document.getElementById('token').value = 'secret'")
        page.run("document.querySelector('#token-dialog button').click()")
        page.until("document.querySelectorAll('#method option').length > 3")


def test_two_files_find_their_places_by_their_names(page: Page) -> None:
    script = (
        "import('/static/pairing.js').then(({ inOrder }) => PAIRS.map(([a, b]) =>"
        " inOrder({ name: a }, { name: b }).map((each) => each.name)))"
    )
    pairs = [
        ["vis_1.png", "ir_1.png"],
        ["IR_7.jpg", "VIS_7.jpg"],
        ["a_rgb.jpg", "a.tiff"],
        ["colour.jpg", "a.jpg"],
        ["x_visible.png", "x_thermal.png"],
    ]
    expected = [
        ["ir_1.png", "vis_1.png"],
        ["IR_7.jpg", "VIS_7.jpg"],
        ["a.tiff", "a_rgb.jpg"],
        ["a.jpg", "colour.jpg"],
        ["x_thermal.png", "x_visible.png"],
    ]
    assert page.run(script.replace("PAIRS", json.dumps(pairs))) == expected


def test_a_mistake_is_a_sentence_that_is_read_aloud(page: Page) -> None:
    page.run(
        "(() => { const data = new DataTransfer(); data.items.add(new File(['no image'], 'a.png'));"
        " data.items.add(new File(['no image'], 'b.png'));"
        " document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true })); })()"
    )
    page.until("!document.getElementById('problem').hidden")
    assert page.run("document.getElementById('problem').textContent").startswith(
        "Infrared image: found no image"
    )
    assert page.run("document.getElementById('problem').getAttribute('role')") == "alert"
    # the browser itself logs every response of 400 and above
    page.events = [event for event in page.events if "415" not in json.dumps(event)]
