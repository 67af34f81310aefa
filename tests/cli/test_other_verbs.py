"""``ivfuse methods``, ``ivfuse demo``, help and version."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse
from ivfuse.cli.app import SECTIONS, VERBS
from ivfuse.cli.demo import side_by_side
from ivfuse.fusion.registry import default_method

Cli = Callable[..., Any]


def test_the_table_names_every_method_and_marks_the_default(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("methods")
    assert said.code == 0
    first_words = [line.split()[0] for line in said.out.splitlines() if line]
    assert set(ivfuse.list_methods()) <= set(first_words)
    assert f"{default_method()} *" in said.out


def test_the_table_as_json(ivfuse_cli: Cli) -> None:
    table = json.loads(ivfuse_cli("methods", "--json").out)
    assert [row["name"] for row in table] == ivfuse.list_methods()
    assert [row["name"] for row in table if row["default"]] == [default_method()]


def test_the_facts_of_a_method(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("methods", "guided-filter")
    assert said.code == 0
    assert "Li" in said.out
    assert "classical" in said.out
    assert json.loads(ivfuse_cli("methods", "guided-filter", "--json").out)["card"] == ""


def test_an_unknown_method_suggests_the_nearest(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("methods", "wavlet")
    assert said.code == 2
    assert said.err.startswith("ivfuse: error: --method: unknown method 'wavlet'; did you mean wavelet")
    assert said.err.count("\n") == 1


def test_the_demo_writes_both_scenes_with_side_by_sides(ivfuse_cli: Cli, tmp_path: Path) -> None:
    said = ivfuse_cli("demo", "-o", tmp_path / "d", "--size", "160x128", "--method", "average")
    assert said.code == 0, said.err
    for moment in ("night", "day"):
        for part in ("ir", "vi", "fused"):
            assert cv2.imread(str(tmp_path / "d" / f"{moment}-{part}.png")).shape == (128, 160, 3)
            assert f"{moment}-{part}.png" in said.out
        wide = cv2.imread(str(tmp_path / "d" / f"{moment}-side-by-side.png"))
        assert wide.shape[1] >= 3 * 160
        assert wide.shape[0] > 128


def test_the_demo_depends_on_the_seed_alone(ivfuse_cli: Cli, tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        ivfuse_cli("demo", "-o", tmp_path / folder, "--seed", seed, "--size", "96x96", "--method", "average")
    images = [(tmp_path / folder / "night-fused.png").read_bytes() for folder in "abc"]
    assert images[0] == images[1]
    assert images[0] != images[2]


@pytest.mark.parametrize("size", ["640", "10x10", "ax5", "100000x100"])
def test_a_size_that_is_none_is_refused(ivfuse_cli: Cli, tmp_path: Path, size: str) -> None:
    said = ivfuse_cli("demo", "-o", tmp_path / "d", "--size", size)
    assert (said.code, "--size" in said.err) == (2, True)


def test_a_side_by_side_holds_each_image_under_its_label() -> None:
    gray, color = np.full((64, 80), 0.5, np.float32), np.full((64, 80, 3), (1, 0, 0), np.float32)
    row = side_by_side([("one", gray), ("two", color)])
    bar = row.shape[0] - 64
    assert (row[bar:, :80] == 0.5).all()
    assert (row[bar:, -80:] == (1, 0, 0)).all()
    assert row[:bar, :80].max() > 0.8


def test_the_version_is_printed(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("--version")
    assert (said.code, said.out) == (0, f"ivfuse {ivfuse.__version__}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example(ivfuse_cli: Cli, verb: str) -> None:
    said = ivfuse_cli(verb, "--help")
    assert said.code == 0
    assert re.search(rf"Examples?:\n +ivfuse {verb}\b", said.out)


def test_the_help_lists_every_verb(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("--help")
    assert said.code == 0
    assert all(f"  {verb} " in said.out for verb in VERBS)


def test_the_help_describes_each_verb_in_one_whole_line(ivfuse_cli: Cli) -> None:
    lines = {line.split()[0]: line for line in ivfuse_cli("--help").out.splitlines() if line.strip()}
    assert [verb for section in SECTIONS.values() for verb in section if verb not in VERBS] == []
    for verb in VERBS:
        assert lines[verb].endswith(".")
        assert "..." not in lines[verb]


def test_an_unknown_verb_suggests_the_nearest(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("fuze")
    assert said.code == 2
    assert "fuse" in said.err


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m ivfuse methods | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["methods", "--help"])
def test_output_to_a_full_disk_is_one_line(words: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ivfuse", words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "ivfuse: error: the output cannot be written: No space left on device\n"


def test_the_explanation_of_a_metric_has_paragraphs(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("metrics", "VIF")
    assert said.code == 0
    assert "\\n" not in said.out
    assert "\n\nTwo per identical triple" in said.out
