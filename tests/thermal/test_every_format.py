"""What holds for every registered thermal format; a new one needs an example here on its first day."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import synthetic_dji
import synthetic_flir
import synthetic_makers as makers
from ivfuse.errors import InputError, IvfuseError
from ivfuse.thermal.formats.registry import format_of, holds_photo, open_frames, thermal_formats
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.read import DEFAULT, read_camera_file, read_raw, read_thermal

FORMATS = list(thermal_formats())
REFUSED = {"fluke-is2", "testo-bmt", "infratec-irb"}  # recognized, to say what to export instead
READ = [name for name in FORMATS if name not in REFUSED]
BY_NAME = {"raw-frames", "image"}  # nothing in the content tells what these are

Write = Callable[[str], Path]


def flir() -> synthetic_flir.Flir:
    celsius = np.linspace(10, 40, 48 * 64).reshape(48, 64)
    return synthetic_flir.Flir(np.rint(synthetic_flir.counts_of(celsius)).astype(np.uint16))


def counts(scale: int) -> np.ndarray:
    """Counts of 10 to 40 degC, (48, 64), in 1 / ``scale`` K."""
    return np.rint((283.15 + np.linspace(0, 30, 48 * 64).reshape(48, 64)) * scale).astype(np.uint16)


EXAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "flir-jpeg": ("a.jpg", lambda: flir().jpeg()),
    "flir-sequence": ("a.seq", lambda: b"".join(synthetic_flir.recording(flir(), 2))),
    "dji-jpeg": ("a.jpg", lambda: synthetic_dji.scene().jpeg()),
    "infiray-irg": ("a.irg", lambda: makers.irg(counts(10), photo=makers.drawn())),
    "infiray-jpeg": ("a.jpg", lambda: makers.ijpeg(counts(64))),
    "seek-hir": ("a.hir", lambda: makers.hir(21.5, 90)),
    "hikmicro-jpeg": ("a.jpg", lambda: makers.hikmicro(counts(64))),
    "fluke-is2": ("a.is2", lambda: makers.zipped("Images/Main/IR.data")),
    "testo-bmt": ("a.bmt", makers.bmt),
    "infratec-irb": ("a.irb", makers.irb),
    "raw-frames": ("a_64x48.y16", lambda: counts(64).astype("<u2").tobytes()),
    "image": ("a.png", lambda: bytes(cv2.imencode(".png", counts(64))[1])),
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the example of a format."""

    def save(name: str) -> Path:
        file, make = EXAMPLES[name]
        (tmp_path / file).write_bytes(make())
        return tmp_path / file

    return save


def test_every_format_has_an_example() -> None:
    assert EXAMPLES.keys() == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_of_its_format_and_of_no_other(name: str, write: Write) -> None:
    path = write(name)
    with path.open("rb") as file:
        found = [key for key, reader in thermal_formats().items() if reader.recognize(file)]
    assert found in ([name], [name, "image"])
    if name not in BY_NAME:
        renamed = path.rename(path.with_name("scene.dat"))
        assert format_of(renamed) is thermal_formats()[name]


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in BY_NAME])
@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8\xff", b"PK\x03\x04", bytes(200)])
def test_other_content_is_not_taken_for_it(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    with (tmp_path / "x.jpg").open("rb") as file:
        assert not thermal_formats()[name].recognize(file)


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_and_described(name: str, write: Write) -> None:
    path = write(name)
    raw = read_raw(path)
    assert raw.values.ndim == 2
    assert np.ptp(raw.values) > 0 or name == "seek-hir"
    thermal = read_thermal(path)
    assert thermal.pixels.dtype == np.float32
    assert thermal.pixels.shape == raw.values.shape
    assert 0 <= thermal.pixels.min() <= thermal.pixels.max() <= 1
    assert np.array_equal(thermal.pixels, read_thermal(path).pixels)
    assert (thermal.celsius is not None) == raw.degrees
    if thermal.celsius is not None:
        assert -273.15 < np.nanmin(thermal.celsius) <= np.nanmax(thermal.celsius) < 3000
    facts = describe_file(path, DEFAULT)
    assert facts["kind"].split()[0] == thermal_formats()[name].name.split()[0]  # the maker
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_format_that_cannot_be_read_says_so_by_name(name: str, write: Write) -> None:
    with pytest.raises(InputError, match=thermal_formats()[name].name):
        read_thermal(write(name))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_off_anywhere_ends_in_an_image_or_in_a_refusal(name: str, write: Write) -> None:
    path = write(name)
    data = path.read_bytes()
    reader = thermal_formats()[name]
    for share in (0.01, 0.2, 0.5, 0.9, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        for use in (lambda: reader.read(path, DEFAULT.overrides), lambda: read_thermal(path)):
            with contextlib.suppress(IvfuseError):  # any other exception fails
                use()


@pytest.mark.parametrize("name", FORMATS)
def test_frames_and_photo_are_there_if_it_says_so(name: str, write: Write) -> None:
    path = write(name)
    frames: Any = open_frames(path)
    if frames is not None:
        assert len(frames) == len(frames.stamps) >= 1
        first = frames.read(0, DEFAULT.overrides)
        assert np.array_equal(first.values, read_raw(path).values, equal_nan=True)
        with pytest.raises(InputError):
            frames.read(len(frames), DEFAULT.overrides)
    if not holds_photo(path) and name not in REFUSED:
        with pytest.raises(InputError):
            read_camera_file(path)
