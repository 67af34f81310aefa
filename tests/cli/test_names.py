"""Names of files as people and attackers choose them: in every verb that prints them or writes by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Cli = Callable[..., Any]
Pairs = Callable[..., tuple[Path, Path]]

EVIL = "b\x1b[2J\nforged: line\r"
LONG = "n" * 251  # with a suffix of four letters the longest name of common file systems


@pytest.fixture
def evil(tmp_path: Path, make_pair: Pairs) -> Path:
    """Folders with a sound pair, a broken one and an orphan, whose names hold control characters."""
    root = tmp_path / f"set{EVIL}"
    make_pair(root / "ir" / f"{EVIL}.png", root / "vi" / f"{EVIL}.png")
    for part in ("ir", "vi"):
        (root / part / f"broken{EVIL}.png").write_bytes(b"no image")
    (root / "ir" / f"alone{EVIL}.png").write_bytes(b"no image")
    (root / "recipe.yaml").write_text("no: recipe")
    (root / "clip.mp4").write_bytes(b"no video")
    return root


def commands(root: Path, out: Path) -> dict[str, tuple[object, ...]]:
    ir, vi = root / "ir" / f"{EVIL}.png", root / "vi" / f"{EVIL}.png"
    broken = root / "ir" / f"broken{EVIL}.png"
    return {
        "fuse": ("fuse", root, "-o", out, "--method", "average"),
        "fuse one": ("fuse", ir, vi, "-o", out / f"{EVIL}.png", "--method", "average"),
        "video": ("video", root / "clip.mp4", root / "clip.mp4", "-o", out / f"{EVIL}.mp4"),
        "video of images": ("video", root / "ir", root / "vi", "-o", out / f"{EVIL}.mp4"),
        "register": ("register", root, "-o", out / f"{EVIL}.json"),
        "eval": ("eval", root / "vi", root, "--metrics", "EN", "--images"),
        "benchmark": (
            "benchmark", "--data", root, "-o", out / EVIL,
            "--methods", "average", "--metrics", "EN", "--jobs", 1,
        ),
        "degrade": ("degrade", root, "-o", out / EVIL, "--with", "noise:2"),
        "datasets": ("datasets", "--check", root),
        "info": ("info", vi),
        "info broken": ("info", broken),
        "methods": ("methods", EVIL),
        "metrics": ("metrics", EVIL),
        "bench": ("bench", "--methods", EVIL),
        "align-channels": ("align-channels", "--target", root, "--external", root, "-o", out / EVIL),
        "train": ("train", root / "recipe.yaml", "--data", root, "-o", out / EVIL),
        "export": ("export", broken, "-o", out / f"{EVIL}.onnx"),
        "convert": ("convert", "--method", "maefuse", broken, "-o", out / f"{EVIL}.safetensors"),
    }  # fmt: skip


@pytest.mark.parametrize("verb", commands(Path(), Path()))
def test_no_name_controls_the_terminal(ivfuse_cli: Cli, evil: Path, tmp_path: Path, verb: str) -> None:
    if verb.startswith("video"):
        pytest.importorskip("av")
    if verb in ("align-channels", "train", "export", "convert"):
        pytest.importorskip("torch")
    said = ivfuse_cli(*commands(evil, tmp_path / "out")[verb])
    printed = said.out + said.err
    assert "\\x1b[2J" in printed  # the name is printed, escaped
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert not any(line.startswith("forged") for line in printed.splitlines())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_names_as_long_as_the_file_system_allows_are_written(
    ivfuse_cli: Cli, make_pair: Pairs, tmp_path: Path, suffix: str
) -> None:
    ir, vi = make_pair(tmp_path / "ir" / f"{LONG}.png", tmp_path / "vi" / f"{LONG}.png")
    out = tmp_path / "out" / f"{LONG}{suffix}"
    raster = tmp_path / "out" / f"t{LONG[1:]}.tif"
    cv2.imwrite(str(ir), np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    said = ivfuse_cli(
        "fuse", ir, vi, "-o", out, "--method", "average", "--scale", "0.01K", "--temperature", raster
    )
    assert said.code == 0, said.err
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([out.name, raster.name])
    folder = ivfuse_cli("fuse", ir.parent, vi.parent, "-o", tmp_path / "all", "--method", "average")
    assert folder.code == 0, folder.err
    assert (tmp_path / "all" / f"{LONG}.png").is_file()
    worse = ivfuse_cli("degrade", ir.parent, vi.parent, "-o", tmp_path / "worse", "--with", "noise:2")
    assert worse.code == 0, worse.err


@pytest.mark.parametrize("stem", [LONG, "ä" * 125])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_videos_of_such_names_are_written(
    ivfuse_cli: Cli, make_pair: Pairs, tmp_path: Path, stem: str, suffix: str
) -> None:
    pytest.importorskip("av")
    for number in range(3):
        make_pair(tmp_path / "ir" / f"{number}.png", tmp_path / "vi" / f"{number}.png", seed=number)
    out = tmp_path / "out" / f"{stem}{suffix}"
    said = ivfuse_cli("video", tmp_path / "ir", tmp_path / "vi", "-o", out, "--method", "average", "-q")
    assert said.code == 0, said.err
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_name_beyond_the_file_system_is_one_line(ivfuse_cli: Cli, make_pair: Pairs, tmp_path: Path) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    said = ivfuse_cli("fuse", ir, vi, "-o", tmp_path / f"{LONG}nn.png", "--method", "average")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "File name too long" in said.err
