"""The page: summary first, then a part for each set, then the gallery; tables and plots need no script."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import ivfuse
from ivfuse.benchmark.report import plots
from ivfuse.benchmark.report.gallery import BUDGET, gallery
from ivfuse.benchmark.report.svg import COLORS
from ivfuse.benchmark.results import Leaderboard, Results
from ivfuse.benchmark.seeing import SeeingTable
from ivfuse.benchmark.tables import format_cost, format_value, seeing_cells, seeing_counts
from ivfuse.metrics import get_convention, get_metric
from ivfuse.runtime.files import write_atomic

_HERE = Path(__file__).parent
_ALIKE = 0.05


def write_page(
    results: Results, path: Path, jobs: int = 1, budget: int = BUDGET, sections: Sequence[str] = ()
) -> None:
    """Write the report as one HTML file.

    Args:
        results: what was measured.
        path: in the folder of the report; links are relative to it.
        jobs: processes that scale images.
        budget: bytes of all previews.
        sections: further markup, put behind the sets.

    Raises:
        OutputError: it cannot be written; it is written whole or not at all.
    """
    index = {name: number for number, name in enumerate(results.methods)}
    found, images = gallery(results, jobs, budget)
    sets = ", ".join(data.name for data in results.plan.sets)
    parts = [
        f"<header><h1>Fusion benchmark</h1><p>{escape(_count(len(index), 'method'))} on "
        f"{escape(_count(results.pairs, 'pair'))} of {escape(sets)}</p></header>",
        _legend(index),
        "<main>",
        _summary(results, index),
        *(_board(board, results, index) for board in results.leaderboards),
        *(_seeing(table, results, index) for table in results.seeing if table.names),
        *sections,
        _asset("gallery.html"),
        _about(results),
        "</main>",
    ]
    hidden = "".join(f".hide-{number} .m{number}{{display:none}}" for number in index.values())
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Fusion benchmark: {escape(sets)}</title>"
        f"<style>{_asset('page.css')}{hidden}</style></head><body>{''.join(parts)}"
        f"{_json('data', found)}{_json('images', images)}"
        f"<script>{_asset('page.js')}</script></body></html>\n"
    )
    write_atomic(path, page.encode())


def _summary(results: Results, index: dict[str, int]) -> str:
    """Which wins on what, at what cost; then what is missing, in plain sight."""
    lines = [*_winner(results), _frontier(results), _fastest(results)]
    items = "".join(f"<li>{line}</li>" for line in lines if line)
    heads = ["method", "mean rank", "best in", *("wall s", "CPU s", "slowest s", "peak MiB", "timed")]
    heads += ["no image"]
    wins = Counter(order[0] for board in results.primary for order in board.best.values() if order)
    rows = []
    for name in results.methods:
        cells = [f"{results.overall[name]:.2f}", str(wins[name]), *format_cost(results.costs[name])]
        rows.append((name, [*cells, f"{results.failed[name]} of {results.pairs}"]))
    speed = _figure(
        plots.quality_against_speed(results, index),
        "Mean rank over metrics and sets against the median time of the fusion alone. Up and left is better.",
    )
    note = (
        "<p class=note>Mean rank: by the means of each metric, averaged over metrics and sets. Best in: how"
        " many times it leads a metric of a set. Times: fusion of a pair in memory, after one that is not"
        " counted, methods taking turns; memory is that of the process, Python and libraries included.</p>"
    )
    return (
        f"<section id=summary><h2>Summary</h2><ul class=lead>{items}</ul>{_problems(results)}"
        f"{_table(heads, rows, index)}{_protocol(results)}{note}{speed}</section>"
    )


def _winner(results: Results) -> list[str]:
    first, *others = results.methods
    metrics, sets = len(results.plan.metrics), len(results.plan.sets)
    cost = results.costs[first].wall
    at = f", at {cost:.3g} s an image" if cost > 0 else "; its images were brought, so it has no time"
    lines = [
        f"<b>{escape(first)}</b> has the best mean rank, {results.overall[first]:.2f} over "
        f"{_count(metrics, 'metric')} and {_count(sets, 'set')} "
        f"(convention {escape(results.plan.conventions[0])}){at}."
    ]
    if results.failed[first]:
        lines.append(f"Every method lacks images; {escape(first)} lacks {results.failed[first]}.")
    elif gaps := [name for name in results.methods if results.failed[name]]:
        lines.append(f"{_names(gaps)} lack images, so they stand after all others, whatever their values.")
    if others:
        lines += [_clear(board, first) for board in results.primary]
    lead: dict[str, list[str]] = {}
    for metric in results.plan.metrics:
        wins = Counter(board.best[metric][0] for board in results.primary if board.best[metric])
        for method, times in wins.most_common(1):
            lead.setdefault(method, []).append(metric if times == sets else f"{metric} ({times} of {sets})")
    said = "; ".join(f"<b>{escape(name)}</b> {', '.join(metrics)}" for name, metrics in lead.items())
    return [*lines, f"Best by metric: {said}."]


def _clear(board: Leaderboard, first: str) -> str:
    """Whether the winner's lead on a set is more than chance, by ranks within images."""
    ranks, reach = board.image_rank.ranks, board.image_rank.difference
    alike = [name for name in board.methods if name != first and abs(ranks[name] - ranks[first]) <= reach]
    behind = [name for name in alike if ranks[name] >= ranks[first]]
    ahead = [name for name in ranks if ranks[first] - ranks[name] > reach]
    where = f"On {escape(board.data)} ({_count(board.total, 'pair')})"
    if ahead:
        return f"{where}, image by image, {_names(ahead)} ranked clearly better than {escape(first)}."
    if alike:
        also = [name for name in alike if name not in behind]
        return f"{where}, image by image, it cannot be told from {_names([*behind, *also])} (Nemenyi, 0.05)."
    return f"{where}, image by image, it ranks clearly before every other (Nemenyi, 0.05)."


def _frontier(results: Results) -> str:
    """Methods that no other beats in both rank and time."""
    timed = [name for name in results.methods if results.costs[name].wall > 0 and not results.failed[name]]
    best = [
        name
        for name in timed
        if not any(
            results.overall[other] <= results.overall[name]
            and results.costs[other].wall < results.costs[name].wall
            for other in timed
        )
    ]
    return f"No other is both better and faster than: {_names(best)}." if best else ""


def _fastest(results: Results) -> str:
    timed = [name for name in results.methods if results.costs[name].wall > 0]
    if not timed:
        return ""
    name = min(timed, key=lambda each: results.costs[each].wall)
    return f"Fastest: <b>{escape(name)}</b>, {results.costs[name].wall:.3g} s an image."


def _problems(results: Results) -> str:
    if not results.problems and not results.remarks():
        return "<p class=note>Every method has an image of every pair.</p>"
    counts = Counter(problem.method for problem in results.problems)
    lines = [f"{x.data}, {x.method}, {x.pair}: {x.reason}" for x in results.problems] + results.remarks()
    head = "".join(f"{escape(name)}: {number} without scores. " for name, number in counts.items())
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    head = head or "Remarks on the files"
    return f"<details class=problems open><summary>{head}</summary><ul>{items}</ul></details>"


def _board(board: Leaderboard, results: Results, index: dict[str, int]) -> str:
    several = len(results.plan.conventions) > 1
    title = f"{board.data}, convention {board.convention}" if several else board.data
    recognized = next(data.recognized for data in results.plan.sets if data.name == board.data)
    boxes = "".join(_figure(plots.boxes(board, metric, index), "") for metric in board.best)
    test = board.image_rank
    p = "below 0.0001" if test.p < 1e-4 else f"{test.p:.4f}"
    ranks = (
        f"Ranks within each image, averaged over the metrics; a missing image comes last. A bar joins"
        f" methods that {_count(test.blocks, 'image')} do not tell apart (Nemenyi, 0.05). Friedman: p {p}."
    )
    radar = "Means from the worst method (inner ring) to the best (outer ring); it shows order, not size."
    return (
        f"<section><h2>{escape(title)}</h2><p>{_count(board.total, 'pair')}. {escape(recognized)}.</p>"
        f"{_values(board, index)}{_protocol(results)}{_quotes(board)}"
        f"<div class='plots two'>{_figure(plots.critical(test, index), ranks)}"
        f"{_figure(plots.radar(board, index), radar)}</div>"
        f"<details open><summary>Values per image, metric by metric</summary>"
        f"<div class=plots>{boxes}</div><p class=note>Box: quartiles; whiskers: within 1.5 box lengths; dots:"
        f" single images beyond; thin line: median; thick line: mean.</p></details></section>"
    )


def _values(board: Leaderboard, index: dict[str, int]) -> str:
    heads = ["method", "mean rank", *(_headed(name) for name in board.best), "no image"]
    rows = []
    for method in board.methods:
        cells = [_value(board, method, name) for name in board.best]
        rows.append((method, [f"{board.mean_rank[method]:.2f}", *cells, str(board.failed[method])]))
    quoted = []
    for quote in board.quotes:
        if quote.values:
            cells = [f"{quote.values[name]:g}" if name in quote.values else "" for name in board.best]
            quoted.append((quote.row.method, ["", *cells, ""]))
    note = (
        "Mean ± sd over images; point at a value for its 95 % interval. <b class=first>Best</b>, "
        "<i class=second>second</i>; ≈ not told from the best (Wilcoxon signed-rank, Holm, 0.05); † values on"
        " fewer images than there are. Methods that lack images come after all others."
    )
    return f"{_table(heads, rows, index, quoted)}<p class=note>{note}</p>"


def _value(board: Leaderboard, method: str, name: str) -> str:
    """A cell: mean and spread, its place among the methods, its interval as a hint."""
    spread, order = board.summaries[method][name], board.best[name]
    sd = f" <small>± {format_value(spread.sd, 3)}</small>" if math.isfinite(spread.sd) else ""
    mean = format_value(spread.mean)
    if method in order[:2]:
        mean = f"<b class=first>{mean}</b>" if order[0] == method else f"<i class=second>{mean}</i>"
    test = board.tests[name].get(method)
    alike = " ≈" if test and test.p >= _ALIKE else ""
    fewer = f" †{spread.count}" if spread.count < board.total else ""
    hints = [f"95 % of the mean: {format_value(spread.low)} to {format_value(spread.high)}"]
    hints += [f"p {test.p:.3g} against {order[0]}"] if test else []
    hints += [f"{times} without a value: {reason}" for reason, times in board.reasons[method][name].items()]
    return f'<span title="{escape("; ".join(hints))}">{mean}{alike}{fewer}{sd}</span>'


def _seeing(table: SeeingTable, results: Results, index: dict[str, int]) -> str:
    """Targets and naturalness of a set, which are not ranked."""
    parts = []
    for family in ("targets", "naturalness"):
        (_, *heads), *rows = seeing_cells(table, family, results.methods)
        if not heads:
            continue
        cells = [(method, [escape(cell) for cell in row]) for method, *row in rows]
        parts.append(_table(["method", *heads], cells, index) + _protocol(results))
        parts.append(f"<p class=note>Over {escape(seeing_counts(table, family))}.</p>")
    note = (
        "Targets are found in the infrared alone. Lost: not to be told from their surroundings in the fused"
        " image; seen: told from them; hidden: those that the visible does not show. Painting targets white"
        " over anything scores well, so read naturalness beside it: tones are compared by daylight alone."
    )
    return (
        f"<section class=seeing><h2>{escape(table.data)}: what can be seen</h2>{''.join(parts)}"
        f"<p class=note>{note}</p></section>"
    )


def _quotes(board: Leaderboard) -> str:
    """Where quoted rows come from, and those that cannot be compared."""
    if not board.quotes:
        return ""
    items = []
    for quote in board.quotes:
        said = f"{quote.row.method}: {quote.row.source.text}"
        if not quote.values:
            left = f"not shown: no metric here means the same (its convention: {quote.row.source.convention})"
        else:
            left = "shown where the metric means the same"
        items.append(f"<li>{escape('; '.join(filter(None, (said, quote.remark, left))))}</li>")
    head = "Quoted rows are not measured here: sources"
    return f"<details class=quotes><summary>{head}</summary><ul>{''.join(items)}</ul></details>"


def _about(results: Results) -> str:
    plan = results.plan
    texts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(get_convention(name).text)}</dd>" for name in plan.conventions
    )
    files = (
        "summary.csv",
        "images.csv",
        "tests.csv",
        "seeing.csv",
        "results.json",
        "tables.md",
        "tables.tex",
    )
    links = ", ".join(f'<a href="tables/{name}">{name}</a>' for name in files)
    threads = f"{plan.threads} threads" if plan.threads else "threads left to the runtime"
    how = f"{threads}; device {escape(plan.device)}; bootstrap seed {plan.seed}"
    return (
        f"<section><h2>How it was measured</h2><dl>{texts}</dl><p>Tables: {links}.</p>"
        f"<p class=note>ivfuse {escape(ivfuse.__version__)}; {how}.</p>"
        "</section>"
    )


def _protocol(results: Results) -> str:
    """The line under a table by which two reports can be compared."""
    protocol = results.plan.protocol
    return "" if protocol is None else f"<p class='note protocol'>{escape(protocol.line)}.</p>"


def _legend(index: dict[str, int]) -> str:
    boxes = "".join(
        f'<label class="c{number % COLORS}"><input type=checkbox checked data-method={number}><i></i>'
        f"{escape(name)}</label>"
        for name, number in index.items()
    )
    return f"<nav aria-label=Methods><span>Show:</span>{boxes}</nav>"


def _table(
    heads: Sequence[str],
    rows: Sequence[tuple[str, list[str]]],
    index: dict[str, int],
    quoted: Sequence[tuple[str, list[str]]] = (),
) -> str:
    """A table whose cells are markup already; quoted rows stand apart and are not sorted with the others."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in heads)
    body = "".join(
        f'<tr class="m{index[name]}">'
        f'<th scope=row class="c{index[name] % COLORS}"><i></i>{escape(name)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    apart = "".join(
        f"<tr><th scope=row>{escape(name)} <em>quoted</em></th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in quoted
    )
    foot = f"<tbody class=quoted>{apart}</tbody>" if apart else ""
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"


def _figure(plot: str, caption: str) -> str:
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{plot}{words}</figure>"


def _json(name: str, value: object) -> str:
    """Data for the page's program; no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _headed(name: str) -> str:
    return f"{name} {'↑' if get_metric(name).higher_is_better else '↓'}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"<b>{escape(name)}</b>" for name in names)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
