"""Folders are paired with their subfolders."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivfuse.errors import InputError
from ivfuse.image.pairing import Pairing
from ivfuse.image.pairing_tree import pair_tree, subfolders_with_images


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def found(pairing: Pairing, root: Path) -> list[tuple[str, str, str]]:
    return [
        (pair.name, *(path.relative_to(root).as_posix() for path in (pair.ir, pair.vi)))
        for pair in pairing.pairs
    ]


def test_subfolders_of_equal_names_are_paired(tmp_path: Path) -> None:
    fill(tmp_path, "t/top.png", "v/top.png", "t/A/1.png", "v/a/1.jpg", "t/A/deep/2.png", "v/a/deep/2.png")
    fill(tmp_path, "t/alone/3.png", "v/else/x/4.png")
    pairing = pair_tree(tmp_path / "t", tmp_path / "v")
    assert found(pairing, tmp_path) == [
        ("top", "t/top.png", "v/top.png"),
        ("A/1", "t/A/1.png", "v/a/1.jpg"),
        ("A/deep/2", "t/A/deep/2.png", "v/a/deep/2.png"),
    ]
    assert sorted(path.name for path in pairing.orphans) == ["3.png", "4.png"]


def test_one_tree_holds_modality_folders_and_flat_folders(tmp_path: Path) -> None:
    fill(tmp_path, "day/ir/1.png", "day/vi/1.png", "night/x_T.jpg", "night/x_V.jpg", "night/y_T.jpg")
    pairing = pair_tree(tmp_path)
    assert [pair.name for pair in pairing.pairs] == ["day/1", "night/x"]
    assert [path.name for path in pairing.orphans] == ["y_T.jpg"]


def test_camera_files_are_pairs_by_themselves(tmp_path: Path) -> None:
    fill(tmp_path, "a/flir1.jpg", "a/b/flir2.jpg", "a/b/other.png")
    pairing = pair_tree(tmp_path, holds_both=lambda path: path.name.startswith("flir"))
    assert [pair.name for pair in pairing.pairs] == ["a/flir1", "a/b/flir2"]
    assert [path.name for path in pairing.orphans] == ["other.png"]


def test_pictures_beside_radiometric_files_are_said_once_for_the_tree(tmp_path: Path) -> None:
    fill(tmp_path, *(f"t/{day}/1{suffix}" for day in "ab" for suffix in (".fff", ".jpg")))
    fill(tmp_path, "v/a/1.png", "v/b/1.png")
    pairing = pair_tree(tmp_path / "t", tmp_path / "v")
    assert found(pairing, tmp_path) == [
        ("a/1", "t/a/1.fff", "v/a/1.png"),
        ("b/1", "t/b/1.fff", "v/b/1.png"),
    ]
    assert len(pairing.notes) == 1
    assert pairing.notes[0].startswith("2 images such as 1.jpg are left out")


def test_the_output_folder_and_links_are_not_entered(tmp_path: Path) -> None:
    fill(tmp_path, "s/a/x_ir.png", "s/a/x_vi.png", "s/fused/a/x.png")
    (tmp_path / "s" / "a" / "again").symlink_to(tmp_path / "s", target_is_directory=True)
    pairing = pair_tree(tmp_path / "s", leave_out=tmp_path / "s" / "fused")
    assert [pair.name for pair in pairing.pairs] == ["a/x"]
    assert not pairing.orphans


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        pair_tree(tmp_path / "none")


def test_subfolders_that_contain_images_are_found(tmp_path: Path) -> None:
    fill(tmp_path, "a/deep/x.png", "b/notes.txt", "c/y.jpg")
    assert subfolders_with_images(tmp_path) == ["a", "c"]
