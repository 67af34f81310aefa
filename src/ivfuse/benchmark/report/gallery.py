"""Images for the gallery: scaled previews within a budget of bytes, and links to the files themselves."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.report.outlines import OutlineJob, Outlines
from ivfuse.benchmark.results import Results
from ivfuse.benchmark.store import Store
from ivfuse.benchmark.tables import relative
from ivfuse.image.formats import format_of
from ivfuse.image.read import read_visible
from ivfuse.metrics.evaluate import to_levels
from ivfuse.metrics.folder import read_infrared
from ivfuse.runtime.processes import ask_all
from ivfuse.thermal.tone_mapping import Window

BUDGET = 20_000_000  # bytes of all previews; in text they become a third more, and the page stays below 30 MB
ENOUGH = 70_000  # bytes of one preview
LEAST = 2_500  # below this a preview shows nothing; images are linked instead

Kind = Literal["ir", "vi", "fused"]

# longest side and quality, tried in this order until the preview is small enough
_LADDER = ((640, 80), (640, 65), (512, 65), (400, 60), (320, 55), (240, 50), (160, 40))


@dataclass(frozen=True)
class PreviewJob:
    """A file, what it is, and how many bytes its preview may have."""

    path: Path
    kind: Kind
    most: int
    ir_window: Window | None


def gallery(results: Results, jobs: int, budget: int = BUDGET) -> tuple[dict[str, Any], list[str]]:
    """Everything that the gallery shows.

    Args:
        results: what was measured.
        jobs: processes that scale images.
        budget: bytes of all previews.

    Returns:
        Plain values for the page's program, and the images that these name by number: data URIs, or
        relative links where the budget does not allow a preview.
    """
    plan = results.plan
    files: list[tuple[Path, Kind]] = []
    table: dict[str, Any] = {
        "methods": results.methods,
        "metrics": _metrics(results),
        "sets": [_set(results, index, files) for index in range(len(plan.sets))],
    }
    _add_targets(table, results, jobs)
    return table, _images(files, plan, jobs, budget)


def make_preview(_: Any) -> Callable[[PreviewJob], bytes]:
    """Make the function that scales one image, for a process of its own."""
    return preview


def preview(job: PreviewJob) -> bytes:
    """A WebP of an image, as large as the budget allows.

    Raises:
        InputError: if the image cannot be read.
    """
    from PIL import Image

    image = Image.fromarray(to_levels(_pixels(job), job.path.name))
    data = b""
    for side, quality in _LADDER:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = BytesIO()
        small.save(file, "WEBP", quality=quality, method=2)
        data = file.getvalue()
        if len(data) <= job.most:
            break
    return data


def _shows(path: Path) -> bool:
    """Whether web browsers show a file."""
    found = format_of(path)
    return found is not None and found.in_browsers


def _pixels(job: PreviewJob) -> NDArray[np.float32]:
    """The image; thermal counts are mapped as for the fusion, results have the levels that are scored."""
    if job.kind == "ir":
        return read_infrared(job.path, job.ir_window)
    return read_visible(job.path, as_stored=job.kind == "fused").pixels


def _images(files: list[tuple[Path, Kind]], plan: Plan, jobs: int, budget: int) -> list[str]:
    most = min(ENOUGH, budget // max(1, len(files)))
    links = [link(path, plan.out) if _shows(path) else "" for path, _ in files]
    if most < LEAST:
        return links
    requests = [PreviewJob(path, kind, most, plan.ir_window) for path, kind in files]
    for index, reply in ask_all("ivfuse.benchmark.report.gallery:make_preview", None, requests, jobs):
        if not reply.failure:
            links[index] = "data:image/webp;base64," + base64.b64encode(reply.value).decode()
    return links


def link(path: Path, out: Path) -> str:
    """A relative link to a file, as a browser reads it."""
    found = relative(path, out)
    return found if found.startswith("file:") else quote(found)


def _metrics(results: Results) -> list[dict[str, Any]]:
    from ivfuse.metrics import get_metric

    several = len(results.plan.conventions) > 1
    names = [
        (name, f"{name} ({convention})" if several else name)
        for convention in results.plan.conventions
        for name in results.plan.metrics
    ]
    names += [(name, name) for name in results.plan.seeing]
    facts = [(get_metric(name), shown) for name, shown in names]
    return [
        {"name": shown, "higher": each.higher_is_better, "share": each.count is not None}
        for each, shown in facts
    ]


def _set(results: Results, index: int, files: list[tuple[Path, Kind]]) -> dict[str, Any]:
    """One set: its pairs, with images by number in ``files`` and scores in the order of the metrics."""
    plan = results.plan
    data = plan.sets[index]
    boards = [board for board in results.leaderboards if board.data == data.name]
    mine = [each for each in results.problems if each.data == data.name]
    reasons = {(each.method, each.pair): each.reason for each in mine}
    unfused = {(each.method, each.pair) for each in mine if each.kind != "score"}
    places = {name: number for number, name in enumerate(boards[0].pairs)}
    pairs = []
    for pair in data.pairs:
        shown = []
        for method in results.methods:
            path = None if (method, pair.name) in unfused else _fused(plan, data.name, method, pair.name)
            columns = [board.values[method][name] for board in boards for name in plan.metrics]
            columns += [results.seeing[index].values[method][name] for name in plan.seeing]
            values = [_rounded(float(column[places[pair.name]])) for column in columns]
            number = _add(files, path, plan, "fused") if path else None
            shown.append({"image": number, "values": values, "failure": reasons.get((method, pair.name), "")})
        sources = [_add(files, pair.ir, plan, "ir"), _add(files, pair.vi, plan, "vi")]
        pairs.append({"name": pair.name, "sources": sources, "methods": shown})
    return {"name": data.name, "pairs": pairs}


def _add_targets(table: dict[str, Any], results: Results, jobs: int) -> None:
    """Add the outlines of its targets to each pair, and to each image which of them it shows."""
    plan = results.plan
    requests, places = [], []
    for data, rows in zip(plan.sets, table["sets"], strict=True):
        for pair, row in zip(data.pairs, rows["pairs"], strict=True):
            paths = {name: _fused(plan, data.name, name, pair.name) for name in results.methods}
            fused = {name: path for name, path in paths.items() if path is not None}
            row["targets"] = {"size": [1, 1], "polygons": [], "states": ["", ""]}
            requests.append(OutlineJob(pair.ir, pair.vi, fused, plan.ir_window, plan.conventions[0]))
            places.append(row)
    for index, reply in ask_all("ivfuse.benchmark.report.outlines:make_outlines", None, requests, jobs):
        if reply.failure:
            continue
        found: Outlines = reply.value
        states = [found.states[name] for name in ("ir", "vi")]
        size = [found.width, found.height]
        places[index]["targets"] = {"size": size, "polygons": found.polygons, "states": states}
        for name, each in zip(results.methods, places[index]["methods"], strict=True):
            if name in found.states:
                each["states"] = found.states[name]


def _fused(plan: Plan, data: str, method: str, pair: str) -> Path | None:
    entry = next(each for each in plan.entries if each.name == method)
    if entry.external is not None:
        return entry.external[data].get(pair)
    path = Store(plan.out).image(data, method, pair)
    return path if path.is_file() else None


def _add(files: list[tuple[Path, Kind]], path: Path, plan: Plan, kind: Kind) -> dict[str, Any]:
    files.append((path, kind))
    return {"number": len(files) - 1, "link": link(path, plan.out)}


def _rounded(value: float) -> float | None:
    return float(np.format_float_positional(value, 6, fractional=False)) if math.isfinite(value) else None
