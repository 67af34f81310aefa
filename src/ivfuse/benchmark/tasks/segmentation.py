"""Pixels that a frozen segmenter or another program classifies in a benchmark's images: IoU by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.datasets import DataSet
from ivfuse.benchmark.digests import digest
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.run import OnProgress
from ivfuse.benchmark.tasks.average_precision import mean_of
from ivfuse.benchmark.tasks.detector_outputs import Floats, Prepare
from ivfuse.benchmark.tasks.detectors import input_size, load_model, prepare
from ivfuse.benchmark.tasks.images import INFRARED, VISIBLE, ImageJob, image_job, load_images
from ivfuse.benchmark.tasks.label_maps import (
    Confusion,
    LabelMap,
    LabelSet,
    checked,
    confusion,
    find_maps,
    intersection_over_union,
    map_of,
    read_label_map,
)
from ivfuse.benchmark.tasks.protocol import TaskProtocol, task_protocol
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import sha256_of
from ivfuse.runtime.processes import ask_all

_MAKE = "ivfuse.benchmark.tasks.segmentation:make_segment"
_STEP = 32  # sides of an input that a model leaves open are multiples of this

SCALES = {
    "imagenet": Prepare("rgb", 1 / 255, False, (123.675, 116.28, 103.53), (0.229, 0.224, 0.225)),
    "unit": Prepare("rgb", 1 / 255, False),
}


@dataclass(frozen=True)
class SegmentationTask:
    """What is to be classified, by what.

    Attributes:
        truth: a folder of label maps of all sets, or one for each.
        labels: the classes.
        segmenter: an ONNX file that classifies every image; or ``None``.
        scale: of its input: ``imagenet`` (its mean and deviation) or ``unit`` (0 to 1).
        predicted: infrared, visible or method -> folder of maps that another program predicted; with several
            sets it holds a folder for each.
    """

    truth: tuple[Path, ...]
    labels: LabelSet
    segmenter: Path | None = None
    scale: str = "imagenet"
    predicted: Mapping[str, Path] = field(default_factory=dict)

    def truth_of(self, index: int) -> Path:
        """The folder of true maps of the set of that number."""
        return self.truth[index if len(self.truth) > 1 else 0]


@dataclass(frozen=True)
class SegmentationResults:
    """One set.

    Attributes:
        data: its name.
        labels: the classes.
        pairs: how many have a map.
        unlabeled: how many have none.
        iou: infrared, visible or method -> IoU by class, NaN where a class does not occur or is not counted.
        miou: the mean over the counted classes that occur.
        missing: infrared, visible or method -> pairs without a prediction; they count as misses.
        problems: a line each.
        protocol: what is measured of what.
    """

    data: str
    labels: LabelSet
    pairs: int
    unlabeled: int
    iou: dict[str, NDArray[np.float64]]
    miou: dict[str, float]
    missing: dict[str, int]
    problems: tuple[str, ...]
    protocol: TaskProtocol | None = None

    @property
    def rows(self) -> list[str]:
        """Infrared and visible where they were classified, then the methods, best first."""
        sources = [name for name in (INFRARED, VISIBLE) if name in self.iou]
        methods = [name for name in self.iou if name not in sources]
        return [*sources, *sorted(methods, key=lambda name: -np.nan_to_num(self.miou[name]))]


class Segmenter:
    """A model that classifies pixels.

    Args:
        path: an ONNX file: one image (1, 3, H, W) in; scores (1, C, h, w) or class numbers (1, h, w) out.
        labels: the classes; a model without the ignored one at 0 is understood too.
        scale: see :class:`SegmentationTask`.
        threads: of ONNX Runtime; ``None`` leaves it to it.

    Raises:
        InputError: the file cannot be used.
        UnknownNameError: there is no such scale.
    """

    def __init__(
        self, path: Path, labels: LabelSet, scale: str = "imagenet", threads: int | None = None
    ) -> None:
        """Load the model."""
        if scale not in SCALES:
            raise UnknownNameError("scale of the segmenter's input", scale, SCALES)
        self._name, self._labels, self._prepare = path.name, labels, SCALES[scale]
        self._session = load_model(path, threads)
        input_size(self._session, path.name)  # says so if the input is no image
        self._input = self._session.get_inputs()[0]

    def segment(self, image: NDArray[np.uint8]) -> LabelMap:
        """Classify the pixels of an image.

        Args:
            image: (H, W) or (H, W, 3) uint8 in R, G, B order.

        Returns:
            (H, W) class numbers.

        Raises:
            InputError: the model fails or gives something else.
        """
        height, width = image.shape[:2]
        wanted = [
            side if isinstance(side, int) else max(_STEP, round(own / _STEP) * _STEP)
            for side, own in zip(self._input.shape[2:], (height, width), strict=True)
        ]
        prepared, _, _ = prepare(image, self._prepare, (wanted[0], wanted[1]))
        try:
            output = np.asarray(self._session.run(None, {self._input.name: prepared})[0])
        except Exception as error:  # the runtime has classes of its own for every fault
            raise InputError(f"{self._name}: fails: {' '.join(str(error).split())[:200]}") from error
        return self._numbers(output, height, width)

    def _numbers(self, output: NDArray[Any], height: int, width: int) -> LabelMap:
        shape, count = output.shape, len(self._labels.classes)
        if output.dtype.kind in "iu" and (len(shape) == 3 or (len(shape) == 4 and shape[1] == 1)):
            numbers = output.reshape(shape[-2:]).astype(np.uint8)
            grown = cv2.resize(numbers, (width, height), interpolation=cv2.INTER_NEAREST)
            return checked(np.asarray(grown, np.int64), count, self._name)
        without = self._labels.ignored == 0 and len(shape) == 4 and shape[1] == count - 1
        if len(shape) != 4 or shape[0] != 1 or (shape[1] != count and not without):
            raise InputError(
                f"{self._name}: found an output {shape}, expected scores (1, {count}, H, W) or class numbers"
            )
        return self._best(np.asarray(output[0], np.float32), height, width) + int(without)

    @staticmethod
    def _best(scores: Floats, height: int, width: int) -> LabelMap:
        """The class of the highest score in each pixel; scores are brought to the image's size first."""
        best = np.full((height, width), -np.inf, np.float32)
        numbers = np.zeros((height, width), np.int64)
        for index, plane in enumerate(scores):
            grown = np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))
            better = grown > best
            numbers[better] = index
            best = np.maximum(best, grown)
        return numbers


def check_segmentation(task: SegmentationTask, plan: Plan) -> None:
    """Find out before any work whether a task can be done.

    Raises:
        UsageError: there is nothing to score, or the number of folders fits not that of the sets.
        UnknownNameError: a prediction is of a method that there is not.
        InputError: a folder or the segmenter cannot be used.
    """
    if (task.segmenter is None) == (not task.predicted):
        raise UsageError(
            "segmentation: expected a segmenter, or folders of predicted label maps; one of both"
        )
    if len(task.truth) not in (1, len(plan.sets)):
        raise UsageError(f"found {len(task.truth)} folders of label maps, expected one, or one for each set")
    rows = [INFRARED, VISIBLE, *(entry.name for entry in plan.entries)]
    for name, folder in task.predicted.items():
        if name not in rows:
            raise UnknownNameError("method", name, rows)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder, expected the maps that were predicted for {name}")
    for folder in task.truth:
        find_maps(folder)
    if task.segmenter is not None:
        Segmenter(task.segmenter, task.labels, task.scale)


def measure_segmentation(
    plan: Plan, task: SegmentationTask, jobs: int = 1, on_progress: OnProgress | None = None
) -> list[SegmentationResults]:
    """Score the classes of all pixels, set by set.

    Args:
        plan: of a benchmark that has been run.
        task: what is to be classified.
        jobs: processes.
        on_progress: called after each pair.

    Raises:
        UsageError, UnknownNameError, InputError: as :func:`check_segmentation`.
        InputError: no pair of a set has a map.
    """
    check_segmentation(task, plan)
    tell = on_progress or (lambda what, reused: None)
    protocol = _protocol(plan, task)
    boards = (_results(plan, index, task, jobs, tell) for index in range(len(plan.sets)))
    return [replace(board, protocol=protocol) for board in boards]


def _protocol(plan: Plan, task: SegmentationTask) -> TaskProtocol | None:
    """What is measured of what: true maps of the pairs, the classes and the segmenter."""
    labels = []
    for index, data in enumerate(plan.sets):
        maps = find_maps(task.truth_of(index))
        found = sorted((pair.name, sha256_of(path)) for pair in data.pairs if (path := map_of(pair, maps)))
        labels.append({"labels": digest(*(part for each in found for part in each))})
    counted = {task.labels.classes[index]: index for index in task.labels.counted}
    model = sha256_of(task.segmenter) if task.segmenter else ""
    settings = {"classes": counted, "scale": task.scale if task.segmenter else ""}
    return task_protocol(plan, "segmentation", labels, model, settings)


@dataclass(frozen=True)
class SegmentJob:
    """A pair's images, its true map, and predicted ones by row."""

    images: ImageJob
    truth: Path
    predicted: Mapping[str, Path]


def make_segment(
    argument: tuple[Path | None, LabelSet, str, int | None],
) -> Callable[[SegmentJob], dict[str, Confusion | str]]:
    """Make the function that scores a pair: row -> counts of pixels, or a line on why there are none.

    Under the key "" are the counts of an image in which nothing is recognized.
    """
    path, labels, scale, threads = argument
    segmenter = Segmenter(path, labels, scale, threads) if path else None

    def segment(job: SegmentJob) -> dict[str, Confusion | str]:
        truth = read_label_map(job.truth, len(labels.classes))
        answer: dict[str, Confusion | str] = {"": confusion(truth, np.full_like(truth, 255), labels)}
        for name, found in _predictions(job, segmenter, len(labels.classes)):
            try:
                answer[name] = found if isinstance(found, str) else confusion(truth, found, labels)
            except InputError as error:
                answer[name] = str(error)
        return answer

    return segment


def _predictions(
    job: SegmentJob, segmenter: Segmenter | None, classes: int
) -> list[tuple[str, LabelMap | str]]:
    out: list[tuple[str, LabelMap | str]] = []
    if segmenter is not None:
        for name, image in load_images(job.images):
            out.append((name, image if isinstance(image, str) else segmenter.segment(image)))
        return out
    for name, path in job.predicted.items():
        try:
            out.append((name, read_label_map(path, classes)))
        except InputError as error:
            out.append((name, str(error)))
    return out


def _results(
    plan: Plan, index: int, task: SegmentationTask, jobs: int, tell: OnProgress
) -> SegmentationResults:
    data = plan.sets[index]
    maps = find_maps(task.truth_of(index))
    labeled = [(pair, path) for pair in data.pairs if (path := map_of(pair, maps)) is not None]
    if not labeled:
        raise InputError(f"{data.name}: no pair has a label map, expected files of equal names")
    predicted = {name: find_maps(_folder(folder, data)) for name, folder in task.predicted.items()}
    rows = list(predicted) or [INFRARED, VISIBLE, *(entry.name for entry in plan.entries)]
    requests = [_job(plan, data, pair, path, predicted) for pair, path in labeled]
    count = len(task.labels.classes)
    tables: dict[str, Confusion] = {row: np.zeros((count, count + 1), np.int64) for row in rows}
    missing = dict.fromkeys(rows, 0)
    problems: list[str] = []
    model = (task.segmenter, task.labels, task.scale, 1 if jobs > 1 else None)
    for number, reply in ask_all(_MAKE, model, requests, jobs):
        name = labeled[number][0].name
        tell(f"segment {data.name} {name}", False)
        if reply.failure:
            problems.append(f"{name}: {reply.failure}")
            continue
        for row in rows:
            found = reply.value.get(row)
            if isinstance(found, str):
                problems.append(f"{name}: {row}: {found}")
            if found is None or isinstance(found, str):
                missing[row] += 1
                found = reply.value[""]
            tables[row] += found
    iou = {row: _counted(intersection_over_union(table), task.labels) for row, table in tables.items()}
    means = {row: mean_of(values.tolist()) for row, values in iou.items()}
    unlabeled = len(data.pairs) - len(labeled)
    return SegmentationResults(
        data.name, task.labels, len(labeled), unlabeled, iou, means, missing, tuple(problems)
    )


def _job(
    plan: Plan, data: DataSet, pair: FilePair, truth: Path, predicted: Mapping[str, Mapping[str, Path]]
) -> SegmentJob:
    found = {row: path for row, maps in predicted.items() if (path := map_of(pair, maps)) is not None}
    return SegmentJob(image_job(plan, data, pair), truth, found)


def _folder(root: Path, data: DataSet) -> Path:
    return root / data.name if (root / data.name).is_dir() else root


def _counted(values: NDArray[np.float64], labels: LabelSet) -> NDArray[np.float64]:
    out = np.full(len(values), np.nan)
    out[list(labels.counted)] = values[list(labels.counted)]
    return out
