"""Targets and naturalness in a benchmark: over a set's targets, beside the ranks, outlined in the gallery."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ivfuse.benchmark.columns import column, weights
from ivfuse.benchmark.report.outlines import OutlineJob, outlines
from ivfuse.benchmark.statistics import summarize
from ivfuse.metrics import SEEING

from .conftest import Done, carry_out
from .test_report import Page

PEOPLE = {"one": 1, "three": 3, "none": 0}


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image.astype(np.uint8))


def streets(root: Path) -> Path:
    """Pairs with one, three and no people that the gray visible does not show."""
    y, x = np.mgrid[:240, :320]
    for name, count in PEOPLE.items():
        ir = 60 + (3 * x + 5 * y) % 7 + 76 * (y >= 216)
        vi = np.where(y < 80, 220, 90) + (7 * x + 3 * y) % 13
        for index in range(count):
            ir[110:130, 40 + 60 * index : 50 + 60 * index] = 170
        write(root / "pairs" / "ir" / f"{name}.png", ir)
        write(root / "pairs" / "vi" / f"{name}.png", vi)
        write(root / "visible" / f"{name}.png", vi)
        # shows people in the picture of one alone
        write(root / "half" / f"{name}.png", np.where((ir >= 165) & (count == 1), 250, vi))
    return root / "pairs"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Done:
    root = tmp_path_factory.mktemp("seeing")
    brought = [f"{name}={root / name}" for name in ("visible", "half")]
    return carry_out([streets(root)], root / "report", "maximum", fused=brought, metrics="EN,SD")


def test_shares_are_over_all_targets_of_the_set(seen: Done) -> None:
    (table,) = seen.results.seeing
    lost = {method: table.summaries[method]["targets_lost"] for method in table.summaries}
    assert {name: each.mean for name, each in lost.items()} == {"maximum": 0, "visible": 1, "half": 0.75}
    assert {(each.items, each.count) for each in lost.values()} == {(4, 2)}
    assert table.summaries["half"]["targets_seen"].mean == 0.25
    assert seen.results.targets_lost("half") == 0.75


def test_naturalness_is_a_mean_over_images_and_says_why_there_is_none(seen: Done) -> None:
    (table,) = seen.results.seeing
    assert table.summaries["visible"]["tone_correlation"].mean == pytest.approx(1)
    assert table.summaries["visible"]["tone_correlation"].count == 3
    assert table.summaries["maximum"]["hue_change"].count == 0
    assert table.reasons["hue_change"].most_common() == [
        ("the visible is gray: it has no color that could change", 3)
    ]


def test_ranks_follow_from_the_metrics_asked_for_alone(seen: Done) -> None:
    (board,) = seen.results.leaderboards
    assert set(board.best) == {"EN", "SD"}
    assert set(board.values["half"]) == {"EN", "SD"}


def test_tables_hold_shares_with_the_number_of_images_and_targets(seen: Done) -> None:
    folder = seen.plan.out / "tables"
    rows = list(csv.DictReader((folder / "seeing.csv").open()))
    assert {row["measure"] for row in rows} == set(SEEING)
    (row,) = [row for row in rows if row["method"] == "half" and row["measure"] == "targets_lost"]
    assert (row["value"], row["images"], row["targets"]) == ("0.75", "2", "4")
    facts = json.loads((folder / "results.json").read_text())
    found = facts["seeing"][0]["methods"]["half"]["targets_lost"]
    assert (found["mean"], found["items"]) == (0.75, 4)
    text = (folder / "tables.md").read_text()
    assert "### pairs: targets" in text
    assert "| half | 75.0 % |" in text
    assert "4 targets in 2 images (targets_lost, targets_seen, " in text
    assert "no images, since the visible is gray" in text


def test_a_second_run_keeps_the_counts(seen: Done) -> None:
    again = carry_out(
        [data.root for data in seen.plan.sets],
        seen.plan.out,
        "maximum",
        fused=[f"{name}={seen.plan.out.parent / name}" for name in ("visible", "half")],
        metrics="EN,SD",
    )
    assert again.outcome.reused["score"] == 3
    assert again.results.seeing[0].summaries["half"] == seen.results.seeing[0].summaries["half"]


def test_targets_among_the_ranked_metrics_are_over_targets_too(
    tmp_path: Path, benchmark: Callable[..., Done]
) -> None:
    brought = [f"half={tmp_path / 'half'}"]
    done = benchmark([streets(tmp_path)], tmp_path / "report", "maximum", fused=brought, metrics="targets,EN")
    (board,) = done.results.leaderboards
    assert board.summaries["half"]["targets_lost"].mean == 0.75
    assert board.best["targets_lost"] == ["maximum", "half"]


def test_the_page_shows_and_outlines_the_targets(seen: Done) -> None:
    data = json.loads(Page(seen.page).scripts["data"])
    assert "pairs: what can be seen" in seen.page
    (only,) = data["sets"]
    half = data["methods"].index("half")
    for pair in only["pairs"]:
        count = PEOPLE[pair["name"]]
        assert pair["targets"]["size"] == [320, 240]
        assert len(pair["targets"]["polygons"]) == count
        assert pair["targets"]["states"] == ["s" * count, "l" * count]
        assert pair["methods"][half]["states"] == ("s" if count == 1 else "l") * count
    (one,) = [pair for pair in only["pairs"] if pair["name"] == "one"]
    points = np.array([point.split(",") for point in one["targets"]["polygons"][0].split()], int)
    # around the person, x 40..49 and y 110..129, two pixels away
    assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([38, 108], [51, 131])


def test_an_image_that_cannot_be_used_has_no_states(seen: Done, tmp_path: Path) -> None:
    pair = next(pair for pair in seen.plan.sets[0].pairs if pair.name == "one")
    write(tmp_path / "small.png", np.zeros((20, 30)))
    (tmp_path / "broken.png").write_bytes(b"no image")
    fused = {name: tmp_path / f"{name}.png" for name in ("small", "broken")} | {"vi": pair.vi}
    found = outlines(OutlineJob(pair.ir, pair.vi, fused, None))
    assert found.states == {"ir": "s", "vi": "l"}


def test_the_interval_of_a_share_holds_it_and_a_value_without_targets_counts_nothing() -> None:
    rows = [
        {"values": {"targets_lost": share}, "counts": {"targets_lost": count}}
        for share, count in ((0.5, 2), (0.0, 10), (1.0, 1), (None, 0))
    ]
    found = summarize(column([*rows, None], "targets_lost"), 0, weights([*rows, None], "targets_lost"))
    assert (found.mean, found.items, found.count) == (pytest.approx(2 / 13), 13, 3)
    assert 0 <= found.low < found.mean < found.high <= 1
    assert np.isnan(found.sd)
    assert weights(rows, "EN") is None
