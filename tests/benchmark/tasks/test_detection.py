"""Average precision on hand-made boxes; the whole way from pairs and labels to tables and exports."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.benchmark.tasks import average_precision as module
from ivfuse.benchmark.tasks.average_precision import average_precision, require_evaluator
from ivfuse.benchmark.tasks.detectors import Detections
from ivfuse.benchmark.tasks.labels import Boxes, read_labels
from ivfuse.errors import MissingExtraError

from .conftest import KINDS, write_model

pytest.importorskip("pycocotools")

TRUTH = [(10, 10, 50, 50), (60, 10, 90, 40)]


def truth(
    *rows: tuple[float, ...], classes: tuple[int, ...] = (0, 0), ignored: Any = (False, False)
) -> Boxes:
    return Boxes(100, 100, np.array(rows, float), np.array(classes, np.int64), np.array(ignored, np.bool_))


def found(*rows: tuple[float, ...], classes: tuple[int, ...] | None = None) -> Detections:
    """Corners and score of each."""
    table = np.array(rows, float).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], np.array(classes or [0] * len(table), np.int64))


def test_all_boxes_found_exactly_are_one() -> None:
    score = average_precision([truth(*TRUTH)], [found((*TRUTH[0], 0.9), (*TRUTH[1], 0.8))], 1)
    assert score.ap50 == pytest.approx(1)
    assert score.ap == pytest.approx(1)
    assert score.classes[0].boxes == 2


def test_one_of_two_boxes_is_half() -> None:
    score = average_precision([truth(*TRUTH)], [found((*TRUTH[0], 0.9))], 1)
    # recall up to .5 of the 101 points at which COCO reads the curve
    assert score.ap50 == pytest.approx(51 / 101)


def test_a_false_hit_before_the_true_one_halves_the_precision() -> None:
    score = average_precision([truth(TRUTH[0], classes=(0,), ignored=(False,))],
                              [found((70, 70, 90, 90, 0.9), (*TRUTH[0], 0.5))], 1)  # fmt: skip
    assert score.ap50 == pytest.approx(0.5)


def test_a_loose_box_counts_at_half_but_not_beyond_its_overlap() -> None:
    loose = (10, 10, 50, 40)  # three quarters of the first: right at .50 to .75, wrong at .80 to .95
    score = average_precision([truth(TRUTH[0], classes=(0,), ignored=(False,))], [found((*loose, 0.9))], 1)
    assert score.ap50 == pytest.approx(1)
    assert score.ap == pytest.approx(0.6)


def test_nothing_found_is_zero_and_a_class_without_boxes_has_no_score() -> None:
    score = average_precision([truth(*TRUTH)], [found()], 2)
    assert score.classes[0].ap50 == 0
    assert math.isnan(score.classes[1].ap50)
    assert score.ap50 == 0  # the mean leaves out what has no boxes
    assert math.isnan(average_precision([], [], 1).ap50)


def test_another_class_or_another_image_is_no_hit() -> None:
    boxes = [truth(*TRUTH), truth(TRUTH[1], classes=(1,), ignored=(False,))]
    swapped = [found((*TRUTH[0], 0.9), classes=(1,)), found((*TRUTH[0], 0.9))]
    assert average_precision(boxes, swapped, 2).ap50 == 0


def test_ignored_and_low_boxes_are_neither_hits_nor_misses() -> None:
    low = (5, 5, 30, 14)  # nine pixels high
    boxes = [truth(TRUTH[0], low)]
    hits = [found((*TRUTH[0], 0.5), (*low, 0.9))]
    only = [found((*TRUTH[0], 0.5))]
    assert average_precision(boxes, only, 1).ap50 < 0.6
    assert average_precision(boxes, only, 1, ignore_below=10).ap50 == pytest.approx(1)
    assert average_precision(boxes, hits, 1, ignore_below=10).ap50 == pytest.approx(1)
    crowd = [truth(TRUTH[0], low, ignored=(False, True))]
    assert average_precision(crowd, hits, 1).classes[0].boxes == 1
    assert average_precision(crowd, hits, 1).ap50 == pytest.approx(1)


def test_a_missing_evaluator_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[tasks\]"):
        require_evaluator()


@pytest.fixture
def oracle_detector(streets: Path, tmp_path: Path) -> Path:
    """A detector that finds the boxes of the first street in every image."""
    boxes = read_labels(tmp_path / "boxes.json").images["s0"]
    rows = np.zeros((1, 300, 6), np.float32)
    for index, (corners, kind) in enumerate(zip(boxes.corners, boxes.classes, strict=True)):
        rows[0, index] = *corners, 0.9, kind
    return write_model(tmp_path / "oracle.onnx", rows, (64, 96), names=repr(dict(enumerate(KINDS))))


def run(cli: Callable[..., Any], streets: Path, *arguments: object) -> Any:
    return cli("benchmark", "--data", streets, "--methods", "average", "--metrics", "SD", "--jobs", 1,
               "-o", streets.parent / "report", *arguments)  # fmt: skip


def test_a_benchmark_scores_detections_by_class(
    ivfuse_cli: Callable[..., Any], streets: Path, oracle_detector: Path, tmp_path: Path
) -> None:
    table = json.loads((tmp_path / "boxes.json").read_text())
    table["images"] = [each for each in table["images"] if each["file_name"] == "s0.png"]
    table["annotations"] = [each for each in table["annotations"] if each["image_id"] == 1]
    (tmp_path / "first.json").write_text(json.dumps(table))
    said = run(
        ivfuse_cli, streets, "--labels", tmp_path / "first.json", "--detector", oracle_detector, "--json"
    )
    assert said.code == 0, said.err
    (task,) = json.loads(said.out)["tasks"]
    assert set(task["rows"]) == {"infrared", "visible", "average"}
    for row in task["rows"].values():
        assert row["AP50"] == pytest.approx(1)
        assert row["AP50:95"] == pytest.approx(1, abs=0.01)  # corners in float32
    assert "1 pair without labels, not scored." in task["notes"]
    report = tmp_path / "report"
    page = (report / "index.html").read_text()
    assert "Detection, streets: 1 pair" in page
    assert "data:image/webp;base64," in page[page.index("Detected in") :]
    assert "| average |" in (report / "tables" / "detection.md").read_text()
    hits = json.loads((report / "detections" / "streets" / "average.json").read_text())
    assert {each["image"] for each in hits} == {"s0"}


def test_labels_of_another_shape_and_lost_images_are_problems(
    ivfuse_cli: Callable[..., Any], streets: Path, oracle_detector: Path, tmp_path: Path
) -> None:
    table = json.loads((tmp_path / "boxes.json").read_text())
    table["images"][1]["width"] = 300
    (tmp_path / "boxes.json").write_text(json.dumps(table))
    said = run(ivfuse_cli, streets, "--labels", tmp_path / "boxes.json", "--detector", oracle_detector)
    assert said.code == 1
    assert "s1: labels are of 300x64 pixels, the image has 96x64" in said.out
    said = run(ivfuse_cli, streets, "--labels", tmp_path / "boxes.json", "--export-detection", "yolo")
    assert said.code == 1
    assert "s1: labels are of 300x64 pixels, the image has 96x64" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--detector", "x.onnx"], "--labels"),
        (["--labels", "{tmp}/boxes.json"], "--detector"),
        (["--labels", "{tmp}/boxes.json", "--detector", "none.onnx"], "no such file"),
        (["--labels", "{tmp}/boxes.json", "--detector", "{oracle}", "--classes", "bus"], "class map"),
        (["--labels", "{tmp}/boxes.json", "--detector", "{oracle}", "--class-map", "person=bus"], "bus"),
        (["--labels", "{tmp}/boxes.json", "--detector", "{oracle}", "--detector-size", "9"], "WIDTHxHEIGHT"),
        (["--labels", "{tmp}/boxes.json", "--export-detection", "yola"], "did you mean yolo"),
        (["--labels", "{tmp}/none.json", "--detector", "{oracle}"], "no such file"),
    ],
)
def test_wrong_use_is_told_before_any_work(
    ivfuse_cli: Callable[..., Any],
    streets: Path,
    oracle_detector: Path,
    tmp_path: Path,
    arguments: list[str],
    told: str,
) -> None:
    said = run(ivfuse_cli, streets, *(x.format(tmp=tmp_path, oracle=oracle_detector) for x in arguments))
    assert said.code in (1, 2)
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "report" / "fused").exists()


@pytest.mark.parametrize(
    ("form", "place"), [("yolo", ""), ("coco", "annotations/streets.json"), ("voc", "streets")]
)
def test_an_export_holds_images_and_labels_that_can_be_read_again(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path, form: str, place: str
) -> None:
    said = run(ivfuse_cli, streets, "--labels", tmp_path / "boxes.json", "--export-detection", form)
    assert said.code == 0, said.err
    root = tmp_path / "report" / f"detection-{form}"
    assert {path.name for path in root.iterdir()} == {"infrared", "visible", "average"}
    images = sorted(path.name for path in (root / "average").rglob("*.png"))
    assert images == ["s0.png", "s1.png"]
    source = root / "average" / (place or "labels/streets")
    again, first = read_labels(source), read_labels(tmp_path / "boxes.json")
    for name in ("s0", "s1"):
        mine, expected = again.images[name].scaled(96, 64), first.images[name]
        np.testing.assert_allclose(mine.corners, expected.corners, atol=0.01)
    if form == "yolo":
        text = (root / "average" / "data.yaml").read_text()
        assert "images/streets" in text
        assert '0: "person"' in text


def test_labels_of_two_sets_serve_each_of_their_degradations(
    ivfuse_cli: Callable[..., Any], streets: Path, oracle_detector: Path, tmp_path: Path
) -> None:
    other = tmp_path / "more"
    shutil.copytree(streets, other)
    labels = ("--labels", tmp_path / "boxes.json", "--labels", tmp_path / "yolo")
    weather = ("--degrade", "none", "--degrade", "haze:4")
    said = run(
        ivfuse_cli, streets, "--data", other, *labels, *weather, "--detector", oracle_detector, "--json"
    )
    assert said.code == 0, said.err
    titles = [task["title"] for task in json.loads(said.out)["tasks"]]
    names = ("streets", "streets-haze4", "more", "more-haze4")
    assert titles == [f"Detection, {name}: 2 pairs" for name in names]
