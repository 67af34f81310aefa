"""The hash under tables of detection and segmentation: where it stands, and what changes it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.benchmark.plan import Plan, make_plan
from ivfuse.benchmark.tasks.detection import DetectionTask, measure_detection
from ivfuse.benchmark.tasks.detectors import DetectorOptions
from ivfuse.benchmark.tasks.label_maps import label_set
from ivfuse.benchmark.tasks.labels import read_labels
from ivfuse.benchmark.tasks.protocol import TaskProtocol
from ivfuse.benchmark.tasks.segmentation import SegmentationTask, measure_segmentation

from .conftest import KINDS, write_model, write_threshold_segmenter

Cli = Callable[..., Any]


def model(path: Path, score: float = 0.9) -> Path:
    """A detector that always finds the same person."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = 10, 10, 40, 40, score, 0
    return write_model(path, rows, (64, 96), names=repr(dict(enumerate(KINDS))))


def detect(plan: Plan, labels: Path, detector: Path, **changes: Any) -> TaskProtocol:
    pytest.importorskip("pycocotools")
    (board,) = measure_detection(plan, DetectionTask((read_labels(labels),), detector, **changes))
    assert board.protocol is not None
    return board.protocol


def segment(plan: Plan, maps: Path, segmenter: Path, scale: str = "unit") -> TaskProtocol:
    task = SegmentationTask((maps,), label_set("street"), segmenter, scale)
    (board,) = measure_segmentation(plan, task)
    assert board.protocol is not None
    return board.protocol


def plan_of(root: Path, **changes: Any) -> Plan:
    return make_plan([root], root.parent / "report", "average", **changes)


def test_labels_detector_and_classes_change_the_hash_of_detection(streets: Path, tmp_path: Path) -> None:
    plan, labels, detector = plan_of(streets), tmp_path / "boxes.json", model(tmp_path / "a.onnx")
    first = detect(plan, labels, detector)
    assert detect(plan, labels, model(tmp_path / "b.onnx", 0.8)).hash != first.hash
    assert detect(plan, labels, detector, ignore_below=9).hash != first.hash
    assert detect(plan, labels, detector, only=("person",)).hash != first.hash
    assert detect(plan, tmp_path / "yolo", detector).hash != first.hash
    labels.write_text(labels.read_text() + "\n")
    assert detect(plan, labels, detector).hash != first.hash


def test_what_changes_no_detection_does_not_change_the_hash(streets: Path, tmp_path: Path) -> None:
    detector = model(tmp_path / "a.onnx")
    first = detect(plan_of(streets), tmp_path / "boxes.json", detector)
    elsewhere = shutil.copytree(streets, tmp_path / "x" / "elsewhere")
    for path in (tmp_path / "boxes.json", detector):
        shutil.copy(path, tmp_path / "x" / f"other-{path.name}")
    plan = plan_of(elsewhere, metrics="SD", conventions=["li"], seed=3)
    copies = (tmp_path / "x" / "other-boxes.json", tmp_path / "x" / "other-a.onnx")
    said = {"options": DetectorOptions("yolo-end-to-end", KINDS, (64, 96))}  # what the file tells itself
    assert detect(plan, *copies, class_map={"person": ("person",)}, **said).hash == first.hash
    (elsewhere / "vi" / "s0.png").write_bytes((elsewhere / "vi" / "s1.png").read_bytes())
    assert detect(plan_of(elsewhere), *copies).hash != first.hash


def test_one_changed_file_of_a_folder_changes_the_hash(streets: Path, tmp_path: Path) -> None:
    plan, detector = plan_of(streets), model(tmp_path / "a.onnx")
    for kind, file in (("yolo", "labels/s1.txt"), ("voc", "s1.xml")):
        first = detect(plan, tmp_path / kind, detector)
        path = tmp_path / kind / file
        path.write_text(path.read_text() + "\n")
        assert detect(plan, tmp_path / kind, detector).hash != first.hash
    (tmp_path / "yolo" / "data.yaml").write_text("names: [person, dog, car]\n")
    assert detect(plan, tmp_path / "yolo", detector).sets[0]["labels"] != first.sets[0]["labels"]


def test_maps_segmenter_and_scale_change_the_hash_of_segmentation(streets: Path, tmp_path: Path) -> None:
    plan, maps = plan_of(streets), tmp_path / "maps"
    segmenter = write_threshold_segmenter(tmp_path / "model.onnx", 10)
    first = segment(plan, maps, segmenter)
    (maps / "of-no-pair.png").write_bytes((maps / "s0.png").read_bytes())
    assert segment(plan, maps, segmenter).hash == first.hash
    assert segment(plan, maps, segmenter, "imagenet").hash != first.hash
    truth = cv2.imread(str(maps / "s0.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(maps / "s0.png"), np.roll(truth, 1))
    assert segment(plan, maps, segmenter).hash != first.hash


def test_the_hash_stands_under_every_table_of_a_task(ivfuse_cli: Cli, streets: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    words = ["--data", streets, "-o", tmp_path / "report", "--methods", "average", "--metrics", "SD"]
    words += ["--labels", tmp_path / "boxes.json", "--detector", model(tmp_path / "a.onnx"), "--jobs", 1]
    words += ["--label-maps", tmp_path / "maps", "--label-set", "street", "--degrade", "none"]
    words += ["--predicted", f"average={tmp_path / 'maps'}", "--degrade", "noise:2"]
    said = ivfuse_cli("benchmark", *words)
    assert said.code == 0, said.err
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    hashes = {}
    for task in ("detection", "segmentation"):
        stem = tmp_path / "report" / "tables" / task
        tables = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        (hashes[task],) = {table["protocol"] for table in tables}
        line = f"Protocol {hashes[task]}, ivfuse"
        assert len(tables) == 2  # clean and degraded
        assert stem.with_suffix(".md").read_text(encoding="utf-8").count(line) == 2
        assert (page.count(line), said.out.count(line)) == (2, 2)
        with stem.with_suffix(".csv").open(encoding="utf-8") as file:
            assert {row["protocol"] for row in csv.DictReader(file)} == {hashes[task]}
        assert tables[0]["measured"]["degradations"] == ["noise:2", "none"]
    assert len(set(hashes.values())) == 2
