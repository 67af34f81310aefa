"""``ivfuse degrade`` and ``benchmark --degrade``: files, folders, errors of one line, sets under weather."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.synthetic.degrade import degrade
from ivfuse.synthetic.street import street_scene


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    root = tmp_path / "streets"
    for number, time in enumerate(("day", "night")):
        scene = street_scene(48, 64, number, time)  # type: ignore[arg-type]
        write_image(root / "ir" / f"s{number}.png", scene.ir)
        write_image(root / "vi" / f"s{number}.png", scene.vi)
    return root


def test_a_folder_is_degraded_pair_by_pair_as_the_function_does(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path
) -> None:
    out = tmp_path / "hazy"
    said = ivfuse_cli("degrade", streets / "ir", streets / "vi", "-o", out, "--with", "haze:4", "--seed", 3)
    assert said.code == 0, said.err
    ir, vi = (read_visible(streets / kind / "s1.png").pixels for kind in ("ir", "vi"))
    expected = degrade(ir, vi, "haze", 4, zlib.crc32(b"3:s1"))
    for kind, pixels in zip(("ir", "vi"), expected, strict=True):
        written = read_visible(out / kind / "s1.png").pixels
        assert np.abs(written - pixels).max() <= 0.5 / 255 + 1e-6  # rounded to 8 bits


def test_one_pair_of_files(ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path) -> None:
    pair = (streets / "ir" / "s0.png", streets / "vi" / "s0.png")
    first = ivfuse_cli("degrade", *pair, "-o", tmp_path / "a", "--with", "rain:2,noise:1", "-q")
    second = ivfuse_cli("degrade", *pair, "-o", tmp_path / "b", "--with", "rain:2", "--with", "noise:1")
    assert first.code == second.code == 0
    assert not first.out
    for kind in ("ir", "vi"):
        assert (tmp_path / "a" / kind / "s0.png").read_bytes() == (
            tmp_path / "b" / kind / "s0.png"
        ).read_bytes()


def test_the_list_names_every_degradation(ivfuse_cli: Callable[..., Any]) -> None:
    said = ivfuse_cli("degrade", "--list")
    assert said.code == 0
    assert {"haze", "rain", "snow", "stripes", "misregistration"} <= {
        x.split()[0] for x in said.out.splitlines()
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--with", "haze:9"], "1 to 5"),
        (["--with", "hase:3"], "did you mean haze"),
        ([], "--with"),
    ],
)
def test_wrong_use_is_one_line(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    said = ivfuse_cli("degrade", streets, "-o", tmp_path / "out", *arguments)
    assert said.code == 2
    assert told in said.err
    assert said.err.count("\n") == 1


def test_a_pair_that_cannot_be_read_is_listed_and_the_others_go_on(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path
) -> None:
    (streets / "vi" / "s0.png").write_bytes(b"not a picture")
    said = ivfuse_cli("degrade", streets, "-o", tmp_path / "out", "--with", "snow")
    assert said.code == 1
    assert said.err.startswith("failed: s0: ")
    assert (tmp_path / "out" / "vi" / "s1.png").is_file()


def test_a_benchmark_scores_the_clean_pairs_and_those_in_haze(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path
) -> None:
    arguments = ("--methods", "average", "--metrics", "SD", "--jobs", 1, "--json", "-o", tmp_path / "report")
    said = ivfuse_cli("benchmark", "--data", streets, "--degrade", "none", "--degrade", "haze:5", *arguments)
    assert said.code == 0, said.err
    table = json.loads(said.out)
    assert [each["name"] for each in table["sets"]] == ["streets", "streets-haze5"]
    assert "haze:5" in table["sets"][1]["layout"]
    clean, hazy = (board["methods"]["average"]["metrics"]["SD"]["mean"] for board in table["boards"])
    assert hazy < clean
    again = ivfuse_cli("benchmark", "--data", streets, "--degrade", "none", "--degrade", "haze:5", *arguments)
    assert json.loads(again.out)["reused"] == {"fused": 4, "scored": 4}  # equal files are made again


def test_a_benchmark_in_haze_goes_on_past_a_pair_that_cannot_be_read(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path
) -> None:
    (streets / "vi" / "s0.png").write_bytes(b"nothing")
    arguments = ("--methods", "average", "--metrics", "SD", "--jobs", 1, "-q", "-o", tmp_path / "report")
    said = ivfuse_cli("benchmark", "--data", streets, "--degrade", "haze:2", *arguments)
    assert said.code == 1
    assert "streets-haze2, average, s0" in said.err
    assert (tmp_path / "report" / "fused" / "streets-haze2" / "average" / "s1.png").is_file()
