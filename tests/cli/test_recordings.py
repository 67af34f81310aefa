"""Recordings of thermal cameras in ``fuse`` and ``info``: one frame of them, or all beside as many images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Cli = Callable[..., Any]
FUSE = ("--method", "average")


@pytest.fixture
def recording(flir: Any, tmp_path: Path) -> Path:
    """Three frames of 20 to 50 degC, each brighter than the one before."""
    degrees = np.tile(np.linspace(20, 50, 80), (60, 1))
    first = flir.Flir(np.rint(flir.counts_of(degrees)).astype(np.uint16))
    path = tmp_path / "flight.seq"
    path.write_bytes(b"".join(flir.recording(first, 3)))
    return path


@pytest.fixture
def visible(make_pair: Any, tmp_path: Path) -> Path:
    """A folder of three images."""
    for name in ("v2.png", "v10.png", "v1.png"):
        make_pair(tmp_path / "unused.png", tmp_path / "vi" / name, (60, 80))
    return tmp_path / "vi"


def test_a_frame_is_fused_like_an_image(
    ivfuse_cli: Cli, recording: Path, visible: Path, tmp_path: Path
) -> None:
    said = ivfuse_cli(
        "fuse", f"{recording}#2", visible / "v1.png", "-o", tmp_path / "f.png", *FUSE,
        "--temperature", tmp_path / "f.tiff", "--highlight", ">40C",
    )  # fmt: skip
    assert said.code == 0, said.err
    degrees = cv2.imread(str(tmp_path / "f.tiff"), cv2.IMREAD_UNCHANGED)
    assert degrees.shape == (60, 80)
    assert degrees[0, [0, -1]] == pytest.approx([20, 50], abs=0.1)


def test_a_frame_is_registered_and_scored_like_an_image(
    ivfuse_cli: Cli, recording: Path, visible: Path, tmp_path: Path
) -> None:
    recording = recording.rename(tmp_path / "flight [1].seq")  # not a pattern
    pair = (f"{recording}#1", visible / "v1.png")
    assert ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.png", *FUSE).code == 0
    scored = ivfuse_cli("eval", tmp_path / "f.png", *pair, "--metrics", "EN,MI", "--json")
    assert scored.code == 0, scored.err
    (tmp_path / "points.csv").write_text("ir_x,ir_y,vi_x,vi_y\n0,0,0,0\n79,0,79,0\n0,59,0,59\n79,59,79,59\n")
    rig = tmp_path / "rig.json"
    placed = ivfuse_cli("register", *pair, "-o", rig, "--points", tmp_path / "points.csv")
    assert placed.code == 0, placed.err


def test_all_frames_are_fused_with_as_many_images_in_natural_order(
    ivfuse_cli: Cli, recording: Path, visible: Path, tmp_path: Path
) -> None:
    command = ("fuse", recording, visible, "-o", tmp_path / "out", *FUSE, "--temperature", tmp_path / "t")
    said = ivfuse_cli(*command)
    assert said.code == 0, said.err
    means = [cv2.imread(str(tmp_path / "t" / f"v{n}.tiff"), cv2.IMREAD_UNCHANGED).mean() for n in (1, 2, 10)]
    assert means == sorted(set(means))
    assert len(list((tmp_path / "out").iterdir())) == 3
    pattern = ivfuse_cli("fuse", recording, visible / "*.png", "-o", tmp_path / "again", *FUSE)
    assert pattern.code == 0, pattern.err


def test_unequal_numbers_say_what_to_do(
    ivfuse_cli: Cli, recording: Path, visible: Path, tmp_path: Path
) -> None:
    (visible / "v2.png").unlink()
    said = ivfuse_cli("fuse", recording, visible, "-o", tmp_path / "out", *FUSE)
    assert said.code != 0
    assert f"{recording} has 3 frames and {visible} has 2 images, expected equal numbers" in said.err
    assert f"{recording}#0 is a single frame, and ivfuse video pairs frames by time" in said.err


@pytest.mark.parametrize(
    ("name", "said"),
    [("#3", "found no frame 3, expected 0 to 2"), ("#-1", "no such file"), ("#x", "no such file")],
)
def test_a_frame_that_does_not_exist_is_one_line(
    ivfuse_cli: Cli, recording: Path, visible: Path, tmp_path: Path, name: str, said: str
) -> None:
    for command in (
        ("fuse", f"{recording}{name}", visible / "v1.png", "-o", tmp_path / "f.png", *FUSE),
        ("info", f"{recording}{name}"),
    ):
        found = ivfuse_cli(*command)
        assert found.code != 0
        assert said in found.err
        assert len(found.err.strip().splitlines()) == 1


def test_info_tells_frames_and_times(ivfuse_cli: Cli, recording: Path, tmp_path: Path) -> None:
    said = ivfuse_cli("info", recording, "--temperature", tmp_path / "t.tiff")
    assert said.code == 0, said.err
    lines = dict(line.split(":", 1) for line in said.out.splitlines())
    assert lines["frames"].strip() == "3"
    assert lines["frame rate"].strip().endswith("per second")
    assert (tmp_path / "t.tiff").is_file()
    one = json.loads(ivfuse_cli("info", f"{recording}#1", "--json").out)
    assert one["taken"] == "2023-11-14T23:13:20.283000+01:00"


def test_a_recording_alone_needs_a_visible(ivfuse_cli: Cli, recording: Path, tmp_path: Path) -> None:
    said = ivfuse_cli("fuse", recording, "-o", tmp_path / "f.png", *FUSE)
    assert said.code != 0
    assert "without a photo" in said.err
