"""Files of further makers: read where their layout is public, otherwise refused by name."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.thermal.formats.registry import format_of
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.read import ThermalOptions, read_camera_file, read_thermal
from synthetic_makers import HEIGHT, WIDTH, bmp, bmt, drawn, hikmicro, hir, ijpeg, irb, zipped


@pytest.fixture
def counts(texture: Callable[..., np.ndarray]) -> np.ndarray:
    """Counts of 20 to 40 degC in 1/64 K."""
    return np.rint((293.15 + 20 * texture(HEIGHT, WIDTH)) * 64).astype(np.uint16)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(data: bytes) -> Path:
        path = tmp_path / "file.jpg"
        path.write_bytes(data)
        return path

    return save


def test_a_picture_of_a_phone_app_holds_temperatures(counts: Any, write: Any) -> None:
    path = write(ijpeg(counts))
    thermal = read_thermal(path)
    assert thermal.celsius is not None
    assert np.allclose(thermal.celsius, counts / 64 - 273.15, atol=1e-4)  # float32
    assert describe_file(path, ThermalOptions())["kind"] == "InfiRay IJPEG"
    with pytest.raises(InputError, match="without a photo"):
        read_camera_file(path)


def test_counts_after_a_jpeg_are_used_instead_of_what_it_shows(counts: Any, write: Any) -> None:
    path = write(hikmicro(counts))
    thermal = read_thermal(path)
    assert thermal.celsius is None
    assert "calibration is not documented" in " ".join(thermal.notes)
    assert thermal.pixels.shape == counts.shape
    assert np.corrcoef(thermal.pixels.ravel(), counts.ravel())[0, 1] > 0.99  # clipped at the percentiles
    assert describe_file(path, ThermalOptions())["counts"]["max"] == counts.max()
    with pytest.raises(InputError, match="photo is a separate file"):
        read_camera_file(path)


def test_a_hir_file_is_a_pair(write: Any) -> None:
    path = write(hir(21.5, 90))
    file = read_camera_file(path)
    assert file.thermal.celsius is not None
    assert file.thermal.celsius.shape == (156, 206)
    assert np.all(file.thermal.celsius == 21.5)
    assert file.photo.pixels.shape == (1080, 1440, 3)
    assert np.all(file.photo.pixels == 90)
    assert describe_file(path, ThermalOptions())["photo"] == {"width": 1440, "height": 1080}


def test_a_plain_jpeg_is_none_of_these(write: Any) -> None:
    assert format_of(write(drawn())).name == "image"


@pytest.mark.parametrize(
    ("data", "maker", "program"),
    [
        (zipped("Images/Main/IR.data"), "Fluke IS2", "SmartView"),
        (zipped("CalTempDataRex.gpbenc"), "Fluke IS2", "SmartView"),
        (bmt(), "Testo BMT", "IRSoft"),
        (irb(), "InfraTec IRB", "IRBIS"),
    ],
)
def test_unreadable_formats_are_refused_by_name_with_what_to_do(
    data: bytes, maker: str, program: str, write: Any
) -> None:
    path = write(data)
    for use in (read_thermal, read_camera_file, lambda x: describe_file(x, ThermalOptions())):
        with pytest.raises(InputError, match=f"found a {maker} file.*export.*{program}"):
            use(path)


@pytest.mark.parametrize("data", [zipped("word/document.xml"), b"PK\x03\x04", b"\xffIR"])
def test_other_archives_are_no_thermal_files(data: bytes, write: Any) -> None:
    assert format_of(write(data)).name == "image"


def test_a_plain_bmp_is_an_image(write: Any) -> None:
    assert read_thermal(write(bmp(24, 32))).pixels.shape == (24, 32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda counts: ijpeg(counts, size=(0, 64)), "invalid header|bytes of frames"),
        (lambda counts: ijpeg(counts, size=(65535, 65535)), "invalid header"),
        (lambda counts: ijpeg(counts, size=(4000, 4000)), "bytes of frames"),
        (lambda counts: ijpeg(counts, first=2**62), "invalid header"),
        (lambda counts: ijpeg(counts)[:6000], "bytes of frames"),
        (lambda counts: ijpeg(counts)[:40], "invalid header"),
        (lambda counts: hikmicro(counts, size=(0, 9)), "counts of 9x0"),
        (lambda counts: hikmicro(counts, size=(2**31, 2**31)), "at most 16 megapixels"),
        (lambda counts: hikmicro(counts, size=(4000, 4000)), "expected 32000000 for 4000x4000"),
        (lambda counts: hikmicro(counts)[: len(drawn()) + 30], "truncated header"),
    ],
)
def test_hostile_files_are_one_line_and_take_no_memory(
    make: Any, message: str, counts: Any, write: Any
) -> None:
    path = write(make(counts))
    assert format_of(path).name != "image"
    tracemalloc.start()
    with pytest.raises(InputError, match=message):
        read_thermal(path)
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
