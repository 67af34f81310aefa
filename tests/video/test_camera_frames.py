"""Frames of USB thermal cameras, recorded and live: the same rows are cut off, the same degrees known."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ivfuse.video.frame import Frame
from ivfuse.video.open import open_pair, open_source

COUNT = 4


def doubled(index: int, metadata: int = 0) -> np.ndarray:
    """A frame of 256x384 (or with metadata): a gray YUYV image above counts in 1/64 K, of 20 to 40 degC."""
    ramp = np.linspace(0, 1, 256)[np.newaxis] * np.ones((192, 1))
    image = np.rint(255 * ramp).astype(np.uint16) | 128 << 8
    counts = np.rint((293.15 + index + 20 * ramp) * 64).astype(np.uint16)
    return np.vstack([image, np.full((metadata, 256), 0x4142, np.uint16), counts])


def with_telemetry(index: int) -> np.ndarray:
    """A frame of 160x122: an image of 14 bit above telemetry."""
    counts = np.full((120, 160), 7000 + 10 * index, np.uint16)
    counts[40:80, 60:100] = 9000
    return np.vstack([counts, np.zeros((2, 160), np.uint16)])


def record(path: Path, frames: list[np.ndarray], codec: str, pixels: str) -> Path:
    """Record counts in a pixel format, as bytes of YUYV where it says so."""
    height, width = frames[0].shape
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        for index, counts in enumerate(frames):
            if pixels == "gray16le":
                frame = av.VideoFrame.from_ndarray(counts, format=pixels)
            else:
                packed = np.ascontiguousarray(counts).view(np.uint8).reshape(height, width, 2)
                frame = av.VideoFrame.from_ndarray(packed, format="yuyv422")
                frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def read(source: Any) -> list[np.ndarray]:
    planes = [np.array(item.planes[0]) for item in source.items() if isinstance(item, Frame)]
    source.close()
    return planes


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("rec.avi", "rawvideo", "yuyv422"),
        ("rec.nut", "rawvideo", "yuyv422"),
        ("rec.mkv", "rawvideo", "yuyv422"),
        ("rec.mkv", "ffv1", "yuv422p"),
        ("rec.mkv", "ffv1", "gray16le"),
        ("rec.nut", "rawvideo", "gray16le"),
    ],
)
@pytest.mark.parametrize("metadata", [0, 2])
def test_a_recorded_double_frame_is_degrees(
    name: str, codec: str, pixels: str, metadata: int, tmp_path: Path
) -> None:
    frames = [doubled(index, metadata) for index in range(COUNT)]
    source = open_source(str(record(tmp_path / name, frames, codec, pixels)), "ir")
    assert (source.info.width, source.info.height) == (256, 192)
    planes = read(source)
    assert len(planes) == COUNT
    for plane, frame in zip(planes, frames, strict=True):
        assert plane.dtype == np.float32
        assert np.allclose(plane, frame[-192:] / 64 - 273.15, atol=1e-4)  # float32
    assert "cut off" in source.info.notes[0]


@pytest.mark.parametrize(("name", "codec"), [("rec.mkv", "ffv1"), ("rec.nut", "rawvideo")])
def test_recorded_telemetry_is_cut_off(name: str, codec: str, tmp_path: Path) -> None:
    frames = [with_telemetry(index) for index in range(COUNT)]
    source = open_source(str(record(tmp_path / name, frames, codec, "gray16le")), "ir")
    assert (source.info.width, source.info.height) == (160, 120)
    assert all(np.array_equal(a, b[:120]) for a, b in zip(read(source), frames, strict=True))
    assert "Lepton" in source.info.notes[0]


def test_a_lossy_recording_has_no_counts_and_stays_whole(tmp_path: Path) -> None:
    """MPEG-4 keeps no bytes of YUYV."""
    frames = [doubled(index) for index in range(COUNT)]
    source = open_source(str(record(tmp_path / "rec.mp4", frames, "mpeg4", "yuv420p")), "ir")
    assert (source.info.width, source.info.height) == (256, 384)
    assert {plane.dtype for plane in read(source)} == {np.dtype(np.uint8)}
    assert source.info.notes == ()


def test_a_visible_video_of_that_size_stays_whole(tmp_path: Path) -> None:
    path = record(tmp_path / "rec.avi", [doubled(0)], "rawvideo", "yuyv422")
    source = open_source(str(path), "vi")
    assert source.info.height == 384
    source.close()


def test_headerless_frames_are_a_video_at_the_rate_of_the_visible(
    tmp_path: Path, moving: Any, write_clip: Callable[..., Path]
) -> None:
    frames = [with_telemetry(index) for index in range(COUNT)]
    raw = tmp_path / "walk_160x122.y16"
    raw.write_bytes(b"".join(frame.tobytes() for frame in frames))
    thermal, visible = open_pair(str(raw), str(write_clip(tmp_path / "vi.mkv", moving.vi, rate=5)))
    visible.close()
    assert thermal.info.rate == 5
    assert all(np.array_equal(a, b[:120]) for a, b in zip(read(thermal), frames, strict=True))


@pytest.mark.skipif("not __import__('sys').platform.startswith('linux')", reason="V4L2 is of Linux")
@pytest.mark.parametrize("has_y16", [True, False])
def test_a_live_camera_is_asked_for_counts_and_read_like_a_recorded_one(
    has_y16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Y16 the camera sends what it has, such as the YUYV of a double frame."""
    if has_y16:
        path = record(tmp_path / "rec.nut", [with_telemetry(0)] * 2, "rawvideo", "gray16le")
    else:
        path = record(tmp_path / "rec.nut", [doubled(0)] * 2, "rawvideo", "yuyv422")
    asked: list[dict[str, str]] = []
    opened = av.open

    def camera(url: str, *, format: str, options: dict[str, str], timeout: Any) -> Any:
        assert (url, format) == ("/dev/video7", "v4l2")
        assert timeout
        asked.append(options)
        if options and not has_y16:
            raise OSError(22, "Invalid argument")
        return opened(str(path))

    monkeypatch.setattr(av, "open", camera)
    source = open_source("camera:7", "ir")
    assert source.info.live
    planes = read(source)
    assert asked == ([{"input_format": "gray16le"}] if has_y16 else [{"input_format": "gray16le"}, {}])
    assert planes[0].shape == ((120, 160) if has_y16 else (192, 256))
    assert planes[0].dtype == (np.uint16 if has_y16 else np.float32)
    assert source.info.notes


@pytest.mark.skipif("not __import__('sys').platform.startswith('linux')", reason="V4L2 is of Linux")
def test_a_visible_camera_is_not_asked_for_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving: Any, write_clip: Callable[..., Path]
) -> None:
    path = write_clip(tmp_path / "vi.mkv", moving.vi[:2])
    asked: list[dict[str, str]] = []
    opened = av.open

    def camera(url: str, *, options: dict[str, str], **_: Any) -> Any:
        asked.append(options)
        return opened(str(path))

    monkeypatch.setattr(av, "open", camera)
    open_source("camera:7", "vi").close()
    assert asked == [{}]


def test_a_run_states_the_layout_and_its_window_in_degrees(
    ivfuse_cli: Any, tmp_path: Path, moving: Any, write_clip: Callable[..., Path]
) -> None:
    path = record(tmp_path / "rec.avi", [doubled(index) for index in range(COUNT)], "rawvideo", "yuyv422")
    vi = write_clip(tmp_path / "vi.mkv", moving.vi[:COUNT], rate=10)
    said = ivfuse_cli("video", path, vi, "-o", tmp_path / "out.mkv", "--method", "average", "--json")
    assert said.code == 0, said.err
    notes = json.loads(said.out)["notes"]
    assert any("256x384 frame" in note and "P2 Pro" in note for note in notes)
    assert any("window between 20" in note for note in notes)


def test_a_row_of_saved_frames_is_a_video_in_degrees(tmp_path: Path) -> None:
    import cv2

    for index in range(2):
        assert cv2.imwrite(str(tmp_path / f"f_{index}.png"), doubled(index))
    source = open_source(str(tmp_path), "ir")
    planes = read(source)
    assert [plane.shape for plane in planes] == [(192, 256)] * 2
    assert np.allclose(planes[1], doubled(1)[192:] / 64 - 273.15, atol=1e-4)  # float32
    assert any("P2 Pro" in note for note in source.info.notes)


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (doubled(1)[192:], "1.png: found counts, expected temperatures as in the first frame"),
        (
            np.full((384, 256), 7000, np.uint16),
            "1.png: found counts of 256x384 pixels, "
            "expected temperatures of 256x192 pixels as in the first frame",
        ),
    ],
    ids=["counts of that size", "counts of the whole frame"],
)
def test_a_row_whose_unit_changes_says_in_which_file(odd: np.ndarray, expected: str, tmp_path: Path) -> None:
    import cv2

    for index in range(3):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), odd if index == 1 else doubled(index))
    source = open_source(str(tmp_path), "ir")
    assert len(read(source)) == 2
    assert "broken at frame 1" in source.stats.failure
    assert source.stats.failure.endswith(expected)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((np.uint8, np.uint16, np.uint8), "1.png: found counts, expected 8-bit levels as in the first frame"),
        (
            (np.uint16, np.uint8, np.uint16),
            "1.png: found 8-bit levels, expected counts as in the first frame",
        ),
    ],
)
def test_a_row_whose_depth_changes_says_in_which_file(
    kinds: tuple[type, ...], expected: str, tmp_path: Path
) -> None:
    import cv2

    for index, kind in enumerate(kinds):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), np.arange(12, dtype=kind).reshape(3, 4))
    source = open_source(str(tmp_path), "ir")
    assert len(read(source)) == 2
    assert source.stats.failure.endswith(expected)
    assert len(read(open_source(str(tmp_path), "vi"))) == 3  # the depth of a visible image is stated in it
