"""Files, cameras and network streams through PyAV (FFmpeg)."""

from __future__ import annotations

import re
import time as clock_time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ivfuse.errors import InputError
from ivfuse.video.frame import FULL, LIMITED, Frame, Plane
from ivfuse.video.source import FALLBACK_RATE, Clock, Health, Role, SourceInfo

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from ivfuse.video.source import Packet

_PLANAR = {f"yuv{j}{sub}p" for j in ("", "j") for sub in (420, 422, 444)} | {"gray"}
_COUNTS = {f"gray{bits}le" for bits in (9, 10, 12, 14, 16)}
_OPEN_SECONDS, _READ_SECONDS = 10.0, 10.0  # of a stream, before it counts as dead
_ARBITRARY_ORIGIN = {
    "mpegts",
    "mpeg",
    "rtsp",
    "sdp",
    "rtp",
}  # where the time of the first frame means nothing


class StreamSource:
    """A video of FFmpeg as a :class:`~ivfuse.video.source.Source`."""

    def __init__(
        self,
        url: str,
        role: Role,
        *,
        name: str = "",
        format: str | None = None,
        live: bool = False,
        threads: int = 0,
    ) -> None:
        """Open it and read its header.

        Args:
            url: a file, an address or a device.
            role: see :func:`ivfuse.video.source.open_source`.
            name: what to call it in messages; ``url`` without it.
            format: FFmpeg's input format, for devices.
            live: frames get the time of their arrival, and none is waited for longer than ten seconds.
            threads: of the decoder; 0 leaves it to FFmpeg.

        Raises:
            InputError: if it cannot be opened or has no image.
        """
        import av

        self._name = name or url
        self._role = role
        options = {"rtsp_transport": "tcp"} if url.lower().startswith("rtsp") else {}
        if live and format is None:  # look at a stream for a second, not five, before it begins
            options |= {"analyzeduration": "1000000", "fpsprobesize": "5"}
        limits = (_OPEN_SECONDS, _READ_SECONDS) if live else None
        try:
            self._container = av.open(url, format=format, options=options, timeout=limits)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self._name}: cannot be opened: {_reason(error)}, expected a video") from error
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{self._name}: found no image in it, expected a video")
        self._video = self._container.streams.video[0]
        self._video.thread_type = "AUTO"
        self._video.codec_context.thread_count = threads
        self.health = Health()
        self.info = self._header(live)
        self._origin = self.info.start if self._container.format.name in _ARBITRARY_ORIGIN else 0.0
        if self._origin:
            self.info = self._header(live, start=0.0)

    def _header(self, live: bool, start: float | None = None) -> SourceInfo:
        """What the header tells."""
        stream, context = self._video, self._video.codec_context
        if not context.width or not context.height:
            raise InputError(f"{self._name}: the header tells no size, expected a video")
        rate = stream.average_rate or stream.guessed_rate or FALLBACK_RATE
        frames = None
        if not live:
            seconds = self._seconds() or (self._container.duration or 0) / 1e6
            frames = stream.frames or round(seconds * rate) or None
        if start is None:
            start = float((stream.start_time or 0) * (stream.time_base or 0))
        audio = self._container.streams.audio[0] if self._container.streams.audio else None
        aspect = context.sample_aspect_ratio or None
        return SourceInfo(
            self._name, context.width, context.height, Fraction(rate), frames, 0.0 if live else start, live,
            None if aspect == 1 else aspect, audio if self._role == "vi" and not live else None,
        )  # fmt: skip

    def _seconds(self) -> float:
        """Length of the image as the header tells it, without that of the sound; 0 if it tells none."""
        stream = self._video
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        told = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
        return 3600 * int(told[1]) + 60 * int(told[2]) + float(told[3]) if told else 0.0

    def items(self) -> Iterator[Frame | Packet]:
        """Frames and packets of sound; see :meth:`ivfuse.video.source.Source.items`."""
        clock = Clock(self.info.rate, self.health, counts_gaps=not self.info.live)
        self._decoded = 0
        for image in self._images():
            if not hasattr(image, "planes"):
                yield image
                continue
            if image.is_corrupt and not self.info.live:  # the decoder made up what was not there
                self.health.damaged += 1
                self._blame("parts of the image are damaged")
            index = self._decoded
            self._decoded += 1
            placed = clock.place(self._time(image, index))
            if placed is not None:
                yield self._frame(image, placed, index)
        self._check_end(clock)

    def close(self) -> None:
        """Close the file or the device."""
        self._container.close()

    def _images(self) -> Iterator[Any]:
        """Decoded images, and packets of sound as they are."""
        import av

        self._reached = self.info.start
        streams = [x for x in (self._video, self.info.audio) if x is not None]
        packets = self._container.demux(streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self._blame(_reason(error))
                yield from self._decode(None)
                return
            if packet.stream is not self._video:
                if packet.dts is not None:
                    yield packet
                continue
            if packet.is_corrupt and not self.info.live:
                self.health.damaged += 1
                ends = "mov" in self._container.format.name  # the file ends in it
                if ends:
                    yield from self._decode(None)  # what a threaded decoder still holds counts as seen
                self._blame("a packet is incomplete")
                if ends:
                    continue
            yield from self._decode(packet)

    def _decode(self, packet: Packet | None) -> list[VideoFrame]:
        """The images that a packet completes; what cannot be decoded is noted and passed over."""
        import av

        try:
            return self._video.codec_context.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            if not isinstance(error, av.EOFError):
                self.health.damaged += 1
                if not self.info.live:
                    self._blame(_reason(error))
            return []

    def _blame(self, reason: str) -> None:
        self.health.blame(self._name, self._decoded, self._reached, reason)

    def _time(self, image: VideoFrame, index: int) -> float:
        """Seconds of an image on the clock of the source."""
        if self.info.live:
            return clock_time.monotonic()
        base = image.time_base or self._video.time_base  # what is flushed from a decoder has none
        if image.pts is not None and base:
            time = float(image.pts * base)
        else:
            time = self.info.start + self._origin + float(index / self.info.rate)
        self._reached = time - self._origin + float(1 / self.info.rate)
        return float(time - self._origin)

    def _check_end(self, clock: Clock) -> None:
        """Note an end before the one that the header tells."""
        if self.info.live or self.health.broken or self.info.frames is None:
            return
        container = self._container.format.name
        seen = self._decoded + self.health.missing
        # Headers without a count of frames tell a length that may include a longer sound track.
        slack = 2 if self._video.frames or self._seconds() else max(2, round(self.info.rate))
        if ("matroska" in container or self._video.frames) and seen < self.info.frames - slack:
            self._blame(f"it ends here, the header tells {self.info.frames} frames")

    def _frame(self, image: VideoFrame, time: float, index: int) -> Frame:
        """An image as planes, upright, of the size of the first."""
        turned = image.rotation % 360 if image.rotation else 0
        image = _resized(image, self.info)
        if turned and "422" in image.format.name:  # its chroma has another shape when it is turned
            image = image.reformat(format="yuv444p")
        planes, limited = thermal_plane(image) if self._role == "ir" else visible_planes(image)
        if turned in (90, 180, 270):
            planes = tuple(np.ascontiguousarray(np.rot90(x, turned // 90)) for x in planes)
        return Frame(planes, time, index, limited, int(image.colorspace))


def visible_planes(image: VideoFrame) -> tuple[tuple[Plane, ...], bool]:
    """An image as 8-bit luma and chroma, as stored where that is possible; whether its luma is limited."""
    name = image.format.name
    if name not in _PLANAR:
        if image.format.is_rgb or name.startswith("pal"):
            image = image.reformat(format="yuv444p", dst_colorspace="ITU601", dst_color_range="JPEG")
            return _planes(image, np.uint8), False
        gray = len(image.format.components) <= 2
        image = image.reformat(format="gray" if gray else "yuv420p")
    return _planes(image, np.uint8), _is_limited(image)


def thermal_plane(image: VideoFrame) -> tuple[tuple[Plane, ...], bool]:
    """An image as one plane, 8-bit luma or counts of 9 to 16 bit; whether its luma is limited."""
    name = image.format.name
    if name in _COUNTS:
        return _planes(image, np.uint16)[:1], False
    if name == "grayf32le":
        return _planes(image, np.float32)[:1], False
    parts = image.format.components
    if parts[0].bits > 8:
        if not image.format.is_rgb and image.format.is_planar and name.endswith("le"):
            return _planes(image, np.uint16)[:1], False  # the luma of deep YUV
        return _planes(image.reformat(format="gray16le"), np.uint16), False
    if name not in _PLANAR:
        image = image.reformat(format="gray")
    return _planes(image, np.uint8)[:1], _is_limited(image)


def _resized(image: VideoFrame, info: SourceInfo) -> VideoFrame:
    """An image of the size that the source had at first: streams may change theirs."""
    if (image.width, image.height) == (info.width, info.height):
        return image
    return image.reformat(width=info.width, height=info.height)


def _planes(image: VideoFrame, kind: type[Any]) -> tuple[Plane, ...]:
    """Views of the planes of an image; they keep its memory alive."""
    views = []
    for plane in image.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size).view(kind)
        views.append(rows[:, : plane.width])
    return tuple(views)


def _is_limited(image: VideoFrame) -> bool:
    """Whether luma goes from 16 to 235: the rule for YUV unless it is said otherwise, never for gray."""
    name = image.format.name
    if name == "gray":
        return image.color_range == LIMITED
    return not name.startswith("yuvj") and image.color_range != FULL


def _reason(error: BaseException) -> str:
    """What FFmpeg says, without its number and the name of the file."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]
