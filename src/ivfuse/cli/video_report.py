"""What ``ivfuse video`` says: progress with the time left, then what became of the frames."""

from __future__ import annotations

import json as json_module
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from ivfuse.cli.progress import bar

if TYPE_CHECKING:
    from ivfuse.video.fuse import VideoSummary
    from ivfuse.video.source import Health

_EVERY = 15.0  # seconds between lines where there is no terminal
_REFRESH = 0.1  # seconds between changes of the bar: a line for every frame would cost more than the frame


@contextmanager
def progress(total: int | None, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, now and then a line elsewhere, nothing if not ``shown``.

    Args:
        total: frames to come; ``None`` if nobody knows.
        shown: say anything at all.
    """
    if not shown:
        yield lambda: None
    elif not sys.stderr.isatty():
        yield _lines(total)
    else:
        with bar(total) as advance:
            yield _paced(advance)


def _paced(advance: Callable[[str, int], None]) -> Callable[[], None]:
    """Counts every frame and moves the bar now and then."""
    started = told = time.monotonic()
    frames = waiting = 0

    def tell() -> None:
        nonlocal told, frames, waiting
        frames, waiting = frames + 1, waiting + 1
        now = time.monotonic()
        if now - told >= _REFRESH:
            advance(f"{frames / (now - started):.0f} fps", waiting)
            told, waiting = now, 0

    return tell


def _lines(total: int | None) -> Callable[[], None]:
    """A line at the tenths of the work and after long silence, but not more than one a second."""
    started = said = time.monotonic()
    frames = tenth = 0

    def tell() -> None:
        nonlocal frames, said, tenth
        frames += 1
        now = time.monotonic()
        reached = frames * 10 // total if total else 0
        if now - said < 1 or (reached == tenth and now - said < _EVERY):
            return
        said, tenth = now, reached
        speed = frames / (now - started)
        left = f" of {total}, about {(total - frames) / speed:.0f} s left" if total and total > frames else ""
        typer.echo(f"{frames} frames{left} ({speed:.0f} fps)", err=True)

    return tell


def say(method: str, summary: VideoSummary, *, offset: float, how: str, json: bool, quiet: bool) -> None:
    """Print the summary.

    Args:
        method: name of the method.
        summary: what became of the frames.
        offset: seconds that were added to the thermal times.
        how: a word on where the offset comes from.
        json: print one JSON object to standard output.
        quiet: print only what went wrong.
    """
    for line in summary.broken:
        typer.echo(f"ivfuse: error: {line}", err=True)
    if summary.stopped:
        typer.echo("ivfuse: stopped; the output holds what was fused", err=True)
    if json:
        typer.echo(json_module.dumps(as_json(method, summary, offset), indent=2))
        return
    if quiet:
        return
    for note in summary.notes:
        typer.echo(f"note: {note}", err=True)
    if offset:
        typer.echo(f"thermal moved by {offset:+.3f} s{f' ({how})' if how else ''}", err=True)
    for line in counts(summary):
        typer.echo(line, err=True)
    speed = summary.frames / summary.seconds if summary.seconds else 0
    typer.echo(
        f"{summary.out or 'nothing written'}: {summary.frames} frames of {summary.width}x{summary.height}, "
        f"{method}, {summary.seconds:.1f} s ({speed:.1f} fps)"
    )


def counts(summary: VideoSummary) -> list[str]:
    """What was out of the ordinary about the frames, a line for each source and one for the pairs."""
    pairs = summary.pairs
    lines = [
        _counted("thermal", [*_wrong(summary.ir), (pairs.unused, "not needed")]),
        _counted(
            "visible", [*_wrong(summary.vi), (pairs.alone, "without a thermal frame near in time, left out")]
        ),
        _counted(
            "pairs",
            [
                (pairs.repeated, "with the thermal frame of the pair before"),
                (pairs.held, "with a thermal frame that stands in for a missing one"),
            ],
        ),
        _counted("live", [(summary.skipped, "dropped to keep up")]),
    ]
    return [line for line in lines if line]


def _wrong(health: Health) -> list[tuple[int, str]]:
    return [
        (health.missing, "missing"),
        (health.duplicates, "there twice, left out"),
        (health.damaged, "damaged"),
    ]


def _counted(what: str, parts: list[tuple[int, str]]) -> str:
    said = ", ".join(f"{count} {text}" for count, text in parts if count)
    return f"{what}: {said}" if said else ""


def as_json(method: str, summary: VideoSummary, offset: float) -> dict[str, Any]:
    """The summary as plain values, for machines."""
    return {
        "method": method,
        "out": None if summary.out is None else str(summary.out),
        "frames": summary.frames,
        "height": summary.height,
        "width": summary.width,
        "seconds": round(summary.seconds, 3),
        "offset": round(offset, 4),
        "thermal": vars(summary.ir),
        "visible": vars(summary.vi),
        "pairs": vars(summary.pairs),
        "skipped": summary.skipped,
        "notes": list(summary.notes),
        "stopped": summary.stopped,
        "cpu_seconds": {part: round(seconds, 3) for part, seconds in summary.cpu.items()},
    }
