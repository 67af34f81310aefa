"""A batch of pairs on the page: paired by name, fused one by one, downloaded as a ZIP archive."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ..browser import BROWSER, Page
from .conftest import Running

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ir: bytes, vi: bytes) -> Path:
    """Three pairs, of which the second is damaged, and an image without a partner."""
    folder = tmp_path_factory.mktemp("pairs")
    for name in ("a", "b", "käse 10"):
        (folder / f"{name}_ir.png").write_bytes(ir if name != "b" else ir[: len(ir) // 2])
        (folder / f"{name}_vi.png").write_bytes(vi)
    (folder / "lonely_ir.png").write_bytes(ir)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    with Page(folder / "profile", 1100, 860) as page:
        page.downloads = folder / "downloads"
        page.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(page.downloads))
        yield page


@pytest.fixture
def page(browser: Page, server: Running) -> Page:
    """The page as it is when it is opened, with a fast method."""
    browser.open(server.url)
    browser.until("document.querySelectorAll('#method option').length > 3")
    browser.choose("method", "average")
    return browser


def choose_both(page: Page, folder: Path) -> None:
    page.set_files("file-ir", *sorted(folder.glob("*_ir.png")))
    page.until("document.getElementById('name-ir').textContent === '4 files'")
    assert page.text("name-vi") == "Now drop or choose these images"
    page.set_files("file-vi", *sorted(folder.glob("*_vi.png")))
    page.until("!document.getElementById('batch').hidden")


def wait_for(file: Path) -> Path:
    deadline = time.monotonic() + 10
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return file


def test_a_batch_becomes_an_archive_and_a_bad_pair_does_not_stop_it(
    page: Page, folder: Path, server: Running
) -> None:
    choose_both(page, folder)
    page.until("document.getElementById('status').textContent.startsWith('Fused by average')")
    page.run("document.getElementById('batch-run').click()")
    page.until("document.getElementById('batch-status').textContent.includes('failed')")
    page.until("document.getElementById('batch-stop').hidden")
    assert page.text("batch-status") == "2 of 3 pairs fused, 1 failed, 1 file left out"
    rows = page.run("[...document.querySelectorAll('#batch-list li')].map((row) => row.innerText)")
    assert rows[0].split() == ["a", "Fused"]
    assert "infrared image: " in rows[1].lower()
    assert rows[3].split("\n")[-1] == "Left out: no visible file has this name"
    page.run("document.getElementById('batch-zip').click()")
    with zipfile.ZipFile(wait_for(page.downloads / "fused.zip")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "käse 10.png", "not fused.txt"]
        fused = cv2.imdecode(np.frombuffer(archive.read("a.png"), np.uint8), cv2.IMREAD_UNCHANGED)
        alone = server.fuse(
            (folder / "a_ir.png").read_bytes(), (folder / "a_vi.png").read_bytes(), method="average"
        )
        expected = cv2.imdecode(np.frombuffer(alone.content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(fused, expected)
        failures = archive.read("not fused.txt").decode().splitlines()
    assert [line.partition(":")[0] for line in failures] == ["b", "lonely_ir.png"]


def test_a_pair_of_the_batch_is_shown_and_the_settings_stay(page: Page, folder: Path) -> None:
    choose_both(page, folder)
    page.until("document.getElementById('status').textContent.startsWith('Fused by average')")
    page.choose("strength", "0.5")
    page.run("document.querySelectorAll('#batch-list button')[2].click()")
    page.until("document.getElementById('name-ir').textContent === 'käse 10_ir.png'")
    page.until("document.getElementById('status').textContent.startsWith('Fused by average')")
    assert page.text("strength-value") == "50 %"
    assert page.run("document.querySelector('#batch-list [aria-current]').textContent") == "käse 10"
    page.run("document.querySelectorAll('#batch-list button')[1].click()")
    page.until("!document.getElementById('problem').hidden")
    assert page.text("status") == "This pair cannot be fused."


def test_other_settings_make_the_results_old(page: Page, folder: Path) -> None:
    choose_both(page, folder)
    page.run("document.getElementById('batch-run').click()")
    page.until("!document.getElementById('batch-zip').disabled")
    page.choose("method", "maximum")
    assert page.run("document.getElementById('batch-zip').disabled")
    assert page.text("batch-run") == "Fuse all"
    page.choose("method", "average")
    assert not page.run("document.getElementById('batch-zip').disabled")
    assert page.text("batch-run") == "Retry the failed ones"


def test_files_without_a_pair_are_one_sentence(page: Page, folder: Path) -> None:
    drop(page, ["x_ir.png", "y_ir.png", "z_vi.png"])
    page.until("!document.getElementById('problem').hidden")
    assert page.text("problem").startswith("No pair was found among 3 files; expected names like x_ir.png")
    drop(page, [f"{number}_{kind}.png" for number in range(1001) for kind in ("ir", "vi")])
    page.until("document.getElementById('problem').textContent.startsWith('The batch has 1001 pairs')")


def test_folders_are_dropped_with_what_is_in_them(page: Page, ir: bytes, vi: bytes, tmp_path: Path) -> None:
    for name, data in (
        ("thermal/7.png", ir),
        ("visible/7.png", vi),
        ("thermal/8.png", ir),
        ("visible/8.png", vi),
    ):
        file = tmp_path / "drive" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        (file.parent / ".hidden").write_bytes(b"x")
    data = {"items": [], "files": [str(tmp_path / "drive")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.send("Input.dispatchDragEvent", type=kind, x=500, y=300, data=data)
    page.until("!document.getElementById('batch').hidden")
    assert page.text("batch-status") == "0 of 2 pairs fused"
    page.until("document.getElementById('name-vi').textContent === '7.png'")


def drop(page: Page, names: list[str]) -> None:
    page.run(
        "(() => { const data = new DataTransfer();"
        f" for (const name of {json.dumps(names)}) data.items.add(new File(['x'], name));"
        " document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true })); })()"
    )


@pytest.mark.parametrize(
    ("given", "pairs", "left_out"),
    [
        ({"others": ["IR_1.jpg", "VIS_1.jpg", "IR_2.jpg"]}, ["1: IR_1.jpg VIS_1.jpg"], ["IR_2.jpg"]),
        ({"ir": ["1.png", "2.png"], "vi": ["2.jpg", "1.jpg"]}, ["1: 1.png 1.jpg", "2: 2.png 2.jpg"], []),
        (
            {"others": ["ir/7.png", "vi/7.png", "set/rgb/8.png", "set/lwir/8.png"]},
            ["7: 7.png 7.png", "8: 8.png 8.png"],
            [],
        ),
        ({"others": ["a_ir.png", "a.png"]}, ["a: a_ir.png a.png"], []),
        (
            {"others": ["a_ir.png", "a_thermal.png", "a_vi.png"]},
            [],
            ["a_ir.png", "a_thermal.png", "a_vi.png"],
        ),
        ({"others": ["DJI_0001_T.JPG", "DJI_0001_V.JPG"]}, ["DJI_0001: DJI_0001_T.JPG DJI_0001_V.JPG"], []),
        (
            {"others": ["x2.irg", "x2.jpg", "x10.irg", "x10.jpg"]},
            ["x2: x2.irg x2.jpg", "x10: x10.irg x10.jpg"],
            [],
        ),
    ],
)
def test_files_are_paired_by_their_names(
    page: Page, given: dict[str, list[str]], pairs: list[str], left_out: list[str]
) -> None:
    script = """
        import('/static/pairing.js').then(async ({ pairFiles }) => {
          const file = (path) => Object.assign(new File(['x'], path.split('/').pop()),
            { folder: path.split('/').slice(0, -1).join('/') });
          const given = GIVEN;
          for (const place in given) given[place] = given[place].map(file);
          const { pairs, rest } = await pairFiles(given);
          return [pairs.map(({ name, ir, vi }) => `${name}: ${ir.name} ${vi.name}`),
            rest.map(({ file }) => file.name)];
        })"""
    assert page.run(script.replace("GIVEN", json.dumps(given))) == [pairs, left_out]


def test_a_long_batch_can_be_stopped_and_continued(page: Page, folder: Path) -> None:
    choose_both(page, folder)
    page.run("document.getElementById('batch-run').click(); document.getElementById('batch-stop').click()")
    page.until("document.getElementById('batch-stop').hidden")
    assert page.text("batch-status").startswith("0 of 3 pairs fused")
    page.run("document.getElementById('batch-run').click()")
    page.until("document.getElementById('batch-status').textContent.startsWith('2 of 3 pairs fused')")


def test_camera_files_with_both_images_are_pairs_by_themselves(page: Page, flir: Any, tmp_path: Path) -> None:
    counts = flir.counts_of(np.linspace(10, 40, 48 * 64).reshape(48, 64))
    photo = np.full((96, 128, 3), 90, np.uint8)
    photo[20:60, 30:90] = (200, 120, 40)
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(flir.Flir(counts, photo=photo).jpeg())
    page.set_files("file-ir", tmp_path / "one.jpg", tmp_path / "two.jpg")
    page.until("document.getElementById('status').textContent.startsWith('Fused by average')")
    assert page.text("name-vi") == "Included in the infrared file"
    page.run("document.getElementById('batch-run').click()")
    page.until("document.getElementById('batch-status').textContent === '2 of 2 pairs fused'")
