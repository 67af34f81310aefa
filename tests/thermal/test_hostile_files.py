"""Broken and hostile radiometric files end in one clear line, and take no memory for what they claim."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivfuse.errors import InputError, IvfuseError
from ivfuse.fusion.read import read_pair
from ivfuse.thermal.read import ThermalOptions, read_camera_file, read_thermal

Patch = Callable[[bytearray], None]


@pytest.fixture(scope="module")
def whole(camera_file: Any) -> Any:
    """A file with everything in it."""
    photo = np.full((60, 80, 3), 120, np.uint8)
    photo[10:30, 20:50] = (220, 90, 10)
    return camera_file.with_(photo=photo, alignment=(1.2, 1, -1), payload="png")


def entry(block: bytearray, kind: int) -> int:
    """Where the directory speaks of a record."""
    return next(at for at in range(64, len(block), 32) if block[at : at + 2] == struct.pack(">H", kind))


def record(block: bytearray, kind: int) -> int:
    """Where a record begins."""
    return int(struct.unpack_from(">I", block, entry(block, kind) + 12)[0])


def put(layout: str, kind: int, at: int, value: float, *, directory: bool = False) -> Patch:
    """A change of one number of a record, or of what the directory says about it."""

    def change(block: bytearray) -> None:
        start = entry(block, kind) if directory else record(block, kind)
        struct.pack_into(layout, block, start + at, value)

    return change


def spoil_header(block: bytearray) -> None:
    block[:3] = b"ABC"


def unknown_version(block: bytearray) -> None:
    struct.pack_into(">I", block, 20, 7)


def far_directory(block: bytearray) -> None:
    struct.pack_into(">I", block, 24, 2**31)


def many_records(block: bytearray) -> None:
    struct.pack_into(">I", block, 28, 2**31)


def no_raster(block: bytearray) -> None:
    struct.pack_into(">H", block, entry(block, 0x01), 0x77)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil_header, "in an unsupported format"),
        (unknown_version, "unknown version"),
        (far_directory, "directory of records lies outside"),
        (many_records, "directory of records lies outside"),
        (no_raster, "without a raw thermal image"),
        (put(">I", 0x01, 12, 2**32 - 8, directory=True), "raw thermal record lies outside"),
        (put(">I", 0x20, 16, 2**32 - 8, directory=True), "camera record lies outside"),
        (put(">I", 0x20, 16, 40, directory=True), "camera record of 40 bytes"),
        (put("<H", 0x01, 2, 65535), "where the record states"),
        (put("<I", 0x01, 2, 2**32 - 1), "65535x65535"),
        (put("<H", 0x01, 2, 0), "0x48"),
        (put("<H", 0x01, 0, 0x0202), "no known byte order"),
        (put("<f", 0x20, 0x58, float("nan")), "NaN or infinity"),
        (put("<f", 0x20, 0x58, -5.0), "an invalid calibration"),
        (put("<f", 0x20, 0x30C, 0.0), "an invalid calibration"),
        (put(">I", 0x01, 32 + 16, 2**30), "damaged"),  # the width in the PNG header has a checksum
    ],
)
def test_a_wrong_number_is_one_clear_line(whole: Any, tmp_path: Path, change: Patch, said: str) -> None:
    block = bytearray(whole.block())
    change(block)
    path = rebuilt(whole, bytes(block), tmp_path / "f.jpg")
    with pytest.raises(InputError, match=said) as caught:
        read_thermal(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def rebuilt(whole: Any, block: bytes, path: Path) -> Path:
    """A file with another block."""

    class Changed(type(whole)):  # type: ignore[misc]
        def block(self) -> bytes:
            return block

    changed = Changed(**{name: getattr(whole, name) for name in whole.__dataclass_fields__})
    return Path(changed.write(path))


def test_chunks_that_are_missing_doubled_or_cut_are_said(flir: Any, whole: Any, tmp_path: Path) -> None:
    chunks = whole.with_(chunk=1200).chunks()
    assert len(chunks) >= 4
    for some, said in [
        (chunks[:1] + chunks[2:], "chunk 1 of 0 to"),
        ([*chunks, chunks[1]], "are inconsistent"),
        ([*chunks[:-1], chunks[-1][:7] + b"\x63" + chunks[-1][8:]], "are inconsistent"),
        ([b"FLIR\0\1"], "cut off"),
    ]:
        path = tmp_path / "f.jpg"
        path.write_bytes(flir.with_segments(whole.drawn(), [(0xE1, chunk) for chunk in some]))
        with pytest.raises(InputError, match=said):
            read_thermal(path)


def test_a_damaged_photo_spoils_only_what_needs_it(whole: Any, tmp_path: Path) -> None:
    block = bytearray(whole.block())
    at = record(block, 0x0E)
    block[at + 32 : at + 36] = b"\xff\xd8\xff\xdb"
    block[at + 40 :] = bytes(len(block) - at - 40)
    path = rebuilt(whole, bytes(block), tmp_path / "f.jpg")
    assert read_thermal(path).celsius is not None
    with pytest.raises(InputError, match="JPEG"):
        read_camera_file(path)


def test_parameters_that_part_the_images_are_said(whole: Any, tmp_path: Path) -> None:
    path = whole.with_(alignment=(1.2, 30_000, 0)).write(tmp_path / "f.jpg")
    with pytest.raises(InputError, match=r"do not overlap .* give a visible image"):
        read_pair(path, None, ThermalOptions())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_and_flipped_files_raise_nothing_but_our_errors(
    whole: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(whole.jpeg())
    for _ in range(data.draw(st.integers(0, 6))):
        # mostly where the structure is: headers, directory, beginnings of records
        at = data.draw(st.one_of(st.integers(0, 400), st.integers(0, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(3, len(content))))
    path = tmp_path_factory.getbasetemp() / "fuzzed.jpg"
    path.write_bytes(content[:cut])
    tracemalloc.start()
    try:
        for reader in (read_thermal, read_camera_file):
            with contextlib.suppress(IvfuseError):
                reader(path)
        assert tracemalloc.get_traced_memory()[1] < 64_000_000
    finally:
        tracemalloc.stop()
