"""The plots of the report: quality against speed, boxes of a metric, radar of a set, critical differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ivfuse.benchmark.report import svg
from ivfuse.benchmark.results import Board, Results
from ivfuse.benchmark.statistics import Friedman
from ivfuse.benchmark.tables import shown
from ivfuse.metrics import get_metric

_WIDTH = 420.0
_ROW = 20.0


def quality_against_speed(results: Results, index: dict[str, int]) -> str:
    """Mean rank against seconds per image; methods without a time stand at the right edge.

    Args:
        results: what was measured.
        index: method -> number of its color.
    """
    left, right, top = 40.0, 300.0, 34.0
    bottom = max(268.0, top + 14.0 * len(results.methods))
    timed = [name for name in results.methods if results.costs[name].wall > 0]
    logs = [math.log10(results.costs[name].wall) for name in timed]
    low, high = (math.floor(min(logs)), math.ceil(max(logs) + 1e-9)) if logs else (-2, 0)
    high = max(high, low + 1)
    worst = max(2.0, *results.overall.values())

    def across(name: str) -> float:
        wall = results.costs[name].wall
        return left + (right - left) * ((math.log10(wall) - low) / (high - low) if wall > 0 else 1.12)

    def down(rank: float) -> float:
        return top + (bottom - top) * (rank - 1) / (worst - 1)

    parts = []
    for power in range(low, high + 1):
        x = left + (right - left) * (power - low) / (high - low)
        parts += [svg.line(x, top, x, bottom, "grid"), svg.text(x, bottom + 16, f"{10.0**power:g}", "middle")]
    for rank in svg.ticks(1, worst):
        parts += [svg.line(left, down(rank), right, down(rank), "grid")]
        parts += [svg.text(left - 6, down(rank) + 4, f"{rank:g}", "end")]
    parts.append(svg.text((left + right) / 2, bottom + 34, "seconds per image", "middle", "axis"))
    parts.append(svg.text(8, 16, "mean rank (1 is best)", class_="axis"))
    places = {name: (across(name), down(results.overall[name])) for name in results.methods}
    labels = _labels(places)
    for name, (x, y) in places.items():
        wall = results.costs[name].wall
        time = f"{wall:.4f} s" if wall > 0 else "no time, it was brought"
        said = svg.titled(f"{name}: mean rank {results.overall[name]:.2f}, {time}")
        dot = svg.element("circle", said, cx=x, cy=y, r=5, class_="dot")
        side, height, anchor = labels[name]
        words = svg.text(side, height, name if wall > 0 else f"{name} (no time)", anchor, "label")
        parts.append(svg.element("g", dot + words, class_=svg.series(index[name])))
    return svg.image(_WIDTH, bottom + 42, parts, "Mean rank against seconds per image", "speed")


def _labels(places: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float, str]]:
    """Where each dot's name goes: beside it, left where there is another dot or the edge to the right."""
    left = {
        name
        for name, (x, y) in places.items()
        if x > 0.62 * _WIDTH
        or any(0 < other_x - x < 100 and abs(other_y - y) < 14 for other_x, other_y in places.values())
    }
    found = {}
    for side in (True, False):
        names = [name for name in places if (name in left) is side]
        heights = svg.spread_apart([places[name][1] + 4 for name in names], 13)
        for name, height in zip(names, heights, strict=True):
            x = places[name][0]
            found[name] = (x - 9, height, "end") if side else (x + 9, height, "start")
    return found


def boxes(board: Board, metric: str, index: dict[str, int]) -> str:
    """A box for each method: quartiles, whiskers within 1.5 box lengths, outliers by name, the mean as a bar.

    Args:
        board: values per image.
        metric: which one.
        index: method -> number of its color.
    """
    methods = [name for name in board.methods if board.spreads[name][metric].count]
    if not methods:
        return svg.image(_WIDTH, 40, [svg.text(8, 24, f"{metric}: no values")], metric, "boxes")
    all_values = np.concatenate([board.values[name][metric] for name in methods])
    low, high = float(np.nanmin(all_values)), float(np.nanmax(all_values))
    room = (high - low) * 0.04 or 1.0
    low, high = low - room, high + room
    left, right, top = 126.0, _WIDTH - 10, 26.0
    height = top + _ROW * len(methods) + 22

    def across(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    parts = [svg.text(8, 16, f"{metric}, {_better(metric)}", class_="head")]
    for tick in svg.ticks(low, high):
        parts += [svg.line(across(tick), top, across(tick), height - 20, "grid")]
        parts += [svg.text(across(tick), height - 6, f"{tick:g}", "middle")]
    for row, name in enumerate(methods):
        middle = top + _ROW * (row + 0.5)
        body = _box(board, metric, name, middle, across) + svg.text(
            left - 8, middle + 4, _short(name), "end", "label"
        )
        parts.append(svg.element("g", body, class_=svg.series(index[name])))
    return svg.image(_WIDTH, height, parts, f"{metric} per image, a box for each method", "boxes")


def _box(board: Board, metric: str, name: str, middle: float, across: Callable[[float], float]) -> str:
    values = board.values[name][metric]
    found = values[np.isfinite(values)]
    first, median, third = (float(x) for x in np.percentile(found, (25, 50, 75)))
    reach = 1.5 * (third - first)
    inside = found[(found >= first - reach) & (found <= third + reach)]
    spread = board.spreads[name][metric]
    said = f"{name}: mean {shown(spread.mean)}, median {shown(median)}, {spread.count} images"
    width = max(1.0, across(third) - across(first))
    parts = [
        svg.line(across(float(inside.min())), middle, across(float(inside.max())), middle, "whisker"),
        svg.element(
            "rect", svg.titled(said), x=across(first), y=middle - 6, width=width, height=12, class_="box"
        ),
        svg.line(across(median), middle - 6, across(median), middle + 6, "median"),
        svg.line(across(spread.mean), middle - 8, across(spread.mean), middle + 8, "mean"),
    ]
    for pair, value in zip(board.pairs, values, strict=True):
        if math.isfinite(value) and not first - reach <= value <= third + reach:
            what = svg.titled(f"{name}, {pair}: {shown(float(value))}")
            parts.append(svg.element("circle", what, cx=across(float(value)), cy=middle, r=2.5, class_="dot"))
    return "".join(parts)


def radar(board: Board, index: dict[str, int]) -> str:
    """Means of all metrics, each stretched from the worst method (inner ring) to the best (outer ring).

    Args:
        board: what was measured.
        index: method -> number of its color.
    """
    metrics = [name for name, order in board.best.items() if order]
    center_x, center_y, inner, outer = _WIDTH / 2, 160.0, 24.0, 122.0
    if len(metrics) < 3:
        words = "A radar needs three metrics."
        return svg.image(_WIDTH, 40, [svg.text(8, 24, words)], words, "radar")

    def point(axis: int, part: float) -> tuple[float, float]:
        angle = 2 * math.pi * axis / len(metrics) - math.pi / 2
        reach = inner + (outer - inner) * part
        return center_x + reach * math.cos(angle), center_y + reach * math.sin(angle)

    parts = []
    for part in (0.0, 0.5, 1.0):
        parts.append(_polygon([point(axis, part) for axis in range(len(metrics))], "ring"))
    for axis, name in enumerate(metrics):
        x, y = point(axis, 1.14)
        anchor = "middle" if abs(x - center_x) < 20 else "start" if x > center_x else "end"
        parts += [svg.line(*point(axis, 0), *point(axis, 1), "grid"), svg.text(x, y + 4, name, anchor)]
    for name in board.methods:
        places = [point(axis, _part(board, metric, name)) for axis, metric in enumerate(metrics)]
        shape = _polygon(places, "shape", svg.titled(name))
        parts.append(svg.element("g", shape, class_=svg.series(index[name])))
    return svg.image(_WIDTH, 318, parts, f"Means of {board.data}, from worst to best method", "radar")


def _part(board: Board, metric: str, name: str) -> float:
    """0 for the worst method, 1 for the best; a method without a value is at the inner ring."""
    means = {each: board.spreads[each][metric].mean for each in board.best[metric]}
    if name not in means:
        return 0.0
    low, high = min(means.values()), max(means.values())
    if low == high:
        return 1.0
    part = (means[name] - low) / (high - low)
    return part if get_metric(metric).higher_is_better else 1 - part


def critical(test: Friedman, index: dict[str, int]) -> str:
    """Mean ranks on a line; a bar joins methods whose ranks do not differ at the level 0.05 (Nemenyi).

    Args:
        test: over the images of a set.
        index: method -> number of its color.

    Source: Demsar, Journal of Machine Learning Research 7, 2006, section 3.2.4.
    """
    order = sorted(test.ranks, key=lambda name: test.ranks[name])
    left, right, top = 112.0, _WIDTH - 112, 46.0
    count = max(2, len(order))

    def across(rank: float) -> float:
        return left + (right - left) * (rank - 1) / (count - 1)

    parts = [svg.line(left, top, right, top, "rule")]
    for rank in range(1, count + 1):
        parts += [svg.line(across(rank), top - 5, across(rank), top, "rule")]
        parts += [svg.text(across(rank), top - 9, str(rank), "middle")]
    end = min(right, across(1 + test.difference)) if math.isfinite(test.difference) else left
    parts += [svg.line(left, 18, end, 18, "mean"), svg.text(left, 12, f"CD {test.difference:.2f}")]
    groups = _alike([test.ranks[name] for name in order], test.difference)
    for level, (first, last) in enumerate(groups):
        y = top + 9 + 6 * level
        x1, x2 = across(test.ranks[order[first]]) - 3, across(test.ranks[order[last]]) + 3
        parts.append(svg.line(x1, y, x2, y, "alike"))
    below = top + 20 + 6 * len(groups)
    half = (len(order) + 1) // 2
    for place, name in enumerate(order):
        row = place if place < half else len(order) - 1 - place
        y, x = below + 17 * row, across(test.ranks[name])
        edge, anchor = (8.0, "start") if place < half else (_WIDTH - 8, "end")
        words = svg.text(edge, y - 3, f"{_short(name)} {test.ranks[name]:.2f}", anchor, "label")
        path = svg.element("polyline", points=f"{x:.1f},{top} {x:.1f},{y:.1f} {edge:.1f},{y:.1f}")
        parts.append(svg.element("g", path + words, class_=svg.series(index[name])))
    height = below + 17 * half
    return svg.image(_WIDTH, height, parts, "Mean ranks and the critical difference", "critical")


def _alike(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """The largest runs of methods, best first, whose ranks lie within the difference; at least two each."""
    runs: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(
            index for index in range(first, len(ranks)) if not ranks[index] - ranks[first] > difference
        )
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _polygon(points: Sequence[tuple[float, float]], class_: str, inside: str = "") -> str:
    return svg.element(
        "polygon", inside, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=class_
    )


def _better(metric: str) -> str:
    return "higher is better" if get_metric(metric).higher_is_better else "lower is better"


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"
