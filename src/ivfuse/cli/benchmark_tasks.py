"""The options of ``ivfuse benchmark`` on detection and segmentation, and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ivfuse.errors import UsageError

if TYPE_CHECKING:
    from ivfuse.benchmark.plan import Plan
    from ivfuse.benchmark.run import OnProgress
    from ivfuse.benchmark.tasks.detection import DetectionResults, DetectionTask
    from ivfuse.benchmark.tasks.labels import Labels
    from ivfuse.benchmark.tasks.segmentation import SegmentationResults, SegmentationTask
    from ivfuse.benchmark.tasks.tables import TaskTable

T = TypeVar("T")

_PANEL = "Detection and segmentation"

LabelFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        rich_help_panel=_PANEL,
        help="Labeled boxes: COCO JSON, or a folder of YOLO or VOC labels; for all sets, or one each.",
    ),
]
DetectorFile = Annotated[
    Path | None,
    typer.Option("--detector", metavar="ONNX", rich_help_panel=_PANEL, help="A detector, used as it is."),
]
DetectorFormat = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_PANEL,
        help="Its output: yolov5, yolov8, yolo-end-to-end, nanodet or fastestdet; else told by the shape.",
    ),
]
DetectorNames = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_PANEL,
        help="Names of its classes, one a line; else those in the model, or COCO's.",
    ),
]
DetectorSize = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTHxHEIGHT", rich_help_panel=_PANEL, help="Of its input, where the model leaves it open."
    ),
]
ClassMap = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL=DETECTED,...",
        rich_help_panel=_PANEL,
        help="Which detected classes count as a labeled one, as in People=person,Car=car|truck.",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(metavar="NAMES", rich_help_panel=_PANEL, help="Labeled classes that count; else all known."),
]
IgnoreBelow = Annotated[
    float,
    typer.Option(min=0, rich_help_panel=_PANEL, help="Labeled boxes lower than so many pixels do not count."),
]
ExportDetection = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        rich_help_panel=_PANEL,
        help="Write all images with their labels for trainers of detectors: yolo, coco or voc.",
    ),
]
LabelMaps = Annotated[
    list[Path] | None,
    typer.Option(
        "--label-maps",
        metavar="DIR",
        rich_help_panel=_PANEL,
        help="Folder of true label maps (class numbers); one for all sets, or one for each.",
    ),
]
LabelSetName = Annotated[
    str,
    typer.Option("--label-set", rich_help_panel=_PANEL, help="Classes of label maps: msrs, fmb or street."),
]
SegmenterFile = Annotated[
    Path | None,
    typer.Option("--segmenter", metavar="ONNX", rich_help_panel=_PANEL, help="A segmenter, used as it is."),
]
SegmenterScale = Annotated[
    str, typer.Option(rich_help_panel=_PANEL, help="Of the segmenter's input: imagenet or unit (0 to 1).")
]
Predicted = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=DIR",
        rich_help_panel=_PANEL,
        help="Label maps that another program predicted on a method's images, infrared or visible.",
    ),
]


@dataclass(frozen=True)
class Tasks:
    """What was asked for beside fusing and scoring."""

    labels: tuple[Labels, ...]
    detection: DetectionTask | None
    segmentation: SegmentationTask | None
    export: str | None

    def check(self, plan: Plan) -> None:
        """Raise before any work if something cannot be done."""
        if self.detection:
            from ivfuse.benchmark.tasks.detection import check_detection

            check_detection(self.detection, len(plan.sets))
        if self.segmentation:
            from ivfuse.benchmark.tasks.segmentation import check_segmentation

            check_segmentation(self.segmentation, plan)

    def count(self, plan: Plan) -> int:
        """How many steps of progress they add, at most."""
        pairs = sum(len(data.pairs) for data in plan.sets)
        return pairs * ((self.detection is not None) + (self.segmentation is not None))

    def carry_out(self, plan: Plan, jobs: int, tell: OnProgress) -> TaskResults:
        """Export, detect, segment, and write the tables."""
        if self.export:
            from ivfuse.benchmark.tasks.export import export_detection

            export_detection(plan, self.labels, self.export, plan.out / f"detection-{self.export}")
        detected: list[DetectionResults] = []
        segmented: list[SegmentationResults] = []
        if self.detection:
            from ivfuse.benchmark.tasks.detection import measure_detection

            detected = measure_detection(plan, self.detection, jobs, tell)
        if self.segmentation:
            from ivfuse.benchmark.tasks.segmentation import measure_segmentation

            segmented = measure_segmentation(plan, self.segmentation, jobs, tell)
        if not detected and not segmented:
            return TaskResults((), (), 0)

        from ivfuse.benchmark.report.tasks import task_sections
        from ivfuse.benchmark.tasks.tables import write_tasks

        tables = write_tasks(detected, segmented, plan.out)
        problems = sum(len(x.problems) for x in detected) + sum(len(x.problems) for x in segmented)
        return TaskResults(tuple(tables), task_sections(plan, tables, detected), problems)


@dataclass(frozen=True)
class TaskResults:
    """Tables, parts of the page, and how many images could not be looked at."""

    tables: tuple[TaskTable, ...]
    sections: tuple[str, ...]
    problems: int


def tasks(
    labels: Sequence[Path] | None,
    detector: Path | None,
    detector_format: str | None,
    detector_names: Path | None,
    detector_size: str | None,
    class_map: str | None,
    classes: str | None,
    ignore_below: float,
    export: str | None,
    label_maps: Sequence[Path] | None,
    label_set: str,
    segmenter: Path | None,
    segmenter_scale: str,
    predicted: Sequence[str] | None,
    copies: int = 1,
) -> Tasks:
    """Read what the options name.

    Args:
        copies: how many sets a folder of pairs gives, one for each degradation; the others are options.

    Raises:
        UsageError: options that lack others.
        InputError: a file cannot be used.
        UnknownNameError: a name is not known.
    """
    if (detector or export) and not labels:
        raise UsageError(f"{'--detector' if detector else '--export-detection'} needs --labels")
    if labels and not (detector or export):
        raise UsageError("--labels needs --detector or --export-detection")
    if (segmenter or predicted) and not label_maps:
        raise UsageError(f"{'--segmenter' if segmenter else '--predicted'} needs --label-maps")
    if label_maps and not (segmenter or predicted):
        raise UsageError("--label-maps needs --segmenter or --predicted")
    from ivfuse.benchmark.tasks.labels import read_labels

    read = _for_each_copy([read_labels(path) for path in labels or ()], copies)
    detection = None
    if detector:
        from ivfuse.benchmark.tasks.class_names import parse_class_map
        from ivfuse.benchmark.tasks.detection import DetectionTask
        from ivfuse.benchmark.tasks.detectors import DetectorOptions, read_names

        names = read_names(detector_names) if detector_names else None
        options = DetectorOptions(detector_format, names, _size(detector_size))
        only = tuple(part.strip() for part in (classes or "").split(",") if part.strip())
        detection = DetectionTask(
            read, detector, options, parse_class_map(class_map or ""), ignore_below, only
        )
    if export:
        from ivfuse.benchmark.tasks.export import check_format

        check_format(export)
    segmentation = _segmentation(
        _for_each_copy(label_maps or (), copies), label_set, segmenter, segmenter_scale, predicted
    )
    return Tasks(read, detection, segmentation, export)


def _for_each_copy(given: Sequence[T], copies: int) -> tuple[T, ...]:
    """What was given for each folder, for each of the sets that it gives; what is for all stays."""
    return tuple(each for each in given for _ in range(copies if len(given) > 1 else 1))


def _segmentation(
    label_maps: tuple[Path, ...],
    label_set: str,
    segmenter: Path | None,
    scale: str,
    predicted: Sequence[str] | None,
) -> SegmentationTask | None:
    if not label_maps:
        return None
    from ivfuse.benchmark.tasks.label_maps import label_set as find
    from ivfuse.benchmark.tasks.segmentation import SegmentationTask

    folders = {}
    for text in predicted or ():
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise UsageError(f"--predicted {text!r}: expected NAME=DIR")
        folders[name] = Path(folder)
    return SegmentationTask(label_maps, find(label_set), segmenter, scale, folders)


def _size(text: str | None) -> tuple[int, int] | None:
    """Height and width."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text.lower())
    if not found or not (int(found[1]) and int(found[2])):
        raise UsageError(f"--detector-size: found {text!r}, expected WIDTHxHEIGHT in pixels")
    return int(found[2]), int(found[1])
