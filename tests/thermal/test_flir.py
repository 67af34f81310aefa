"""Radiometric JPEG files of FLIR as cameras write them: all orders of bytes, payloads and photos."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError, UsageError
from ivfuse.thermal.formats.flir_jpeg import read_flir
from ivfuse.thermal.formats.registry import format_of
from ivfuse.thermal.radiometry import Overrides

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.mark.parametrize("payload", ["raw", "png", "png-straight", "tiff"])
@pytest.mark.parametrize("directory", "<>")
@pytest.mark.parametrize("order", "<>")
def test_counts_come_out_whatever_the_byte_order_and_payload(
    camera_file: Any, tmp_path: Path, order: str, directory: str, payload: str
) -> None:
    path = camera_file.with_(order=order, directory=directory, payload=payload).write(tmp_path / "f.jpg")
    file = read_flir(path)
    assert np.array_equal(file.raster.counts, camera_file.counts)
    assert file.raster.payload == {"raw": "raw", "tiff": "TIFF"}.get(payload, "PNG")
    assert file.raster.swapped == (payload == "png")


def test_counts_become_the_temperatures_they_were_made_from(
    camera_file: Any, celsius: np.ndarray, tmp_path: Path
) -> None:
    found = read_flir(camera_file.write(tmp_path / "f.jpg")).celsius()
    assert found.dtype == np.float32
    # counts are whole numbers, of which about 100 are one degree
    assert np.abs(found - celsius).max() < 0.02


@pytest.mark.parametrize("payload", ["png", "png-straight"])
def test_an_even_image_is_told_by_the_median_that_the_camera_states(
    camera_file: Any, tmp_path: Path, payload: str
) -> None:
    even = camera_file.with_(counts=np.full((8, 8), 14_321, np.uint16), payload=payload)
    assert (read_flir(even.write(tmp_path / "f.jpg")).raster.counts == 14_321).all()


def test_chunks_are_put_in_the_order_of_their_numbers(flir: Any, camera_file: Any, tmp_path: Path) -> None:
    small = camera_file.with_(chunk=1000)
    segments = [(0xE1, chunk) for chunk in reversed(small.chunks())]
    (tmp_path / "f.jpg").write_bytes(flir.with_segments(small.drawn(), segments))
    assert len(segments) > 5
    assert np.array_equal(read_flir(tmp_path / "f.jpg").raster.counts, camera_file.counts)


def test_the_camera_record_is_read(camera_file: Any, tmp_path: Path) -> None:
    said = {"emissivity": 0.8, "distance": 3.0, "humidity": 40.0}
    camera = read_flir(camera_file.with_(conditions=said, zoom=1.5).write(tmp_path / "f.jpg")).camera
    assert (camera.model, camera.serial, camera.lens) == ("Invented T1", "4711", "L25")
    assert camera.conditions.emissivity == pytest.approx(0.8)
    assert camera.conditions.distance == 3
    assert camera.conditions.humidity == pytest.approx(0.4)  # a core that writes per cent
    assert camera.conditions.reflected == pytest.approx(20, abs=1e-4)
    assert camera.zoom == 1.5
    assert camera.range_celsius == pytest.approx((-20, 150), abs=1e-3)
    zone = timezone(timedelta(hours=1))
    assert camera.taken == datetime(2023, 11, 14, 23, 13, 20, 250_000, tzinfo=zone)


def test_the_palette_becomes_rgb(camera_file: Any, tmp_path: Path) -> None:
    palette = read_flir(camera_file.write(tmp_path / "f.jpg")).palette
    assert palette is not None
    assert palette.name == "Grays"
    assert palette.colors[0].tolist() == [0, 0, 0]
    assert palette.colors[-1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("kind", "near"), [("jpeg", 4), ("png", 2), ("422", 3)])
def test_the_photo_comes_out_in_its_colors(camera_file: Any, tmp_path: Path, kind: str, near: int) -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[:20], photo[20:, :30], photo[20:, 30:] = (200, 40, 60), (30, 180, 70), (20, 60, 220)
    file = read_flir(camera_file.with_(photo=photo, photo_kind=kind).write(tmp_path / "f.jpg"))
    assert file.photo is not None
    inner = np.s_[2:18, 2:58]  # away from edges, where colors of lower resolution mix
    assert np.abs(file.photo[inner].astype(int) - photo[inner]).max() <= near


def test_alignment_and_orientation_are_read(camera_file: Any, tmp_path: Path) -> None:
    file = read_flir(camera_file.with_(alignment=(1.7, -12, 5), orientation=6).write(tmp_path / "f.jpg"))
    assert file.alignment is not None
    assert file.alignment.real_to_ir == pytest.approx(1.7)
    assert (file.alignment.offset_x, file.alignment.offset_y) == (-12, 5)
    assert file.orientation == 6


def test_conditions_can_be_replaced(camera_file: Any, tmp_path: Path) -> None:
    file = read_flir(camera_file.write(tmp_path / "f.jpg"))
    shiny = file.celsius(Overrides(emissivity=0.5, reflected=0.0))
    assert (shiny > file.celsius() + 1).all()  # half of what is seen is then cold surroundings


def test_an_impossible_emissivity_is_said_and_can_be_replaced(camera_file: Any, tmp_path: Path) -> None:
    file = read_flir(camera_file.with_(conditions={"emissivity": 0.0}).write(tmp_path / "f.jpg"))
    with pytest.raises(InputError, match=r"f\.jpg: emissivity: found 0, expected above 0 up to 1"):
        file.celsius()
    assert file.celsius(Overrides(emissivity=1.0)).max() > 30
    with pytest.raises(UsageError, match="humidity: found 250 %, expected 0 to 100 %"):
        Overrides(humidity=2.5)


def test_formats_are_recognized_by_their_bytes(dji: Any, camera_file: Any, tmp_path: Path) -> None:
    (tmp_path / "plain.jpg").write_bytes(camera_file.drawn())
    dji.scene().write(tmp_path / "dji.jpg")
    (tmp_path / "junk.jpg").write_bytes(b"\xff\xd8\xff\xe1\0\1")
    assert format_of(camera_file.write(tmp_path / "flir.jpg")).name == "FLIR radiometric JPEG"
    assert format_of(tmp_path / "dji.jpg").name == "DJI R-JPEG"
    for plain in ("plain.jpg", "junk.jpg", "absent.jpg"):
        assert format_of(tmp_path / plain).name == "image"


def oracle_rows() -> list[dict[str, str]]:
    path = SHARED / "oracle" / "radiometric.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.oracle
@pytest.mark.skipif(not oracle_rows(), reason="../shared/oracle/radiometric.csv is absent")
@pytest.mark.parametrize("row", oracle_rows(), ids=lambda row: row["file"])
def test_real_files_give_what_an_independent_reader_gives(row: dict[str, str]) -> None:
    path = SHARED / "data" / "radiometric" / row["file"]
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    file = read_flir(path)
    counts = file.raster.counts
    assert counts.shape == (int(row["height"]), int(row["width"]))
    assert file.raster.payload == {"TIFF": "raw"}.get(row["payload"], row["payload"])
    assert (counts.min(), counts.max()) == (int(row["raw_min"]), int(row["raw_max"]))
    assert counts.mean() == pytest.approx(float(row["raw_mean"]), abs=5e-5)
    found = file.celsius().astype(np.float64)
    if row["celsius_min"]:
        wanted = [float(row[f"celsius_{name}"]) for name in ("min", "mean", "max")]
        # the reader works in float32 kelvin, whose steps are 3e-5, far more after the logarithm at -68 degC
        assert [found.min(), found.mean(), found.max()] == pytest.approx(wanted, abs=3e-4)
    else:  # no reader gives values: they must be of this world and within the camera's range
        low, high = file.camera.range_celsius
        assert low < found.min() < found.mean() < found.max() < high
    photo = file.photo
    assert (f"{photo.shape[1]}x{photo.shape[0]}" if photo is not None else "") == row["photo"]
