"""Plots of the report: quality against speed, box plots, radar charts and critical difference diagrams."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ivfuse.benchmark.report import svg
from ivfuse.benchmark.results import Leaderboard, Results
from ivfuse.benchmark.statistics import Friedman
from ivfuse.benchmark.tables import format_value
from ivfuse.metrics import get_metric

_WIDTH = 420.0
_ROW = 20.0


def quality_against_speed(results: Results, index: dict[str, int]) -> str:
    """Scatter plot of mean rank against seconds per image; those that were not timed are listed below.

    Args:
        results: results of the benchmark.
        index: method -> index of its color.
    """
    left, right, top = 40.0, 300.0, 34.0
    bottom = max(268.0, top + 14.0 * len(results.methods))
    timed = [name for name in results.methods if results.costs[name].wall > 0]
    logs = [math.log10(results.costs[name].wall) for name in timed]
    low, high = (math.floor(min(logs)), math.ceil(max(logs) + 1e-9)) if logs else (-2, 0)
    high = max(high, low + 1)
    worst = max(2.0, *results.overall.values())

    def x_of(name: str) -> float:
        return left + (right - left) * (math.log10(results.costs[name].wall) - low) / (high - low)

    def y_of(rank: float) -> float:
        return top + (bottom - top) * (rank - 1) / (worst - 1)

    parts = []
    for power in range(low, high + 1):
        x = left + (right - left) * (power - low) / (high - low)
        parts += [svg.line(x, top, x, bottom, "grid"), svg.text(x, bottom + 16, f"{10.0**power:g}", "middle")]
    for rank in svg.ticks(1, worst):
        parts += [svg.line(left, y_of(rank), right, y_of(rank), "grid")]
        parts += [svg.text(left - 6, y_of(rank) + 4, f"{rank:g}", "end")]
    parts.append(svg.text((left + right) / 2, bottom + 34, "seconds per image", "middle", "axis"))
    parts.append(svg.text(8, 16, "mean rank (1 is best)", class_="axis"))
    points = {name: (x_of(name), y_of(results.overall[name])) for name in timed}
    labels = _label_positions(points)
    for name, (x, y) in points.items():
        time = f"{results.costs[name].wall:.4f} s"
        tooltip = svg.tooltip(f"{name}: mean rank {results.overall[name]:.2f}, {time}")
        dot = svg.element("circle", tooltip, cx=x, cy=y, r=5, class_="dot")
        label_x, label_y, anchor = labels[name]
        label = svg.text(label_x, label_y, name, anchor, "label")
        parts.append(svg.element("g", dot + label, class_=svg.series(index[name])))
    untimed = [name for name in results.methods if name not in timed]
    for row, name in enumerate(untimed):
        label = svg.text(
            left, bottom + 54 + 16 * row, f"{name}, not timed: {results.overall[name]:.2f}", class_="label"
        )
        parts.append(svg.element("g", label, class_=svg.series(index[name])))
    height = bottom + 42 + (16 * len(untimed) + 6 if untimed else 0)
    return svg.image(_WIDTH, height, parts, "Mean rank against seconds per image", "speed")


def _label_positions(points: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float, str]]:
    """Position and anchor of each label: right of its dot, or left if a dot or the edge is in the way."""
    left = {
        name
        for name, (x, y) in points.items()
        if x > 0.62 * _WIDTH
        or any(0 < other_x - x < 100 and abs(other_y - y) < 14 for other_x, other_y in points.values())
    }
    positions = {}
    for is_left in (True, False):
        names = [name for name in points if (name in left) is is_left]
        heights = svg.avoid_overlap([points[name][1] + 4 for name in names], 13)
        for name, y in zip(names, heights, strict=True):
            x = points[name][0]
            positions[name] = (x - 9, y, "end") if is_left else (x + 9, y, "start")
    return positions


def boxes(board: Leaderboard, metric: str, index: dict[str, int]) -> str:
    """Box plot per method: quartiles, whiskers up to 1.5 IQR, named outliers, and the mean as a bar.

    Args:
        board: values per image.
        metric: name of the metric.
        index: method -> index of its color.
    """
    methods = [name for name in board.methods if board.summaries[name][metric].count]
    if not methods:
        return svg.image(_WIDTH, 40, [svg.text(8, 24, f"{metric}: no values")], metric, "boxes")
    all_values = np.concatenate([board.values[name][metric] for name in methods])
    low, high = float(np.nanmin(all_values)), float(np.nanmax(all_values))
    margin = (high - low) * 0.04 or 1.0
    low, high = low - margin, high + margin
    left, right, top = 126.0, _WIDTH - 10, 26.0
    height = top + _ROW * len(methods) + 22

    def x_of(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    parts = [svg.text(8, 16, f"{metric}, {_better(metric)}", class_="head")]
    for tick in svg.ticks(low, high):
        parts += [svg.line(x_of(tick), top, x_of(tick), height - 20, "grid")]
        parts += [svg.text(x_of(tick), height - 6, f"{tick:g}", "middle")]
    for row, name in enumerate(methods):
        middle = top + _ROW * (row + 0.5)
        body = _box(board, metric, name, middle, x_of) + svg.text(
            left - 8, middle + 4, _short(name), "end", "label"
        )
        parts.append(svg.element("g", body, class_=svg.series(index[name])))
    return svg.image(_WIDTH, height, parts, f"Box plots of {metric} per image, by method", "boxes")


def _box(board: Leaderboard, metric: str, name: str, middle: float, x_of: Callable[[float], float]) -> str:
    values = board.values[name][metric]
    found = values[np.isfinite(values)]
    first, median, third = (float(x) for x in np.percentile(found, (25, 50, 75)))
    fence = 1.5 * (third - first)
    inside = found[(found >= first - fence) & (found <= third + fence)]
    spread = board.summaries[name][metric]
    summary = (
        f"{name}: mean {format_value(spread.mean)}, median {format_value(median)}, {spread.count} images"
    )
    width = max(1.0, x_of(third) - x_of(first))
    parts = [
        svg.line(x_of(float(inside.min())), middle, x_of(float(inside.max())), middle, "whisker"),
        svg.element(
            "rect", svg.tooltip(summary), x=x_of(first), y=middle - 6, width=width, height=12, class_="box"
        ),
        svg.line(x_of(median), middle - 6, x_of(median), middle + 6, "median"),
        svg.line(x_of(spread.mean), middle - 8, x_of(spread.mean), middle + 8, "mean"),
    ]
    for pair, value in zip(board.pairs, values, strict=True):
        if math.isfinite(value) and not first - fence <= value <= third + fence:
            tooltip = svg.tooltip(f"{name}, {pair}: {format_value(float(value))}")
            parts.append(
                svg.element("circle", tooltip, cx=x_of(float(value)), cy=middle, r=2.5, class_="dot")
            )
    return "".join(parts)


def radar(board: Leaderboard, index: dict[str, int]) -> str:
    """Radar chart of the means, each metric scaled from the worst (inner ring) to the best method (outer).

    Args:
        board: results on one set.
        index: method -> index of its color.
    """
    metrics = [name for name, order in board.best.items() if order]
    center_x, center_y, inner, outer = _WIDTH / 2, 160.0, 24.0, 122.0
    if len(metrics) < 3:
        message = "A radar chart needs at least three metrics."
        return svg.image(_WIDTH, 40, [svg.text(8, 24, message)], message, "radar")

    def point(axis: int, score: float) -> tuple[float, float]:
        angle = 2 * math.pi * axis / len(metrics) - math.pi / 2
        radius = inner + (outer - inner) * score
        return center_x + radius * math.cos(angle), center_y + radius * math.sin(angle)

    parts = []
    for score in (0.0, 0.5, 1.0):
        parts.append(_polygon([point(axis, score) for axis in range(len(metrics))], "ring"))
    for axis, name in enumerate(metrics):
        x, y = point(axis, 1.14)
        anchor = "middle" if abs(x - center_x) < 20 else "start" if x > center_x else "end"
        parts += [svg.line(*point(axis, 0), *point(axis, 1), "grid"), svg.text(x, y + 4, name, anchor)]
    for name in board.methods:
        corners = [point(axis, radar_score(board, metric, name)) for axis, metric in enumerate(metrics)]
        shape = _polygon(corners, "shape", svg.tooltip(name))
        parts.append(svg.element("g", shape, class_=svg.series(index[name])))
    return svg.image(
        _WIDTH,
        318,
        parts,
        f"Radar chart of the means on {board.data}, scaled from the worst to the best method",
        "radar",
    )


def radar_score(board: Leaderboard, metric: str, name: str) -> float:
    """Mean of a method, scaled: 0 for the worst method, or without a value, to 1 for the best."""
    means = {each: board.summaries[each][metric].mean for each in board.best[metric]}
    if name not in means:
        return 0.0
    low, high = min(means.values()), max(means.values())
    if low == high:
        return 1.0
    score = (means[name] - low) / (high - low)
    return score if get_metric(metric).higher_is_better else 1 - score


def critical(test: Friedman, index: dict[str, int]) -> str:
    """Critical difference diagram: bars join methods that do not differ at the level 0.05 (Nemenyi).

    Args:
        test: Friedman test over the images of a set.
        index: method -> index of its color.

    Source: Demsar, Journal of Machine Learning Research 7, 2006, section 3.2.4.
    """
    order = sorted(test.ranks, key=lambda name: test.ranks[name])
    left, right, top = 112.0, _WIDTH - 112, 46.0
    count = max(2, len(order))

    def x_of(rank: float) -> float:
        return left + (right - left) * (rank - 1) / (count - 1)

    parts = [svg.line(left, top, right, top, "rule")]
    for rank in range(1, count + 1):
        parts += [svg.line(x_of(rank), top - 5, x_of(rank), top, "rule")]
        parts += [svg.text(x_of(rank), top - 9, str(rank), "middle")]
    end = min(right, x_of(1 + test.difference)) if math.isfinite(test.difference) else left
    parts += [svg.line(left, 18, end, 18, "mean"), svg.text(left, 12, f"CD {test.difference:.2f}")]
    groups = indistinct([test.ranks[name] for name in order], test.difference)
    for level, (first, last) in enumerate(groups):
        y = top + 9 + 6 * level
        x1, x2 = x_of(test.ranks[order[first]]) - 3, x_of(test.ranks[order[last]]) + 3
        parts.append(svg.line(x1, y, x2, y, "alike"))
    below = top + 20 + 6 * len(groups)
    half = (len(order) + 1) // 2
    for place, name in enumerate(order):
        row = place if place < half else len(order) - 1 - place
        y, x = below + 17 * row, x_of(test.ranks[name])
        edge, anchor = (8.0, "start") if place < half else (_WIDTH - 8, "end")
        label = svg.text(edge, y - 3, f"{_short(name)} {test.ranks[name]:.2f}", anchor, "label")
        path = svg.element("polyline", points=f"{x:.1f},{top} {x:.1f},{y:.1f} {edge:.1f},{y:.1f}")
        parts.append(svg.element("g", path + label, class_=svg.series(index[name])))
    height = below + 17 * half
    return svg.image(_WIDTH, height, parts, "Critical difference diagram of the mean ranks", "critical")


def indistinct(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Maximal runs of two or more methods, best first, whose ranks are within the critical difference."""
    runs: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(
            index for index in range(first, len(ranks)) if not ranks[index] - ranks[first] > difference
        )
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _polygon(points: Sequence[tuple[float, float]], class_: str, content: str = "") -> str:
    return svg.element(
        "polygon", content, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=class_
    )


def _better(metric: str) -> str:
    return "higher is better" if get_metric(metric).higher_is_better else "lower is better"


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"
