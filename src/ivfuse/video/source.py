"""Where a video comes from: a file, a stream, a camera or a row of images, as frames with their times."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ivfuse.errors import InputError, MissingExtraError, UsageError
from ivfuse.video.frame import Frame

if TYPE_CHECKING:
    from av import packet

    Packet = packet.Packet[Any]  # of sound, passed on as it is

Role = Literal["ir", "vi"]

FALLBACK_RATE = Fraction(25)  # frames per second of images where nothing tells


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    Attributes:
        name: the words that it was opened with.
        width: in pixels.
        height: in pixels.
        rate: frames per second; an average where they come unevenly.
        frames: how many there are, as far as the header tells.
        start: time of the first frame in seconds, as far as the header tells.
        live: frames come when they come: a camera or a stream.
        aspect: width of a pixel by its height, ``None`` for square ones.
        audio: PyAV's audio stream, to make one like it; ``None`` without sound.
    """

    name: str
    width: int
    height: int
    rate: Fraction
    frames: int | None
    start: float = 0.0
    live: bool = False
    aspect: Fraction | None = None
    audio: Any = None

    @property
    def end(self) -> float | None:
        """Time at which the last frame ends, in seconds, where the number of frames is known."""
        return None if self.frames is None else self.start + float(self.frames / self.rate)


@dataclass
class Health:
    """What went wrong while a source was read.

    Attributes:
        frames: frames that were read.
        duplicates: frames left out because their time was not after that of the frame before.
        missing: frames that a gap in the times shows to be missing.
        damaged: packets or images that could not be decoded.
        broken: "" or where and why the source broke, in one line.
    """

    frames: int = 0
    duplicates: int = 0
    missing: int = 0
    damaged: int = 0
    broken: str = ""

    def blame(self, name: str, index: int, time: float, reason: str) -> None:
        """Note where the source broke first."""
        self.broken = self.broken or f"{name}: broken at frame {index} ({time:.2f} s): {reason}"


class Source(Protocol):
    """Frames in the order of their times, and packets of sound between them."""

    @property
    def info(self) -> SourceInfo:
        """What is known beforehand."""
        ...

    @property
    def health(self) -> Health:
        """What is known by now."""
        ...

    def items(self) -> Iterator[Frame | Packet]:
        """Read on until the source ends or breaks; a break is noted in ``health``, not raised."""
        ...

    def close(self) -> None:
        """Let go of files and devices."""
        ...


@dataclass
class Clock:
    """Puts the frames of a source in order and counts what is missing or there twice.

    Attributes:
        rate: frames per second that are expected.
        health: where to count.
        counts_gaps: times are exact enough to see gaps in them.
    """

    rate: Fraction
    health: Health
    counts_gaps: bool = True
    last: float | None = field(default=None)
    _shift: float = 0.0

    def place(self, time: float) -> float | None:
        """The time of the next frame, or ``None`` if the frame is to be left out as a duplicate."""
        period = float(1 / self.rate)
        time += self._shift
        if self.last is not None:
            step = time - self.last
            if step < -0.5:  # the clock began anew, as where recordings were put together
                self._shift += period - step
                time, step = self.last + period, period
            if step <= 1e-6:
                self.health.duplicates += 1
                return None
            if self.counts_gaps and step > 1.5 * period:
                self.health.missing += round(step / period) - 1
        self.last = time
        self.health.frames += 1
        return time


def open_source(words: str, role: Role, *, rate: Fraction | None = None, threads: int = 0) -> Source:
    """Open a source.

    Args:
        words: a file that FFmpeg reads; a folder of images, or a pattern like ``ir_%04d.png``; an address
            like ``rtsp://...``; ``camera:0`` or a device like ``/dev/video0``.
        role: ``ir`` gives one plane, of the depth of the source; ``vi`` gives 8-bit luma and chroma.
        rate: frames per second of images.
        threads: of the decoder; 0 leaves it to FFmpeg.

    Raises:
        MissingExtraError: if PyAV is not installed.
        InputError: if the source cannot be opened or has no image.
        UsageError: if no camera can be named that way on this system.
    """
    from ivfuse.video.image_sequence import ImageSource, find_images

    require_av()
    images = find_images(words)
    if images is not None:
        return ImageSource(words, images, role, rate or FALLBACK_RATE)
    from ivfuse.video.stream import StreamSource

    device = _device(words)
    if device is not None:
        return StreamSource(device[0], role, name=words, format=device[1], live=True)
    address = re.match(r"([a-z][a-z0-9+]+)://", words, re.IGNORECASE)
    if address is None and not Path(words).exists():
        raise InputError(
            f"{words}: no such file, expected a video, a folder, a pattern, an address or a camera"
        )
    return StreamSource(
        words, role, live=address is not None and address[1].lower() != "file", threads=threads
    )


def is_images(words: str) -> bool:
    """Whether the words name a folder or a pattern of images."""
    from ivfuse.video.image_sequence import is_pattern

    return Path(words).is_dir() or is_pattern(words)


def require_av() -> None:
    """Raise MissingExtraError if PyAV is not installed."""
    try:
        import av  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("video", "video") from error


def _device(words: str) -> tuple[str, str] | None:
    """What FFmpeg calls a camera, and the input format for it; ``None`` if the words name none."""
    if re.fullmatch(r"/dev/video\d+", words):
        return words, "v4l2"
    if not words.startswith("camera:"):
        return None
    name = words.removeprefix("camera:")
    if not name:
        raise UsageError("camera: expected a number or a name after the colon, as in camera:0")
    if sys.platform.startswith("linux"):
        return (f"/dev/video{name}" if name.isdigit() else name), "v4l2"
    if sys.platform == "darwin":
        return name, "avfoundation"
    return f"video={name}", "dshow"
