"""Broken and hostile FFF and SEQ files end in one clear line, within bounds of time and memory."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivfuse.errors import InputError, IvfuseError
from ivfuse.thermal.formats import flir_index
from ivfuse.thermal.formats.registry import open_frames
from ivfuse.thermal.radiometry import Overrides


def block(entries: list[tuple[int, int, int]], *, count: int | None = None, at: int = 64) -> bytes:
    """A header and a directory of records, given as type, offset and size, without the records."""
    count = len(entries) if count is None else count
    header = (b"FFF\0" + bytes(16) + struct.pack(">III", 100, at, count)).ljust(64, b"\0")
    return header + b"".join(
        struct.pack(">HHIIIIIII", kind, 1, 100, 1, offset, size, 0, 0, 0) for kind, offset, size in entries
    )


def frames_of(path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    return open_frames(path)


@pytest.mark.parametrize(
    "content",
    [
        block([]),
        block([(1, 96, 0)]),  # a record of no size
        block([(1, 96, 2**32 - 1)]),
        block([(1, 2**32 - 1, 2**32 - 1)]),
        block([(1, 96, 10)], count=2**32 - 1),
        block([(1, 96, 10)], count=1024),
        block([(1, 96, 10)], at=2**32 - 1),
        block([(1, 96, 10)], at=0),  # a directory on the header
        block([(0x20, 96, 10)]) + bytes(10),  # no image
        b"FFF\0" + bytes(16) + struct.pack(">III", 100, 64, 1),
    ],
    ids=["empty", "zero", "huge", "far", "counts", "count", "directory", "self", "no-image", "cut"],
)
def test_a_file_without_a_frame_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match=r"f\.seq: found no frame \(.*\), expected an FFF, SEQ or CSQ file$"):
        frames_of(tmp_path / "f.seq", content)


def test_frames_whose_records_overlap_are_refused_one_by_one(tmp_path: Path) -> None:
    frame = block([(0x20, 0, 128), (1, 0, 128)])
    frames = frames_of(tmp_path / "f.seq", frame * 3)
    assert len(frames) == 3
    for index in range(3):
        with pytest.raises(InputError, match=rf"f\.seq#{index}: found .*FLIR file"):
            frames.read(index, Overrides())


def test_millions_of_tiny_frames_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flir_index, "MAX_FRAMES", 1000)
    frames = frames_of(tmp_path / "f.seq", block([(1, 64, 32)]) * 3000)
    assert len(frames) == 1000
    assert frames.notes == ("the search for frames ended after 1000 frames at byte 96000 of 288000",)


@pytest.mark.parametrize(
    "false",
    [block([(1, 96, 2**31)]), block([], count=1024) + bytes(128), b"FFF\0"],
    ids=["sizes", "directories", "letters"],
)
def test_headers_that_are_none_take_little_time(tmp_path: Path, false: bytes) -> None:
    content = block([(1, 64, 32)]) + false * (4_000_000 // len(false))
    started = time.process_time()
    frames = frames_of(tmp_path / "f.seq", content)
    assert time.process_time() - started < 5  # about one second
    assert len(frames) == 1
    assert "ended after" in frames.notes[0] or "skipped" in frames.notes[0] or "cut off" in frames.notes[0]


def test_a_frame_that_claims_too_much_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flir_index, "MAX_BLOCK", 1_000_000)
    path = tmp_path / "f.seq"
    path.write_bytes(block([(1, 64, 32)]) + block([(1, 64, 40_000_000)]))
    with path.open("r+b") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    try:
        frames = open_frames(path)
        assert frames is not None
        assert tracemalloc.get_traced_memory()[1] < 8_000_000  # searched in parts of one megabyte
    finally:
        tracemalloc.stop()
    assert len(frames) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_is_never_a_crash(
    flir: Any, camera_file: Any, tmp_path: Path, data: st.DataObject
) -> None:
    small = camera_file.with_(counts=camera_file.counts[:6, :8], position=(1.0, 2.0, 3.0))
    content = bytearray(b"".join(flir.recording(small, 2)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 300))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 40) | st.integers(0, len(content)))
    path = tmp_path / "f.seq"
    with contextlib.suppress(IvfuseError):
        frames = frames_of(path, bytes(content[: len(content) - cut]))
        for index in range(len(frames or ())):
            with contextlib.suppress(IvfuseError):
                frames.read(index, Overrides(), photo=True)
