"""``ivfuse video``: two videos, rows of images, cameras or streams into one."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivfuse.cli import align_options, method_options
from ivfuse.errors import InputError, UsageError

if TYPE_CHECKING:
    from ivfuse.video.frame import Frame
    from ivfuse.video.source import Source
    from ivfuse.video.writer import Sink

SOURCES = "a file, a folder or pattern of images, an address like rtsp://..., or camera:0"


def video(
    ir: Annotated[str, typer.Argument(metavar="IR", help=f"Thermal: {SOURCES}.")],
    vi: Annotated[str, typer.Argument(metavar="VI", help="Visible: the same kinds.")],
    *,
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="A .mp4 or .mkv file, a folder for PNGs, or a pattern f_%05d.png.",
        ),
    ] = None,
    method: method_options.MethodName = None,
    weights: method_options.Weights = None,
    gray: method_options.Gray = False,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Thermal, visible and fused in a row.")
    ] = False,
    offset: Annotated[
        str,
        typer.Option(
            metavar="SECONDS",
            help="Added to the thermal times; auto: from motion in both; start: first frames together.",
        ),
    ] = "0",
    ir_window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Thermal values shown as black and white; else they follow the scene slowly.",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Of rows of images; else that of the other source, or 25."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so many seconds of video.")
    ] = None,
    codec: Annotated[str, typer.Option(help="auto, h264, ffv1 (lossless, .mkv) or mpeg4.")] = "auto",
    crf: Annotated[
        int, typer.Option(min=0, max=51, help="Quality of H.264: lower is better and larger.")
    ] = 20,
    preset: Annotated[str, typer.Option(help="Speed of H.264: ultrafast to veryslow.")] = "veryfast",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show the running result on a page of this machine.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 8765,
    runtime: method_options.RuntimeName = "auto",
    precision: method_options.PrecisionName = "auto",
    threads: method_options.Threads = None,
    json: method_options.Json = False,
    quiet: method_options.Quiet = False,
    rig: align_options.RigFile = None,
    points: align_options.Points = None,
) -> None:
    """Fuse two videos, live streams or rows of images, paired by their times.

    The output has the times, the size, the colors and the sound of the visible. Ctrl-C ends it with a
    complete file.
    Exit code: 0 done, 1 a source broke (what could be fused is there), 2 wrong use, 130 or 143 stopped.

    \b
    Examples:
      ivfuse video thermal.mp4 visible.mp4 -o fused.mp4
      ivfuse video thermal.mkv visible.mp4 -o fused.mkv --offset auto --side-by-side
      ivfuse video thermal.mp4 visible.mp4 -o fused.mp4 --rig rig.json
      ivfuse video frames/ir/ frames/vi/ -o fused/f_%05d.png --fps 30
      ivfuse video rtsp://cam/thermal camera:0 -o watch.mp4 --preview
    """
    _check(out, fps, duration, preview)
    method_options.check(method, weights, runtime, precision)
    from ivfuse.cli import video_report
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.video.auto_gain import SteadyWindow
    from ivfuse.video.fuse import FrameFuser, fuse_video
    from ivfuse.video.source import require_av

    require_av()
    fuser = Fuser(
        **method_options.choices(method, weights, runtime, precision, threads),
        rig=align_options.rig(rig, None, points),
    )
    frames = FrameFuser(fuser, SteadyWindow(ir_window), gray=gray, side_by_side=side_by_side)
    sources = _open(ir, vi, fps)
    seconds, found = _offset(offset, ir, vi, sources, fps)
    sink = _sink(out, (ir, vi), sources[1], codec, crf, preset, overwrite)
    shown = _preview(port, quiet) if preview else nullcontext(_ignore)
    total = (
        None if duration is None and any(x.info.live for x in sources) else _total(sources, seconds, duration)
    )
    with (
        shown as show,
        video_report.progress(total, shown=not (quiet or json)) as tell,
        _stoppable() as (stop, by),
    ):
        summary = fuse_video(
            frames, *sources, sink, offset=seconds, duration=duration, stop=stop,
            on_frame=lambda frame: _both(show, tell, frame),
        )  # fmt: skip
    video_report.say(fuser.method.info.name, summary, offset=seconds, how=found, json=json, quiet=quiet)
    raise typer.Exit(128 + by[0] if by else 1 if summary.broken else 0)


def _check(out: str | None, fps: float | None, duration: float | None, preview: bool) -> None:
    """Refuse options that have no meaning together."""
    if out is None and not preview:
        raise UsageError("give -o OUT to write the video, or --preview to watch it, or both")
    for name, value in (("--fps", fps), ("--duration", duration)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name}: found {value:g}, expected a number above 0")


def _open(ir: str, vi: str, fps: float | None) -> tuple[Source, Source]:
    """Both sources; a row of images takes the rate of a video beside it."""
    from ivfuse.video.source import is_images, open_source

    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    if is_images(ir) and not is_images(vi):
        visible = open_source(vi, "vi")
        return open_source(ir, "ir", rate=rate or visible.info.rate), visible
    thermal = open_source(ir, "ir", rate=rate)
    visible = open_source(vi, "vi", rate=rate or (None if is_images(ir) else thermal.info.rate))
    if thermal.info.live != visible.info.live:
        raise UsageError("one source is live and the other is not: their times have nothing in common")
    return thermal, visible


def _offset(
    text: str, ir: str, vi: str, sources: tuple[Source, Source], fps: float | None
) -> tuple[float, str]:
    """Seconds to add to the thermal times, and a word on where they come from."""
    if text == "start":
        return sources[1].info.start - sources[0].info.start, "first frames together"
    if text != "auto":
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            raise UsageError(f"--offset: found {text!r}, expected seconds, auto or start")
        return seconds, ""
    if sources[0].info.live:
        raise UsageError("--offset auto needs recordings: a live source cannot be read twice")
    from ivfuse.video.frame import Frame
    from ivfuse.video.time_offset import estimate_offset, motion_of

    again = _open(ir, vi, fps)
    of_ir, of_vi = (motion_of(x for x in source.items() if isinstance(x, Frame)) for source in again)
    for source in again:
        source.close()
    found = estimate_offset(of_ir, of_vi)
    return found.seconds, f"from motion, correlation {found.correlation:.2f}"


def _sink(
    out: str | None, inputs: tuple[str, str], vi: Source, codec: str, crf: int, preset: str, overwrite: bool
) -> Sink | None:
    """Where the output goes."""
    from ivfuse.runtime.files import refuse_input_as_output
    from ivfuse.video.writer import Coding, open_sink

    if out is None:
        return None
    refuse_input_as_output(Path(out), *map(Path, inputs))
    coding = Coding(codec, crf, preset)  # type: ignore[arg-type]  # checked by the sink, which names the choices
    info = vi.info
    return open_sink(out, info.rate, coding, audio=info.audio, aspect=info.aspect, overwrite=overwrite)


def _total(sources: tuple[Source, Source], offset: float, duration: float | None) -> int | None:
    """How many frames the output will have, as far as the headers tell."""
    ir, vi = (source.info for source in sources)
    if vi.live:
        return None if duration is None else round(duration * vi.rate)
    begin = max(ir.start + offset, vi.start)
    ends = [x for x in (ir.end and ir.end + offset, vi.end) if x is not None]
    if not ends:
        return None
    seconds = min(ends) - begin
    if seconds <= 0:
        raise InputError(
            f"{ir.name} and {vi.name}: they do not overlap in time with an offset of {offset:g} s; "
            "--offset start pairs their first frames"
        )
    return max(1, round(min(seconds, duration or math.inf) * vi.rate))


def _ignore(frame: Frame) -> None:
    """Nobody watches."""


def _both(show: Callable[[Frame], None], tell: Callable[[], None], frame: Frame) -> None:
    show(frame)
    tell()


@contextmanager
def _stoppable() -> Iterator[tuple[threading.Event, list[int]]]:
    """An event that Ctrl-C and kill set, and the list of signals that came; a second Ctrl-C ends at once."""
    stop = threading.Event()
    by: list[int] = []

    def handle(number: int, frame: object) -> None:
        if by and number == signal.SIGINT:
            raise KeyboardInterrupt
        by.append(number)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop, by
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, by
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _preview(port: int, quiet: bool) -> AbstractContextManager[Callable[[Frame], None]]:
    """The page that shows the running result."""
    from ivfuse.cli.preview import preview

    return preview(port, lambda url: None if quiet else typer.echo(f"preview: {url}", err=True))
