"""Video files: times, keyframes and quality of what is written."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivfuse.video.writer
from ivfuse.errors import OutputError
from ivfuse.synthetic.street import street_scene
from ivfuse.video.frame import Frame
from ivfuse.video.writer import Codec, EncoderOptions, VideoFileWriter, open_writer

ReadClip = Callable[[Path], list[Any]]


def write(path: Path, planes: list[np.ndarray], times: list[float], codec: Codec = "auto") -> Path:
    writer = VideoFileWriter(path, Fraction(10), EncoderOptions(codec))
    for index, (plane, time) in enumerate(zip(planes, times, strict=True)):
        writer.write(Frame((plane,), time, index))
    assert writer.close() == path
    return path


def packets_of(path: Path) -> list[tuple[float, bool]]:
    """Time and keyframe flag of each packet of a video."""
    import av

    with av.open(str(path)) as container:
        found = [x for x in container.demux(video=0) if x.pts is not None]
        return sorted((float(x.pts * x.time_base), bool(x.is_keyframe)) for x in found)


def test_times_are_kept_to_a_fraction_of_a_millisecond_and_count_from_the_first(tmp_path: Path) -> None:
    times = [5.0, 5.0333, 5.0712, 5.2501]
    planes = [np.full((32, 32), 50 * index, np.uint8) for index in range(4)]
    found = packets_of(write(tmp_path / "f.mp4", planes, times))
    assert [time for time, _ in found] == pytest.approx([time - 5 for time in times], abs=5e-5)


def test_a_keyframe_every_two_seconds_bounds_what_a_killed_run_loses(tmp_path: Path) -> None:
    planes = [np.full((32, 32), 100 + index, np.uint8) for index in range(50)]
    found = packets_of(write(tmp_path / "f.mkv", planes, [index / 10 for index in range(50)]))
    keyframes = [time for time, is_keyframe in found if is_keyframe]
    assert keyframes[0] == 0
    assert max(np.diff([*keyframes, 5.0])) <= 2.0 + 1e-3


@pytest.mark.parametrize("codec", ["auto", "mpeg4", "ffv1"])
def test_every_codec_is_visually_lossless_by_default(
    codec: Codec, tmp_path: Path, read_clip: ReadClip
) -> None:
    scene = np.rint(street_scene(96, 128, 3, "day").ir * 255)
    noise = np.random.default_rng(0).integers(-20, 21, scene.shape)
    luma = np.clip(scene + noise, 0, 255).astype(np.uint8)
    clip = read_clip(write(tmp_path / "f.mkv", [luma] * 3, [0, 0.1, 0.2], codec))
    error = float(np.sqrt(np.mean((clip[2][..., 0].astype(float) - luma) ** 2)))
    limits = {"ffv1": 0, "mpeg4": 2.2, "auto": 3.2}  # PSNR above 41 and 38 dB
    assert error <= limits[codec]


def test_frames_that_come_at_one_time_follow_each_other(tmp_path: Path) -> None:
    planes = [np.full((32, 32), 90 * index, np.uint8) for index in range(3)]
    times = [time for time, _ in packets_of(write(tmp_path / "f.mp4", planes, [1.0, 1.0, 1.0]))]
    assert len(set(times)) == 3
    assert max(times) < 0.001


def test_a_writer_without_frames_writes_nothing(tmp_path: Path) -> None:
    writer = open_writer(str(tmp_path / "f.mp4"), Fraction(10), EncoderOptions())
    assert writer.close() is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("size", "codec", "expected"),
    [
        ((1, 1), "h264", r"found frames of 1x1 pixels, expected 2x2 to 16384x16384 for the encoder libx264"),
        ((1, 16), "h264", r"found frames of 16x1 pixels, expected 2x2 to"),
        ((2, 16_386), "h264", r"found frames of 16386x2 pixels, expected 2x2 to 16384x16384"),
        ((2, 8_192), "mpeg4", r"found frames of 8192x2 pixels, expected 1x1 to 8191x8191"),
        (
            (14_000, 20_000),
            "ffv1",
            r"found frames of 20000x14000 pixels, expected about 268 million pixels at",
        ),
    ],
)
def test_a_size_that_the_encoder_refuses_is_one_line_and_leaves_no_file(
    size: tuple[int, int], codec: Codec, expected: str, tmp_path: Path
) -> None:
    name = "f.mkv" if codec == "ffv1" else "f.mp4"
    writer = VideoFileWriter(tmp_path / name, Fraction(10), EncoderOptions(codec))
    if codec == "h264" and writer.encoder != "libx264":
        pytest.skip(f"FFmpeg has no libx264 here, but {writer.encoder}")
    with pytest.raises(OutputError, match=expected):
        writer.write(Frame((np.broadcast_to(np.uint8(0), size),), 0.0, 0))
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_fails_on_the_first_frame_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ivfuse.video.writer, "_SIDES", {})  # as for encoders whose limits are not known
    writer = VideoFileWriter(tmp_path / "f.mp4", Fraction(10), EncoderOptions("mpeg4"))
    with pytest.raises(
        OutputError, match=r"the encoder mpeg4 fails on frames of 8192x2 pixels: .*; a folder"
    ):
        writer.write(Frame((np.zeros((2, 8_192), np.uint8),), 0.0, 0))
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize(
    ("size", "codec"),
    [((2, 2), "h264"), ((2, 16_385), "h264"), ((1, 1), "mpeg4"), ((2, 8_191), "mpeg4")],
)
def test_the_sizes_at_the_limits_are_written(size: tuple[int, int], codec: Codec, tmp_path: Path) -> None:
    write(tmp_path / "f.mp4", [np.zeros(size, np.uint8)], [0.0], codec)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 3), (33, 17), (300, 1), (1, 400), (7, 400)])
@pytest.mark.parametrize("chroma", [None, (2, 2), (1, 2), (1, 1)])
def test_ffv1_keeps_frames_of_any_size(
    size: tuple[int, int], chroma: tuple[int, int] | None, tmp_path: Path
) -> None:
    import av

    rng = np.random.default_rng(0)
    shapes = [size] if chroma is None else [size, *[(-(-size[0] // chroma[0]), -(-size[1] // chroma[1]))] * 2]
    frames = [[rng.integers(0, 256, shape, np.uint8) for shape in shapes] for _ in range(2)]
    writer = VideoFileWriter(tmp_path / "f.mkv", Fraction(10), EncoderOptions("ffv1"))
    for index, planes in enumerate(frames):
        writer.write(Frame(tuple(planes), index / 10, index))
    assert writer.close() is not None
    with av.open(str(tmp_path / "f.mkv")) as container:
        read = list(container.decode(video=0))
    for image, planes in zip(read, frames, strict=True):
        assert (image.height, image.width) == size
        for plane, expected in zip(image.planes, planes, strict=True):
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            assert np.array_equal(rows[: expected.shape[0], : expected.shape[1]], expected)
