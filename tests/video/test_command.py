"""``ivfuse video`` from sources to files: outputs, messages and failures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse

Cli = Callable[..., Any]
Clips = tuple[Path, Path]
ReadClip = Callable[[Path], list[Any]]
WriteClip = Callable[..., Path]


def streams_of(path: Path) -> dict[str, Any]:
    import av

    with av.open(str(path)) as container:
        found = {stream.type: stream for stream in container.streams}
        video = found["video"]
        audio = found.get("audio")
        return {
            "codec": video.codec_context.name,
            "pixels": video.codec_context.pix_fmt,
            "rate": video.average_rate,
            "audio": audio.codec_context.name if audio else None,
            "seconds": (container.duration or 0) / 1e6,
        }


def test_a_lossless_output_equals_the_images_fused_one_by_one(
    clips: Clips, moving: Any, tmp_path: Path, ivfuse_cli: Cli, read_clip: ReadClip
) -> None:
    out = tmp_path / "out" / "fused.mkv"
    said = ivfuse_cli("video", *clips, "-o", out, "--method", "laplacian", "--codec", "ffv1", "--no-smooth")
    assert said.code == 0, said.err
    assert "12 frames of 96x64, laplacian" in said.out
    found = read_clip(out)
    assert len(found) == 12
    for index in (0, 7):
        expected = ivfuse.fuse(moving.ir[index], moving.vi[index], "laplacian")
        assert np.abs(found[index] / 255 - expected).mean() < 0.01
    assert os.listdir(out.parent) == ["fused.mkv"]


def test_info_tells_the_streams_of_a_video(clips: Clips, tmp_path: Path, ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("info", clips[1])
    assert said.code == 0
    assert "video, ffv1, 96x64" in said.out
    assert "audio, aac" in said.out
    told = json.loads(ivfuse_cli("info", clips[0], "--json").out)
    assert [each["width"] for each in told["streams"]] == [96]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    assert "broken.mp4: cannot be opened" in ivfuse_cli("info", broken).err


@pytest.mark.parametrize("suffix", [".mpeg", ".flv"])
def test_what_info_describes_as_a_video_is_found_in_folders(
    clips: Clips, tmp_path: Path, ivfuse_cli: Cli, suffix: str
) -> None:
    for clip, folder in zip(clips, ("ir", "vi"), strict=True):
        (tmp_path / folder).mkdir()
        shutil.copy(clip, tmp_path / folder / f"x{suffix}")
    assert "video, ffv1" in ivfuse_cli("info", tmp_path / "vi" / f"x{suffix}").out
    given = ("video", tmp_path / "ir", tmp_path / "vi", "-o", tmp_path / "f", "--method", "average", "-q")
    said = ivfuse_cli(*given)
    assert said.code == 0, said.err
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["x.mp4"]


@pytest.mark.parametrize(("name", "codecs"), [("f.mp4", {"h264", "mpeg4"}), ("f.mkv", {"h264", "mpeg4"})])
def test_the_output_keeps_audio_rate_and_length(
    name: str, codecs: set[str], clips: Clips, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    said = ivfuse_cli("video", *clips, "-o", tmp_path / name, "--method", "average", "--json")
    assert said.code == 0, said.err
    summary = json.loads(said.out)
    assert (summary["frames"], summary["pairs"]["paired"]) == (12, 12)
    facts = streams_of(tmp_path / name)
    assert facts["codec"] in codecs
    assert (facts["pixels"], facts["audio"]) == ("yuv420p", "aac")
    assert float(facts["rate"]) == pytest.approx(12, rel=0.01)
    assert facts["seconds"] == pytest.approx(1, abs=0.2)  # AAC pads the audio


def test_audio_that_the_container_does_not_support_is_left_out_with_a_note(
    moving: Any, clips: Clips, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip
) -> None:
    visible = write_clip(tmp_path / "vi.mkv", moving.vi, audio="wavpack")
    said = ivfuse_cli("video", clips[0], visible, "-o", tmp_path / "f.mp4", "--method", "average")
    assert said.code == 0
    assert "the audio (wavpack) is left out" in said.err
    assert streams_of(tmp_path / "f.mp4")["audio"] is None
    assert ivfuse_cli("video", clips[0], visible, "-o", tmp_path / "f.mkv", "--method", "average").code == 0
    assert streams_of(tmp_path / "f.mkv")["audio"] == "wavpack"


def test_audio_stays_in_sync_when_the_start_is_left_out(
    clips: Clips, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    import av

    out = tmp_path / "f.mkv"
    assert ivfuse_cli("video", *clips, "-o", out, "--method", "average", "--offset", "0.5").code == 0
    starts, ends = {}, {}
    with av.open(str(out)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                now = float(packet.pts * packet.time_base)
                starts.setdefault(packet.stream.type, now)
                ends[packet.stream.type] = now
    assert starts["video"] == pytest.approx(0, abs=0.01)
    assert starts["audio"] == pytest.approx(0, abs=0.13)  # a packet of 1024 samples at 8 kHz
    assert ends["audio"] == pytest.approx(0.45, abs=0.2)


@pytest.mark.parametrize("name", ["f.mp4", "f.mkv"])
def test_audio_and_video_begin_together(name: str, clips: Clips, tmp_path: Path, ivfuse_cli: Cli) -> None:
    import av

    out = tmp_path / name
    assert ivfuse_cli("video", *clips, "-o", out, "--method", "average").code == 0
    times: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(str(out)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                times[packet.stream.type].append(float(packet.pts * packet.time_base))
    assert min(times["video"]) == pytest.approx(0, abs=1e-3)
    assert min(times["audio"]) == pytest.approx(0, abs=0.02)
    assert np.diff(sorted(times["audio"])) == pytest.approx(1024 / 8000, abs=2e-3)


def test_mpeg4_is_the_fallback_where_ffmpeg_has_no_h264(
    clips: Clips, tmp_path: Path, ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivfuse.video.writer._H264_ENCODERS", ("no-such-encoder",))
    said = ivfuse_cli("video", *clips, "-o", tmp_path / "f.mp4", "--method", "average")
    assert said.code == 0
    assert "no encoder for H.264" in said.err
    assert streams_of(tmp_path / "f.mp4")["codec"] == "mpeg4"
    refused = ivfuse_cli("video", *clips, "-o", tmp_path / "g.mp4", "--codec", "h264")
    assert refused.code == 2
    assert "none of the encoders" in refused.err


def test_image_sequences_equal_those_of_the_fuse_command(
    moving: Any, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    for name, frames in (("ir", moving.ir), ("vi", moving.vi[..., ::-1])):
        (tmp_path / name).mkdir()
        for index in range(3):
            assert cv2.imwrite(str(tmp_path / name / f"{index}.png"), frames[index])
    arguments = (tmp_path / "ir", tmp_path / "vi", "--method", "average")
    assert ivfuse_cli("video", *arguments, "-o", f"{tmp_path}/out/f_%02d.png").code == 0
    assert ivfuse_cli("fuse", *arguments, "-o", f"{tmp_path}/single/").code == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["f_00.png", "f_01.png", "f_02.png"]
    for index in range(3):
        video = cv2.imread(str(tmp_path / "out" / f"f_{index:02d}.png")).astype(int)
        single = cv2.imread(str(tmp_path / "single" / f"{index}.png")).astype(int)
        assert np.abs(video - single).mean() < 1.0  # chroma of 8 bit
        assert np.abs(video - single).max() <= 6


def test_gray_and_side_by_side(clips: Clips, tmp_path: Path, ivfuse_cli: Cli, read_clip: ReadClip) -> None:
    out = tmp_path / "f.mkv"
    choices = ("--codec", "ffv1", "--method", "average", "--gray", "--side-by-side")
    assert ivfuse_cli("video", *clips, "-o", out, *choices).code == 0
    image = read_clip(out)[5].astype(int)
    assert image.shape == (64, 288, 3)
    thermal, visible, fused = np.split(image, 3, 1)
    assert np.abs(thermal - read_clip(clips[0])[5]).max() <= 1
    assert np.abs(visible - read_clip(clips[1])[5]).max() <= 2
    assert np.ptp(fused, -1).max() == 0
    luma = visible @ [0.299, 0.587, 0.114]
    assert np.abs(fused[..., 0] - (thermal[..., 0] + luma) / 2).max() <= 2


def test_a_duration_counts_from_the_first_frame_that_has_a_thermal(
    clips: Clips, tmp_path: Path, ivfuse_cli: Cli, read_clip: ReadClip
) -> None:
    out = tmp_path / "f.mkv"
    late = ("--offset", "0.5", "--duration", "0.25")  # the thermal begins half a second later
    said = ivfuse_cli("video", *clips, "-o", out, "--method", "average", *late)
    assert said.code == 0, said.err
    assert len(read_clip(out)) == 3


def test_swapped_videos_are_noted(clips: Clips, tmp_path: Path, ivfuse_cli: Cli) -> None:
    options = ("--method", "average", "--duration", "0.2")
    usual = ivfuse_cli("video", *clips, "-o", tmp_path / "usual.mp4", *options)
    assert usual.code == 0
    assert "in color" not in usual.err
    swapped = ivfuse_cli("video", *reversed(clips), "-o", tmp_path / "swapped.mp4", *options)
    assert "the visible one is gray; the two may be swapped" in swapped.err


def test_a_thermal_video_of_another_shape_is_noted(
    moving: Any, clips: Clips, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip
) -> None:
    thermal = write_clip(tmp_path / "ir.mkv", moving.ir[:, :, :80].astype(np.uint8), pixels="gray")
    said = ivfuse_cli("video", thermal, clips[1], "-o", tmp_path / "f.mkv", "--method", "average")
    assert said.code == 0, said.err
    assert "80x64 beside a visible image of 96x64 is stretched by 20%" in said.err


def test_deep_thermal_is_mapped_to_8_bit_and_resampled(
    moving: Any, clips: Clips, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip, read_clip: ReadClip
) -> None:
    counts = moving.ir[:, ::2, ::2].astype(np.uint16) * 20 + 7000
    thermal = write_clip(tmp_path / "ir.mkv", counts, pixels="gray14le")
    choices = ("--method", "maximum", "--side-by-side", "--codec", "ffv1")
    said = ivfuse_cli("video", thermal, clips[1], "-o", tmp_path / "f.mkv", *choices)
    assert said.code == 0, said.err
    assert "resampled from 48x32 to 96x64" in said.err
    assert "window between" in said.err
    shown = read_clip(tmp_path / "f.mkv")[4][:, :96]
    assert shown.min() <= 3
    assert shown.max() >= 252
    fixed = ("--ir-window", "7000", "12100")
    assert ivfuse_cli("video", thermal, clips[1], "-o", tmp_path / "g.mkv", *choices, *fixed).code == 0
    shown = read_clip(tmp_path / "g.mkv")[4][8:24, :40, 0]
    np.testing.assert_allclose(shown.mean(), moving.ir[4][8:24, :40].mean(), atol=3)


def test_other_rates_and_offsets_pair_by_time(
    moving: Any, clips: Clips, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip
) -> None:
    slow = write_clip(tmp_path / "slow.mkv", moving.ir[::3], rate=4)
    said = ivfuse_cli("video", slow, clips[1], "-o", tmp_path / "a.mkv", "--method", "average", "--json")
    assert json.loads(said.out)["pairs"]["repeated"] == 7
    late = ivfuse_cli("video", *clips, "-o", tmp_path / "b.mkv", "--method", "average", "--offset", "0.5")
    assert late.code == 0
    assert "6 without a thermal frame near in time" in late.err
    assert "6 frames of 96x64" in late.out
    none = ivfuse_cli("video", *clips, "-o", tmp_path / "c.mkv", "--offset", "100")
    assert none.code == 1
    assert "do not overlap in time" in none.err
    assert not (tmp_path / "c.mkv").exists()


def test_offset_auto_refuses_to_guess(clips: Clips, tmp_path: Path, ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("video", *clips, "-o", tmp_path / "a.mkv", "--offset", "auto")
    assert said.code == 1
    assert "offset auto: " in said.err
    assert "--offset SECONDS" in said.err


def test_a_broken_source_gives_what_could_be_fused_and_code_1(
    moving: Any, clips: Clips, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip, read_clip: ReadClip
) -> None:
    options = {"g": "1", "flags": "+qscale"}
    broken = write_clip(tmp_path / "vi.mkv", moving.vi, codec="mpeg4", pixels="yuv420p", options=options)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    said = ivfuse_cli("video", clips[0], broken, "-o", tmp_path / "f.mp4", "--method", "average")
    assert said.code == 1
    assert f"ivfuse: error: {broken}: broken at frame" in said.err
    assert 3 <= len(read_clip(tmp_path / "f.mp4")) < 9


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["-o", "f.avi"], "expected a name in .mp4 or .mkv"),
        (["-o", "f.png"], "one image cannot hold a video"),
        (["-o", "f.mp4", "--codec", "ffv1"], "FFV1 goes into .mkv"),
        (["-o", "f.mp4", "--codec", "av1"], "expected one of"),
        (["-o", "f.mp4", "--offset", "later"], "expected seconds, auto or start"),
        (["-o", "f.mp4", "--duration", "0"], "above 0"),
        (["-o", "f.mp4", "--fps", "0.0003"], "--fps: found 0.0003, expected 0.001 to 1000"),
        (["-o", "f.mp4", "--fps", "nan"], "expected 0.001 to 1000"),
        ([], "--preview to watch it"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    change: list[str], expected: str, clips: Clips, ivfuse_cli: Cli, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ivfuse_cli("video", *clips, *change)
    assert said.code == 2
    assert expected in said.err
    assert said.err.count("\n") == 1
    assert not os.listdir(tmp_path)


def test_outputs_that_exist_are_not_replaced_unasked(clips: Clips, tmp_path: Path, ivfuse_cli: Cli) -> None:
    out = tmp_path / "f.mp4"
    out.write_text("mine")
    assert ivfuse_cli("video", *clips, "-o", out).code == 2
    assert out.read_text() == "mine"
    choices = ("--overwrite", "--method", "average", "--duration", "0.5")
    assert ivfuse_cli("video", *clips, "-o", out, *choices).code == 0
    assert out.stat().st_size > 500
    same = ivfuse_cli("video", *clips, "-o", clips[0], "--overwrite")
    assert "one of the inputs" in same.err
    assert clips[0].exists()


def test_odd_sizes_are_cut_for_h264_and_kept_without_loss(
    moving: Any, tmp_path: Path, ivfuse_cli: Cli, write_clip: WriteClip, read_clip: ReadClip
) -> None:
    ir = write_clip(tmp_path / "ir.mkv", moving.ir[:3, :61, :91])
    vi = write_clip(tmp_path / "vi.mkv", moving.vi[:3, :61, :91], pixels="yuv420p")
    said = ivfuse_cli("video", ir, vi, "-o", tmp_path / "f.mp4", "--method", "average")
    assert "cut from 91x61 to 90x60" in said.err
    assert read_clip(tmp_path / "f.mp4")[0].shape == (60, 90, 3)
    choices = ("--codec", "ffv1", "--method", "average")
    assert ivfuse_cli("video", ir, vi, "-o", tmp_path / "f.mkv", *choices).code == 0
    assert read_clip(tmp_path / "f.mkv")[0].shape == (61, 91, 3)


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory, moving: Any, write_clip: WriteClip) -> Clips:
    """Two minutes of video, so that a run can be stopped in it."""
    folder = tmp_path_factory.mktemp("long")
    return (
        write_clip(folder / "ir.mkv", list(moving.ir) * 240, rate=24, codec="mpeg4", pixels="yuv420p"),
        write_clip(folder / "vi.mkv", list(moving.vi) * 240, rate=24, codec="mpeg4", pixels="yuv420p"),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "number", "code"),
    [
        (".mp4", signal.SIGINT, 130),
        (".mkv", signal.SIGTERM, 143),
        (".mp4", signal.SIGKILL, -signal.SIGKILL),
        (".mkv", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_a_run_that_is_stopped_or_killed_leaves_a_playable_file(
    suffix: str, number: signal.Signals, code: int, long_clips: Clips, tmp_path: Path, read_clip: ReadClip
) -> None:
    out, part = tmp_path / f"f{suffix}", tmp_path / f"f.part{suffix}"
    slow = (
        "import time; from ivfuse.fusion import registry; from ivfuse.cli.app import main\n"
        "registry.list_methods()  # registers the classical methods\n"
        "info, average = registry.CLASSICAL['average']\n"
        "registry.CLASSICAL['average'] = info, lambda ir, vi: (time.sleep(0.004), average(ir, vi))[1]\n"
        f"main({['video', *map(str, long_clips), '-o', str(out), '--method', 'average', '-q']!r})"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", slow],
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a background job ignores interrupts, and so would this child
    )
    _wait_until(lambda: (part.exists() and part.stat().st_size > 30_000) or run.poll() is not None)
    run.send_signal(number)
    assert run.wait(20) == code
    left = part if number == signal.SIGKILL else out
    assert os.listdir(tmp_path) == [left.name]
    assert 40 < len(read_clip(left)) < 2880


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_output_that_cannot_be_written_is_one_line(clips: Clips, tmp_path: Path, ivfuse_cli: Cli) -> None:
    (tmp_path / "file").write_text("no folder")
    said = ivfuse_cli("video", *clips, "-o", tmp_path / "file" / "f.mp4", "--method", "average")
    assert said.code == 1
    assert "f.mp4: cannot be written" in said.err
    assert said.err.count("\n") == 1


def test_without_pyav_the_error_says_what_to_install(
    clips: Clips, tmp_path: Path, ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    said = ivfuse_cli("video", *clips, "-o", tmp_path / "f.mp4")
    assert said.code == 2
    assert "needs more packages: pip install " in said.err
    assert "[video]'" in said.err


def test_a_rig_places_every_thermal_frame_and_the_visible_stays_around_it(
    moving: Any, write_clip: WriteClip, tmp_path: Path, ivfuse_cli: Cli, read_clip: ReadClip
) -> None:
    ir = write_clip(tmp_path / "ir.mkv", np.ascontiguousarray(moving.ir[:, 16:48, 24:72]))
    vi = write_clip(tmp_path / "vi.mkv", moving.vi)
    rig = ivfuse.Registration(((1, 0, 24), (0, 1, 16), (0, 0, 1)), (48, 32), (96, 64))
    rig.save(tmp_path / "rig.json")
    out = tmp_path / "out.mkv"
    said = ivfuse_cli(
        "video", ir, vi, "-o", out, "--method", "maximum", "--codec", "ffv1", "--rig", tmp_path / "rig.json"
    )
    assert said.code == 0, said.err
    assert "aligned by the rig" in said.err
    plain = ivfuse.Fuser("maximum", rig=rig)
    for frame, thermal, visible in zip(read_clip(out), moving.ir, moving.vi, strict=True):
        wanted = plain.fuse(np.ascontiguousarray(thermal[16:48, 24:72]), visible)
        assert np.abs(frame / 255 - wanted).max() < 0.03  # as for a video without a rig
        assert np.abs(frame[:14].astype(int) - visible[:14]).max() <= 4
