"""``ivfuse benchmark`` and ``ivfuse datasets`` as a user types them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivfuse.cli import benchmark_report

Cli = Callable[..., Any]
MakePair = Callable[..., tuple[Path, Path]]


@pytest.fixture
def roads(tmp_path: Path, make_pair: MakePair) -> Path:
    """Two pairs in ``roads/ir`` and ``roads/vi``."""
    for index in (1, 2):
        make_pair(*(tmp_path / "roads" / part / f"x{index}.png" for part in ("ir", "vi")), seed=index)
    return tmp_path / "roads"


def test_a_benchmark_writes_tables_and_a_report(ivfuse_cli: Cli, roads: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    said = ivfuse_cli("benchmark", "--data", roads, "--methods", "average,maximum", "-o", out, "--jobs", 1)
    assert said.code == 0, said.err
    assert "2 pairs, sets: 1, metrics: 8, convention default" in said.out
    assert re.search(r"^average +[\d.]+ +[\d.]+ +[\d.]+ +\S+ +- +-$", said.out, re.MULTILINE)
    assert f"report: {out / 'index.html'}" in said.out
    assert "left (" in said.err
    names = {path.name for path in (out / "tables").iterdir()}
    tables = {"images.csv", "summary.csv", "tests.csv", "seeing.csv", "tables.md", "tables.tex"}
    assert names == {*tables, "results.json"}
    assert not list(out.rglob("*.part"))
    again = ivfuse_cli("benchmark", "--data", roads, "--methods", "average,maximum", "-o", out, "--jobs", 1)
    assert "4 fused images were reused" in again.err
    assert again.out == said.out


def test_brought_results_that_are_missing_end_with_one(ivfuse_cli: Cli, roads: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    shutil.copy(roads / "vi" / "x1.png", tmp_path / "theirs" / "x1.png")
    said = ivfuse_cli(
        *("benchmark", "--data", roads, "--methods", "none", "--fused", f"theirs={tmp_path / 'theirs'}"),
        *("--convention", "cddfuse", "--metrics", "EN", "-o", tmp_path / "report", "--json", "--jobs", 1),
    )
    assert said.code == 1
    assert said.err == "missing: roads, theirs, x2: no fused image\n"
    report = json.loads(said.out)
    assert report["conventions"] == ["cddfuse"]
    assert report["methods"][0]["external"] is True
    assert report["methods"][0]["failed"] == 1
    assert report["boards"][0]["methods"]["theirs"]["metrics"]["EN"]["count"] == 1


@pytest.mark.parametrize(
    "words",
    [("--methods", "averag"), ("--convention", "x"), ("--fused", "x"), ("--metrics", "x"), ("--jobs", "0")],
)
def test_wrong_use_ends_with_two(
    ivfuse_cli: Cli, roads: Path, tmp_path: Path, words: tuple[str, str]
) -> None:
    said = ivfuse_cli("benchmark", "--data", roads, "-o", tmp_path / "report", *words)
    assert said.code == 2
    assert not (tmp_path / "report").exists()


def test_a_file_in_place_of_the_report_is_refused(ivfuse_cli: Cli, roads: Path, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    said = ivfuse_cli("benchmark", "--data", roads, "-o", tmp_path / "report")
    assert said.code == 2
    assert "expected a folder for the report" in said.err
    assert (tmp_path / "report").read_text() == "mine"


def test_an_interrupt_says_how_to_go_on(
    ivfuse_cli: Cli, roads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ivfuse.benchmark.run.run", stop)
    said = ivfuse_cli("benchmark", "--data", roads, "--methods", "average", "-o", tmp_path / "report", "-q")
    assert said.code == 130
    assert "run again to go on" in said.err


def test_progress_tells_the_time_left_by_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    with benchmark_report.progress(20, shown=True) as tell:
        tell("fuse a", True)
        tell("fuse b", True)
        assert "left" not in capsys.readouterr().err  # nothing was done yet, so the speed is not known
        tell("fuse c", False)
        tell("fuse d", False)
    assert re.fullmatch(r"4/20, about 1 s left \(fuse d\)\n", capsys.readouterr().err)


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations(seconds: float, said: str) -> None:
    assert benchmark_report.format_duration(seconds) == said


def test_data_sets_are_listed_with_their_terms(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("datasets")
    assert said.code == 0
    assert re.search(r"^tno +21, 25, 42 ", said.out, re.MULTILINE)
    assert re.search(r"^msrs +361 +Linfeng-Tang/MSRS +not stated", said.out, re.MULTILINE)
    assert {each["name"] for each in json.loads(ivfuse_cli("datasets", "--json").out)} >= {"tno", "awmm-100k"}


def test_one_data_set_in_full(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("datasets", "LLVIP")
    assert "non-commercial" in said.out
    assert "infrared/test/ + visible/test/" in said.out
    assert json.loads(ivfuse_cli("datasets", "vifb", "--json").out)["splits"][0]["pairs"] == 21
    assert ivfuse_cli("datasets", "nosuch").code == 2


def test_a_folder_is_checked(ivfuse_cli: Cli, roads: Path) -> None:
    whole = ivfuse_cli("datasets", "--check", roads)
    assert whole.code == 0, whole.err
    assert "2 pairs in ir/ + vi/" in whole.out
    assert "nothing is missing" in whole.out
    claimed = ivfuse_cli("datasets", "msrs", "--check", roads, "--json")
    assert claimed.code == 1
    report = json.loads(claimed.out)
    assert report["set"] == "msrs"
    assert report["pairs"] == 2
    assert "published splits" in report["problems"][-1]
