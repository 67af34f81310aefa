"""Average precision as COCO measures it, by COCO's own evaluator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from typing import Any

import numpy as np

from ivfuse.benchmark.tasks.detectors import Detections
from ivfuse.benchmark.tasks.labels import Boxes
from ivfuse.errors import MissingExtraError


@dataclass(frozen=True)
class ClassPrecision:
    """How well one class is found.

    Attributes:
        boxes: labeled ones that count.
        ap50: average precision at an intersection over union of 0.5, 0 to 1; NaN without boxes.
        ap: the same averaged over 0.50, 0.55, ... 0.95, which asks for exact boxes.
    """

    boxes: int
    ap50: float
    ap: float


@dataclass(frozen=True)
class Precision:
    """How well all classes are found.

    Attributes:
        classes: class by class, in the order of their names.
        ap50, ap: means over the classes that have boxes; NaN if none has.
    """

    classes: tuple[ClassPrecision, ...]
    ap50: float
    ap: float


def require_evaluator() -> None:
    """Raise MissingExtraError if the evaluator is not installed."""
    if find_spec("pycocotools") is None:
        raise MissingExtraError("average precision of detections", "tasks")


def average_precision(
    truth: Sequence[Boxes], found: Sequence[Detections], class_count: int, ignore_below: float = 0
) -> Precision:
    """Score detections.

    Args:
        truth: labeled boxes of each image, on that image's grid.
        found: what was detected in each.
        class_count: how many classes there are.
        ignore_below: labeled boxes lower than this, in pixels, are neither hits nor misses.

    Raises:
        MissingExtraError: the evaluator is not installed.
    """
    require_evaluator()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labels, hits = COCO(), COCO()
    images = [{"id": index + 1} for index in range(len(truth))]
    categories = [{"id": index + 1, "name": str(index)} for index in range(class_count)]
    labels.dataset = _dataset(images, categories, _labeled(truth, ignore_below))
    hits.dataset = _dataset(images, categories, _detected(found))
    with redirect_stdout(StringIO()):  # it says what it does as it goes
        labels.createIndex()
        hits.createIndex()
        evaluation = COCOeval(labels, hits, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # (thresholds, recalls, classes, areas, most detections); -1 where a class has no boxes
    curves = evaluation.eval["precision"][:, :, :, 0, -1]
    counts = np.zeros(class_count, np.int64)
    for each in labels.dataset["annotations"]:
        counts[each["category_id"] - 1] += not each["iscrowd"]
    classes = tuple(
        ClassPrecision(int(counts[index]), _mean(curves[:1, :, index]), _mean(curves[:, :, index]))
        for index in range(class_count)
    )
    return Precision(classes, mean_of([x.ap50 for x in classes]), mean_of([x.ap for x in classes]))


def mean_of(values: Sequence[float]) -> float:
    """The mean of those that are numbers; NaN if none is."""
    good = [value for value in values if math.isfinite(value)]
    return sum(good) / len(good) if good else math.nan


def _mean(curve: Any) -> float:
    return float(curve.mean()) if curve.size and curve.min() >= 0 else math.nan


def _dataset(images: list[Any], categories: list[Any], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    for number, each in enumerate(annotations, 1):
        each["id"] = number
    return {"info": {}, "images": images, "categories": categories, "annotations": annotations}


def _labeled(truth: Sequence[Boxes], ignore_below: float) -> list[dict[str, Any]]:
    out = []
    for index, boxes in enumerate(truth):
        for corners, kind, ignored in zip(boxes.corners, boxes.classes, boxes.ignored, strict=True):
            low = corners[3] - corners[1] < ignore_below
            out.append({**_box(index, corners, int(kind)), "iscrowd": int(ignored or low)})
    return out


def _detected(found: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {**_box(index, corners, int(kind)), "score": float(score)}
        for index, each in enumerate(found)
        for corners, score, kind in zip(each.corners, each.scores, each.classes, strict=True)
    ]


def _box(image: int, corners: Any, kind: int) -> dict[str, Any]:
    left, top, right, bottom = map(float, corners)
    width, height = right - left, bottom - top
    return {
        "image_id": image + 1,
        "category_id": kind + 1,
        "bbox": [left, top, width, height],
        "area": width * height,
    }
