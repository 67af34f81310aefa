"""Recordings of FLIR cameras as thermal sources of video, with their own times and units."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError, UsageError
from ivfuse.thermal.formats.base import RawThermal
from ivfuse.video.frame import Frame
from ivfuse.video.open import open_source
from ivfuse.video.recording import RecordingSource

FUSE = ("--method", "average", "--quiet")
Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def camera(flir: Any) -> Any:
    """20 to 40 degC, as large as the clips."""
    degrees = np.tile(np.linspace(20, 40, 96), (64, 1))
    return flir.Flir(np.rint(flir.counts_of(degrees)).astype(np.uint16))


@pytest.fixture
def blocks(flir: Any, camera: Any) -> list[bytes]:
    """One second at 12 frames per second."""
    return list(flir.recording(camera, 12, rate=12))


def write(path: Path, blocks: list[bytes]) -> str:
    path.write_bytes(b"".join(blocks))
    return str(path)


def frames_of(source: Any) -> list[Frame]:
    found = [item for item in source.items() if isinstance(item, Frame)]
    source.close()
    return found


def test_frames_are_temperatures_at_the_times_of_their_capture(blocks: list[bytes], tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "f.seq", blocks[:4] + blocks[6:]), "ir", rate=Fraction(50))
    assert (source.info.width, source.info.height, source.info.degrees) == (96, 64, True)
    assert float(source.info.rate) == pytest.approx(12, rel=0.01)
    frames = frames_of(source)
    expected = [index / 12 for index in (*range(4), *range(6, 12))]
    assert [frame.time for frame in frames] == pytest.approx(expected, abs=1e-3)
    assert source.info.frames == 12  # as many as its duration has
    assert source.stats.missing == 2
    assert frames[0].planes[0].dtype == np.float32
    assert frames[0].planes[0][0, [0, -1]] == pytest.approx([20, 40], abs=0.02)


def test_a_damaged_frame_is_skipped_and_named(blocks: list[bytes], tmp_path: Path) -> None:
    damaged = bytearray(blocks[5])
    camera_record = 64 + 32 * 4
    damaged[camera_record + 0x58 : camera_record + 0x5C] = b"\xff" * 4  # not a number
    source = open_source(write(tmp_path / "f.seq", [*blocks[:5], bytes(damaged), *blocks[6:]]), "ir")
    assert [frame.index for frame in frames_of(source)] == [*range(5), *range(6, 12)]
    assert source.stats.damaged == 1
    assert "f.seq#5" in source.stats.failure


class TwoUnits:
    """A recording in degrees, of which one frame has no calibration."""

    stamps = np.full(3, np.nan)
    notes = ()

    def __len__(self) -> int:
        return 3

    def read(self, index: int, conditions: Any) -> RawThermal:
        return RawThermal(np.full((4, 6), 20, np.float32), degrees=index != 1)


def test_a_frame_in_another_unit_is_skipped_and_the_units_are_told() -> None:
    source = RecordingSource("f.seq", TwoUnits())
    assert [frame.index for frame in frames_of(source)] == [0, 2]
    assert source.stats.failure == (
        "f.seq: broken at frame 1 (0.04 s): f.seq#1: found counts, "
        "expected temperatures as in the first frame"
    )


def test_frames_without_times_are_played_at_a_rate(camera: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "f.seq", [camera.with_(taken=0.0).block()] * 3)
    source = open_source(path, "ir", rate=Fraction(10))
    assert [frame.time for frame in frames_of(source)] == pytest.approx([0, 0.1, 0.2])
    assert source.info.notes == ("its frames have no times and are played at 10 per second",)


def test_a_recording_has_no_streams_and_is_not_visible(blocks: list[bytes], tmp_path: Path) -> None:
    path = write(tmp_path / "f.seq", blocks)
    with pytest.raises(UsageError, match="ir_stream: the recording has no streams"):
        open_source(path, "ir", stream=0)
    with pytest.raises(InputError, match=r"f\.seq: found the recording of a thermal camera"):
        open_source(path, "vi")


def test_a_recording_is_fused_with_a_video(
    ivfuse_cli: Cli, blocks: list[bytes], clips: tuple[Path, Path], tmp_path: Path
) -> None:
    path = write(tmp_path / "f.seq", [*blocks, blocks[0][:2000]])
    said = ivfuse_cli("video", path, clips[1], "-o", tmp_path / "o.mp4", *FUSE[:2], "--json")
    assert said.code == 0, said.err
    summary = json.loads(said.out)
    assert summary["frames"] == 12
    assert any("last frame is cut off" in note for note in summary["notes"])
    assert [frame.time for frame in frames_of(open_source(str(tmp_path / "o.mp4"), "vi"))][-1] == (
        pytest.approx(11 / 12, abs=1e-3)
    )


def test_recordings_in_a_folder_are_paired_with_videos_by_name(
    ivfuse_cli: Cli, blocks: list[bytes], clips: tuple[Path, Path], tmp_path: Path
) -> None:
    for name in ("ir", "vi"):
        (tmp_path / name).mkdir()
    write(tmp_path / "ir" / "a.SEQ", blocks[:3])
    (tmp_path / "vi" / f"a{clips[1].suffix}").write_bytes(clips[1].read_bytes())
    said = ivfuse_cli("video", tmp_path / "ir", tmp_path / "vi", "-o", tmp_path / "out", *FUSE)
    assert said.code == 0, said.err
    assert (tmp_path / "out" / "a.mp4").is_file()


def test_a_recording_is_fused_with_a_folder_of_images_at_its_own_rate(
    ivfuse_cli: Cli, blocks: list[bytes], make_pair: Any, tmp_path: Path
) -> None:
    path = write(tmp_path / "f.seq", blocks[:5])
    for index in range(5):
        make_pair(tmp_path / "unused.png", tmp_path / "vi" / f"{index}.png", (64, 96), seed=index)
    said = ivfuse_cli("video", path, tmp_path / "vi", "-o", tmp_path / "out", *FUSE)
    assert said.code == 0, said.err
    assert len(list((tmp_path / "out").iterdir())) == 5


@pytest.mark.parametrize(
    ("window", "black", "white"),
    [("20C..30C", 0.0, 1.0), ("293.15K..313.15K", 0.0, 0.5), ("0..40", 0.5, 0.75)],
)
def test_a_window_in_degrees_or_in_the_units_of_the_recording(
    ivfuse_cli: Cli,
    blocks: list[bytes],
    make_pair: Any,
    tmp_path: Path,
    window: str,
    black: float,
    white: float,
) -> None:
    path = write(tmp_path / "f.seq", blocks[:1])
    make_pair(tmp_path / "unused.png", tmp_path / "vi" / "0.png", (64, 96))
    said = ivfuse_cli(
        "video", path, tmp_path / "vi", "-o", tmp_path / "out", *FUSE, "--window", window, "--side-by-side"
    )
    assert said.code == 0, said.err
    (image,) = (tmp_path / "out").iterdir()
    frame = frames_of(open_source(str(image.parent), "vi"))[0]
    shown = frame.planes[0][:, :96].mean(axis=0) / 255
    assert shown[[0, 48]] == pytest.approx([black, white], abs=0.02)


@pytest.mark.parametrize("window", ["plateau", "shared"])
def test_windows_that_make_no_sense_in_a_video_are_refused(
    ivfuse_cli: Cli, clips: tuple[Path, Path], tmp_path: Path, window: str
) -> None:
    said = ivfuse_cli("video", *clips, "-o", tmp_path / "o.mp4", *FUSE, "--window", window)
    assert said.code == 2
    assert f"--window: found {window} for a video, expected percentile or a range" in said.err


def test_a_window_in_degrees_needs_degrees(ivfuse_cli: Cli, clips: tuple[Path, Path], tmp_path: Path) -> None:
    said = ivfuse_cli("video", *clips, "-o", tmp_path / "o.mp4", *FUSE, "--window", "10C..45C")
    assert said.code == 1
    assert "the window is in degrees, but the frames contain counts" in said.err
    assert not list(tmp_path.glob("*o.*"))
    both = ivfuse_cli("video", *clips, "-o", tmp_path / "o.mp4", "--window", "1..2", "--ir-window", "1", "2")
    assert both.code == 2
