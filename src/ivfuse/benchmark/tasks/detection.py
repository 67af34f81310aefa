"""Objects that a frozen detector finds in infrared, visible and fused images, scored class by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ivfuse.benchmark.datasets import DataSet
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.run import OnProgress
from ivfuse.benchmark.tasks.average_precision import Precision, average_precision, require_evaluator
from ivfuse.benchmark.tasks.class_names import canonical, match_classes
from ivfuse.benchmark.tasks.detectors import Detections, Detector, DetectorOptions, open_detector
from ivfuse.benchmark.tasks.images import INFRARED, VISIBLE, ImageJob, image_job, load_images
from ivfuse.benchmark.tasks.labels import Boxes, Labels
from ivfuse.benchmark.tasks.protocol import TaskProtocol, task_protocol
from ivfuse.errors import InputError, UsageError
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import sha256_of
from ivfuse.runtime.processes import Reply, ask_all

_MAKE = "ivfuse.benchmark.tasks.detection:make_detect"

NOTHING = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


@dataclass(frozen=True)
class DetectionTask:
    """What is to be detected, by what.

    Attributes:
        labels: of all sets, or one for each.
        detector: an ONNX file.
        options: what it does not tell of itself.
        class_map: label's name -> detector's names, where names do not tell.
        ignore_below: labeled boxes lower than this, in pixels, are neither hits nor misses.
        only: labeled classes that count; all that the detector knows if empty.
    """

    labels: tuple[Labels, ...]
    detector: Path
    options: DetectorOptions = field(default_factory=DetectorOptions)
    class_map: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignore_below: float = 0
    only: tuple[str, ...] = ()

    def meaning(self, labels: Labels, names: Sequence[str]) -> list[int]:
        """For each of the detector's classes the label's class that it counts as, or -1.

        Raises:
            UnknownNameError: the map names a class that there is not.
            UsageError: nothing is left to detect.
        """
        wanted = {canonical(name) for name in self.only}
        found = [
            index if not wanted or canonical(labels.classes[index]) in wanted else -1
            for index in match_classes(labels.classes, names, self.class_map)
        ]
        if max(found, default=-1) < 0:
            raise UsageError(
                f"no labeled class ({', '.join(labels.classes)}) is one of the detector's "
                f"({', '.join(names[:5])}, ...) and asked for; a class map says which means which"
            )
        return found

    def labels_of(self, index: int) -> Labels:
        """The labels of the set of that number."""
        return self.labels[index if len(self.labels) > 1 else 0]


@dataclass(frozen=True)
class DetectedPair:
    """A labeled pair and what was found in its images.

    Attributes:
        pair: its files.
        truth: labeled boxes on the visible's grid, of the classes of the board.
        found: infrared, visible or method -> detections of these classes.
    """

    pair: FilePair
    truth: Boxes
    found: Mapping[str, Detections]


@dataclass(frozen=True)
class DetectionResults:
    """One set.

    Attributes:
        data: its name.
        classes: of the labels that the detector knows.
        unknown: classes of the labels that it does not know, or that were not asked for.
        pairs: those that have labels.
        unlabeled: how many have none.
        precision: infrared, visible and method -> scores; an image that is missing has no hits.
        missing: method -> pairs without an image.
        problems: a line each.
        protocol: what is measured of what.
    """

    data: str
    classes: tuple[str, ...]
    unknown: tuple[str, ...]
    pairs: tuple[DetectedPair, ...]
    unlabeled: int
    precision: dict[str, Precision]
    missing: dict[str, int]
    problems: tuple[str, ...]
    protocol: TaskProtocol | None = None

    @property
    def rows(self) -> list[str]:
        """Infrared, visible, then the methods, best first."""
        methods = [name for name in self.precision if name not in (INFRARED, VISIBLE)]
        best = sorted(methods, key=lambda name: -np.nan_to_num(self.precision[name].ap))
        return [INFRARED, VISIBLE, *best]


def check_detection(task: DetectionTask, sets: int) -> Detector:
    """Find out before any work whether a task can be done; gives the open detector.

    Raises:
        MissingExtraError: the evaluator is not installed.
        UsageError: the number of labels fits not that of the sets, or no class can be detected.
        InputError: the detector cannot be used.
    """
    require_evaluator()
    if len(task.labels) not in (1, sets):
        raise UsageError(
            f"found {len(task.labels)} files of labels, expected one, or one for each of {sets} sets"
        )
    detector = open_detector(task.detector, task.options)
    for labels in task.labels:
        task.meaning(labels, detector.names)
    return detector


def measure_detection(
    plan: Plan, task: DetectionTask, jobs: int = 1, on_progress: OnProgress | None = None
) -> list[DetectionResults]:
    """Detect in every image of every labeled pair and score each method.

    Args:
        plan: of a benchmark that has been run.
        task: what is to be detected.
        jobs: processes.
        on_progress: called after each pair.

    Raises:
        UsageError, InputError, MissingExtraError: as :func:`check_detection`.
        InputError: no pair of a set has labels.
    """
    detector = check_detection(task, len(plan.sets))
    protocol = _protocol(plan, task, detector)
    if jobs > 1:  # else each process would take all processors
        task = replace(task, options=replace(task.options, threads=1))
    tell = on_progress or (lambda what, reused: None)
    boards = (
        _board(plan, data, task, task.labels_of(index), detector.names, jobs, tell)
        for index, data in enumerate(plan.sets)
    )
    return [replace(board, protocol=protocol) for board in boards]


def _protocol(plan: Plan, task: DetectionTask, detector: Detector) -> TaskProtocol | None:
    """What is measured of what; a class map counts by what it means."""
    labels = []
    for index in range(len(plan.sets)):
        found = task.labels_of(index)
        classes: dict[str, list[str]] = {}
        for name, number in zip(detector.names, task.meaning(found, detector.names), strict=True):
            if number >= 0:
                classes.setdefault(found.classes[number], []).append(name)
        labels.append({"labels": found.sha256, "classes": classes})
    settings = {
        "output": detector.form.name,
        "size": list(detector.size),
        "confidence": task.options.confidence,
        "ignore_below": float(task.ignore_below),
    }
    return task_protocol(plan, "detection", labels, sha256_of(task.detector), settings)


def make_detect(argument: tuple[Path, DetectorOptions]) -> Callable[[ImageJob], dict[str, Any]]:
    """Make the function that detects in all images of a pair.

    Its answer: ``size`` (width and height), ``found`` (name -> detections) and ``failed`` (name -> a line).
    """
    detector = open_detector(*argument)

    def detect(job: ImageJob) -> dict[str, Any]:
        answer: dict[str, Any] = {"found": {}, "failed": {}}
        for name, image in load_images(job):
            if isinstance(image, str):
                answer["failed"][name] = image
                continue
            answer["size"] = (image.shape[1], image.shape[0])
            answer["found"][name] = detector.detect(image)
        return answer

    return detect


def _board(
    plan: Plan,
    data: DataSet,
    task: DetectionTask,
    labels: Labels,
    names: tuple[str, ...],
    jobs: int,
    tell: OnProgress,
) -> DetectionResults:
    meaning = np.array(task.meaning(labels, names), np.int64)
    known = sorted(set(meaning[meaning >= 0].tolist()))
    labeled = [(pair, boxes) for pair in data.pairs if (boxes := labels.of(pair)) is not None]
    if not labeled:
        raise InputError(f"{data.name}: no pair has labels, expected images of equal names")
    requests = [image_job(plan, data, pair) for pair, _ in labeled]
    found: dict[int, DetectedPair] = {}
    problems: list[str] = []
    for index, reply in ask_all(_MAKE, (task.detector, task.options), requests, jobs):
        pair, boxes = labeled[index]
        tell(f"detect {data.name} {pair.name}", False)
        try:
            found[index] = _detected(pair, boxes, reply, meaning, known)
        except InputError as error:
            problems.append(f"{pair.name}: {error}")
            continue
        problems += [f"{pair.name}: {name}: {line}" for name, line in reply.value["failed"].items()]
    pairs = tuple(found[index] for index in sorted(found))
    rows = [INFRARED, VISIBLE, *(entry.name for entry in plan.entries)]
    return DetectionResults(
        data.name,
        tuple(labels.classes[index] for index in known),
        tuple(name for index, name in enumerate(labels.classes) if index not in known),
        pairs,
        len(data.pairs) - len(labeled),
        {row: _precision(pairs, row, len(known), task.ignore_below) for row in rows},
        {row: sum(row not in each.found for each in pairs) for row in rows},
        tuple(problems),
    )


def _detected(pair: FilePair, boxes: Boxes, reply: Reply, meaning: Any, known: list[int]) -> DetectedPair:
    """What was found in a pair.

    Raises:
        InputError: nothing, since an image cannot be read or the labels do not fit it.
    """
    if reply.failure:
        raise InputError(reply.failure)
    truth = _only(boxes.scaled(*reply.value["size"]), known)
    found = {name: _renamed(each, meaning, known) for name, each in reply.value["found"].items()}
    return DetectedPair(pair, truth, found)


def _precision(pairs: Sequence[DetectedPair], row: str, classes: int, ignore_below: float) -> Precision:
    found = [each.found.get(row, NOTHING) for each in pairs]
    return average_precision([each.truth for each in pairs], found, classes, ignore_below)


def _only(boxes: Boxes, known: list[int]) -> Boxes:
    """The boxes of some classes, numbered anew."""
    kept = np.isin(boxes.classes, known)
    classes = np.searchsorted(known, boxes.classes[kept]).astype(np.int64)
    return Boxes(boxes.width, boxes.height, boxes.corners[kept], classes, boxes.ignored[kept])


def _renamed(found: Detections, meaning: Any, known: list[int]) -> Detections:
    """The detections of classes that have labels, numbered as these."""
    classes = meaning[found.classes]
    kept = classes >= 0
    numbers = np.searchsorted(known, classes[kept]).astype(np.int64)
    return Detections(found.corners[kept], found.scores[kept], numbers)
