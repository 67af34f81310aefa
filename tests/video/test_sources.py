"""Frames of files, image sequences, streams and broken sources."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError, UsageError
from ivfuse.video.frame import Frame, decode_luma
from ivfuse.video.image_sequence import find_images
from ivfuse.video.open import open_source

WriteClip = Callable[..., Path]
EVEN = {"g": "1", "flags": "+qscale"}  # only keyframes, of about equal size


def frames_of(source: Any) -> list[Frame]:
    found = [item for item in source.items() if isinstance(item, Frame)]
    source.close()
    return found


def test_a_file_gives_its_frames_with_their_times(clips: tuple[Path, Path], moving: Any) -> None:
    source = open_source(str(clips[0]), "ir")
    assert (source.info.width, source.info.height, source.info.rate) == (96, 64, 12)
    frames = frames_of(source)
    assert [frame.time for frame in frames] == pytest.approx([i / 12 for i in range(12)], abs=1e-3)
    for frame, expected in zip(frames, moving.ir, strict=True):
        np.testing.assert_array_equal(frame.planes[0], expected)
    assert source.stats.frames == 12
    assert not source.stats.failure


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_thermal_frames_keep_their_counts(bits: int, tmp_path: Path, write_clip: WriteClip) -> None:
    counts = (np.arange(64 * 96).reshape(64, 96) * 11 % 2**bits).astype(np.uint16)
    counts[0, 0] = 2**bits - 1
    path = write_clip(tmp_path / "ir.mkv", [counts] * 3, pixels=f"gray{bits}le")
    frames = frames_of(open_source(str(path), "ir"))
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[1].planes[0], counts)


@pytest.mark.parametrize("limited", [True, False])
def test_black_and_white_are_found_in_either_range(
    limited: bool, tmp_path: Path, write_clip: WriteClip
) -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = 255
    pixels = "yuv420p" if limited else "yuvj420p"
    codec = "mpeg4" if limited else "mjpeg"
    path = write_clip(tmp_path / "vi.mkv", [image] * 3, codec=codec, pixels=pixels)
    frame = frames_of(open_source(str(path), "vi"))[0]
    assert frame.limited is limited
    luma = decode_luma(frame)
    assert luma[:, :12].max() < 0.02
    assert luma[:, 20:].min() > 0.98


@pytest.mark.parametrize("pixels", ["rgb24", "bgra", "yuv422p", "nv12", "yuv420p10le", "gray"])
def test_visible_frames_of_any_format_have_the_luma_of_their_colors(pixels: str) -> None:
    import av

    from ivfuse.video.stream import visible_planes

    image = np.zeros((32, 32, 3), np.uint8)
    image[:] = (180, 90, 40)
    given = av.VideoFrame.from_ndarray(image, format="rgb24")
    planes, limited = visible_planes(given.reformat(format=pixels) if pixels != "rgb24" else given)
    luma = decode_luma(Frame(planes, 0, 0, limited))
    expected = (0.299 * 180 + 0.587 * 90 + 0.114 * 40) / 255
    assert luma.mean() == pytest.approx(expected, abs=0.012)


def test_a_folder_and_a_pattern_give_images_at_a_rate(tmp_path: Path, moving: Any) -> None:
    for number in (3, 4, 6):  # 5 is missing
        assert cv2.imwrite(str(tmp_path / f"f_{number:03d}.png"), moving.ir[number])
    folder = open_source(str(tmp_path), "ir", rate=Fraction(10))
    assert [frame.time for frame in frames_of(folder)] == pytest.approx([0, 0.1, 0.2])
    pattern = open_source(str(tmp_path / "f_%03d.png"), "ir", rate=Fraction(10))
    assert [frame.time for frame in frames_of(pattern)] == pytest.approx([0, 0.1, 0.3])
    assert pattern.stats.missing == 1


def test_an_image_sequence_continues_after_a_damaged_image_and_names_it(tmp_path: Path, moving: Any) -> None:
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), moving.vi[number])
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    source = open_source(str(tmp_path), "vi")
    assert [frame.index for frame in frames_of(source)] == [0, 2]
    assert "broken at frame 1 (0.04 s)" in source.stats.failure
    assert "1.png" in source.stats.failure


def test_duplicate_frames_are_left_out_and_gaps_counted(
    tmp_path: Path, moving: Any, write_clip: WriteClip
) -> None:
    times = [0, 1 / 12, 1 / 12 + 1e-5, 2 / 12, 5 / 12, 6 / 12]
    path = write_clip(tmp_path / "ir.mkv", moving.ir[:6], times=times)  # Matroska rounds to milliseconds
    source = open_source(str(path), "ir")
    assert len(frames_of(source)) == 5
    assert source.stats.duplicates == 1
    assert source.stats.missing == 2


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_file_gives_what_is_there_and_states_where_it_broke(
    suffix: str, tmp_path: Path, moving: Any, write_clip: WriteClip
) -> None:
    path = write_clip(
        tmp_path / f"vi{suffix}", moving.vi, codec="mpeg4", pixels="yuv420p",
        options=EVEN, container={"movflags": "faststart"} if suffix == ".mp4" else {},
    )  # fmt: skip
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    source = open_source(str(path), "vi")
    count = len(frames_of(source))
    assert 4 <= count < 9
    assert source.stats.failure.startswith(f"{path}: broken at frame {count} ({count / 12:.2f} s): ")


def test_damage_in_the_middle_is_skipped_and_recorded(
    tmp_path: Path, moving: Any, write_clip: WriteClip
) -> None:
    path = write_clip(tmp_path / "vi.mkv", moving.vi, codec="mpeg4", pixels="yuv420p", options=EVEN)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    source = open_source(str(path), "vi")
    assert len(frames_of(source)) >= 11
    assert source.stats.damaged == 1
    assert 4 <= int(source.stats.failure.split("broken at frame ")[1].split()[0]) <= 7


@pytest.mark.parametrize(("pixels", "codec"), [("yuv420p", "mpeg4"), ("yuvj422p", "mjpeg")])
def test_frames_of_a_rotated_camera_are_upright(
    pixels: str, codec: str, tmp_path: Path, write_clip: WriteClip
) -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:8] = (255, 255, 255)  # the top of what the sensor sees
    path = write_clip(tmp_path / "vi.mp4", [image] * 2, codec=codec, pixels=pixels)
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    head, track = path.read_bytes().split(b"tkhd", 1)
    path.write_bytes(head + b"tkhd" + track.replace(plain, clockwise, 1))
    frame = frames_of(open_source(str(path), "vi"))[0]
    assert (frame.height, frame.width) == (64, 32)
    luma = decode_luma(frame)
    assert luma[:, -6:].min() > 0.9  # the top has become the right
    assert luma[:, :20].max() < 0.1
    assert {plane.shape for plane in frame.planes[1:]} <= {(32, 16), (64, 32)}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("nowhere.mp4", "no such file"),
        ("rtsp://127.0.0.1:1/x", "cannot be opened"),
        ("/dev/video99", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_one_line(location: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        open_source(location, "ir")
    assert "\n" not in str(raised.value)
    assert location in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 20, bytes(4096)])
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.mp4: cannot be opened|no image"):
        open_source(str(path), "vi")


def test_times_of_a_transport_stream_begin_at_zero(
    tmp_path: Path, moving: Any, write_clip: WriteClip
) -> None:
    path = write_clip(tmp_path / "vi.ts", moving.vi, codec="mpeg4", pixels="yuv420p")  # begins at 1.4 s
    source = open_source(str(path), "vi")
    assert source.info.start == 0
    assert frames_of(source)[0].time == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("stream", [-1, 1])
def test_a_stream_that_the_file_lacks_is_refused_with_those_it_has(
    clips: tuple[Path, Path], stream: int
) -> None:
    open_source(str(clips[0]), "ir", stream=0).close()
    with pytest.raises(UsageError, match=rf"ir_stream.*{stream}.*expected 0"):
        open_source(str(clips[0]), "ir", stream=stream)


def test_a_camera_needs_a_name() -> None:
    with pytest.raises(UsageError, match="camera:0"):
        open_source("camera:", "vi")


def test_no_frame_of_a_live_stream_is_held_back_by_decoding(tmp_path: Path, write_clip: WriteClip) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3)).astype(np.uint8)
    clip = write_clip(tmp_path / "vi.nut", frames, codec="mpeg4", pixels="yuv420p")
    server = socket.create_server(("127.0.0.1", 0))
    decoded = threading.Event()
    in_time: list[bool] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection, server:
            connection.sendall(clip.read_bytes())
            in_time.append(decoded.wait(3))

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    source = open_source(f"tcp://127.0.0.1:{server.getsockname()[1]}", "vi", threads=8)
    for count, _ in enumerate(source.items(), 1):
        if count == len(frames):
            decoded.set()
    serving.join(10)
    source.close()
    assert in_time == [True]


def test_a_stream_is_read_live(tmp_path: Path, moving: Any, write_clip: WriteClip) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clip = write_clip(tmp_path / "vi.ts", moving.vi, codec="mpeg4", pixels="yuv420p").read_bytes()
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        connection, _ = server.accept()
        with connection, server:
            connection.sendall(clip)

    threading.Thread(target=serve, daemon=True).start()
    source = open_source(f"tcp://127.0.0.1:{port}", "vi")
    assert source.info.live
    assert source.info.frames is None
    assert len(frames_of(source)) >= 10


def test_pictures_beside_the_files_of_a_camera_are_no_frames_and_a_note_says_so(tmp_path: Path) -> None:
    for name in ("a.irg", "a.png", "b.png"):
        (tmp_path / name).touch()
    found = find_images(str(tmp_path))
    assert found is not None
    assert [path.name for _, path in found.images] == ["a.irg", "b.png"]
    assert found.notes == ("a.png is left out, since the camera's own file of the same name is used",)
