"""Fusion of two videos: decoding, fusion and encoding run concurrently, with a few frames in memory.

One thread reads each source, the calling thread pairs and fuses frames, and one thread writes them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ivfuse.errors import InputError
from ivfuse.fusion.doubts import doubts_about_colors, doubts_about_sizes
from ivfuse.fusion.reduced import Shape, reduction_note
from ivfuse.video.frame import Frame
from ivfuse.video.frame_fuser import FrameFuser
from ivfuse.video.queues import FrameQueue, NoItem, StoppedError, WorkerThread
from ivfuse.video.source import FrameSource, SourceStats
from ivfuse.video.sync import FramePairer, PairingCounts
from ivfuse.video.writer import FrameWriter

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket

OnFrame = Callable[[Frame], object]

_QUEUE_CAPACITY = 4  # frames between two threads
_LIVE_QUEUE_CAPACITY = 8  # the same for live sources, whose frames arrive unevenly
_FRAME_TIMEOUT = 0.5  # seconds between checks of the stop event while no frame arrives


@dataclass(frozen=True)
class VideoSummary:
    """The outcome of a run.

    Attributes:
        out: path of the output; ``None`` if nothing was written.
        frames: number of fused frames.
        height: of the fused frames, in pixels; encoders may cut an odd side, which a note says.
        width: likewise.
        seconds: duration of the run, until the file is complete.
        ir: counts of the thermal source.
        vi: counts of the visible source.
        pairs: counts of the pairing.
        dropped: number of live frames dropped because fusion was slower than the source.
        notes: remarks for the user.
        stopped: the run was stopped before the sources ended.
        cpu: processor time of each part of the work, in seconds.
    """

    out: Path | None
    frames: int
    height: int
    width: int
    seconds: float
    ir: SourceStats
    vi: SourceStats
    pairs: PairingCounts
    dropped: int
    notes: tuple[str, ...]
    stopped: bool
    cpu: dict[str, float]

    @property
    def failures(self) -> tuple[str, ...]:
        """Where the sources broke, one line each."""
        return tuple(stats.failure for stats in (self.ir, self.vi) if stats.failure)


def fuse_video(
    fuser: FrameFuser,
    ir: FrameSource,
    vi: FrameSource,
    writer: FrameWriter | None,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    on_frame: OnFrame | None = None,
    stop: threading.Event | None = None,
) -> VideoSummary:
    """Fuse two sources and write the result.

    Args:
        fuser: fuses a pair of frames.
        ir: the thermal source. Both sources are closed at the end.
        vi: the visible source, whose times and audio the output has.
        writer: where to write; ``None`` if only ``on_frame`` takes the frames. It is closed in any case.
        offset: seconds to add to the thermal times.
        duration: seconds after which to end, from the time at which both sources have begun.
        on_frame: called with each output frame; it must return quickly.
        stop: set this event to end after the current frame.

    Returns:
        The summary. A source that breaks ends the video there and is named in the summary.

    Raises:
        InputError: if no thermal frame is near in time to a visible frame.
        OutputError: if the output cannot be written.
        IvfuseError: if the method fails; the output contains what was fused before.
    """
    run = _VideoRun(fuser, ir, vi, writer, offset, duration, on_frame, stop or threading.Event())
    return run.run()


class _VideoRun:
    """The queues and threads of one run."""

    def __init__(
        self,
        fuser: FrameFuser,
        ir: FrameSource,
        vi: FrameSource,
        writer: FrameWriter | None,
        offset: float,
        duration: float | None,
        on_frame: OnFrame | None,
        stop: threading.Event,
    ) -> None:
        self._fuser, self._ir, self._vi, self._writer = fuser, ir, vi, writer
        self._duration, self._on_frame, self._stop = duration, on_frame, stop
        self._ir_start = ir.info.start + offset  # on the clock of the visible
        # Ends the reader threads only: frames that were fused are still written after a stop.
        self._abort = threading.Event()
        self._ir_queue = _source_queue(ir, self._abort)
        self._vi_queue = _source_queue(vi, self._abort)
        self._out_queue: FrameQueue[Frame | AudioPacket] = FrameQueue(_QUEUE_CAPACITY, self._abort)
        clock = time.monotonic if vi.info.live else None
        self._pairer = FramePairer(self._next_thermal, ir.info.rate, vi.info.rate, offset, clock)
        # A live frame may wait for one frame period, and for a thermal that comes later by the offset.
        self._longest_wait = float(1 / vi.info.rate) + max(0.0, -offset)
        self._size = (0, 0)
        self._shape: Shape | None = None  # at which the method runs
        self._fused_frames = 0
        self._readers = {
            "decode ir": WorkerThread("ir", lambda: _read(ir, self._ir_queue)),
            "decode vi": WorkerThread("vi", lambda: _read(vi, self._vi_queue)),
        }
        self._encoder = WorkerThread("writer", self._write)

    def run(self) -> VideoSummary:
        """Start the threads, fuse, wait for the threads, summarize."""
        started = time.perf_counter()
        for thread in (*self._readers.values(), self._encoder):
            thread.start()
        try:
            with suppress(StoppedError):  # the writer failed, which is raised below
                self._fuse()
        finally:
            out = self._finish()
        self._check_threads()
        cpu = {name: reader.cpu for name, reader in self._readers.items()}
        return VideoSummary(
            out=out,
            frames=self._fused_frames,
            height=self._size[0],
            width=self._size[1],
            seconds=time.perf_counter() - started,
            ir=self._ir.stats,
            vi=self._vi.stats,
            pairs=self._pairer.counts,
            dropped=self._ir_queue.dropped + self._vi_queue.dropped,
            notes=tuple(self._notes()),
            stopped=self._stop.is_set(),
            cpu=cpu | self._fuser.cpu | {"encode": self._encoder.cpu},
        )

    def _fuse(self) -> None:
        """Pair and fuse until a source ends or the run is stopped."""
        end = None
        while not self._stop.is_set():
            if self._vi.info.live:
                self._vi_queue.drop_while(self._is_late)
            item = self._vi_queue.get(_FRAME_TIMEOUT)
            if item is NoItem.ENDED:
                return
            if isinstance(item, NoItem):
                continue
            if not isinstance(item, Frame):
                self._out_queue.put(item)
                continue
            if self._duration is not None:
                end = max(item.time, self._ir_start) + self._duration if end is None else end
                if item.time >= end:
                    return
            thermal = self._pairer.match(item.time)
            if thermal is not None:
                self._fuse_pair(thermal, item)
            elif self._pairer.is_exhausted(item.time):
                return

    def _fuse_pair(self, ir: Frame, vi: Frame) -> None:
        if not self._fused_frames:  # frames that a stream had buffered when it was opened do not count
            self._ir_queue.dropped = self._vi_queue.dropped = 0
            self._shape = self._fuser.shape_for(ir, vi)
        out = self._fuser.fuse(ir, vi)
        self._size = (out.height, out.width)
        self._fused_frames += 1
        if self._on_frame is not None:  # before the writer, which may have to wait for the encoder
            self._on_frame(out)
        self._out_queue.put(out)

    def _is_late(self, item: Frame | AudioPacket) -> bool:
        """Whether a live frame has waited too long to be fused if there is a newer one."""
        return isinstance(item, Frame) and time.monotonic() - item.time > self._longest_wait

    def _next_thermal(self, seconds: float | None) -> Frame | NoItem:
        """The next thermal frame, for the pairer."""
        while True:
            item = self._ir_queue.get(_FRAME_TIMEOUT if seconds is None else seconds)
            if isinstance(item, Frame) or item is NoItem.ENDED:
                return item
            if seconds is not None or self._stop.is_set():
                return NoItem.TIMEOUT

    def _write(self) -> None:
        """Pass frames and audio packets to the writer until there are no more."""
        try:
            while not isinstance(item := self._out_queue.get(), NoItem):
                if self._writer is None:
                    continue
                if isinstance(item, Frame):
                    self._writer.write(item)
                else:
                    self._writer.write_audio(item)
        finally:
            self._out_queue.close()  # after a failure no thread may wait for room

    def _finish(self) -> Path | None:
        """Let the writer finish, end the readers, complete the output."""
        self._out_queue.close()
        self._encoder.join()
        self._abort.set()
        for reader in self._readers.values():
            reader.join()
        self._pairer.finish()
        self._ir.close()
        self._vi.close()
        return self._writer.close() if self._writer and self._encoder.failure is None else None

    def _check_threads(self) -> None:
        """Raise failures of the writer; record those of the readers as failures of their sources."""
        if self._encoder.failure is not None:
            raise self._encoder.failure
        for source, reader in zip((self._ir, self._vi), self._readers.values(), strict=True):
            if reader.failure is not None:
                source.stats.record_failure(source.info.name, source.stats.frames, 0.0, reader.reason)
        if not self._fused_frames and not self._stop.is_set():
            raise self._nothing_fused()

    def _nothing_fused(self) -> InputError:
        failures = [source.stats.failure for source in (self._ir, self._vi) if source.stats.failure]
        if failures:
            return InputError("; ".join(failures))
        ir, vi = self._ir.info, self._vi.info
        return InputError(
            f"{ir.name} and {vi.name}: no frames near in time "
            f"(they begin at {ir.start:.2f} s and {vi.start:.2f} s)",
            hint="{offset} start pairs their first frames, {offset} SECONDS shifts the thermal",
        )

    def _notes(self) -> list[str]:
        notes = []
        gain = self._fuser.gain
        if gain.extent:
            low, high = gain.extent
            notes.append(f"thermal: window between {low:.6g} and {high:.6g}, {gain.scene_cuts} scene cuts")
        frame = self._fuser.remover.frame
        notes += [f"thermal: {frame.note}"] if frame else []
        notes += self._writer.notes if self._writer else []
        ir, vi = self._ir.info, self._vi.info
        notes += [f"thermal: {note}" for note in ir.notes] + [f"visible: {note}" for note in vi.notes]
        notes += doubts_about_colors(ir.colored, vi.colored)
        notes += self._fuser.notes
        if not self._fuser.placer.stretches:
            notes += [] if self._fuser.aligner else ["thermal aligned by the rig"]
        elif (ir.width, ir.height) != (vi.width, vi.height):
            notes.append(f"thermal resampled from {ir.width}x{ir.height} to {vi.width}x{vi.height}")
            notes += doubts_about_sizes((ir.width, ir.height), (vi.width, vi.height))
        if note := reduction_note((vi.height, vi.width), self._shape):
            notes.append(note)
        return notes


def _source_queue(source: FrameSource, abort: threading.Event) -> FrameQueue[Frame | AudioPacket]:
    live = source.info.live
    return FrameQueue(_LIVE_QUEUE_CAPACITY if live else _QUEUE_CAPACITY, abort, drop_oldest=live)


def _read(source: FrameSource, queue: FrameQueue[Frame | AudioPacket]) -> None:
    """Fill a queue from a source."""
    try:
        for item in source.items():
            queue.put(item)
    finally:
        queue.close()
