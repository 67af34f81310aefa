"""``ivfuse eval --video``: temporal consistency of fused videos against their two sources."""

from __future__ import annotations

import csv
import io
import json as json_module
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo, echo_lines
from ivfuse.errors import UsageError, escape_controls

if TYPE_CHECKING:
    from ivfuse.metrics.temporal import TemporalScores

_PANEL = "Video"
_FLOW = "OpenCV DIS, medium"
_DEFAULTS = {"convention": "default"}

Video = Annotated[
    bool,
    typer.Option(
        "--video",
        help="Score the temporal consistency of a fused video, or of all videos of a folder, against two "
        "source videos: BiSWE and MS2R.",
        rich_help_panel=_PANEL,
    ),
]
Offset = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="With --video: seconds to add to the thermal times, as in the fusion.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class VideoScores:
    """The scores of fused videos.

    Attributes:
        scores: by the location of the fused video.
        failures: where videos broke, one line each.
    """

    scores: Mapping[str, TemporalScores]
    failures: tuple[str, ...]

    def write_csv(self, path: Path) -> None:
        """Write a row for each video.

        Raises:
            OutputError: if the file cannot be written.
        """
        from ivfuse.runtime.files import write_atomic

        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["fused", "frames", "BiSWE", "MS2R"])
        for name, found in self.scores.items():
            table.writerow([name, found.frames, repr(found.biswe), repr(found.ms2r)])
        write_atomic(path, text.getvalue().encode())

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "flow": _FLOW,
            "videos": [
                {"fused": name, "frames": found.frames, "BiSWE": found.biswe, "MS2R": found.ms2r}
                for name, found in self.scores.items()
            ],
            "failed": list(self.failures),
        }

    def lines(self) -> list[str]:
        """A table."""
        rows = [("video", "frames", "BiSWE", "MS2R")]
        for name, found in self.scores.items():
            shown = escape_controls(Path(name).name or name)
            rows.append((shown, str(found.frames), f"{found.biswe:.3f}", f"{found.ms2r:.4f}"))
        return [f"lower is better; optical flow: {_FLOW}", *format_table(rows, "lr")]


def check_options(given: Mapping[str, object]) -> None:
    """Raise UsageError for the first option that is given but has no meaning for videos."""
    for name, value in given.items():
        if value and value != _DEFAULTS.get(name):
            raise UsageError(field=name, expected="no such option together with {video}")


def evaluate(
    fused: str, ir: str, vi: str, *, offset: float, csv: Path | None, json: bool, quiet: bool
) -> int:
    """Score videos and print the result.

    Args:
        fused: location of a fused video, or a folder of fused videos.
        ir: location of the thermal video.
        vi: location of the visible video.
        offset: seconds to add to the thermal times.
        csv: write a table to this file.
        json: print one JSON object.
        quiet: no progress.

    Returns:
        The exit code: 1 if a video broke.
    """
    report = _score(fused, ir, vi, offset, shown=not (json or quiet))
    for line in report.failures:
        echo(f"ivfuse: error: {line}", err=True)
    if csv is not None:
        report.write_csv(csv)
    if json:
        typer.echo(json_module.dumps(report.as_json(), indent=2))
    else:
        echo_lines(report.lines())
    return 1 if report.failures else 0


def _score(fused: str, ir: str, vi: str, offset: float, *, shown: bool) -> VideoScores:
    """Open the videos, score them, collect what broke."""
    from ivfuse.cli import video_report
    from ivfuse.video.open import open_pair, open_source
    from ivfuse.video.score import score_videos

    names = _videos(fused)
    sources = open_pair(ir, vi)
    results = [open_source(name, "vi", rate=sources[1].info.rate) for name in names]
    counts = [each.info.frames for each in (*results, sources[1]) if each.info.frames is not None]
    with video_report.progress(min(counts, default=None), shown=shown) as advance:
        scores = score_videos(results, *sources, offset=offset, on_frame=advance)
    failures = tuple(each.stats.failure for each in (*results, *sources) if each.stats.failure)
    return VideoScores(dict(zip(names, scores, strict=True)), failures)


def _videos(fused: str) -> list[str]:
    """The fused videos: those of a folder of video files, else the location itself."""
    from ivfuse.cli.video_folders import videos_of

    return [str(path) for path in videos_of(Path(fused))] or [fused]
