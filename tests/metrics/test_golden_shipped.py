"""Every metric under every convention keeps the value that ``golden.csv`` holds."""

from __future__ import annotations

import csv
import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest

from ivfuse.metrics import CONVENTIONS, METRICS, score_many

HERE = Path(__file__).parent


def _maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _table() -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    with (HERE / "golden.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = found.setdefault((row["triple"], row["convention"]), {})
            values[row["metric"]] = float(row["value"]) if row["value"] else math.nan
    return found


TABLE = _table()
TRIPLES = _maker().triples()


def test_the_table_has_every_metric_under_every_convention() -> None:
    assert TABLE.keys() == {(triple, convention) for triple in TRIPLES for convention in CONVENTIONS}
    assert all(values.keys() == METRICS.keys() for values in TABLE.values())


@pytest.mark.parametrize(("triple", "convention"), sorted(TABLE))
def test_no_value_has_changed(triple: str, convention: str) -> None:
    ir, vi, fused = TRIPLES[triple]
    found = score_many({"fused": fused}, ir, vi, list(METRICS), convention)["fused"].values
    # Some metrics work in float32, and OpenCV's kernels differ in the last bits between processors.
    assert found == pytest.approx(TABLE[triple, convention], rel=2e-5, abs=1e-7, nan_ok=True)
