"""DJI R-JPEG: the counts inside, what is known of the capture, and clear refusals."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from ivfuse.errors import InputError
from ivfuse.image.exif import read_exif
from ivfuse.thermal.formats.dji_jpeg import equivalent_focal_length, read_dji
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.read import DEFAULT, ThermalOptions, read_raw, read_thermal

SHARED = Path(__file__).resolve().parents[3] / "shared"
SAMPLES = SHARED / "data" / "thermal_formats"


@pytest.fixture(autouse=True)
def without_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJI_THERMAL_SDK", "")


def test_the_counts_are_read_and_not_the_drawn_image(dji: Any, tmp_path: Path) -> None:
    scene = dji.scene()
    drawn = np.full((64, 96, 3), (20, 90, 200), np.uint8)
    path = scene.with_(drawn=drawn).write(tmp_path / "DJI_0001_T.JPG")
    raw = read_raw(path)
    assert np.array_equal(raw.values, scene.counts)
    assert not raw.degrees
    thermal = read_thermal(path)
    assert "window 1" in thermal.notes[0]
    assert np.corrcoef(thermal.pixels.ravel(), scene.counts.ravel())[0, 1] > 0.95
    with pytest.raises(InputError, match="set DJI_THERMAL_SDK to the folder of that SDK, or give scale"):
        thermal.temperatures()
    scaled = read_thermal(path, ThermalOptions(scale="0.015625K"))
    assert scaled.temperatures()[0, 0] == pytest.approx(scene.counts[0, 0] / 64 - 273.15, abs=1e-3)


@pytest.mark.parametrize("markers", [(0xE3, 0xE5), (0xE4, 0xE3)], ids=["APP3", "APP4"])
@pytest.mark.parametrize("enlarged", [1, 2])
def test_the_size_follows_from_the_raster_and_the_drawn_image(
    dji: Any, tmp_path: Path, markers: tuple[int, int], enlarged: int
) -> None:
    scene = dji.scene()
    drawn = np.full((64 * enlarged, 96 * enlarged), 90, np.uint8)
    file = read_dji(scene.with_(drawn=drawn, markers=markers).write(tmp_path / "x.jpg"))
    assert np.array_equal(file.counts, scene.counts)
    assert file.drawn == (96 * enlarged, 64 * enlarged)


def test_what_does_not_fit_is_refused_by_name(dji: Any, tmp_path: Path) -> None:
    path = dji.scene().with_(drawn=np.zeros((64, 100), np.uint8)).write(tmp_path / "x.jpg")
    for read in (read_thermal, lambda path: describe_file(path, DEFAULT)):
        with pytest.raises(
            InputError, match=r"x.jpg: found a DJI R-JPEG with 12288 bytes of counts beside a"
        ):
            read(path)


def test_a_cut_file_gives_its_counts_or_a_clear_line(dji: Any, tmp_path: Path) -> None:
    scene, path = dji.scene(), tmp_path / "x.jpg"
    whole = scene.jpeg()
    path.write_bytes(whole[:-200])  # as the sample of the XT S: the drawn image is cut
    assert np.array_equal(read_raw(path).values, scene.counts)
    assert "the drawn image is damaged, the counts are complete" in describe_file(path, DEFAULT)["notes"]
    raster = scene.counts.astype("<u2").tobytes()
    start = whole.index(raster[: scene.chunk])
    for end in range(start + 8300, start + len(raster), 1500):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"x.jpg: found a (truncated )?DJI R-JPEG"):
            read_raw(path)


def test_damage_raises_nothing_but_our_error(dji: Any, tmp_path: Path) -> None:
    whole = dji.scene().jpeg()
    path, rng = tmp_path / "x.jpg", np.random.default_rng(0)
    read = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, 1200, 8):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            describe_file(path, DEFAULT)
            read_thermal(path)
            read += 1
        except InputError:
            continue
    assert read > 10


def test_the_description_names_camera_lens_time_place_and_attitude(dji: Any, tmp_path: Path) -> None:
    facts = describe_file(dji.scene().write(tmp_path / "x.jpg"), DEFAULT)
    assert facts["camera"] == "DJI M3T"
    assert facts["lens"] == "9.1 mm, 40 mm in 35 mm film"
    assert facts["taken"] == "2023-04-05T06:07:08"
    assert facts["position"] == {
        "latitude": pytest.approx(-36.5),
        "longitude": pytest.approx(119.25),
        "altitude": 29.5,
    }
    assert facts["relative_altitude"] == 37.7
    assert facts["gimbal"] == {"yaw": 91.3, "pitch": -90, "roll": 0}
    assert facts["palette"] == "WhiteHot"
    assert (facts["width"], facts["height"]) == (96, 64)
    assert facts["image"] == {"width": 96, "height": 64}


def test_an_unnamed_palette_is_told_by_its_look(dji: Any, tmp_path: Path) -> None:
    scene = dji.scene().with_(palette="default")
    gray = cv2.normalize(scene.counts, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    for drawn, said in (
        (gray, "gray"),
        (cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO), "a color palette, unnamed"),
    ):
        path = scene.with_(drawn=drawn).write(tmp_path / "x.jpg")
        assert describe_file(path, DEFAULT)["palette"] == said


def test_the_equivalent_focal_length_is_that_of_the_file(dji: Any, tmp_path: Path) -> None:
    path = dji.scene().write(tmp_path / "x.jpg")
    assert read_raw(path).equivalent_focal_length == 40
    assert dji.scene().with_(focal=None).write(path)
    assert read_raw(path).equivalent_focal_length is None
    dji.scene().with_(focal=None, model="MAVIC2-ENTERPRISE-ADVANCED").write(path)
    assert read_raw(path).equivalent_focal_length == pytest.approx(39.6, abs=0.1)


def test_a_single_file_asks_for_the_visible_image(
    ivfuse_cli: Callable[..., Any], dji: Any, tmp_path: Path
) -> None:
    path = dji.scene().write(tmp_path / "DJI_0001_T.JPG")
    said = ivfuse_cli("fuse", path, "-o", tmp_path / "f.png")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "expected the visible image as the second file, such as the _V or _W file" in said.err
    assert not (tmp_path / "f.png").exists()


def rows() -> list[dict[str, str]]:
    path = SHARED / "oracle" / "thermal_formats.csv"
    if not path.is_file():
        return []
    return [row for row in csv.DictReader(path.open()) if row["file"].startswith("dji_")]


@pytest.mark.oracle
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/data/thermal_formats is absent")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"])
def test_samples_of_nine_cameras_give_their_counts(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, str]
) -> None:
    file = read_dji(SAMPLES / row["file"])
    assert file.counts.shape == (int(row["height"]), int(row["width"]))
    if row["minimum"]:
        assert (file.counts.min(), file.counts.max()) == (int(row["minimum"]), int(row["maximum"]))
    counts = file.counts.astype(np.float32)
    smooth = cv2.GaussianBlur(counts, (0, 0), 1)
    assert np.abs(counts - smooth).mean() < 0.2 * counts.std()  # rows and byte order are right
    with Image.open(file.path) as image:  # that of the XT S is cut, Pillow gives what there is
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        drawn = np.array(image.convert("L"))
    drawn = cv2.resize(drawn, counts.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(drawn.ravel(), counts.ravel())[0, 1] > 0.75
    known = equivalent_focal_length(read_exif(file.metadata.exif))
    assert known is None if "XTS" in row["file"] else 35 < (known or 0) < 60
