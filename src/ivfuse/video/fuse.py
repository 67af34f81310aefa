"""Two videos into one: frames are decoded, fused and encoded at the same time, a few of them in memory.

One thread reads each source, the caller's thread pairs and fuses, one thread writes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ivfuse.errors import InputError
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.arrays import Gray
from ivfuse.video.auto_gain import SteadyWindow
from ivfuse.video.frame import Frame, beside, gray_frame, luma_of, with_luma
from ivfuse.video.queues import Empty, Lane, StoppedError, Worker
from ivfuse.video.source import Health, Source
from ivfuse.video.sync import Nothing, PairCounts, Pairer
from ivfuse.video.writer import Sink

if TYPE_CHECKING:
    from ivfuse.video.source import Packet

OnFrame = Callable[[Frame], None]
_OnGrid = tuple[Gray, Gray | None]


_LANE = 4  # frames between two threads
_LIVE_LANE = 8  # the same for live sources, whose frames come unevenly
_LATE = 0.5  # seconds to wait for a live thermal frame before the last one is taken again


@dataclass(frozen=True)
class VideoSummary:
    """What became of a video.

    Attributes:
        out: what was written; ``None`` if nothing was.
        frames: that were fused.
        height: of the output, in pixels.
        width: of the output, in pixels.
        seconds: from the first frame to the complete file.
        ir: what was wrong with the thermal source.
        vi: what was wrong with the visible source.
        pairs: how frames found each other.
        skipped: live frames dropped to keep up.
        notes: what a user should know.
        stopped: the run was stopped before the sources ended.
        cpu: processor seconds of each part of the work.
    """

    out: Path | None
    frames: int
    height: int
    width: int
    seconds: float
    ir: Health
    vi: Health
    pairs: PairCounts
    skipped: int
    notes: tuple[str, ...]
    stopped: bool
    cpu: dict[str, float]

    @property
    def broken(self) -> tuple[str, ...]:
        """Where the sources broke, a line each."""
        return tuple(health.broken for health in (self.ir, self.vi) if health.broken)


@dataclass
class FrameFuser:
    """Fuses pairs of frames, one after another.

    Attributes:
        fuser: the method, and where the thermal lies on the visible.
        window: maps thermal values.
        gray: drop the colors.
        side_by_side: thermal, visible and fused in a row.
        cpu: processor seconds of each part so far.
    """

    fuser: Fuser
    window: SteadyWindow = field(default_factory=SteadyWindow)
    gray: bool = False
    side_by_side: bool = False
    cpu: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("prepare", "method", "recolor"), 0.0)
    )
    _last: tuple[Frame, Frame, _OnGrid, Gray] | None = None  # thermal, visible, thermal on the grid, fused

    def fuse(self, ir: Frame, vi: Frame) -> Frame:
        """Fuse a pair; a pair that is equal to the one before is not fused again."""
        started = time.thread_time()
        placed = self._placed(ir, vi)
        thermal, coverage = placed
        if self._last and placed is self._last[2] and np.array_equal(vi.planes[0], self._last[1].planes[0]):
            fused = self._last[3]
            ready = done = time.thread_time()
        else:
            luma = luma_of(vi)
            ready = time.thread_time()
            fused = self.fuser.fuse_covered(thermal, luma, coverage)
            done = time.thread_time()
        self._last = (ir, vi, placed, fused)
        out = gray_frame(vi, fused) if self.gray else with_luma(vi, fused)
        if self.side_by_side:
            out = beside([gray_frame(vi, thermal), vi, out])
        for part, seconds in zip(
            self.cpu, (ready - started, done - ready, time.thread_time() - done), strict=True
        ):
            self.cpu[part] += seconds
        return out

    def _placed(self, ir: Frame, vi: Frame) -> _OnGrid:
        """The thermal image on the visible's grid, and how much it counts there."""
        if self._last and ir is self._last[0] and self._last[2][0].shape == (vi.height, vi.width):
            return self._last[2]
        return self.fuser.aligner.align_frame(self.window.apply(ir), vi.height, vi.width)


def fuse_video(
    frames: FrameFuser,
    ir: Source,
    vi: Source,
    sink: Sink | None,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    on_frame: OnFrame | None = None,
    stop: threading.Event | None = None,
) -> VideoSummary:
    """Fuse two sources into a sink.

    Args:
        frames: fuses a pair of frames.
        ir: the thermal source; both sources are closed at the end.
        vi: the visible source, whose times and sound the output has.
        sink: where to write; ``None`` if ``on_frame`` is all that is wanted. It is completed in any case.
        offset: seconds added to the thermal times.
        duration: seconds of video after which to end.
        on_frame: called with each output frame; it must return quickly.
        stop: set it to end after the frame that is being fused.

    Returns:
        The summary. A source that breaks ends the video there and is named in the summary.

    Raises:
        InputError: if no frame of one source is near in time to one of the other.
        OutputError: if the output cannot be written.
        IvfuseError: if the method fails; what was fused before is in the output.
    """
    run = _Run(
        frames, ir, vi, sink, offset, duration, on_frame or (lambda frame: None), stop or threading.Event()
    )
    return run.all()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        frames: FrameFuser,
        ir: Source,
        vi: Source,
        sink: Sink | None,
        offset: float,
        duration: float | None,
        tell: OnFrame,
        stop: threading.Event,
    ) -> None:
        self.frames, self.ir, self.vi, self.sink = frames, ir, vi, sink
        self.duration, self.tell, self.stop = duration, tell, stop
        # Ends the helper threads alone: frames that were fused are still written after a stop.
        self.abort = threading.Event()
        self.from_ir = _lane(ir, self.abort)
        self.from_vi = _lane(vi, self.abort)
        self.to_sink: Lane[Frame | Packet] = Lane(_LANE, self.abort)
        self.pairer = Pairer(self._next_ir, ir.info.rate, vi.info.rate, offset)
        self.size = (0, 0)
        self.fused = 0

    def all(self) -> VideoSummary:
        """Start the threads, fuse, wait for the threads, sum up."""
        started = time.perf_counter()
        readers = {
            "decode ir": Worker("ir", lambda: _read(self.ir, self.from_ir)),
            "decode vi": Worker("vi", lambda: _read(self.vi, self.from_vi)),
        }
        writer = Worker("sink", self._write)
        for worker in (*readers.values(), writer):
            worker.start()
        try:
            with suppress(StoppedError):  # the writer failed, which is told below
                self._fuse()
        finally:
            out = self._finish(list(readers.values()), writer)
        self._check(writer, readers)
        cpu = (
            {name: worker.cpu for name, worker in readers.items()} | self.frames.cpu | {"encode": writer.cpu}
        )
        return VideoSummary(
            out, self.fused, *self.size, time.perf_counter() - started,
            self.ir.health, self.vi.health, self.pairer.counts, self.from_ir.dropped + self.from_vi.dropped,
            tuple(self._notes()), self.stop.is_set(), cpu,
        )  # fmt: skip

    def _fuse(self) -> None:
        """Pair and fuse until a source ends or the run is stopped."""
        first = None
        while not self.stop.is_set():
            item = self.from_vi.get(_LATE)
            if item is Empty.ENDED:
                return
            if isinstance(item, Empty):
                continue
            if not isinstance(item, Frame):
                self.to_sink.put(item)
                continue
            first = item.time if first is None else first
            if self.duration is not None and item.time - first >= self.duration:
                return
            partner = self.pairer.partner(item.time)
            if partner is None:
                if self.pairer.over(item.time):
                    return
                continue
            if not self.fused:  # what streams had in store when they were opened is old, not too fast
                self.from_ir.dropped = self.from_vi.dropped = 0
            out = self.frames.fuse(partner, item)
            self.size = (out.height, out.width)
            self.to_sink.put(out)
            self.fused += 1
            self.tell(out)

    def _next_ir(self) -> Frame | Nothing:
        """The next thermal frame, for the pairer."""
        while True:
            item = self.from_ir.get(_LATE)
            if isinstance(item, Frame):
                return item
            if item is Empty.ENDED:
                return Nothing.ENDED
            if self.ir.info.live or self.stop.is_set():
                return Nothing.LATE

    def _write(self) -> None:
        """Hand frames and sound to the sink until there are no more."""
        try:
            while not isinstance(item := self.to_sink.get(), Empty):
                if self.sink is None:
                    continue
                if isinstance(item, Frame):
                    self.sink.write(item)
                else:
                    self.sink.sound(item)
        finally:
            self.to_sink.end()  # after a failure nothing must wait for room

    def _finish(self, readers: list[Worker], writer: Worker) -> Path | None:
        """Let the writer finish, end the readers, complete the output."""
        self.to_sink.end()
        writer.join()
        self.abort.set()
        for reader in readers:
            reader.join()
        self.pairer.finish()
        self.ir.close()
        self.vi.close()
        return self.sink.close() if self.sink and writer.failure is None else None

    def _check(self, writer: Worker, readers: dict[str, Worker]) -> None:
        """Turn what went wrong in the threads into errors or notes on the sources."""
        if writer.failure is not None:
            raise writer.failure
        for source, worker in zip((self.ir, self.vi), readers.values(), strict=True):
            if worker.failure is not None:
                source.health.blame(source.info.name, source.health.frames, 0.0, worker.reason)
        if not self.fused and not self.stop.is_set():
            raise InputError(self._why_nothing())

    def _why_nothing(self) -> str:
        broken = [x.health.broken for x in (self.ir, self.vi) if x.health.broken]
        if broken:
            return "; ".join(broken)
        return (
            f"{self.ir.info.name} and {self.vi.info.name}: no frames near in time (they begin at "
            f"{self.ir.info.start:.2f} s and {self.vi.info.start:.2f} s); "
            "--offset start pairs their first frames, --offset SECONDS moves the thermal"
        )

    def _notes(self) -> list[str]:
        notes = list(self.sink.notes) if self.sink else []
        window = self.frames.window
        if window.seen:
            low, high = window.seen
            notes.insert(0, f"thermal: window between {low:.6g} and {high:.6g}, {window.cuts} cuts")
        ir, vi = self.ir.info, self.vi.info
        if not self.frames.fuser.aligner.stretches:
            notes.append("thermal placed by the rig")
        elif (ir.width, ir.height) != (vi.width, vi.height):
            notes.append(f"thermal resampled from {ir.width}x{ir.height} to {vi.width}x{vi.height}")
        return notes


def _lane(source: Source, abort: threading.Event) -> Lane[Frame | Packet]:
    live = source.info.live
    return Lane(_LIVE_LANE if live else _LANE, abort, lossy=live)


def _read(source: Source, lane: Lane[Frame | Packet]) -> None:
    """Fill a lane from a source."""
    try:
        for item in source.items():
            lane.put(item)
    finally:
        lane.end()
