"""What ``ivfuse video`` prints: progress with the remaining time, then a summary of the frames."""

from __future__ import annotations

import json as json_module
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from ivfuse.cli.progress import bar
from ivfuse.cli.terminal import echo

if TYPE_CHECKING:
    from ivfuse.video.fuse import VideoSummary
    from ivfuse.video.source import SourceStats

_LINE_INTERVAL = 15.0  # seconds between lines where standard error is not a terminal
_MIN_LINE_INTERVAL = 1.0  # seconds between lines at least
_BAR_INTERVAL = 0.1  # seconds between updates of the bar, which cost more than fusing a small frame


@contextmanager
def progress(total: int | None, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, occasional lines elsewhere.

    Args:
        total: expected number of frames; ``None`` if it is not known.
        shown: show anything at all.

    Yields:
        A function to call after each frame.
    """
    if not shown:
        yield lambda: None
    elif not sys.stderr.isatty():
        yield _progress_lines(total)
    else:
        with bar(total) as advance:
            yield _throttled(advance)


def _throttled(advance: Callable[[str, int], None]) -> Callable[[], None]:
    """Count every frame and move the bar at intervals."""
    started = updated = time.monotonic()
    frames = pending = 0

    def count() -> None:
        nonlocal updated, frames, pending
        frames, pending = frames + 1, pending + 1
        now = time.monotonic()
        if now - updated >= _BAR_INTERVAL:
            advance(f"{frames / (now - started):.0f} fps", pending)
            updated, pending = now, 0

    return count


def _progress_lines(total: int | None) -> Callable[[], None]:
    """Print a line at each tenth of the frames and after a long time, at most once a second."""
    started = printed = time.monotonic()
    frames = tenth = 0

    def count() -> None:
        nonlocal frames, printed, tenth
        frames += 1
        now = time.monotonic()
        reached = frames * 10 // total if total else 0
        if now - printed < _MIN_LINE_INTERVAL or (reached == tenth and now - printed < _LINE_INTERVAL):
            return
        printed, tenth = now, reached
        speed = frames / (now - started)
        left = f" of {total}, about {(total - frames) / speed:.0f} s left" if total and total > frames else ""
        echo(f"{frames} frames{left} ({speed:.0f} fps)", err=True)

    return count


def report(
    method: str, summary: VideoSummary, *, offset: float, origin: str, json: bool, quiet: bool
) -> None:
    """Print the summary.

    Args:
        method: name of the method.
        summary: the outcome of the run.
        offset: seconds that were added to the thermal times.
        origin: how the offset was determined; "" if the user gave it.
        json: print one JSON object to standard output.
        quiet: print failures only.
    """
    for line in summary.failures:
        echo(f"ivfuse: error: {line}", err=True)
    if summary.stopped:
        echo("ivfuse: stopped; the output contains what was fused", err=True)
    if json:
        typer.echo(json_module.dumps(as_json(method, summary, offset), indent=2))
    elif not quiet:
        _print_text(method, summary, offset, origin)


def _print_text(method: str, summary: VideoSummary, offset: float, origin: str) -> None:
    for note in summary.notes:
        echo(f"note: {note}", err=True)
    if offset:
        echo(f"thermal shifted by {offset:+.3f} s{f' ({origin})' if origin else ''}", err=True)
    for line in irregularities(summary):
        echo(line, err=True)
    speed = summary.frames / summary.seconds if summary.seconds else 0
    echo(
        f"{summary.out or 'nothing written'}: {summary.frames} frames of {summary.width}x{summary.height}, "
        f"{method}, {summary.seconds:.1f} s ({speed:.1f} fps)"
    )


def irregularities(summary: VideoSummary) -> list[str]:
    """Counts of frames that were not fused one to one, in a line for each source and for the pairs."""
    pairs = summary.pairs
    counts = {
        "thermal": [*_faults(summary.ir), (pairs.unused, "paired with no visible frame")],
        "visible": [
            *_faults(summary.vi),
            (pairs.unmatched, "without a thermal frame near in time, left out"),
        ],
        "pairs": [
            (pairs.repeated, "with the thermal frame of the pair before"),
            (pairs.held, "with a thermal frame that substitutes for a missing one"),
        ],
        "live": [(summary.dropped, "dropped to keep up")],
    }
    lines = {
        name: ", ".join(f"{count} {text}" for count, text in parts if count) for name, parts in counts.items()
    }
    return [f"{name}: {text}" for name, text in lines.items() if text]


def _faults(stats: SourceStats) -> list[tuple[int, str]]:
    return [
        (stats.missing, "missing"),
        (stats.duplicates, "duplicates, left out"),
        (stats.damaged, "damaged"),
    ]


def as_json(method: str, summary: VideoSummary, offset: float) -> dict[str, Any]:
    """The summary as plain values, for machines."""
    pairs = summary.pairs
    return {
        "method": method,
        "out": None if summary.out is None else str(summary.out),
        "frames": summary.frames,
        "height": summary.height,
        "width": summary.width,
        "seconds": round(summary.seconds, 3),
        "offset": round(offset, 4),
        "thermal": _source_json(summary.ir),
        "visible": _source_json(summary.vi),
        "pairs": {
            "paired": pairs.paired,
            "repeated": pairs.repeated,
            "held": pairs.held,
            "alone": pairs.unmatched,
            "unused": pairs.unused,
        },
        "skipped": summary.dropped,
        "notes": list(summary.notes),
        "stopped": summary.stopped,
        "cpu_seconds": {part: round(seconds, 3) for part, seconds in summary.cpu.items()},
    }


def _source_json(stats: SourceStats) -> dict[str, Any]:
    return {
        "frames": stats.frames,
        "duplicates": stats.duplicates,
        "missing": stats.missing,
        "damaged": stats.damaged,
        "broken": stats.failure,
    }
