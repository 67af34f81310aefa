"""The plots of the report as PDF and SVG files for papers, drawn by Matplotlib (the extra ``report``)."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivfuse.benchmark.report.plots import indistinct, radar_score
from ivfuse.benchmark.results import Leaderboard, Results
from ivfuse.errors import MissingExtraError
from ivfuse.metrics import get_metric
from ivfuse.runtime.files import make_folder, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colors of the report on a light page; further methods take them again, dashed.
COLORS = (
    *("#0b7a6b", "#c2541a", "#4059ad", "#a3457a", "#7a7d14"),
    *("#2585b5", "#8a5a2b", "#7b4fc4", "#c0392b", "#4d6b3c"),
)
_WIDTH = 3.5  # inches: a column of a page of two
_ROW = 0.2  # inches of a method
# Text stays text, and a figure that is drawn again is the same file.
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # names are text, whatever they contain
    "svg.fonttype": "none",
    "svg.hashsalt": "ivfuse",
}
_UNDATED: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}


def check_matplotlib() -> None:
    """Raise MissingExtraError without Matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("plots as files", "report")


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Write every plot of the report as a PDF and an SVG file.

    Args:
        results: results of the benchmark.
        folder: for the files; made if it does not exist.

    Returns:
        The files: ``speed``, and for each set and convention ``critical``, ``radar`` and a box plot of each
        metric.

    Raises:
        MissingExtraError: without the extra ``report``.
        OutputError: if a file cannot be written; each is written whole or not at all.
    """
    check_matplotlib()
    from matplotlib import rc_context

    make_folder(folder)
    written = []
    with rc_context(_STYLE):
        for name, figure in _figures(results):
            for kind, metadata in _UNDATED.items():
                path = folder / f"{re.sub(r'[^a-zA-Z0-9_.+-]+', '_', name)}.{kind}"
                with replacing(path) as part:
                    figure.savefig(part, format=kind, bbox_inches="tight", pad_inches=0.03, metadata=metadata)
                written.append(path)
    return written


def _figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time."""
    colors = {name: COLORS[at % len(COLORS)] for at, name in enumerate(results.methods)}
    yield "speed", _speed(results, colors)
    several = len(results.plan.conventions) > 1
    for board in results.leaderboards:
        prefix = f"{board.data}-{board.convention}" if several else board.data
        yield f"{prefix}-critical", _critical(board, colors)
        if sum(map(bool, board.best.values())) >= 3:
            yield f"{prefix}-radar", _radar(board, colors)
        for metric, order in board.best.items():
            if order:
                yield f"{prefix}-{metric}", _boxes(board, metric, colors)


def _axes(height: float, **options: Any) -> tuple[Figure, Axes]:
    """A figure of one column with one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes: Any = figure.add_subplot(**options)
    axes.spines[["top", "right"]].set_visible(False) if not options else None
    return figure, axes


def _speed(results: Results, colors: dict[str, str]) -> Figure:
    """Mean rank against seconds per image, as in the report."""
    figure, axes = _axes(2.6)
    timed = [name for name in results.methods if results.costs[name].wall > 0]
    for name in timed:
        axes.plot(results.costs[name].wall, results.overall[name], "o", color=colors[name], markersize=4)
    for name, y in zip(timed, _apart([results.overall[name] for name in timed]), strict=True):
        at = (results.costs[name].wall, y)
        axes.annotate(name, at, (5, 0), textcoords="offset points", va="center", color=colors[name])
    if timed:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.12, y=0.08)
    axes.invert_yaxis()
    axes.grid(linewidth=0.3)
    axes.set(xlabel="seconds per image", ylabel="mean rank (1 is best)")
    if untimed := [f"{name} {results.overall[name]:.2f}" for name in results.methods if name not in timed]:
        axes.set_title(f"not timed: {', '.join(untimed)}", loc="left", wrap=True)
    return figure


def _apart(ranks: Sequence[float]) -> list[float]:
    """Heights of labels, in ranks, moved so that none covers another."""
    from ivfuse.benchmark.report.svg import avoid_overlap

    span = max(ranks, default=1.0) - min(ranks, default=1.0)
    return avoid_overlap(ranks, span / 18) if span else list(ranks)


def _boxes(board: Leaderboard, metric: str, colors: dict[str, str]) -> Figure:
    """Box plots per method: quartiles, whiskers up to 1.5 IQR, outliers, the mean as a thick line."""
    methods = [name for name in board.methods if board.summaries[name][metric].count]
    figure, axes = _axes(0.5 + _ROW * len(methods))
    for row, name in enumerate(methods):
        values = board.values[name][metric]
        color = colors[name]
        axes.boxplot(
            values[np.isfinite(values)],
            positions=[row],
            orientation="horizontal",
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": f"{color}38", "edgecolor": color, "linewidth": 0.8},
            medianprops={"color": color, "linewidth": 0.8},
            whiskerprops={"color": color, "linewidth": 0.8},
            showcaps=False,
            flierprops={"marker": ".", "markersize": 3, "markerfacecolor": color, "markeredgewidth": 0},
        )
        mean = board.summaries[name][metric].mean
        axes.plot([mean, mean], [row - 0.36, row + 0.36], color=color, linewidth=1.8, solid_capstyle="butt")
    axes.set_yticks(range(len(methods)), methods)
    for label, name in zip(axes.get_yticklabels(), methods, strict=True):
        label.set_color(colors[name])
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.3)
    direction = "higher" if get_metric(metric).higher_is_better else "lower"
    axes.set_xlabel(f"{metric}, {direction} is better")
    return figure


def _radar(board: Leaderboard, colors: dict[str, str]) -> Figure:
    """Means from the worst method (inner ring) to the best (outer ring)."""
    figure, axes = _axes(3.2, projection="polar")
    polar: Any = axes
    metrics = [name for name, order in board.best.items() if order]
    angles = [2 * math.pi * at / len(metrics) for at in range(len(metrics))]
    polar.set_theta_zero_location("N")
    polar.set_theta_direction(-1)
    polar.set(ylim=(-0.2, 1), yticks=[0, 0.5, 1], yticklabels=[])
    polar.set_xticks(angles, metrics)
    for at, name in enumerate(board.methods):
        scores = [radar_score(board, metric, name) for metric in metrics]
        line = "--" if at >= len(COLORS) else "-"
        polar.plot(
            [*angles, angles[0]], [*scores, scores[0]], line, color=colors[name], label=name, linewidth=1
        )
        polar.fill(angles, scores, color=colors[name], alpha=0.05)
    polar.spines["polar"].set_visible(False)
    polar.grid(linewidth=0.3)
    polar.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False, fontsize=7)
    return figure


def _critical(board: Leaderboard, colors: dict[str, str]) -> Figure:
    """Critical difference diagram (Demsar 2006): bars join methods that do not differ (Nemenyi, 0.05)."""
    test = board.image_rank
    order = sorted(test.ranks, key=lambda name: test.ranks[name])
    groups = indistinct([test.ranks[name] for name in order], test.difference)
    half = (len(order) + 1) // 2
    depth = 0.6 + 0.35 * len(groups)  # of the first label, in rows below the axis
    figure, axes = _axes(0.45 + _ROW * 0.8 * (half + depth))
    count = max(2, len(order))
    axes.plot([1, count], [0, 0], color="black", linewidth=0.8)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, -0.25], color="black", linewidth=0.8)
        axes.text(tick, -0.4, str(tick), ha="center", va="bottom")
    if math.isfinite(test.difference):
        axes.plot([1, min(count, 1 + test.difference)], [-1.9, -1.9], color="black", linewidth=1.5)
        axes.text(1, -2.1, f"CD {test.difference:.2f}", ha="left", va="bottom")
    for level, (first, last) in enumerate(groups):
        height = 0.3 + 0.35 * level
        ends = [test.ranks[order[first]] - 0.03, test.ranks[order[last]] + 0.03]
        axes.plot(ends, [height, height], color="black", linewidth=2.2, solid_capstyle="round")
    margin = 0.06 * (count - 1)
    for place, name in enumerate(order):
        left = place < half
        y = depth + (place if left else len(order) - 1 - place)
        edge = 1 - margin if left else count + margin
        rank = test.ranks[name]
        axes.plot([rank, rank, edge], [0.0, y, y], color=colors[name], linewidth=0.8)
        side = "right" if left else "left"
        axes.text(edge, y, f" {name} {rank:.2f} ", ha=side, va="center", color=colors[name])
    axes.set(ylim=(half + depth, -2.8), xlim=(1 - 0.55 * count, count + 0.55 * count))
    axes.set_axis_off()
    return figure
