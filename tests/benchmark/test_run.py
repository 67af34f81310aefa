"""Runs: what is fused and scored, what is done again, and what happens when something fails."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse
from ivfuse.benchmark.datasets import open_sets
from ivfuse.benchmark.plan import make_plan, method_entries
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.runtime.processes import Worker, ask_all

from .conftest import Done, bring, scenes

Benchmark = Callable[..., Done]


def levels(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])


def test_scores_are_those_of_the_library(finished: Done) -> None:
    plan = finished.plan
    for board in finished.results.leaderboards:
        for index, pair in enumerate(plan.sets[0].pairs):
            fused = levels(plan.out / "fused" / "streets" / "average" / f"{pair.name}.png")
            expected = ivfuse.evaluate(
                fused, levels(pair.ir), levels(pair.vi), plan.metrics, convention=board.convention
            )
            found = {name: board.values["average"][name][index] for name in plan.metrics}
            assert found == pytest.approx(expected, rel=1e-12)


def test_fused_images_are_those_of_the_fuser(finished: Done) -> None:
    pair = finished.plan.sets[0].pairs[0]
    expected = np.rint(ivfuse.fuse(pair.ir, pair.vi, "maximum") * 255)
    found = levels(finished.plan.out / "fused" / "streets" / "maximum" / f"{pair.name}.png")
    assert np.abs(found - expected).max() <= 1  # rounding of ties


def test_costs_are_measured_for_own_methods_alone(finished: Done) -> None:
    for name in ("average", "maximum"):
        cost = finished.results.costs[name]
        assert cost.images == 3
        assert 0 < cost.wall <= cost.slowest < 5
        assert cost.cpu >= 0
        assert np.isnan(cost.peak) or 20 < cost.peak < 2000
    assert finished.results.costs["other"].images == 0


def test_missing_and_mis_sized_images_are_listed_and_counted(finished: Done) -> None:
    problems = {(each.method, each.pair): (each.kind, each.reason) for each in finished.outcome.problems}
    assert problems == {
        ("other", "s1"): ("missing", "no fused image"),
        ("other", "s3"): ("score", "mis-sized: 30x20, expected 64x48"),
    }
    for board in finished.results.leaderboards:
        assert board.failed == {"average": 0, "maximum": 0, "other": 2}
        assert board.summaries["other"]["EN"].count == 1
        assert board.methods[-1] == "other"
        assert board.best["EN"][-1] == "other"


def test_a_second_run_does_nothing_anew(benchmark: Benchmark, data: Path, tmp_path: Path) -> None:
    first = benchmark([data], tmp_path / "report")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "report" / "fused").rglob("*.png")}
    second = benchmark([data], tmp_path / "report")
    assert not first.outcome.reused
    assert second.outcome.reused == {"fuse": 6, "score": 3}
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert (second.results.costs, second.results.overall) == (first.results.costs, first.results.overall)


@pytest.mark.slow
def test_only_what_changed_is_done_anew(benchmark: Benchmark, data: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    benchmark([data], report)
    cv2.imwrite(str(data / "ir" / "s1.png"), np.full((48, 64), 200, np.uint8))  # another source
    (report / "fused" / "streets" / "maximum" / "s2.png").write_bytes(b"damaged")
    (report / "records" / "streets" / "average" / "s3.json").write_text("{")
    again = benchmark([data], report)
    assert again.outcome.reused["fuse"] == 2  # s2 average, s3 maximum
    assert not again.outcome.problems
    fresh = benchmark([data], tmp_path / "fresh")
    for board, other in zip(again.results.leaderboards, fresh.results.leaderboards, strict=True):
        for method in board.values:
            assert board.values[method]["SCD"] == pytest.approx(other.values[method]["SCD"], nan_ok=True)


@pytest.mark.slow
def test_further_metrics_and_methods_are_added(benchmark: Benchmark, data: Path, tmp_path: Path) -> None:
    benchmark([data], tmp_path / "report", "average", metrics="EN")
    more = benchmark([data], tmp_path / "report", "average,maximum", metrics="EN,SD")
    assert more.outcome.reused["fuse"] == 3
    assert all(np.isfinite(more.results.leaderboards[0].values["average"][x]).all() for x in ("EN", "SD"))


def test_a_bad_pair_fails_for_every_method_and_the_others_go_on(
    benchmark: Benchmark, data: Path, tmp_path: Path
) -> None:
    (data / "ir" / "s2.png").write_bytes(b"no image")
    done = benchmark([data], tmp_path / "report")
    assert {(each.method, each.pair) for each in done.outcome.problems} == {
        ("average", "s2"),
        ("maximum", "s2"),
    }
    assert all("s2.png" in each.reason for each in done.outcome.problems)
    assert len(done.outcome.records) == 4
    assert done.results.failed == {"average": 1, "maximum": 1}


def test_a_failing_method_does_not_stop_the_others(
    benchmark: Benchmark, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned(tmp_path / "weights", b"no graph", "broken")
    monkeypatch.setenv("IVFUSE_WEIGHTS", str(tmp_path / "weights"))
    done = benchmark([data], tmp_path / "report", "broken,average")
    assert done.results.failed == {"broken": 3, "average": 0}
    assert {each.kind for each in done.outcome.problems} == {"fuse"}
    assert done.results.methods == ["average", "broken"]


@pytest.mark.slow
def test_other_weights_or_threads_are_another_method(
    benchmark: Benchmark, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IVFUSE_WEIGHTS", str(tmp_path / "weights"))
    learned(tmp_path / "weights", graph("Max"))
    first = benchmark([data], tmp_path / "report", "trial,maximum", metrics="EN")
    board = first.results.leaderboards[0]
    assert board.values["trial"]["EN"] == pytest.approx(board.values["maximum"]["EN"], abs=0.01)
    learned(tmp_path / "weights", graph("Min"))
    second = benchmark([data], tmp_path / "report", "trial,maximum", metrics="EN")
    assert second.outcome.reused["fuse"] == 3
    assert (second.results.leaderboards[0].values["trial"]["EN"] != board.values["trial"]["EN"]).all()
    third = benchmark([data], tmp_path / "report", "trial,maximum", metrics="EN", threads=1)
    assert third.outcome.reused["fuse"] == 0


def graph(operator: str) -> bytes:
    """An ONNX graph of one operator."""
    onnx = pytest.importorskip("onnx")
    shape, kind = ["batch", 1, "height", "width"], onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(name, kind, shape) for name in ("ir", "vi", "fused")]
    node = onnx.helper.make_node(operator, ["ir", "vi"], ["fused"])
    made = onnx.helper.make_graph([node], operator, ends[:2], ends[2:])
    opset = [onnx.helper.make_opsetid("", 17)]
    data: bytes = onnx.helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString()
    return data


def learned(folder: Path, weights: bytes, name: str = "trial") -> None:
    """A folder for $IVFUSE_WEIGHTS with one trained method."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(weights)
    facts = {"file": f"{name}.onnx", "sha256": hashlib.sha256(weights).hexdigest(), "summary": "x"}
    facts |= {"paper": "x", "variant": "fixed", "license": "x", "version": "1"}
    lines = [f'{key} = "{value}"' for key, value in facts.items()]
    lines += [f"size = {len(weights)}", "parameters = 0", "reach = 0"]
    (folder / "manifest.toml").write_text("\n".join([f"[models.{name}]", *lines]), encoding="utf-8")


@pytest.mark.slow
def test_a_killed_run_goes_on(data: Path, tmp_path: Path) -> None:
    many = scenes(tmp_path / "many", count=12)
    command = [
        sys.executable,
        "-m",
        "ivfuse",
        "benchmark",
        "--data",
        str(many),
        "--methods",
        "average,guided-filter",
    ]
    command += ["--metrics", "EN", "-o", str(tmp_path / "report"), "--json", "--jobs", "1"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    records = tmp_path / "report" / "records"
    until = time.monotonic() + 30
    while len(list(records.rglob("*.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = len(list(records.rglob("*.json")))
    assert before >= 3
    assert not (tmp_path / "report" / "index.html").exists()
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(said.stdout)
    assert 3 <= report["reused"]["fused"] < 24
    assert not report["problems"]
    assert len(list(records.rglob("*.json"))) == 24
    assert (tmp_path / "report" / "index.html").exists()


def test_thermal_images_of_another_size_are_scored_on_the_visible_grid(
    benchmark: Benchmark, data: Path, tmp_path: Path
) -> None:
    small = cv2.resize(cv2.imread(str(data / "ir" / "s1.png"), 0), (32, 24))
    cv2.imwrite(str(data / "ir" / "s1.png"), small.astype(np.uint16) * 40 + 7000)
    done = benchmark([data], tmp_path / "report", "average")
    assert not done.outcome.problems
    notes = done.outcome.records["streets", "average", "s1"].notes
    assert any("resampled from 32x24 to 64x48" in note for note in notes)


def test_brought_results_of_several_sets_lie_in_folders_of_their_names(tmp_path: Path) -> None:
    sets = [scenes(tmp_path / name, count=2) for name in ("one", "two")]
    bring(tmp_path / "other" / "one", sets[0])
    plan = make_plan(sets, tmp_path / "report", "none", fused=[f"other={tmp_path / 'other'}"])
    (entry,) = plan.entries
    assert entry.external is not None
    assert {name: sorted(found) for name, found in entry.external.items()} == {"one": ["s1", "s2"], "two": []}
    assert entry.unmatched is not None
    assert entry.unmatched["two"] == ("no folder two/ in other/",)


def test_left_over_results_are_named(data: Path, tmp_path: Path) -> None:
    folder = bring(tmp_path / "other", data)
    shutil.copy(folder / "s1_fused.png", folder / "stranger.png")
    plan = make_plan([data], tmp_path / "report", "none", fused=[f"other={folder}"])
    assert plan.entries[0].unmatched == {"streets": ("belongs to no pair: stranger.png",)}


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"methods": "averag"}, UnknownNameError, "average"),
        ({"methods": "average@natrual"}, UnknownNameError, "methods: unknown emphasis 'natrual'.*natural"),
        ({"methods": "averag@natural"}, UnknownNameError, "average"),
        ({"methods": "average@natural,average@natural"}, UsageError, "two methods are named"),
        ({"methods": "none"}, UsageError, "no method"),
        ({"metrics": "ENN"}, UnknownNameError, "EN"),
        ({"metrics": " , "}, UsageError, "expected names of metrics"),
        ({"conventions": ["tangg"]}, UnknownNameError, "tang"),
        ({"fused": ["nothing"]}, UsageError, "NAME=DIR"),
        ({"fused": ["../x=."]}, UsageError, "NAME=DIR"),
        ({"fused": ["..=."]}, UsageError, "NAME=DIR"),
        ({"fused": ["x=absent"]}, InputError, "no such folder"),
        ({"methods": "average", "fused": ["Average={own}"]}, UsageError, "two methods are named"),
    ],
)
def test_wrong_use_is_said_before_any_work(
    data: Path, tmp_path: Path, choices: dict[str, Any], error: type[Exception], words: str
) -> None:
    own = bring(tmp_path / "own", data)
    given = {**choices, "fused": [text.replace("{own}", str(own)) for text in choices.get("fused", [])]}
    with pytest.raises(error, match=words):
        make_plan([data], tmp_path / "report", **given)
    assert not (tmp_path / "report").exists()


def test_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    roots = [scenes(tmp_path / part / "streets", count=1) for part in ("a", "b")]
    assert [each.name for each in open_sets(roots)] == ["streets", "streets-2"]
    with pytest.raises(InputError, match="given twice"):
        open_sets([roots[0], roots[0]])


def test_a_process_that_dies_fails_its_request_alone() -> None:
    worker = Worker("builtins:eval", "__import__('os')._exit", None)
    assert "ended unexpectedly" in worker.ask(3).failure
    assert "ended unexpectedly" in worker.ask(3).failure  # from a new process
    worker.close()
    answers = dict(
        ask_all("builtins:eval", "lambda n: n * n if n else __import__('os')._exit(1)", [2, 0, 3, 4], 2)
    )
    assert [answers[index].value for index in range(4)] == [4, None, 9, 16]
    assert "ended unexpectedly" in answers[1].failure


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_while_a_worker_starts_leaves_it_to_its_parent(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(multiprocessing.active_children())
    worker = Worker("builtins:eval", "lambda n: n * n", None)
    worker.send(3)
    (process,) = set(multiprocessing.active_children()) - before
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    assert worker.receive().value == 9
    worker.close()
    assert capfd.readouterr().err == ""


def test_a_handler_that_cannot_be_made_fails_every_request() -> None:
    worker = Worker("builtins:eval", "1 +", None)
    assert "SyntaxError" in worker.ask(1).failure
    assert "SyntaxError" in worker.ask(2).failure
    worker.close()


def test_a_graph_that_is_in_no_manifest_is_a_method_by_its_stem(tmp_path: Path) -> None:
    graph = tmp_path / "mine.onnx"
    graph.write_bytes(b"a graph")
    average, mine = method_entries(f"average, {graph}")
    assert (average.name, average.method) == ("average", None)
    assert (mine.name, mine.method) == ("mine", str(graph))
    graph.write_bytes(b"another graph")
    assert method_entries(str(graph))[0].version != mine.version
    with pytest.raises(InputError, match=r"absent\.onnx: no such file"):
        method_entries(str(tmp_path / "absent.onnx"))


def test_a_name_may_have_an_emphasis(tmp_path: Path) -> None:
    graph = tmp_path / "mine@home.onnx"
    graph.write_bytes(b"a graph")
    plain, natural, mine, other = method_entries(f"average,average@natural,{graph},{graph}@targets")
    assert (plain.name, plain.emphasis) == ("average", None)
    assert (natural.name, natural.method, natural.emphasis) == ("average@natural", "average", "natural")
    assert natural.version != plain.version
    assert (mine.name, mine.emphasis) == ("mine@home", None)
    assert (other.name, other.method, other.emphasis) == ("mine@home@targets", str(graph), "targets")
    assert {entry.emphasis for entry in method_entries("all@detail")} == {"detail"}


def test_of_a_model_of_the_hub_the_emphasis_follows_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def find(text: str) -> Any:
        asked.append(text)
        raise InputError("offline")

    monkeypatch.setattr("ivfuse.benchmark.plan.find_model", find)
    for text in ("hf://me/night@natural", "hf://me/night@main@natural"):
        with pytest.raises(InputError, match="offline"):
            method_entries(text)
    assert asked == ["hf://me/night@natural", "hf://me/night@main"]


def test_emphases_of_one_method_are_compared(benchmark: Benchmark, data: Path, tmp_path: Path) -> None:
    done = benchmark([data], tmp_path / "report", "average,average@natural", metrics="EN")
    pair = done.plan.sets[0].pairs[0]
    for name, emphasis in (("average", None), ("average@natural", "natural")):
        expected = np.rint(ivfuse.fuse(pair.ir, pair.vi, "average", emphasis=emphasis) * 255)
        found = levels(done.plan.out / "fused" / "streets" / name / f"{pair.name}.png")
        assert np.abs(found - expected).max() <= 1  # rounding of ties
    assert set(done.results.methods) == {"average", "average@natural"}
