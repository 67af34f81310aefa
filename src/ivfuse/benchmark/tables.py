"""Tables of results as CSV, JSON, Markdown and LaTeX; best, second best and gaps are marked."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ivfuse
from ivfuse.benchmark.published import Quote
from ivfuse.benchmark.results import Cost, Leaderboard, Results
from ivfuse.benchmark.seeing import SeeingTable
from ivfuse.benchmark.statistics import Summary
from ivfuse.metrics import get_metric
from ivfuse.runtime.files import write_atomic

_TEX = {
    "\\": r"\textbackslash{}",
    **{each: f"\\{each}" for each in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def write_tables(results: Results, folder: Path) -> list[Path]:
    """Write all tables: four as CSV, everything as JSON, and tables for papers as Markdown and LaTeX.

    Args:
        results: results of the benchmark.
        folder: output folder; created if it does not exist.

    Returns:
        The files.

    Raises:
        OutputError: if a file cannot be written; each is written atomically.
    """
    texts = {
        "images.csv": _csv(_with_protocol(results, _image_rows(results))),
        "summary.csv": _csv(_with_protocol(results, _summary_rows(results))),
        "tests.csv": _csv(_with_protocol(results, _test_rows(results))),
        "seeing.csv": _csv(_with_protocol(results, _seeing_rows(results))),
        "results.json": json.dumps(as_json(results), indent=1, allow_nan=False) + "\n",
        "tables.md": markdown(results),
        "tables.tex": latex(results),
    }
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [folder / name for name in texts]


def as_json(results: Results) -> dict[str, Any]:
    """All results as JSON-compatible values; a missing value is null, paths are relative to the report."""
    plan = results.plan
    return {
        "ivfuse": ivfuse.__version__,
        "metrics": {name: {"higher_is_better": get_metric(name).higher_is_better} for name in plan.metrics},
        "conventions": list(plan.conventions),
        "protocol": plan.protocol and plan.protocol.hash,
        "threads": plan.threads,
        "device": plan.device,
        "sets": [
            {
                "name": data.name,
                "root": relative(data.root, plan.out),
                "pairs": next(board.total for board in results.leaderboards if board.data == data.name),
                "layout": data.layout,
                "recognized": data.recognized,
            }
            for data in plan.sets
        ],
        "methods": [
            {
                "name": name,
                "external": math.isnan(results.costs[name].wall),
                "mean_rank": _plain(results.overall[name]),
                "failed": results.failed[name],
                "cost": {key: _plain(value) for key, value in asdict(results.costs[name]).items()},
            }
            for name in results.methods
        ],
        "boards": [_leaderboard_json(board) for board in results.leaderboards],
        "seeing": [_seeing_json(results, table) for table in results.seeing],
        "problems": [asdict(problem) for problem in results.problems],
        "remarks": results.remarks(),
    }


def markdown(results: Results) -> str:
    """A table per data set and convention, then costs, problems and sources of published rows."""
    parts = []
    for board in results.leaderboards:
        marks = {(0, name): "**{}**" for name in board.best} | {(1, name): "*{}*" for name in board.best}
        rows = [["method", *map(_with_arrow, board.best), "mean rank", "image rank", "no image"]]
        rows += _cells(board, marks)
        rows += [
            [f"{quote.row.method} (quoted)", *_quoted(board, quote), "", "", ""]
            for quote in _comparable_quotes(board)
        ]
        lines = [f"### {board.data}: {board.total} pairs, convention {board.convention}", ""]
        lines += _md_table(rows)
        lines += ["", "Mean ± sd over images; **best**, *second*; † values on fewer images (count)."]
        lines += [*_sources(board), *_protocol_lines(results)]
        parts.append("\n".join(lines))
    parts += [part for table in results.seeing for part in _seeing_parts(results, table)]
    costs = ["### Cost per image", "", *_md_table(_cost_rows(results)), *_protocol_lines(results)]
    parts.append("\n".join(costs))
    if results.problems:
        head = f"### {len(results.problems)} images without scores"
        problems = [f"- {x.data}, {x.method}, {x.pair}: {x.reason}" for x in results.problems]
        parts.append("\n".join([head, "", *problems]))
    return "\n\n".join(parts) + "\n"


def latex(results: Results) -> str:
    """A ``tabular`` per data set and convention (needs booktabs); best in bold, second underlined."""
    parts = []
    for board in results.leaderboards:
        marks = {(0, name): r"\textbf{{{}}}" for name in board.best}
        marks |= {(1, name): r"\underline{{{}}}" for name in board.best}
        heads = [
            f"{_tex(name)} $\\{'uparrow' if get_metric(name).higher_is_better else 'downarrow'}$"
            for name in board.best
        ]
        lines = [
            f"% {board.data}: {board.total} pairs, convention {board.convention}; mean and sd",
            *(f"% {line}" for line in _protocol_lines(results) if line),
            f"\\begin{{tabular}}{{l{'r' * (len(heads) + 1)}}}",
            r"\toprule",
            " & ".join(["Method", *heads, "Rank"]) + r" \\",
            r"\midrule",
        ]
        for row in _cells(board, marks, escape=True):
            missing = f" ({row[-1]} missing)" if row[-1] != "0" else ""
            lines.append(" & ".join([row[0] + missing, *row[1:-2]]) + r" \\")
        if quotes := _comparable_quotes(board):
            lines.append(r"\midrule")
            for quote in quotes:
                lines.append(f"% {_source(quote)}")
                cells = [f"{_tex(quote.row.method)} (quoted)", *_quoted(board, quote), ""]
                lines.append(" & ".join(cells) + r" \\")
        parts.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}"]))
    return "\n\n".join(parts) + "\n"


def format_value(value: float, digits: int = 4) -> str:
    """Format a number with ``digits`` significant digits; a dash if it is not finite."""
    if not math.isfinite(value):
        return "–"
    whole = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - whole)}f}"


def relative(path: Path, start: Path) -> str:
    """A path relative to a folder, with forward slashes; a file URI if there is no such path."""
    try:
        return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()
    except ValueError:  # on another drive
        return path.resolve().as_uri()


def _leaderboard_json(board: Leaderboard) -> dict[str, Any]:
    friedman = asdict(board.image_rank)
    return {
        "set": board.data,
        "convention": board.convention,
        "pairs": list(board.pairs),
        "image_rank": {key: _plain(value) for key, value in friedman.items()},
        "methods": {
            method: {
                "mean_rank": _plain(board.mean_rank[method]),
                "failed": board.failed[method],
                "metrics": {
                    name: {
                        **{key: _plain(value) for key, value in asdict(spread).items()},
                        "no_value": dict(board.reasons[method][name]),
                        "p_against_best": _plain(test.p) if (test := board.tests[name].get(method)) else None,
                        "values": [_plain(float(value)) for value in board.values[method][name]],
                    }
                    for name, spread in board.summaries[method].items()
                },
            }
            for method in board.methods
        },
        "quoted": [
            {
                "method": quote.row.method,
                "values": quote.values,
                "convention": quote.row.source.convention,
                "pairs": quote.row.pairs or None,
                "source": quote.row.source.text,
                "third_party": quote.row.source.third_party,
                "remark": quote.remark,
            }
            for quote in board.quotes
        ],
    }


def _cells(board: Leaderboard, marks: dict[tuple[int, str], str], escape: bool = False) -> list[list[str]]:
    """One row per method: name, values, mean rank, image rank, number of missing images."""
    rows = []
    for method in board.methods:
        row = [_tex(method) if escape else method]
        for name, order in board.best.items():
            spread = board.summaries[method][name]
            mark = marks.get((order.index(method), name), "{}") if method in order else "{}"
            text = mark.format(format_value(spread.mean))
            if math.isfinite(spread.sd):
                sign = "$\\pm$" if escape else "±"
                text += f" {sign} {format_value(spread.sd, 3)}"
            if spread.count < board.total:
                text += f"$^\\dagger_{{{spread.count}}}$" if escape else f" †({spread.count})"
            row.append(text)
        image = board.image_rank.ranks.get(method, math.nan)
        rows.append([*row, f"{board.mean_rank[method]:.2f}", f"{image:.2f}", str(board.failed[method])])
    return rows


def _comparable_quotes(board: Leaderboard) -> list[Quote]:
    return [quote for quote in board.quotes if quote.values]


def _quoted(board: Leaderboard, quote: Quote) -> list[str]:
    return [f"{quote.values[name]:g}" if name in quote.values else "" for name in board.best]


def _source(quote: Quote) -> str:
    remark = f" ({quote.remark})" if quote.remark else ""
    return f"quoted, not measured: {quote.row.method}: {quote.row.source.text}{remark}"


def _sources(board: Leaderboard) -> list[str]:
    """One line per source and remark, with the methods that it applies to."""
    about: dict[tuple[str, str], list[str]] = {}
    for quote in _comparable_quotes(board):
        about.setdefault((quote.row.source.text, quote.remark), []).append(quote.row.method)
    return [
        f"- quoted, not measured: {', '.join(methods)}: {text}" + (f" ({remark})" if remark else "")
        for (text, remark), methods in about.items()
    ]


def _cost_rows(results: Results) -> list[list[str]]:
    rows = [["method", "wall s", "CPU s", "slowest s", "peak MiB", "images timed"]]
    return rows + [[name, *format_cost(results.costs[name])] for name in results.methods]


def format_cost(cost: Cost) -> list[str]:
    """Cells of a cost: wall, CPU and slowest time in seconds, peak MiB, and number of timed images."""
    seconds = ["–" if math.isnan(x) else f"{x:.4f}" for x in (cost.wall, cost.cpu, cost.slowest)]
    return [*seconds, "–" if math.isnan(cost.peak) else f"{cost.peak:.0f}", str(cost.images or "external")]


def _image_rows(results: Results) -> Iterable[list[Any]]:
    yield ["set", "convention", "method", "pair", *results.plan.metrics]
    for board in results.leaderboards:
        for method in board.values:
            for index, pair in enumerate(board.pairs):
                values = (board.values[method][name][index] for name in results.plan.metrics)
                yield [board.data, board.convention, method, pair, *map(_cell, values)]


def _summary_rows(results: Results) -> Iterable[list[Any]]:
    yield [
        *("set", "convention", "method", "metric", "mean", "sd", "low95", "high95"),
        *("with_value", "without_value", "failed", "pairs", "mean_rank", "image_rank", "source"),
    ]
    for board in results.leaderboards:
        for method in board.methods:
            for name, spread in board.summaries[method].items():
                yield [
                    *(board.data, board.convention, method, name),
                    *map(_cell, (spread.mean, spread.sd, spread.low, spread.high)),
                    spread.count,
                    board.total - board.failed[method] - spread.count,
                    *(board.failed[method], board.total, _cell(board.mean_rank[method])),
                    *(_cell(board.image_rank.ranks.get(method, math.nan)), "measured"),
                ]
        for quote in _comparable_quotes(board):
            for name, value in quote.values.items():
                row = [board.data, board.convention, quote.row.method, name, value, *[""] * 9]
                yield [*row, _source(quote)]


def _test_rows(results: Results) -> Iterable[list[Any]]:
    yield ["set", "convention", "metric", "method", "against", "pairs_that_differ", "statistic", "p_holm"]
    for board in results.leaderboards:
        for name, tests in board.tests.items():
            for method, test in tests.items():
                best = board.best[name][0]
                row = [board.data, board.convention, name, method, best]
                yield [*row, test.count, test.statistic, _cell(test.p)]


def seeing_cells(table: SeeingTable, family: str, methods: Iterable[str]) -> list[list[str]]:
    """A header and one row per method with the measures of a family; shares in percent."""
    names = table.family(family)
    return [["method", *map(_with_arrow, names)]] + [
        [method, *(_format_share(table.summaries[method][name]) for name in names)] for method in methods
    ]


def seeing_counts(table: SeeingTable, family: str) -> str:
    """The numbers of images and targets that the measures of a family are computed from."""
    found: dict[str, list[str]] = {}
    for name in table.family(family):
        spread = max((row[name] for row in table.summaries.values()), key=lambda each: each.count)
        count = f"{spread.count or 'no'} image{'' if spread.count == 1 else 's'}"
        if not spread.count and table.reasons[name]:
            count += f", since {table.reasons[name].most_common(1)[0][0]}"
        found.setdefault(f"{spread.items} targets in {count}" if spread.items else count, []).append(name)
    return "; ".join(f"{count} ({', '.join(names)})" for count, names in found.items())


def _format_share(spread: Summary) -> str:
    return f"{100 * spread.mean:.1f} %" if spread.items else format_value(spread.mean)


def _seeing_parts(results: Results, table: SeeingTable) -> Iterable[str]:
    for family in ("targets", "naturalness"):
        if table.family(family):
            rows = _md_table(seeing_cells(table, family, results.methods))
            counts = f"Over {seeing_counts(table, family)}."
            lines = [f"### {table.data}: {family}", "", *rows, "", counts]
            yield "\n".join([*lines, *_protocol_lines(results)])


def _seeing_json(results: Results, table: SeeingTable) -> dict[str, Any]:
    return {
        "set": table.data,
        "methods": {
            method: {
                name: {key: _plain(value) for key, value in asdict(spread).items()}
                for name, spread in table.summaries[method].items()
            }
            for method in results.methods
        },
        "no_value": {name: dict(reasons) for name, reasons in table.reasons.items() if reasons},
    }


def _seeing_rows(results: Results) -> Iterable[list[Any]]:
    yield ["set", "method", "measure", "value", "low95", "high95", "images", "targets"]
    for table in results.seeing:
        for method in results.methods:
            for name, spread in table.summaries[method].items():
                cells = map(_cell, (spread.mean, spread.low, spread.high))
                yield [table.data, method, name, *cells, spread.count, spread.items or ""]


def _protocol_lines(results: Results) -> list[str]:
    """What stands under a table, after an empty line; nothing where there is no protocol."""
    protocol = results.plan.protocol
    return [] if protocol is None else ["", f"{protocol.line}."]


def _with_protocol(results: Results, rows: Iterable[list[Any]]) -> Iterable[list[Any]]:
    """Rows with a last column, the hash of the protocol."""
    protocol = results.plan.protocol
    for number, row in enumerate(rows):
        yield [*row, ("" if protocol is None else protocol.hash) if number else "protocol"]


def _csv(rows: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _md_table(rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _with_arrow(name: str) -> str:
    return f"{name} {'↑' if get_metric(name).higher_is_better else '↓'}"


def _tex(text: str) -> str:
    return re.sub(r"[\\&%$#_{}~^]", lambda found: _TEX[found.group()], text)


def _cell(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
