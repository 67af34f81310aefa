"""What can be given to ``ivfuse fuse`` besides two files, and what it says about the files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Cli = Callable[..., Any]
MakePair = Callable[..., tuple[Path, Path]]


@pytest.fixture
def tree(tmp_path: Path, make_pair: MakePair) -> Path:
    """Two folders of equal trees."""
    for name in ("a/1.png", "a/deep/2.png", "b/1.png"):
        make_pair(tmp_path / "t" / name, tmp_path / "v" / name)
    return tmp_path


def test_subfolders_are_fused_and_their_tree_is_kept(ivfuse_cli: Cli, tree: Path) -> None:
    given = ("fuse", tree / "t", tree / "v", "-o", tree / "f", "--method", "average", "--recursive")
    said = ivfuse_cli(*given)
    assert said.code == 0, said.err
    found = sorted(path.relative_to(tree / "f").as_posix() for path in (tree / "f").rglob("*.png"))
    assert found == ["a/1.png", "a/deep/2.png", "b/1.png"]
    assert "0 done, 3 skipped" in ivfuse_cli(*given).out


def test_images_one_level_deeper_are_pointed_at(ivfuse_cli: Cli, tree: Path) -> None:
    for given in ((tree / "t", tree / "v"), (tree / "t",)):
        said = ivfuse_cli("fuse", *given, "-o", tree / "f", "--method", "average")
        assert said.code == 1
        assert "images lie in the subfolders a/, b/, which --recursive pairs too" in said.err


def test_names_without_a_partner_are_shown(ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair) -> None:
    make_pair(tmp_path / "set/ir/a1.png", tmp_path / "set/vi/b2.png")
    said = ivfuse_cli("fuse", tmp_path / "set", "-o", tmp_path / "f")
    assert said.code == 1
    assert "2 images have no partner, such as ir/a1.png and vi/b2.png" in said.err
    assert "--recursive" not in said.err


def test_one_source_given_twice_is_refused(ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair) -> None:
    thermal, _ = make_pair(tmp_path / "t/1.png", tmp_path / "v/1.png")
    said = ivfuse_cli("fuse", thermal, thermal, "-o", tmp_path / "f.png")
    assert said.code == 2
    assert "is given as the thermal and as the visible image" in said.err
    said = ivfuse_cli("fuse", tmp_path / "t", tmp_path / "t", "-o", tmp_path / "f")
    assert said.code == 1
    assert "is given as the thermal and as the visible folder" in said.err


def test_an_output_without_a_suffix_may_be_meant_as_a_folder(
    ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair
) -> None:
    pair = make_pair(tmp_path / "t/1.png", tmp_path / "v/1.png")
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "fused")
    assert said.code == 2
    assert f"expected one like {tmp_path}/fused.png, or a folder, {tmp_path}/fused/" in said.err


def test_videos_are_pointed_at_their_verb(ivfuse_cli: Cli, tmp_path: Path) -> None:
    for name in ("t", "v"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.mp4").write_bytes(b"\0\0\0\x1cftypisom")
    said = ivfuse_cli("fuse", tmp_path / "t/1.mp4", tmp_path / "v/1.mp4", "-o", tmp_path / "f.png")
    assert said.code == 2
    assert "1.mp4 is a video; `ivfuse video` fuses videos" in said.err
    said = ivfuse_cli("fuse", tmp_path / "t", tmp_path / "v", "-o", tmp_path / "f")
    assert said.code == 1
    assert "2 videos such as 1.mp4 are left out: ivfuse video fuses videos" in said.err


def test_quoted_patterns_are_expanded(ivfuse_cli: Cli, tree: Path) -> None:
    said = ivfuse_cli("fuse", tree / "t/a/*.png", tree / "v/a/*.png", "-o", tree / "f", "--method", "average")
    assert said.code == 0, said.err
    assert [path.name for path in (tree / "f").iterdir()] == ["1.png"]
    said = ivfuse_cli("fuse", tree / "t/a/*.JPG", tree / "v/a/*.png", "-o", tree / "f")
    assert said.code == 1
    assert "*.JPG: no image matches this pattern" in said.err


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(
    ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair
) -> None:
    pair = make_pair(tmp_path / "t[1].png", tmp_path / "v[1].png")
    assert ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.png", "--method", "average").code == 0


def test_all_missing_files_are_named(ivfuse_cli: Cli, tmp_path: Path) -> None:
    said = ivfuse_cli("fuse", tmp_path / "t.png", tmp_path / "v.png", "-o", tmp_path / "f.png")
    assert said.code == 1
    assert f"{tmp_path / 't.png'} and {tmp_path / 'v.png'}: no such files" in said.err


def test_a_file_for_many_pairs_is_refused(ivfuse_cli: Cli, tree: Path) -> None:
    said = ivfuse_cli("fuse", tree / "t/a", tree / "v/a", "-o", tree / "o.png", "--method", "average")
    assert said.code == 2
    assert "--out: found the name of a file" in said.err
    assert not (tree / "o.png").exists()


def test_own_outputs_are_no_orphans(ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair) -> None:
    make_pair(tmp_path / "x_ir.png", tmp_path / "x_vi.png")
    given = ("fuse", tmp_path, "-o", tmp_path, "--method", "average")
    assert ivfuse_cli(*given).code == 0
    said = ivfuse_cli(*given)
    assert "0 done, 1 skipped" in said.out
    assert "no partner" not in said.err


def test_a_note_names_its_file(ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair) -> None:
    make_pair(tmp_path / "ir/a.png", tmp_path / "vi/a.png")
    make_pair(tmp_path / "ir/b.png", tmp_path / "vi/b.png", ir_size=(24, 60))
    said = ivfuse_cli("fuse", tmp_path, "-o", tmp_path / "f", "--method", "average")
    assert f"note (1 of 2): {tmp_path / 'ir/b.png'}: thermal: 60x24 beside" in said.err


def test_pairs_by_number_are_said_once_and_in_json(
    ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair
) -> None:
    for number in (1, 2):
        make_pair(
            tmp_path / f"s/DJI_20230101120002_000{number}_T.png",
            tmp_path / f"s/DJI_20230101120003_000{number}_V.png",
        )
    given = ("fuse", tmp_path / "s", "-o", tmp_path / "f", "--method", "average")
    assert ivfuse_cli(*given).err.count("paired by number") == 1
    (note,) = json.loads(ivfuse_cli(*given, "--json").out)["notes"]
    assert note.startswith("2 paired by number, with times up to 1 s apart")


@pytest.mark.parametrize(("above", "said_so"), [("35C", True), ("25C", False)])
def test_nothing_highlighted_is_said(ivfuse_cli: Cli, tmp_path: Path, above: str, said_so: bool) -> None:
    counts = np.tile(np.linspace(29315, 30315, 64).astype(np.uint16), (48, 1))  # 20 to 30 degC in 0.01 K
    cv2.imwrite(str(tmp_path / "t.tiff"), counts)
    cv2.imwrite(str(tmp_path / "v.png"), np.full((48, 64), 90, np.uint8))
    said = ivfuse_cli(
        "fuse", tmp_path / "t.tiff", tmp_path / "v.png", "-o", tmp_path / "f.png", "--method", "average",
        "--scale", "0.01K", "--highlight", f">{above}",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert ("nothing was highlighted, the temperatures are from 20.0 to 30.0 degC" in said.err) is said_so


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("videos", "words"),
    [
        (["flir.seq"], "flir.seq is left out"),
        (["a.CSQ", "b.mp4", "c.flv"], "3 videos such as a.CSQ are left out"),
    ],
)
def test_videos_among_images_are_said_in_one_line(
    ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair, split: bool, videos: list[str], words: str
) -> None:
    make_pair(tmp_path / "s" / "ir" / "x.png", tmp_path / "s" / "vi" / "x.png")
    for name in videos:
        (tmp_path / "s" / "ir" / name).touch()
    given = (tmp_path / "s" / "ir", tmp_path / "s" / "vi") if split else (tmp_path / "s",)
    said = ivfuse_cli("fuse", *given, "-o", tmp_path / "f", "--method", "average")
    assert said.code == 0, said.err
    assert f"note: {words}: ivfuse video fuses videos\n" in said.err
    assert "no partner" not in said.err
    again = ivfuse_cli("fuse", *given, "-o", tmp_path / "g", "--method", "average", "--recursive")
    assert again.err.count("left out") == 1
    (tmp_path / "s" / "ir" / videos[0]).rename(tmp_path / "g" / videos[0])
    for name in videos[1:]:
        (tmp_path / "s" / "ir" / name).unlink()
    assert "left out" not in ivfuse_cli("fuse", *given, "-o", tmp_path / "g", "--recursive").err


def test_a_folder_of_recordings_is_refused_with_the_verb_for_them(ivfuse_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "flir.seq").touch()
    said = ivfuse_cli("fuse", tmp_path / "s", "-o", tmp_path / "f")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "found no images" in said.err
    assert "flir.seq is left out: ivfuse video fuses videos" in said.err


@pytest.mark.parametrize("recursive", [(), ("--recursive",)])
@pytest.mark.parametrize("split", [False, True])
def test_each_folder_is_listed_once(
    ivfuse_cli: Cli,
    tmp_path: Path,
    make_pair: MakePair,
    monkeypatch: pytest.MonkeyPatch,
    split: bool,
    recursive: tuple[str, ...],
) -> None:
    source = tmp_path / "s"
    make_pair(source / "ir" / "x.png", source / "vi" / "x.png")
    looks: list[Path] = []
    for name in ("listdir", "scandir"):
        plain = getattr(os, name)

        def counted(path: Any, plain: Any = plain) -> Any:
            looks.append(Path(os.fsdecode(path)))
            return plain(path)

        monkeypatch.setattr(os, name, counted)
    given = (source / "ir", source / "vi") if split else (source,)
    said = ivfuse_cli("fuse", *given, "-o", tmp_path / "f", "--method", "average", *recursive)
    assert said.code == 0, said.err
    expected = [source / "ir", source / "vi"] if split else [source, source / "ir", source / "vi"]
    assert sorted(path for path in looks if path.is_relative_to(source)) == expected


@pytest.mark.parametrize("split", [False, True])
def test_recordings_of_robots_among_images_are_said_in_one_line(
    ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair, split: bool
) -> None:
    make_pair(tmp_path / "s" / "ir" / "x.png", tmp_path / "s" / "vi" / "x.png")
    (tmp_path / "s" / "ir" / "drive.mcap").touch()
    given = (tmp_path / "s" / "ir", tmp_path / "s" / "vi") if split else (tmp_path / "s",)
    said = ivfuse_cli("fuse", *given, "-o", tmp_path / "f", "--method", "average")
    assert said.code == 0, said.err
    assert "note: drive.mcap is left out: ivfuse info lists the topics of bags\n" in said.err
    (tmp_path / "s" / "ir" / "x.png").unlink()
    said = ivfuse_cli("fuse", tmp_path / "s" / "ir", "-o", tmp_path / "g")
    assert said.code == 1
    assert "found no images" in said.err
    assert "drive.mcap is left out: ivfuse info lists the topics of bags\n" in said.err


@pytest.fixture
def drawn(tmp_path: Path, make_pair: MakePair) -> Path:
    """``t/`` with a radiometric file, the picture that the camera drew of it, and ``v/`` with its partner."""
    folder = tmp_path / "shots"
    make_pair(folder / "t" / "a.png", folder / "v" / "a.png")
    (folder / "t" / "a.irg").write_bytes(b"no file of a camera")
    return folder


LEFT_OUT = "note: a.png is left out, since the camera's own file of the same name is used"


def test_patterns_prefer_radiometric_files_to_their_pictures_as_folders_do(
    ivfuse_cli: Cli, drawn: Path, tmp_path: Path
) -> None:
    for ir, vi in ((f"{drawn}/t/*", f"{drawn}/v/*.png"), (drawn / "t", drawn / "v")):
        said = ivfuse_cli("fuse", ir, vi, "-o", tmp_path / "f", "--method", "average")
        assert said.code == 1
        assert "failed: a: " in said.err  # the radiometric file, which is none
        assert "a.irg" in said.err
        assert LEFT_OUT in said.err
        assert "ambiguous" not in said.err


def test_other_verbs_print_what_is_left_out_as_well(
    ivfuse_cli: Cli, drawn: Path, tmp_path: Path, make_pair: MakePair
) -> None:
    make_pair(drawn / "t" / "b.png", drawn / "v" / "b.png")
    make_pair(drawn / "t" / "c.png", tmp_path / "f" / "b.png")
    (drawn / "t" / "d.mp4").touch()
    sources = (drawn / "t", drawn / "v")
    for given in (("eval", tmp_path / "f", *sources), ("register", *sources, "-o", tmp_path / "rig.json")):
        said = ivfuse_cli(*given)
        assert LEFT_OUT in said.err
        assert f"no partner: {drawn}/t/c.png" in said.err
        assert "note: d.mp4 is left out: ivfuse video fuses videos" in said.err
        assert "left out" not in ivfuse_cli(*given, "--quiet").err
    notes = json.loads(ivfuse_cli("eval", tmp_path / "f", *sources, "--json").out)["notes"]
    assert any("d.mp4 is left out" in note for note in notes)
