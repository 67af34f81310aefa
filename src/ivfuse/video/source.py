"""The protocol of frame sources, facts and counts about them, and the bookkeeping of their timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ivfuse.errors import InputError
from ivfuse.video.frame import Frame

if TYPE_CHECKING:
    from av import packet

    AudioPacket = packet.Packet[Any]  # copied to the output without decoding

Modality = Literal["ir", "vi"]

DEFAULT_RATE = Fraction(25)  # frames per second where neither a header nor the user gives a rate

_CLOCK_RESET = 0.5  # seconds; a larger step back in time is a clock that was reset, not a duplicate
_SAME_TIME = 1e-6  # seconds; a smaller step forward is a duplicate
_GAP = 1.5  # frame periods; a larger step means that frames are missing


@dataclass(frozen=True)
class SourceInfo:
    """Facts about a source that are known before its frames are read.

    Attributes:
        name: the location that it was opened with.
        width: in pixels; of upright frames, for a rotated video once its first frame has been read.
        height: in pixels, likewise.
        rate: frames per second; the average where the rate varies.
        frames: number of frames according to the header; ``None`` if it is not known.
        start: time of the first frame according to the header, in seconds.
        live: a camera or a stream, whose frames are timed by their arrival.
        audio: PyAV's audio streams, the templates of those in the output.
        degrees: the values of its frames are temperatures in degC.
        levels: the values of its frames are 8-bit levels, whose range is known; told for images of a camera.
        colored: its first frame is in color; known once that frame has been read.
        notes: remarks for the user.
    """

    name: str
    width: int
    height: int
    rate: Fraction
    frames: int | None
    start: float = 0.0
    live: bool = False
    audio: tuple[Any, ...] = ()
    degrees: bool = False
    levels: bool = False
    colored: bool = False
    notes: tuple[str, ...] = ()

    @property
    def end(self) -> float | None:
        """Time at which the last frame ends, in seconds; ``None`` if the number of frames is not known."""
        return None if self.frames is None else self.start + float(self.frames / self.rate)

    def check_frame(
        self, name: str, width: int, height: int, *, degrees: bool = False, levels: bool = False
    ) -> None:
        """Check that a frame has the size and the unit of the first one.

        Args:
            name: name of the frame in the message.
            width, height: of the frame, in pixels.
            degrees: whether its values are temperatures in degC.
            levels: whether its values are 8-bit levels.

        Raises:
            InputError: if it has not; the message tells only what differs.
        """
        facts = (
            (_unit(degrees, levels), _unit(self.degrees, self.levels)),
            (f"{width}x{height} pixels", f"{self.width}x{self.height} pixels"),
        )
        different = [(found, expected) for found, expected in facts if found != expected]
        if different:
            found, expected = map(" of ".join, zip(*different, strict=True))
            raise InputError(f"{name}: found {found}", expected=f"{expected} as in the first frame")


def _unit(degrees: bool, levels: bool) -> str:
    return "temperatures" if degrees else "8-bit levels" if levels else "counts"


@dataclass
class SourceStats:
    """Counts of frames and faults, updated while a source is read.

    Attributes:
        frames: frames that were read.
        duplicates: frames skipped because their time is not later than that of the frame before.
        missing: frames that are missing according to gaps in the times.
        damaged: packets or images that could not be decoded.
        failure: where and why the source broke first, in one line; "" if it did not.
    """

    frames: int = 0
    duplicates: int = 0
    missing: int = 0
    damaged: int = 0
    failure: str = ""

    def record_failure(self, name: str, index: int, time: float, reason: str) -> None:
        """Remember where the source broke, unless it broke before."""
        self.failure = self.failure or f"{name}: broken at frame {index} ({time:.2f} s): {reason}"


class FrameSource(Protocol):
    """Frames in the order of their times, with audio packets between them."""

    @property
    def info(self) -> SourceInfo:
        """Facts known before reading."""
        ...

    @property
    def stats(self) -> SourceStats:
        """Counts of what has been read so far."""
        ...

    def items(self) -> Iterator[Frame | AudioPacket]:
        """Read until the source ends or breaks; a failure is recorded in ``stats``, not raised."""
        ...

    def close(self) -> None:
        """Release files and devices."""
        ...


@dataclass
class TimestampNormalizer:
    """Makes the times of a source strictly increasing, and counts duplicates and missing frames.

    Attributes:
        rate: expected frames per second.
        stats: the counts to update.
        detect_gaps: count missing frames; for sources whose times are accurate, not for live ones.
    """

    rate: Fraction
    stats: SourceStats
    detect_gaps: bool = True
    _last: float | None = None
    _shift: float = 0.0

    def normalize(self, time: float) -> float | None:
        """The time of the next frame in seconds, or ``None`` if the frame is a duplicate to skip."""
        period = float(1 / self.rate)
        time += self._shift
        if self._last is not None:
            step = time - self._last
            if step < -_CLOCK_RESET:  # as in recordings that were concatenated
                self._shift += period - step
                time, step = self._last + period, period
            if step <= _SAME_TIME:
                self.stats.duplicates += 1
                return None
            if self.detect_gaps and step > _GAP * period:
                self.stats.missing += round(step / period) - 1
        self._last = time
        self.stats.frames += 1
        return time
