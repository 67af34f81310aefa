"""IRG files: exact temperatures, the photo inside, and damaged files in one line."""

from __future__ import annotations

import csv
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.thermal.formats.infiray_irg import read_irg
from ivfuse.thermal.formats.registry import format_of, holds_photo
from ivfuse.thermal.radiometry import Overrides
from ivfuse.thermal.read import ThermalOptions, read_camera_file, read_thermal
from synthetic_makers import irg

SHARED = Path(__file__).resolve().parents[3] / "shared"
SAMPLES = SHARED / "data/thermal_formats"
ORACLE = SHARED / "oracle/thermal_formats.csv"
real = pytest.mark.skipif(not ORACLE.is_file(), reason="the sample files are not on this machine")

HEIGHT, WIDTH = 48, 36
PHOTO = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
PHOTO[:, WIDTH // 2 :] = (40, 120, 220)


def jpeg(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels)[1])


@pytest.fixture
def counts() -> np.ndarray:
    """Counts of a warm square, of which 2900 are 16.85 degC in tenths of a kelvin."""
    out = np.full((HEIGHT, WIDTH), 2900, np.uint16)
    out[10:30, 8:20] = 3100
    return out


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file whose name tells nothing."""

    def save(data: bytes) -> Path:
        path = tmp_path / "scene.dat"
        path.write_bytes(data)
        return path

    return save


@pytest.mark.parametrize(
    ("mark", "flag", "factor", "zero"),
    [
        (b"\xba\xab", 0, 1 / 10, -273.15),
        (b"\xb0\x0b", 0, 1 / 10, -273.15),
        (b"\x04\xa0", 0, 1 / 10, -273.2),
        (b"\xca\xac", 0, 1 / 16, -273.15),
        (b"\xca\xac", 1, 1 / 64, -25.0),
    ],
)
def test_each_mark_has_its_unit(
    mark: bytes, flag: int, factor: float, zero: float, counts: Any, write: Any
) -> None:
    thermal = read_thermal(write(irg(counts, mark=mark, photo=jpeg(PHOTO), flag=flag)))
    assert thermal.celsius is not None
    assert np.allclose(thermal.celsius, counts * factor + zero, atol=1e-4)  # float32


def test_the_photo_inside_makes_it_a_pair(counts: Any, write: Any) -> None:
    path = write(irg(counts, photo=jpeg(PHOTO)))
    file = read_camera_file(path)
    assert holds_photo(path)
    assert np.allclose(file.photo.pixels[:, 24:], (220, 120, 40), atol=12)  # JPEG; R, G, B
    assert np.allclose(file.photo.pixels[:, :12], 0, atol=12)
    assert file.photo.geometry is None


@pytest.mark.parametrize("rest", [b"", b'{"roi":[]}', jpeg(np.full_like(PHOTO, 90))])
def test_without_a_real_photo_a_visible_image_is_asked_for(rest: bytes, counts: Any, write: Any) -> None:
    path = write(irg(counts, photo=rest))
    assert format_of(path).describe(path, Overrides())["photo"] is None
    with pytest.raises(InputError, match=r"without a photo.*give a visible image"):
        read_camera_file(path)


def test_the_description_tells_the_conditions(counts: Any, write: Any) -> None:
    path = write(irg(counts, photo=jpeg(PHOTO)))
    facts = format_of(path).describe(path, Overrides())
    assert facts["kind"] == "InfiRay IRG"
    assert facts["celsius"]["max"] == 36.85
    assert facts["conditions"] == {"emissivity": 0.95, "reflected": 25, "atmospheric": 22, "distance": 0.5}
    assert facts["photo"] == {"width": WIDTH, "height": HEIGHT}


def test_conditions_and_scales_that_cannot_apply_are_said(counts: Any, write: Any) -> None:
    options = ThermalOptions(scale="0.01K", overrides=Overrides(emissivity=0.5))
    notes = " ".join(read_thermal(write(irg(counts, photo=jpeg(PHOTO))), options).notes)
    assert "emissivity not used" in notes
    assert "scale is not used" in notes


def patched(at: int, layout: str, *values: int) -> Callable[[bytearray], bytes]:
    def change(data: bytearray) -> bytes:
        struct.pack_into(layout, data, at, *values)
        return bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: bytes(data[:60]), "truncated header"),
        (lambda data: bytes(data[:4000]), "found 4000 bytes, expected 5312 for 36x48"),
        (patched(8, "<HH", 0, 36), "damaged header"),
        (patched(8, "<HH", 65535, 65535), "damaged header"),
        (patched(4, "<IHH", 65535 * 240, 65535, 240), "expected 47185328 for 240x65535"),
        (patched(4, "<I", 1), "damaged header"),
    ],
)
def test_damaged_files_are_one_line(change: Any, message: str, counts: Any, write: Any) -> None:
    path = write(change(bytearray(irg(counts, photo=jpeg(PHOTO)))))
    tracemalloc.start()
    with pytest.raises(InputError, match=message):
        read_irg(path)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_a_photo_that_states_a_huge_size_is_refused(counts: Any, write: Any) -> None:
    photo = jpeg(PHOTO)
    at = photo.index(b"\xff\xc0") + 5  # height and width in the header of the frame
    path = write(irg(counts, photo=photo[:at] + struct.pack(">HH", 10_001, 10_000) + photo[at + 4 :]))
    with pytest.raises(InputError, match="found a photo of 10000x10001 in it"):
        read_camera_file(path)


def test_a_photo_that_is_cut_off_is_refused_and_its_thermal_image_kept(counts: Any, write: Any) -> None:
    path = write(irg(counts, photo=jpeg(PHOTO)[:-200]))
    assert read_thermal(path).celsius is not None
    with pytest.raises(InputError, match="photo in the IRG file is damaged"):
        read_camera_file(path)


@real
@pytest.mark.parametrize("name", ["infiray_example.irg", "hti_p1.irg", "vevor.irg"])
def test_temperatures_are_those_of_an_independent_reader(name: str) -> None:
    with ORACLE.open(newline="") as file:
        expected = next(row for row in csv.DictReader(file) if row["file"] == name)
    celsius = read_irg(SAMPLES / name).celsius
    height, width = celsius.shape
    found = {
        "height": height,
        "width": width,
        "minimum": celsius.min(),
        "mean": celsius.mean(dtype=float),
        "maximum": celsius.max(),
        "first_pixel": celsius[0, 0],
        "centre_pixel": celsius[height // 2, width // 2],
    }
    for key, value in found.items():
        digits = len(expected[key].partition(".")[2])
        assert f"{value:.{digits}f}" == expected[key]


@real
@pytest.mark.parametrize("name", ["infiray_example.irg", "hti_p1.irg", "vevor.irg"])
def test_each_sample_holds_a_photo_on_the_grid_of_the_thermal_image(name: str) -> None:
    file = read_camera_file(SAMPLES / name)
    assert file.photo.pixels.shape[:2] == file.thermal.pixels.shape
