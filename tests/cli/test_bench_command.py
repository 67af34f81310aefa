"""``ivfuse bench``: latency and memory on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_percentiles_and_memory_of_each_method_and_size(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("bench", "--methods", "average", "--sizes", "64x48,96x64", "--runs", "8", "--json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)
    assert [(row["method"], row["width"]) for row in rows] == [("average", 64), ("average", 96)]
    for row in rows:
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["runs"] == 8
        assert 20 < row["peak_mib"] < 500


def test_a_method_that_cannot_run_is_listed_and_the_others_go_on(
    ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ivfuse.benchmark import latency
    from ivfuse.runtime.processes import Reply

    def ask(self: Any, job: Any) -> Reply:
        if job.cell.method == "maximum":
            return Reply(failure="no weights")
        return Reply(latency.Latency(job.cell, 1.0, 2.0, 3.0, 1.0, 50.0, 5))

    monkeypatch.setattr(latency.Worker, "ask", ask)
    said = ivfuse_cli("bench", "--methods", "maximum,average", "--sizes", "64x48", "--runs", "5")
    assert said.code == 1
    assert "failed: maximum 64x48: no weights" in said.err
    assert "average" in said.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--sizes", "640"], "expected WIDTHxHEIGHT"),
        (["--sizes", "16x16"], "32 to 8192"),
        (["--methods", "avrage"], "did you mean average"),
        (["--methods", ","], "expected names or all"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], expected: str, ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("bench", *arguments)
    assert said.code == 2
    assert expected in said.err
    assert said.err.count("\n") == 1
