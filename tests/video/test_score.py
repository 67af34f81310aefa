"""``ivfuse eval --video``: fused videos are paired with their sources as they were fused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.metrics.temporal import temporal_consistency
from ivfuse.video.open import open_source
from ivfuse.video.score import score_videos

Cli = Callable[..., Any]
WriteClip = Callable[..., Path]


@pytest.fixture
def lumas(moving: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gray thermal, visible and their average, which flickers."""
    ir, vi = moving.ir, moving.vi.mean(3).astype(np.uint8)
    fused = (ir.astype(int) + vi) // 2
    fused[::2] += 4
    return ir, vi, np.clip(fused, 0, 255).astype(np.uint8)


@pytest.fixture
def written(tmp_path: Path, lumas: Any, write_clip: WriteClip) -> tuple[Path, Path, Path]:
    """Fused, thermal and visible as lossless files."""
    ir, vi, fused = lumas
    names = ("fused", "ir", "vi")
    for name, frames in zip(names, (fused, ir, vi), strict=True):
        (tmp_path / name).mkdir()
        write_clip(tmp_path / name / "clip.mkv", frames, color_range=2)
    return tuple(tmp_path / name / "clip.mkv" for name in names)  # type: ignore[return-value]


def test_files_have_the_scores_of_their_arrays(
    written: tuple[Path, Path, Path], lumas: Any, ivfuse_cli: Cli
) -> None:
    said = ivfuse_cli("eval", "--video", *written, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)["videos"]
    ir, vi, fused = lumas
    expected = temporal_consistency(fused, ir, vi)
    assert found == [
        {
            "fused": str(written[0]),
            "frames": 10,
            "BiSWE": pytest.approx(expected.biswe, abs=1e-6),
            "MS2R": pytest.approx(expected.ms2r, abs=1e-6),
        }
    ]


def test_a_folder_of_fused_videos_is_a_table_and_a_csv(
    written: tuple[Path, Path, Path], lumas: Any, tmp_path: Path, write_clip: WriteClip, ivfuse_cli: Cli
) -> None:
    write_clip(tmp_path / "fused" / "steady.mkv", lumas[1], color_range=2)
    table = tmp_path / "scores.csv"
    said = ivfuse_cli("eval", "--video", tmp_path / "fused", *written[1:], "--csv", table, "-q")
    assert said.code == 0, said.err
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["video", "clip.mkv", "steady.mkv"]
    rows = list(csv.DictReader(table.open()))
    assert float(rows[0]["BiSWE"]) > float(rows[1]["BiSWE"]) + 4  # 4 levels of flicker, there and back


def test_a_fused_video_begins_where_the_thermal_begins(
    tmp_path: Path, lumas: Any, write_clip: WriteClip, ivfuse_cli: Cli
) -> None:
    ir, vi, _ = lumas
    late = write_clip(tmp_path / "ir.mkv", ir[3:], times=[i / 12 for i in range(3, 12)], color_range=2)
    visible = write_clip(tmp_path / "vi.mkv", vi, color_range=2)
    out = tmp_path / "fused.mkv"
    fuse = ("video", late, visible, "-o", out, "--method", "maximum", "--codec", "ffv1", "--no-smooth")
    assert ivfuse_cli(*fuse).code == 0
    said = ivfuse_cli("eval", "--video", out, late, visible, "--json")
    assert said.code == 0, said.err
    expected = temporal_consistency(np.maximum(ir, vi)[3:], ir[3:], vi[3:])
    found = json.loads(said.out)["videos"][0]
    assert found["frames"] == 7
    assert found["BiSWE"] == pytest.approx(expected.biswe, abs=0.1)  # of the rounding of luma
    assert found["MS2R"] == pytest.approx(expected.ms2r, abs=0.05)


def test_the_offset_of_the_fusion_pairs_the_thermal(
    written: tuple[Path, Path, Path], ivfuse_cli: Cli
) -> None:
    plain, shifted = (
        json.loads(ivfuse_cli("eval", "--video", *written, "--json", *more).out)["videos"][0]
        for more in ((), ("--offset", "0.25"))
    )
    assert plain["frames"] == 10
    assert shifted["frames"] == 7
    assert shifted["MS2R"] != plain["MS2R"]


def test_a_side_by_side_video_is_refused(
    written: tuple[Path, Path, Path], tmp_path: Path, lumas: Any, write_clip: WriteClip, ivfuse_cli: Cli
) -> None:
    wide = write_clip(tmp_path / "wide.mkv", np.concatenate(lumas, axis=2))
    said = ivfuse_cli("eval", "--video", wide, *written[1:])
    assert said.code != 0
    assert "found 288x64, expected 96x64, the size of the visible" in said.err


def test_two_frames_are_one_line(tmp_path: Path, lumas: Any, write_clip: WriteClip, ivfuse_cli: Cli) -> None:
    paths = [write_clip(tmp_path / f"{i}.mkv", frames[:2]) for i, frames in enumerate(lumas)]
    said = ivfuse_cli("eval", "--video", *paths, "-q")
    assert said.code != 0
    assert said.err.count("\n") == 1
    assert "three frames" in said.err


def test_a_live_source_is_refused(written: tuple[Path, Path, Path]) -> None:
    fused, ir, vi = (open_source(str(path), "vi") for path in written)
    object.__setattr__(ir.info, "live", True)
    with pytest.raises(InputError, match="live"):
        score_videos([fused], ir, vi)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--metrics", "EN"), "--metrics: expected no such option together with --video"),
        (("--convention", "li"), "--convention"),
        (("--jobs", "2"), "--jobs"),
        (("--offset", "nan"), "--offset"),
    ],
)
def test_options_of_images_have_no_meaning_for_videos(
    more: tuple[str, ...], reason: str, written: tuple[Path, Path, Path], ivfuse_cli: Cli
) -> None:
    said = ivfuse_cli("eval", "--video", *written, *more)
    assert said.code == 2
    assert reason in said.err


def test_the_offset_needs_videos_and_videos_need_both_sources(
    written: tuple[Path, Path, Path], ivfuse_cli: Cli
) -> None:
    assert ivfuse_cli("eval", *written, "--offset", "1").code == 2
    assert ivfuse_cli("eval", "--video", *written[:2]).code == 2


def test_a_missing_video_is_one_line(written: tuple[Path, Path, Path], ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("eval", "--video", "missing.mp4", *written[1:])
    assert said.code != 0
    assert said.err.startswith("ivfuse: error: missing.mp4: no such file")
