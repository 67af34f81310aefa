"""Results of detection and segmentation as CSV, JSON and Markdown, and all detections in COCO's form."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivfuse.benchmark.tasks.detection import NOTHING, DetectionResults
from ivfuse.benchmark.tasks.protocol import TaskProtocol
from ivfuse.benchmark.tasks.segmentation import SegmentationResults
from ivfuse.runtime.files import write_atomic


@dataclass(frozen=True)
class TaskTable:
    """A table of one set, ready to be shown.

    Attributes:
        title: what it shows.
        heads: of the columns after the name.
        rows: names and values, 0 to 1; NaN where there is none.
        notes: lines below.
        protocol: what was measured of what.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    notes: tuple[str, ...]
    protocol: TaskProtocol | None = None


def detection_table(board: DetectionResults) -> TaskTable:
    """AP50 class by class, then the means; boxes of each class in its head."""
    first = next(iter(board.precision.values()))
    heads = [f"{name} ({each.boxes})" for name, each in zip(board.classes, first.classes, strict=True)]
    rows = []
    for name in board.rows:
        found = board.precision[name]
        rows.append((name, (*(each.ap50 for each in found.classes), found.ap50, found.ap)))
    notes = [
        "AP50 by class (labeled boxes), then the mean AP50 and AP50:95 over classes that have boxes; "
        "infrared and visible are the sources, shown to the same detector."
    ]
    if board.unknown:
        unknown = ", ".join(board.unknown)
        notes.append(f"Not scored, since the detector has no such class or it was not asked for: {unknown}.")
    notes += _gaps(board.unlabeled, board.missing, "labels")
    return TaskTable(
        f"Detection, {board.data}: {_pairs(len(board.pairs))}",
        (*heads, "AP50", "AP50:95"),
        tuple(rows),
        (*notes, *board.problems),
        board.protocol,
    )


def segmentation_table(board: SegmentationResults) -> TaskTable:
    """IoU class by class, then their mean."""
    heads = [board.labels.classes[index] for index in board.labels.counted]
    rows = tuple(
        (name, (*(float(board.iou[name][index]) for index in board.labels.counted), board.miou[name]))
        for name in board.rows
    )
    notes = [
        f"Intersection over union by class, and its mean over classes that occur. {board.labels.source}."
    ]
    notes += _gaps(board.unlabeled, board.missing, "label maps")
    return TaskTable(
        f"Segmentation, {board.data}: {_pairs(board.pairs)}",
        (*heads, "mIoU"),
        rows,
        (*notes, *board.problems),
        board.protocol,
    )


def write_tasks(
    detection: Sequence[DetectionResults], segmentation: Sequence[SegmentationResults], out: Path
) -> list[TaskTable]:
    """Write ``tables/detection.*``, ``tables/segmentation.*`` and ``detections/SET/NAME.json``.

    Args:
        detection: boards, may be none.
        segmentation: boards, may be none.
        out: folder of the report.

    Returns:
        The tables, for the page and the terminal.

    Raises:
        OutputError: a file cannot be written; each is written whole or not at all.
    """
    shown: list[TaskTable] = []
    for kind, tables in (
        ("detection", [detection_table(board) for board in detection]),
        ("segmentation", [segmentation_table(board) for board in segmentation]),
    ):
        if tables:
            write_atomic(out / "tables" / f"{kind}.md", "\n".join(map(markdown, tables)))
            write_atomic(out / "tables" / f"{kind}.csv", _csv(tables))
            text = json.dumps([as_json(table) for table in tables], indent=1, allow_nan=False)
            write_atomic(out / "tables" / f"{kind}.json", f"{text}\n")
        shown += tables
    for board in detection:
        for name in board.rows:
            text = json.dumps(_coco_results(board, name), allow_nan=False)
            write_atomic(out / "detections" / board.data / f"{name}.json", text)
    return shown


def markdown(table: TaskTable) -> str:
    """A table with its notes; the best of the methods in bold."""
    best = best_rows(table)
    lines = [
        f"### {table.title}",
        "",
        f"| image | {' | '.join(table.heads)} |",
        "|---" * (len(table.heads) + 1) + "|",
    ]
    for name, values in table.rows:
        scores = map(format_score, values)
        cells = [f"**{text}**" if name in best[index] else text for index, text in enumerate(scores)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    measured = [] if table.protocol is None else ["", f"{table.protocol.line}."]
    return "\n".join([*lines, "", *(f"- {line}" for line in table.notes), *measured, ""])


def best_rows(table: TaskTable) -> list[set[str]]:
    """For each column the names of the rows with the highest value."""
    out = []
    for index in range(len(table.heads)):
        top = max((x[index] for _, x in table.rows if math.isfinite(x[index])), default=math.nan)
        out.append({name for name, x in table.rows if x[index] == top and top > 0})
    return out


def as_json(table: TaskTable) -> dict[str, Any]:
    """Plain values; null where there is none."""
    return {
        "title": table.title,
        "rows": {
            name: {
                head: value if math.isfinite(value) else None
                for head, value in zip(table.heads, values, strict=True)
            }
            for name, values in table.rows
        },
        "notes": list(table.notes),
        "protocol": table.protocol and table.protocol.hash,
        "measured": table.protocol and table.protocol.facts(),
    }


def text_rows(table: TaskTable) -> list[tuple[str, ...]]:
    """The cells of a table as text, the header first."""
    return [("", *table.heads), *((name, *map(format_score, values)) for name, values in table.rows)]


def _coco_results(board: DetectionResults, name: str) -> list[dict[str, Any]]:
    """What evaluators of COCO read, with names in place of numbers that would mean nothing elsewhere."""
    out = []
    for pair in board.pairs:
        found = pair.found.get(name, NOTHING)
        for corners, score, kind in zip(found.corners, found.scores, found.classes, strict=True):
            left, top, right, bottom = (round(float(x), 2) for x in corners)
            box = [left, top, round(right - left, 2), round(bottom - top, 2)]
            out.append(
                {
                    "image": pair.pair.name,
                    "category": board.classes[int(kind)],
                    "bbox": box,
                    "score": round(float(score), 5),
                }
            )
    return out


def _csv(tables: Sequence[TaskTable]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "image", "measure", "value", "protocol"])
    for table in tables:
        measured = table.protocol.hash if table.protocol else ""
        for name, values in table.rows:
            for head, value in zip(table.heads, values, strict=True):
                number = repr(value) if math.isfinite(value) else ""
                writer.writerow([table.title, name, head, number, measured])
    return out.getvalue()


def _gaps(unlabeled: int, missing: dict[str, int], what: str) -> list[str]:
    lines = [f"{_pairs(unlabeled)} without {what}, not scored."] if unlabeled else []
    gaps = {name: count for name, count in missing.items() if count}
    return lines + [
        f"{name}: {_pairs(count)} without an image, counted as misses." for name, count in gaps.items()
    ]


def _pairs(count: int) -> str:
    return f"{count} pair{'' if count == 1 else 's'}"


def format_score(value: float) -> str:
    """Format a score in 0..1; a dash if there is none."""
    return f"{value:.3f}" if math.isfinite(value) else "–"
