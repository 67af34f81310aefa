"""The parts of the report on detection and segmentation: tables by class, and images with boxes."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.tasks.detection import NOTHING, DetectedPair, DetectionResults
from ivfuse.benchmark.tasks.images import INFRARED, VISIBLE, Levels, image_job, load_images
from ivfuse.benchmark.tasks.tables import TaskTable, best_rows

_PAIRS = 6  # shown of each set
_METHODS = 3  # shown beside infrared and visible
_WIDTH = 420  # of a preview, in pixels
_SURE = 0.35  # score from which a box is drawn
_COLORS = ((90, 220, 120), (250, 190, 60), (110, 180, 255), (255, 120, 120), (200, 140, 255))


def task_sections(
    plan: Plan, tables: Sequence[TaskTable], detection: Sequence[DetectionResults]
) -> tuple[str, ...]:
    """Markup to be put into the page.

    Args:
        plan: of the benchmark.
        tables: of all sets and tasks.
        detection: boards whose images are shown; may be none.
    """
    parts = [_table(table) for table in tables]
    parts += [_gallery(plan, board) for board in detection if board.pairs]
    return tuple(parts)


def _table(table: TaskTable) -> str:
    best = best_rows(table)
    heads = "".join(f"<th scope=col>{escape(head)}</th>" for head in ("image", *table.heads))
    rows = []
    for name, values in table.rows:
        cells = ["–" if not math.isfinite(x) else f"{x:.3f}" for x in values]
        marked = [f"<b class=first>{x}</b>" if name in best[i] else x for i, x in enumerate(cells)]
        rows.append(f"<tr><th scope=row>{escape(name)}</th>{''.join(f'<td>{x}</td>' for x in marked)}</tr>")
    notes = "".join(f"<p class=note>{escape(line)}</p>" for line in table.notes)
    if table.protocol is not None:
        notes = f"<p class='note protocol'>{escape(table.protocol.line)}.</p>{notes}"
    return (
        f"<section><h2>{escape(table.title)}</h2><div class=wide><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>{notes}</section>"
    )


def _gallery(plan: Plan, board: DetectionResults) -> str:
    """Pairs on which methods differ most, with labeled boxes and what was detected."""
    methods = [name for name in board.rows if name not in (INFRARED, VISIBLE)][:_METHODS]
    names = [INFRARED, VISIBLE, *methods]
    chosen = sorted(board.pairs, key=lambda pair: -_spread(pair, names))[:_PAIRS]
    rows = "".join(_row(plan, board, pair, names) for pair in chosen)
    kinds = ", ".join(
        f'<span style="color:rgb{_COLORS[index % len(_COLORS)]}">■</span> {escape(name)}'
        for index, name in enumerate(board.classes)
    )
    return (
        f"<section><h2>Detected in {escape(board.data)}</h2><p class=note>Pairs that differ most"
        f" in hits. Dashed white: labeled. Detected with a score of {_SURE} or more: {kinds}.</p>"
        f"{rows}</section>"
    )


def _row(plan: Plan, board: DetectionResults, pair: DetectedPair, names: Sequence[str]) -> str:
    data = next(each for each in plan.sets if each.name == board.data)
    figures = []
    for name, image in load_images(image_job(plan, data, pair.pair)):
        if name in names and not isinstance(image, str):
            hits, count = _hits(pair, name)
            caption = f"{name}: {hits} of {count} found"
            figures.append(
                f"<figure style='margin:0'><img alt='{escape(caption, quote=True)}' width={_WIDTH} "
                f"src='{_preview(image, pair, name)}'><figcaption>{escape(caption)}</figcaption></figure>"
            )
    head = f"<h3>{escape(pair.pair.name)}</h3>"
    return f"{head}<div class=wide style='display:flex;gap:6px'>{''.join(figures)}</div>"


def _hits(pair: DetectedPair, name: str) -> tuple[int, int]:
    """Labeled boxes that a sure detection of the same class covers by half, and how many there are."""
    from ivfuse.benchmark.tasks.detectors import overlaps

    found = pair.found.get(name, NOTHING)
    sure = found.scores >= _SURE
    counted = np.flatnonzero(~pair.truth.ignored)
    hits = 0
    for index in counted:
        same = sure & (found.classes == pair.truth.classes[index])
        hits += bool((overlaps(pair.truth.corners[index], found.corners[same]) >= 0.5).any())
    return hits, len(counted)


def _spread(pair: DetectedPair, names: Sequence[str]) -> float:
    hits = [_hits(pair, name)[0] for name in names]
    return max(hits) - min(hits) + 0.01 * len(pair.truth.classes)


def _preview(image: Levels, pair: DetectedPair, name: str) -> str:
    """A small WebP with boxes drawn into it, as a data URI."""
    from PIL import Image, ImageDraw

    small = Image.fromarray(image).convert("RGB")
    scale = _WIDTH / small.width
    small = small.resize((_WIDTH, max(1, round(small.height * scale))), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(small)
    for corners, ignored in zip(pair.truth.corners * scale, pair.truth.ignored, strict=True):
        if not ignored:
            _dashed(draw, corners)
    found = pair.found.get(name, NOTHING)
    for corners, score, kind in zip(found.corners * scale, found.scores, found.classes, strict=True):
        if score >= _SURE:
            left, top, right, bottom = map(float, corners)
            draw.rectangle(
                (left, top, max(left, right), max(top, bottom)), outline=_COLORS[int(kind) % len(_COLORS)]
            )
    file = BytesIO()
    small.save(file, "WEBP", quality=70, method=2)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _dashed(draw: Any, corners: NDArray[np.float64], dash: int = 4) -> None:
    """A dashed white rectangle."""
    left, top, right, bottom = map(int, corners)
    for x in range(left, right, 2 * dash):
        for y in (top, bottom):
            draw.line((x, y, min(x + dash, right), y), fill=(255, 255, 255))
    for y in range(top, bottom, 2 * dash):
        for x in (left, right):
            draw.line((x, y, x, min(y + dash, bottom)), fill=(255, 255, 255))
