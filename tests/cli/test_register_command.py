"""``ivfuse register``, and ``ivfuse fuse`` with what it gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse import load_rig
from ivfuse.image.color import luma
from ivfuse.synthetic.street import street_scene

Cli = Callable[..., Any]
LEFT, TOP, ZOOM = 60, 40, 1.5  # of the thermal on the visible


@pytest.fixture(scope="module")
def rig_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ir/`` and ``vi/`` with two pairs of one rig and one pair that shows nothing."""
    folder = tmp_path_factory.mktemp("rig")
    for kind in ("ir", "vi"):
        (folder / kind).mkdir()
    for name, seed in (("a", 0), ("b", 3)):
        scene = street_scene(400, 520, seed, "day")
        width, height = 260, 208
        cut = scene.ir[TOP : TOP + int(height * ZOOM), LEFT : LEFT + int(width * ZOOM)]
        _write(folder / "ir" / f"{name}.png", cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA))
        _write(folder / "vi" / f"{name}.png", luma(scene.vi))
    _write(folder / "ir" / "c.png", np.full((208, 260), 0.5, np.float32))
    _write(folder / "vi" / "c.png", luma(street_scene(400, 520, 5, "day").vi))
    return folder


def _write(path: Path, gray: Any) -> None:
    assert cv2.imwrite(str(path), np.rint(gray * 255).astype(np.uint8))


def test_a_pair_becomes_a_rig_and_an_overlay(ivfuse_cli: Cli, rig_folder: Path, tmp_path: Path) -> None:
    said = ivfuse_cli(
        "register", rig_folder / "ir" / "a.png", rig_folder / "vi" / "a.png",
        "-o", tmp_path / "rig.json", "--overlay", tmp_path / "look.png",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "homography from 1 of 1 pair" in said.out
    rig = load_rig(tmp_path / "rig.json")
    assert rig.array[0, 0] == pytest.approx(ZOOM, abs=0.03)
    assert rig.array[:2, 2] == pytest.approx([LEFT, TOP], abs=2)
    look = cv2.imread(str(tmp_path / "look.png"))
    assert look.shape == (400, 520, 3)
    assert (look[..., 2].astype(int) - look[..., 0] > 100).mean() > 0.01  # orange edges


def test_a_folder_becomes_one_rig_and_names_what_does_not_count(
    ivfuse_cli: Cli, rig_folder: Path, tmp_path: Path
) -> None:
    said = ivfuse_cli("register", rig_folder, "-o", tmp_path / "rig.json", "--json", "--model", "similarity")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["rig"] == str(tmp_path / "rig.json")
    assert [pair["used"] for pair in told["pairs"]] == [True, True, False]
    assert "flat" in told["pairs"][2]["reason"]
    assert load_rig(tmp_path / "rig.json").pairs == 2


def test_a_refusal_is_one_line_and_leaves_no_rig(ivfuse_cli: Cli, rig_folder: Path, tmp_path: Path) -> None:
    said = ivfuse_cli(
        "register", rig_folder / "ir" / "c.png", rig_folder / "vi" / "c.png", "-o", tmp_path / "rig.json"
    )
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "the thermal image is flat" in said.err
    assert not (tmp_path / "rig.json").exists()


def test_points_are_the_way_out(ivfuse_cli: Cli, rig_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "ir_x,ir_y,vi_x,vi_y\n0,0,60,40\n200,0,360,40\n200,150,360,265\n0,150,60,265\n"
    )
    pair = rig_folder / "ir" / "c.png", rig_folder / "vi" / "c.png"
    said = ivfuse_cli("register", *pair, "-o", tmp_path / "rig.json", "--points", tmp_path / "p.csv")
    assert said.code == 0, said.err
    assert "from points, residual 0.00 pixels" in said.out
    said = ivfuse_cli(
        "fuse", *pair, "-o", tmp_path / "f.png", "--method", "average", "--points", tmp_path / "p.csv"
    )
    assert said.code == 0, said.err
    assert "thermal aligned by points" in said.err


def test_a_folder_is_fused_with_a_rig(ivfuse_cli: Cli, rig_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("0,0,60,40\n200,150,360,265\n")
    pair = rig_folder / "ir" / "a.png", rig_folder / "vi" / "a.png"
    assert (
        ivfuse_cli("register", *pair, "-o", tmp_path / "rig.json", "--points", tmp_path / "p.csv").code == 0
    )
    said = ivfuse_cli(
        "fuse",
        rig_folder,
        "-o",
        tmp_path / "fused",
        "--method",
        "average",
        "--rig",
        tmp_path / "rig.json",
        "--crop",
    )
    assert said.code == 0, said.err
    assert cv2.imread(str(tmp_path / "fused" / "b.png")).shape[:2] == (311, 389)


def test_pairs_registered_one_by_one_go_on_past_a_refused_one(
    ivfuse_cli: Cli, rig_folder: Path, tmp_path: Path
) -> None:
    said = ivfuse_cli(
        "fuse", rig_folder, "-o", tmp_path / "fused", "--method", "average", "--register", "auto", "--json"
    )
    assert said.code == 1
    told = json.loads(said.out)
    assert len(told["done"]) == 2
    assert [one["name"] for one in told["failed"]] == ["c"]
    assert "flat" in told["failed"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["fuse", "{ir}", "{vi}", "-o", "f.png", "--rig", "r.json", "--register", "auto"],
            "give one of them",
        ),
        (["fuse", "{ir}", "{vi}", "-o", "f.png", "--register", "afine"], "did you mean affine"),
        (["fuse", "{ir}", "{vi}", "-o", "f.png", "--crop"], "crop"),
        (["register", "{ir}", "{vi}", "-o", "rig.txt"], "ends in .json"),
        (["register", "{ir}", "-o", "rig.json"], "give the visible file too"),
        (["register", "{ir}", "{vi}", "-o", "rig.json", "--model", "rigid"], "unknown model"),
        (["register", "{ir}", "{vi}", "-o", "rig.json", "--style", "edge"], "did you mean edges"),
    ],
)
def test_wrong_use_is_said(ivfuse_cli: Cli, rig_folder: Path, arguments: list[str], said: str) -> None:
    paths = {"ir": rig_folder / "ir" / "a.png", "vi": rig_folder / "vi" / "a.png"}
    result = ivfuse_cli(*(argument.format(**paths) for argument in arguments))
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1
