"""``ivfuse video``: fuse two videos, image sequences, cameras or streams."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import typer

from ivfuse.cli import align_options, method_options, reading
from ivfuse.cli import video_options as options
from ivfuse.cli.sources import Recursive
from ivfuse.errors import InputError, UsageError

if TYPE_CHECKING:
    from ivfuse.fusion.align import Aligner
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.thermal.units import Span
    from ivfuse.video.auto_gain import AutoGain
    from ivfuse.video.frame import Frame
    from ivfuse.video.frame_fuser import FrameFuser
    from ivfuse.video.source import FrameSource, SourceInfo
    from ivfuse.video.writer import EncoderOptions, FrameWriter

    Sources = tuple[FrameSource, FrameSource]

_RATES = (0.001, 1000.0)  # frames per second that both containers can time


def video(
    ir: options.Ir,
    vi: options.Vi,
    *,
    out: options.Out = None,
    method: method_options.MethodName = None,
    weights: method_options.Weights = None,
    gray: method_options.Gray = False,
    strength: method_options.Strength = 1.0,
    emphasis: method_options.Emphasis = None,
    ir_gamma: method_options.IrGamma = 1.0,
    side_by_side: options.SideBySide = False,
    smooth: options.Smooth = True,
    offset: options.Offset = "0",
    window: options.Window = None,
    ir_window: options.IrWindow = None,
    ir_stream: options.IrStream = None,
    vi_stream: options.ViStream = None,
    fps: options.Fps = None,
    duration: options.Duration = None,
    codec: options.CodecName = "auto",
    crf: options.Crf = 20,
    preset: options.Preset = "veryfast",
    overwrite: options.Overwrite = False,
    preview: options.Preview = False,
    port: options.Port = 8765,
    runtime: method_options.RuntimeName = "auto",
    precision: method_options.PrecisionName = "auto",
    device: method_options.DeviceName = "auto",
    threads: method_options.Threads = None,
    full_size: method_options.FullSize = False,
    json: method_options.Json = False,
    quiet: method_options.Quiet = False,
    rig: align_options.RigFile = None,
    points: align_options.Points = None,
    recursive: Recursive = False,
    max_pixels: reading.MaxPixels = None,
) -> None:
    """Fuse two videos, live streams, image sequences or topics of bags, paired by time.

    The output has the times, size, colors and audio of the visible video. Ctrl-C stops the run and completes
    the file.
    Exit code: 0 done, 1 a source broke (the output contains what could be fused), 2 wrong use, 130 or 143
    stopped by a signal.

    \b
    Examples:
      ivfuse video thermal.mp4 visible.mp4 -o fused.mp4
      ivfuse video thermal.mkv visible.mp4 -o fused.mkv --offset auto --side-by-side
      ivfuse video thermal.mp4 visible.mp4 -o fused.mp4 --rig rig.json
      ivfuse video flir.seq visible.mp4 -o fused.mp4 --offset auto --window 10C..45C
      ivfuse video ir/ vi/ -o fused/
      ivfuse video ir/ vi/ -o fused/ --recursive
      ivfuse video frames/ir/ frames/vi/ -o fused/f_%05d.png --fps 30
      ivfuse video both.mkv both.mkv --ir-stream 1 --vi-stream 0 -o fused.mkv
      ivfuse video rtsp://cam/thermal camera:0 -o watch.mp4 --preview
      ivfuse video drive.mcap:/thermal/image_raw drive.mcap:/rgb/image_raw/compressed -o fused.mcap
    """
    _check(out, fps, duration, preview)
    method_options.check(method, weights, runtime, precision)
    reading.limit_pixels(max_pixels)
    from ivfuse.cli.video_folders import fuse_folders, pair_videos
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.video.bags.writer import find_output
    from ivfuse.video.frame_fuser import FrameFuser
    from ivfuse.video.open import open_pair, require_av
    from ivfuse.video.smoothing import TemporalSmoother
    from ivfuse.video.writer import EncoderOptions

    if out is None or not find_output(out):
        require_av()
    fuser = Fuser(
        **method_options.choices(method, weights, runtime, precision, threads, device, quick=True),
        rig=align_options.rig(rig, None, points),
        strength=strength,
        emphasis=emphasis,
        ir_gamma=ir_gamma,
        full_size=full_size,
    )
    span = _window(window, ir_window)
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    encoding = EncoderOptions(codec, crf, preset)  # type: ignore[arg-type]  # the writer checks the codec

    def fuse_one(ir: str, vi: str, out: str | None) -> int:
        reopen = partial(open_pair, ir, vi, rate=rate, ir_stream=ir_stream, vi_stream=vi_stream)
        sources = reopen()
        shift = _resolve_offset(offset, sources, reopen)
        gain = _gain(span, sources[0].info)
        writer = None if out is None else _open_writer(out, (ir, vi), sources[1], encoding, overwrite)
        placement = _calibrated(fuser, sources)
        smoother = TemporalSmoother() if smooth else None
        frame_fuser = FrameFuser(fuser, gain, gray, side_by_side, *placement, smoother)
        page = _preview(port, quiet) if preview else nullcontext(_ignore)
        return _run(frame_fuser, sources, writer, shift, duration, page, json=json, quiet=quiet)

    pairing = pair_videos(ir, vi, out, recursive=recursive)
    if pairing is None:
        raise typer.Exit(fuse_one(ir, vi, out))
    suffix = ".mkv" if codec == "ffv1" else ".mp4"
    raise typer.Exit(fuse_folders(pairing, out, suffix, overwrite, fuse_one, shown=not (quiet or json)))


def _run(
    fuser: FrameFuser,
    sources: Sources,
    writer: FrameWriter | None,
    shift: tuple[float, str],
    duration: float | None,
    page: AbstractContextManager[Callable[[Frame], None]],
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Fuse two sources, print the summary, return the exit code."""
    from ivfuse.cli import video_report
    from ivfuse.video.fuse import fuse_video
    from ivfuse.video.sync import expected_frames

    seconds, origin = shift
    total = expected_frames(sources[0].info, sources[1].info, seconds, duration)
    with (
        page as show,
        video_report.progress(total, shown=not (quiet or json)) as advance,
        _stop_on_signals() as (stop, signals),
    ):
        summary = fuse_video(
            fuser, *sources, writer, offset=seconds, duration=duration, stop=stop,
            on_frame=lambda frame: (show(frame), advance()),
        )  # fmt: skip
    name = fuser.fuser.method.info.name
    video_report.report(name, summary, offset=seconds, origin=origin, json=json, quiet=quiet)
    return 128 + signals[0] if signals else 1 if summary.failures else 0


def _check(out: str | None, fps: float | None, duration: float | None, preview: bool) -> None:
    """Refuse combinations and values that have no meaning."""
    if out is None and not preview:
        raise UsageError(expected="{out} to write the video, {preview} to watch it, or both")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise UsageError(field="duration", found=f"{duration:g}", expected="a number above 0")
    low, high = _RATES
    if fps is not None and not low <= fps <= high:
        raise UsageError(field="fps", found=f"{fps:g}", expected=f"{low:g} to {high:g}")


def _window(window: str | None, ir_window: tuple[float, float] | None) -> Span | None:
    """The range of thermal values from black to white; ``None`` to follow the scene."""
    from ivfuse.thermal.tone_mapping import parse_window
    from ivfuse.thermal.units import Span

    if window is None:
        return None if ir_window is None else Span(*ir_window, False)
    if ir_window is not None:
        raise UsageError("--window and --ir-window: give one of the two")
    rule = parse_window(window)
    if rule.kind not in ("percentile", "range"):
        raise UsageError(
            field="window", found=f"{window} for a video", expected="percentile or a range like 10C..45C"
        )
    return rule.span


def _gain(span: Span | None, ir: SourceInfo) -> AutoGain:
    """The mapping of thermal values to gray; a range in degrees needs frames in degrees."""
    from ivfuse.video.auto_gain import AutoGain

    if span is not None and span.degrees and not ir.degrees:
        raise InputError(
            f"{ir.name}: the window is in degrees, but the frames contain counts",
            expected="a radiometric recording, or a window in counts",
        )
    return AutoGain(None if span is None else (span.low, span.high))


def _resolve_offset(text: str, sources: Sources, reopen: Callable[[], Sources]) -> tuple[float, str]:
    """The seconds to add to the thermal times, and how they were determined ("" if they were given)."""
    ir, vi = sources
    if text == "start":
        return vi.info.start - ir.info.start, "first frames paired"
    if text == "auto":
        if ir.info.live:
            raise UsageError(
                field="offset", found="auto with live sources, which cannot be read twice", expected="seconds"
            )
        return _estimate_offset(reopen())
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UsageError(field="offset", found=repr(text), expected="seconds, auto or start")
    return seconds, ""


def _estimate_offset(sources: Sources) -> tuple[float, str]:
    from ivfuse.video.time_offset import estimate_offset, measure_motion

    ir, vi = (measure_motion(source.items()) for source in sources)
    for source in sources:
        source.close()
    found = estimate_offset(ir, vi)
    return found.seconds, f"from motion, correlation {found.correlation:.2f}"


def _open_writer(
    out: str, inputs: tuple[str, str], vi: FrameSource, encoding: EncoderOptions, overwrite: bool
) -> FrameWriter:
    from ivfuse.runtime.files import refuse_input_as_output
    from ivfuse.video.bags.location import file_of
    from ivfuse.video.writer import open_writer

    refuse_input_as_output(file_of(out), *map(file_of, inputs))
    info = vi.info
    return open_writer(out, info.rate, encoding, audio=info.audio, overwrite=overwrite)


def _calibrated(fuser: Fuser, sources: Sources) -> tuple[Aligner | None, tuple[str, ...]]:
    """The placement by the calibrations in bags, where no rig is given and both cameras are calibrated."""
    from ivfuse.fusion.align import Aligner
    from ivfuse.video.bags.calibration import registration_of_sources

    if not fuser.aligner.stretches:
        return None, ()
    registration, note = registration_of_sources(*sources)
    return None if registration is None else Aligner(registration), (note,) if note else ()


def _ignore(frame: Frame) -> None:
    """Without a preview, nobody watches."""


def _preview(port: int, quiet: bool) -> AbstractContextManager[Callable[[Frame], None]]:
    """The page that shows the running result; its address is printed."""
    from ivfuse.video.preview import preview

    return preview(port, lambda url: None if quiet else typer.echo(f"preview: {url}", err=True))


@contextmanager
def _stop_on_signals() -> Iterator[tuple[threading.Event, list[int]]]:
    """Turn Ctrl-C and SIGTERM into an event; a second Ctrl-C interrupts at once.

    Yields:
        The event, and the list of signals received.
    """
    stop = threading.Event()
    received: list[int] = []

    def handle(number: int, frame: object) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop, received
        return
    handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
