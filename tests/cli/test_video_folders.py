"""Folders of videos: what is paired, and that each folder is listed once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ivfuse.cli.video_folders import pair_videos


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are listed, in order."""
    looks: list[Path] = []
    scandir = os.scandir

    def counted(path: Any) -> Any:
        looks.append(Path(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    return looks


@pytest.mark.parametrize("recursive", [False, True])
def test_two_folders_are_paired_by_name_and_listed_once(
    tmp_path: Path, listed: list[Path], recursive: bool
) -> None:
    ir = touch(tmp_path / "ir", "a.SEQ", "b.mp4", "notes.txt")
    vi = touch(tmp_path / "vi", "a.mp4", "c.mp4", "drive.mcap")
    pairing = pair_videos(str(ir), str(vi), None, recursive=recursive)
    assert pairing is not None
    assert [(pair.name, pair.ir, pair.vi) for pair in pairing.pairs] == [("a", ir / "a.SEQ", vi / "a.mp4")]
    assert set(pairing.orphans) == {ir / "b.mp4", vi / "c.mp4"}
    assert set(pairing.others) == {ir / "notes.txt", vi / "drive.mcap"}
    assert listed == [ir, vi]


def test_one_folder_with_both_is_paired_by_the_words_in_the_names(tmp_path: Path, listed: list[Path]) -> None:
    folder = touch(tmp_path / "both", "a_ir.mp4", "a_vi.mp4")
    pairing = pair_videos(str(folder), str(folder), None, recursive=False)
    assert pairing is not None
    assert [(pair.ir.name, pair.vi.name) for pair in pairing.pairs] == [("a_ir.mp4", "a_vi.mp4")]
    assert listed == [folder]


@pytest.mark.parametrize("other", ["x.png", "x.txt"])
def test_a_folder_of_images_or_of_neither_is_no_folder_of_videos(tmp_path: Path, other: str) -> None:
    videos = touch(tmp_path / "videos", "x.mp4")
    images = touch(tmp_path / "images", other, *(["y.mp4"] if other == "x.png" else []))
    for ir, vi in ((videos, images), (images, videos), (videos, videos / "x.mp4"), (videos, "camera:0")):
        assert pair_videos(str(ir), str(vi), None, recursive=False) is None
