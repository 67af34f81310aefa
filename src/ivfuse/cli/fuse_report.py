"""What ``ivfuse fuse`` says: progress while it works, then a summary for people or as JSON.

The summary goes to standard output, everything that went wrong to standard error.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from ivfuse.cli.flags import flag_of
from ivfuse.cli.progress import bar
from ivfuse.cli.sources import say_left_over
from ivfuse.cli.terminal import echo
from ivfuse.errors import fill_fields

if TYPE_CHECKING:
    from ivfuse.fusion.batch import OnProgress, Outcome, Summary
    from ivfuse.image.pairing import FilePair, Pairing

_NOTES_SHOWN = 5


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[OnProgress]:
    """A bar on a terminal, a line for every tenth of the work elsewhere, nothing if not ``shown``."""
    if not shown:
        yield lambda name, outcome: None
    elif not sys.stderr.isatty():
        yield _lines(total)
    else:
        with bar(total) as advance:
            yield lambda name, outcome: advance(name)


def _lines(total: int) -> OnProgress:
    """Progress as plain lines, at most about ten of them."""
    seen = 0

    def advance(name: str, outcome: Outcome) -> None:
        nonlocal seen
        seen += 1
        if seen * 10 // total > (seen - 1) * 10 // total and seen < total:
            echo(f"{seen}/{total}", err=True)

    return advance


def say(method: str, pairing: Pairing, summary: Summary, *, one: bool, json: bool, quiet: bool) -> None:
    """Print the summary.

    Args:
        method: name of the method.
        pairing: the pairs and what was left over.
        summary: what became of the pairs.
        one: a single pair of files was asked for.
        json: print one JSON object to standard output.
        quiet: print only what went wrong.
    """
    for failure in summary.failed:
        reason = failure.reason(flag_of)
        echo(f"ivfuse: error: {reason}" if one else f"failed: {failure.name}: {reason}", err=True)
    if summary.stopped:
        hint = "" if one else "; run again to go on, outputs that exist are skipped"
        echo(f"ivfuse: interrupted{hint}", err=True)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(as_json(method, pairing, summary), indent=2))
        return
    if quiet:
        return
    say_left_over(pairing)
    _say_notes(pairing, summary, one=one)
    if line := _one_line(method, summary) if one else _folder_line(method, summary):
        echo(line)


def as_json(method: str, pairing: Pairing, summary: Summary) -> dict[str, Any]:
    """The summary as plain values, for machines."""
    done = [
        {
            "out": str(result.out),
            "inputs": [str(path) for path in result.inputs],
            "height": result.height,
            "width": result.width,
            "seconds": round(result.seconds, 4),
            "notes": list(result.notes),
            **{kind: str(path) for kind, path in result.extra.items()},
        }
        for result in summary.done
    ]
    return {
        "method": method,
        "done": done,
        "skipped": list(summary.skipped),
        "failed": [{"name": each.name, "reason": each.reason(flag_of)} for each in summary.failed],
        "orphans": [str(path) for path in pairing.orphans],
        "ambiguous": list(pairing.ambiguous),
        "notes": list(pairing.notes),
        "stopped": summary.stopped,
    }


def _say_notes(pairing: Pairing, summary: Summary, *, one: bool) -> None:
    """Print each note once, with the number of pairs it holds for and the first file that it is about."""
    pairs = {pair.name: pair for pair in pairing.pairs}
    counts = Counter(note for result in summary.done for note in result.notes)
    first = {note: pairs.get(result.name) for result in reversed(summary.done) for note in result.notes}
    total = len(summary.done)
    for note, count in counts.most_common(_NOTES_SHOWN):
        number = "" if one else f" ({count} of {total})"
        shown = note if count == total and not one else _with_file(note, first[note], several=count > 1)
        echo(f"note{number}: {fill_fields(shown, flag_of)}", err=True)
    if len(counts) > _NOTES_SHOWN:
        echo(f"and {len(counts) - _NOTES_SHOWN} more notes; --json lists all", err=True)


def _with_file(note: str, pair: FilePair | None, *, several: bool) -> str:
    """Put the name of the file that a note is about before it."""
    if pair is None:
        return note
    if not note.startswith(("thermal", "visible")):
        return f"{pair.name}: {note}"
    file = pair.ir if note.startswith("thermal") else pair.vi
    return f"{file}{' and others' if several else ''}: {note}"


def _one_line(method: str, summary: Summary) -> str:
    """The summary of a single pair; empty if it failed, which was said already."""
    if summary.skipped:
        return "the output exists, skipped; --overwrite replaces it"
    if not summary.done:
        return ""
    result = summary.done[0]
    line = f"{result.out}: {result.width}x{result.height}, {method}, {result.seconds:.2f} s"
    return line + "".join(f"; {kind} in {path}" for kind, path in result.extra.items())


def _folder_line(method: str, summary: Summary) -> str:
    """The summary of a folder."""
    counts = f"{len(summary.done)} done, {len(summary.skipped)} skipped, {len(summary.failed)} failed"
    if not summary.done:
        return f"{counts} ({method})"
    seconds = sum(result.seconds for result in summary.done)
    return f"{counts} ({method}, {seconds / len(summary.done):.2f} s per pair)"
