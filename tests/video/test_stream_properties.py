"""What a stream says of itself: codec, length, color and pixel aspect of sources, true in the output."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError, OutputError, UsageError
from ivfuse.video.frame import Frame
from ivfuse.video.open import open_source
from ivfuse.video.writer import EncoderOptions, VideoFileWriter, open_writer

Cli = Callable[..., Any]
Clips = tuple[Path, Path]
WriteClip = Callable[..., Path]

PQ, BT2020_PRIMARIES, BT2020_MATRIX = 16, 9, 9


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """Replace bytes of a file, which must contain them."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def write_tagged(
    path: Path, pixels: str, *, tags: dict[str, Any] | None = None, codec: str = "ffv1", tracks: int = 0
) -> Path:
    """Write a clip of eight gray frames of 64x32, whose stream has the given tags.

    Args:
        path: the suffix chooses the container.
        pixels: FFmpeg's pixel format.
        tags: attributes of the codec context, and ``rotation`` in degrees.
        codec: FFmpeg's name of an encoder.
        tracks: number of sound tracks, in languages of their own.
    """
    import av

    tags = dict(tags or {})
    rotation = tags.pop("rotation", 0)
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(codec, rate=8)
        video.width, video.height, video.pix_fmt = 64, 32, pixels
        for name, value in tags.items():
            setattr(video.codec_context, name, value)
        if rotation:
            if not hasattr(video, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a rotation")
            video.set_display_rotation(rotation)
        sounds = [out.add_stream("aac", rate=8000, layout="mono") for _ in range(tracks)]
        for sound, language in zip(sounds, ("fin", "swe"), strict=False):
            sound.metadata["language"] = language
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((32, 64), 90, np.uint8), "gray").reformat(
                format=pixels
            )
            for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
                if name in tags and hasattr(frame, name):
                    setattr(frame, name, tags[name])
            frame.pts, frame.time_base = index, Fraction(1, 8)
            out.mux(video.encode(frame))
            for sound in sounds:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
                samples.sample_rate, samples.pts = 8000, index * 1024
                samples.time_base = Fraction(1, 8000)
                out.mux(sound.encode(samples))
        for stream in (video, *sounds):
            out.mux(stream.encode(None))
    return path


def tags_of(path: Path) -> dict[str, Any]:
    """Tags of the first frame of a file."""
    import av

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frame = next(container.decode(video))
        context = video.codec_context
        return {
            "pixels": frame.format.name,
            "size": (frame.width, frame.height),
            "aspect": video.sample_aspect_ratio or context.sample_aspect_ratio,
            "range": int(context.color_range),
            "matrix": int(frame.colorspace),
            "primaries": int(context.color_primaries),
            "transfer": int(context.color_trc),
            "start": float(frame.pts * frame.time_base),
            "languages": [x.metadata.get("language") for x in container.streams.audio],
        }


def fused(cli: Cli, ir: Path, vi: Path, out: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Tags of the fused video, and what the command wrote to standard error."""
    said = cli("video", ir, vi, "-o", out, "--method", "average", *options)
    assert said.code == 0, said.err
    return tags_of(out), said.err


def test_a_codec_that_ffmpeg_does_not_know_is_named(
    moving: Any, tmp_path: Path, write_clip: WriteClip
) -> None:
    path = patched(write_clip(tmp_path / "f.avi", moving.ir), b"FFV1", b"zzz1")
    with pytest.raises(InputError, match="no decoder for its video, whose codec is 'zzz1'"):
        open_source(str(path), "ir")


@pytest.mark.parametrize("modality", ["ir", "vi"])
def test_a_damaged_header_is_one_line(
    modality: Any, moving: Any, tmp_path: Path, write_clip: WriteClip
) -> None:
    clip = write_clip(tmp_path / "f.mp4", moving.ir, codec="mpeg4", pixels="yuv420p")
    with pytest.raises(InputError, match="whose codec the header does not state"):
        open_source(str(patched(clip, b"stsd", b"xtsd")), modality)


def test_a_stream_that_ffmpeg_decodes_is_taken_before_one_that_it_does_not(tmp_path: Path) -> None:
    path = patched(two_streams(tmp_path / "f.avi", ("ffv1", "mpeg4")), b"FFV1", b"zzz1")
    assert open_source(str(path), "vi").info.width == 32


def test_y16_in_avi_is_read_as_16_bit_counts(tmp_path: Path) -> None:
    import av

    counts = (7000 + 20 * np.arange(64) + 13 * np.arange(48)[:, np.newaxis]).astype("<u2")
    path = tmp_path / "t.avi"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("rawvideo", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuyv422"
        for index in range(4):
            frame = av.VideoFrame(64, 48, "yuyv422")
            frame.planes[0].update((counts + index).tobytes())
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    source = open_source(str(patched(path, b"YUY2", b"Y16 ")), "ir")
    assert (source.info.width, source.info.height, source.info.frames) == (64, 48, 4)
    frames = [item for item in source.items() if isinstance(item, Frame)]
    assert len(frames) == 4
    np.testing.assert_array_equal(frames[3].planes[0], counts + 3)
    assert not source.stats.failure


def test_an_edit_list_that_shows_a_part_is_no_broken_file(
    moving: Any, tmp_path: Path, write_clip: WriteClip
) -> None:
    path = write_clip(tmp_path / "f.mp4", moving.ir, codec="mpeg4", pixels="yuv420p")
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # version, flags and count come before the duration
    assert struct.unpack(">I", data[at : at + 4]) == (1000,)  # milliseconds
    data[at : at + 4] = struct.pack(">I", 500)
    path.write_bytes(data)
    source = open_source(str(path), "ir")
    assert source.info.frames == 6
    assert sum(1 for _ in source.items()) == 6
    assert not source.stats.failure


@pytest.mark.parametrize("name", ["f.mkv", "f.mp4"])
def test_a_file_that_starts_late_is_whole(
    name: str, moving: Any, tmp_path: Path, write_clip: WriteClip
) -> None:
    times = [2.08 + index / 12 for index in range(12)]
    path = write_clip(tmp_path / name, moving.ir, codec="mpeg4", pixels="yuv420p", times=times)
    source = open_source(str(path), "ir")
    assert source.info.frames == pytest.approx(12, abs=1)
    frames = [item for item in source.items() if isinstance(item, Frame)]
    assert len(frames) == 12
    assert frames[0].time == pytest.approx(2.08, abs=2e-3)
    assert not source.stats.failure


@pytest.mark.parametrize(("rotation", "expected"), [(0, Fraction(16, 15)), (90, Fraction(15, 16))])
@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_the_pixel_aspect_is_kept_and_turned_with_the_image(
    name: str, rotation: int, expected: Fraction, clips: Clips, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    tags = {"sample_aspect_ratio": Fraction(16, 15), "rotation": rotation}
    visible = write_tagged(tmp_path / "vi.mp4", "yuv420p", codec="mpeg4", tags=tags)
    found, _ = fused(ivfuse_cli, clips[0], visible, tmp_path / name)
    assert found["size"] == ((32, 64) if rotation else (64, 32))
    assert found["aspect"] == pytest.approx(expected, rel=1e-3)


def test_a_rotated_visible_has_the_size_of_its_upright_frames(
    moving: Any, tmp_path: Path, write_clip: WriteClip, ivfuse_cli: Cli
) -> None:
    thermal = write_clip(tmp_path / "ir.mkv", moving.ir[:8, :, :32].astype(np.uint8), rate=8)
    visible = write_tagged(tmp_path / "vi.mp4", "yuv420p", codec="mpeg4", tags={"rotation": 90})
    found, notes = fused(ivfuse_cli, thermal, visible, tmp_path / "f.mkv")
    assert found["size"] == (32, 64)
    assert "32x64" not in notes  # nothing was resampled
    scored = ivfuse_cli("eval", "--video", tmp_path / "f.mkv", thermal, visible)
    assert scored.code == 0, scored.err


@pytest.mark.parametrize(("codec", "name"), [("auto", "f.mp4"), ("auto", "f.mkv"), ("ffv1", "f.mkv")])
def test_an_rgb_source_is_tagged_with_the_matrix_of_its_conversion(
    codec: str, name: str, clips: Clips, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    visible = write_tagged(tmp_path / "vi.mkv", "bgr0")
    found, _ = fused(ivfuse_cli, clips[0], visible, tmp_path / name, "--codec", codec)
    assert found["matrix"] in (5, 6)  # BT.601
    assert found["range"] == 2


@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_an_hdr_source_keeps_its_tags_and_a_note_says_so(
    name: str, clips: Clips, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    tags = {
        "color_range": 1,
        "colorspace": BT2020_MATRIX,
        "color_primaries": BT2020_PRIMARIES,
        "color_trc": PQ,
    }
    visible = write_tagged(tmp_path / "vi.mkv", "yuv420p10le", tags=tags)
    found, said = fused(ivfuse_cli, clips[0], visible, tmp_path / name)
    assert (found["matrix"], found["primaries"], found["transfer"]) == (BT2020_MATRIX, BT2020_PRIMARIES, PQ)
    assert found["range"] == 1
    assert "HDR (PQ)" in said


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("yuv422p10le", "yuv422p"),
        ("yuv444p10le", "yuv444p"),
        ("yuyv422", "yuv422p"),
        ("yuva420p", "yuv420p"),
        ("yuv411p", "yuv422p"),
        ("yuv440p", "yuv444p"),
        ("yuv410p", "yuv420p"),
    ],
)
@pytest.mark.parametrize("limited", [True, False])
def test_other_formats_keep_chroma_resolution_and_range(pixels: str, expected: str, limited: bool) -> None:
    import av

    from ivfuse.video.frame_conversion import pixel_format_of
    from ivfuse.video.stream import visible_planes

    color_range = 1 if limited else 2
    plain = av.VideoFrame(64, 32, "yuv444p")
    for plane, level in zip(plain.planes, (200, 90, 170), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    image = plain.reformat(format=pixels, src_color_range=color_range, dst_color_range=color_range)
    image.color_range = color_range
    planes, found = visible_planes(image)
    assert found == limited
    assert pixel_format_of(Frame(planes, 0, 0)) == expected
    assert [int(np.abs(plane.astype(int) - level).max()) for plane, level in
            zip(planes, (200, 90, 170), strict=True)] <= [1, 1, 1]  # fmt: skip


@pytest.mark.parametrize("pixels", ["nv12", "yuyv422"])
def test_the_luma_of_a_limited_thermal_is_expanded_once(pixels: str) -> None:
    import av

    from ivfuse.video.frame import decode_luma
    from ivfuse.video.stream import thermal_plane

    plain = av.VideoFrame(64, 32, "yuv422p")
    for plane, level in zip(plain.planes, (126, 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    image = plain.reformat(format=pixels, src_color_range=1, dst_color_range=1)
    image.color_range = 1
    planes, limited = thermal_plane(image)
    assert decode_luma(Frame(planes, 0, 0, limited)).mean() == pytest.approx((126 - 16) / 219, abs=0.003)


@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_every_sound_track_is_copied_with_its_language(
    name: str, clips: Clips, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    visible = write_tagged(tmp_path / "vi.mkv", "yuv420p", tracks=2)
    found, _ = fused(ivfuse_cli, clips[0], visible, tmp_path / name)
    assert found["languages"] == ["fin", "swe"]


@pytest.mark.parametrize("rate", [1, 25])
@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_the_first_frame_is_at_time_0_with_reordered_frames(name: str, rate: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / name
    writer = VideoFileWriter(path, Fraction(rate), EncoderOptions())
    for index in range(8):
        writer.write(Frame((rng.integers(0, 255, (32, 32), np.uint8),), 3 + index / rate, index))
    writer.close()
    assert tags_of(path)["start"] == 0


@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_a_second_run_onto_one_output_is_refused_and_the_first_one_plays(name: str, tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="this system has no locks on files")
    frame = Frame((np.full((32, 32), 90, np.uint8),), 0.0, 0)
    first, second = (open_writer(str(tmp_path / name), Fraction(8), EncoderOptions()) for _ in range(2))
    first.write(frame)
    with pytest.raises(OutputError, match="another run is writing it"):
        second.write(frame)
    assert first.close() == tmp_path / name
    assert tags_of(tmp_path / name)["size"] == (32, 32)
    third = VideoFileWriter(tmp_path / name, Fraction(8), EncoderOptions(), overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        third.write(frame)
    assert [x.name for x in tmp_path.iterdir()] == [name]


def test_a_second_run_into_one_folder_of_images_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="this system has no locks on files")
    frame = Frame((np.full((32, 32), 90, np.uint8),), 0.0, 0)
    out = str(tmp_path / "out/")
    first, second = (open_writer(out, Fraction(8), EncoderOptions()) for _ in range(2))
    first.write(frame)
    with pytest.raises(OutputError, match="another run is writing it"):
        second.write(frame)
    first.close()
    with pytest.raises(UsageError, match="contains images already"):
        second.write(frame)


@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_the_unfinished_file_plays_after_the_first_second(name: str, tmp_path: Path, read_clip: Any) -> None:
    rng = np.random.default_rng(0)
    writer = VideoFileWriter(tmp_path / name, Fraction(30), EncoderOptions(threads=1))
    for index in range(30):
        writer.write(Frame((rng.integers(0, 255, (32, 32), np.uint8),), index / 30, index))
    killed = tmp_path / f"killed{writer.part.suffix}"
    killed.write_bytes(writer.part.read_bytes())
    writer.close()
    assert len(read_clip(killed)) >= 10


def test_streams_of_one_file_are_chosen_and_never_fused_with_themselves(
    tmp_path: Path, ivfuse_cli: Cli
) -> None:
    path = two_streams(tmp_path / "both.mkv")
    words = ("video", path, path, "-o", tmp_path / "f.mkv", "--method", "average")
    said = ivfuse_cli(*words)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "one stream; --ir-stream and --vi-stream choose" in said.err
    assert ivfuse_cli(*words, "--ir-stream", "1", "--vi-stream", "1").code == 2
    said = ivfuse_cli(*words, "--ir-stream", "1", "--vi-stream", "2")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--vi-stream" in said.err
    assert "found 2, expected 0 to 1" in said.err
    said = ivfuse_cli(*words, "--ir-stream", "1", "--vi-stream", "0")
    assert said.code == 0, said.err
    assert "thermal resampled from 32x32 to 64x32" in said.err


def test_folders_of_videos_pair_like_folders_of_images(
    moving: Any, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip
) -> None:
    ir, vi, out = tmp_path / "ir", tmp_path / "vi", tmp_path / "out"
    for folder, frames, names in ((ir, moving.ir, ("a_ir", "b", "lone")), (vi, moving.vi, ("a_vi", "b"))):
        folder.mkdir()
        for name in names:
            write_clip(folder / f"{name}.mkv", frames[:3])
    (vi / "b.mkv").write_bytes(b"no video")
    said = ivfuse_cli("video", ir, vi, "-o", out, "--method", "average")
    assert said.code == 1
    assert "b.mkv: cannot be opened" in said.err
    assert "no partner: " in said.err
    assert "lone.mkv" in said.err
    assert [x.name for x in out.iterdir()] == ["a.mp4"]
    said = ivfuse_cli("video", ir, vi, "-o", out, "--method", "average")
    assert "a.mp4: exists already, skipped" in said.err
    assert ivfuse_cli("video", ir, vi, "-o", tmp_path / "f.mp4", "--method", "average").code == 2


def two_streams(path: Path, codecs: tuple[str, str] = ("mpeg4", "mpeg4")) -> Path:
    """Write a file with two video streams, 64 and 32 pixels wide."""
    import av

    with av.open(str(path), "w") as out:
        streams: list[Any] = [out.add_stream(codec, rate=8) for codec in codecs]
        for stream, width in zip(streams, (64, 32), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, 32, "yuv420p"
        for index in range(8):
            for stream, width in zip(streams, (64, 32), strict=True):
                gray = np.full((32, width), 20 * index, np.uint8)
                frame = av.VideoFrame.from_ndarray(gray, "gray").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = index, Fraction(1, 8)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path
