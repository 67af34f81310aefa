"""Video files, cameras and network streams, read through PyAV (FFmpeg)."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ivfuse.errors import InputError, IvfuseError
from ivfuse.runtime.limits import check_threads
from ivfuse.video.camera_frames import CameraFrames
from ivfuse.video.container import choose_track, open_container, reason_of
from ivfuse.video.frame import (
    BT601,
    FULL,
    LIMITED,
    RGB_MATRIX,
    UNSPECIFIED,
    Frame,
    Plane,
    is_colored_yuv,
)
from ivfuse.video.source import DEFAULT_RATE, Modality, SourceInfo, SourceStats, TimestampNormalizer

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from ivfuse.video.source import AudioPacket

_PLANAR_8_BIT = {f"yuv{j}{sub}p" for j in ("", "j") for sub in (420, 422, 444)} | {"gray"}
_DEEP_GRAY = {f"gray{bits}le" for bits in (9, 10, 12, 14, 16)}
_ARBITRARY_ORIGIN = {"mpegts", "mpeg", "rtsp", "sdp", "rtp"}  # formats whose first time has no meaning
_LENGTH_TOLERANCE = 2  # frames by which a header may overstate the length


class StreamSource:
    """A video that FFmpeg reads, as a :class:`~ivfuse.video.source.FrameSource`."""

    def __init__(
        self,
        url: str,
        modality: Modality,
        *,
        name: str = "",
        format: str | None = None,
        options: dict[str, str] | None = None,
        live: bool = False,
        threads: int | None = None,
        stream: int | None = None,
    ) -> None:
        """Open the video and read its header.

        Args:
            url: a file, an address or a device.
            modality: see :func:`ivfuse.video.open.open_source`.
            name: name of the source in messages; ``url`` by default.
            format: FFmpeg's input format, for devices and headerless files.
            options: of that input format.
            live: frames are timed by their arrival, and the source fails when none arrives for ten seconds.
            threads: number of decoder threads, 1 to 1024; ``None`` lets FFmpeg choose.
            stream: position among the video streams, from 0; ``None`` for the first that can be decoded.

        Raises:
            InputError: if it cannot be opened or contains no video that FFmpeg decodes.
            UsageError: if there is no such stream, or the threads are not 1 to 1024.
        """
        check_threads(threads)
        self._name = name or url
        self._modality = modality
        self._container = open_container(self._name, url, format, live, options)
        try:
            self._track = choose_track(self._container, self._name, modality, stream)
            self._video = self._track.stream
            # Threads that decode one frame each hold back as many frames as there are threads.
            self._track.context.thread_type = "SLICE" if live else "AUTO"
            self._track.context.thread_count = threads or 0
            self.stats = SourceStats()
            self._camera = CameraFrames.of(self._track.context) if modality == "ir" else None
            self.info = self._read_header(live)
        except IvfuseError:
            self._container.close()
            raise
        self._origin = self.info.start if self._container.format.name in _ARBITRARY_ORIGIN else 0.0
        if self._origin:
            self.info = self._read_header(live, start=0.0)
        context = self._track.context
        self._size = context.width, context.height
        self._decoded = 0
        self._position = self.info.start  # seconds, where the next frame is expected

    def _read_header(self, live: bool, start: float | None = None) -> SourceInfo:
        """The facts in the header; ``start`` replaces the time of the first frame."""
        stream, context = self._video, self._track.context
        if not context.width or not context.height:
            raise InputError(f"{self._name}: the header does not state the image size", expected="a video")
        rate = Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
        frames = None if live else self._stated_frames(rate)
        if start is None:
            start = self._stated_start()
        return SourceInfo(
            name=self._name,
            width=context.width,
            height=self._camera.rows if self._camera else context.height,
            rate=rate,
            frames=frames,
            start=0.0 if live else start,
            live=live,
            audio=tuple(self._container.streams.audio) if self._modality == "vi" and not live else (),
        )

    def _stated_start(self) -> float:
        """Time of the first frame according to the header, in seconds."""
        return float((self._video.start_time or 0) * (self._video.time_base or 0))

    def _stated_frames(self, rate: Fraction) -> int | None:
        """Number of frames according to the header; ``None`` if the header does not state it."""
        exact = self._video_seconds()
        seconds = exact or (self._container.duration or 0) / 1e6
        if not exact and self._is_matroska:
            seconds -= self._stated_start()
        frames: int | None = self._video.frames
        if frames and exact:  # an edit list shows a part of the frames that the file contains
            shown = round(exact * rate)
            return shown if shown + _LENGTH_TOLERANCE < frames else frames
        return frames or max(0, round(seconds * rate)) or None

    def _video_seconds(self) -> float:
        """Duration of the video track alone according to the header; 0 if the header does not state it."""
        stream = self._video
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        # Matroska writes the time at which the track ends as a tag.
        tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
        end = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) if tag else 0.0
        return max(0.0, end - self._stated_start())

    @property
    def _is_matroska(self) -> bool:
        return "matroska" in self._container.format.name

    def items(self) -> Iterator[Frame | AudioPacket]:
        """Yield frames and audio packets; see :meth:`ivfuse.video.source.FrameSource.items`."""
        timestamps = TimestampNormalizer(self.info.rate, self.stats, detect_gaps=not self.info.live)
        for item in self._demux():
            if not hasattr(item, "planes"):
                yield item
                continue
            if item.is_corrupt and not self.info.live:  # the decoder filled in what was lost
                self.stats.damaged += 1
                self._record_failure("parts of the image are damaged")
            index = self._decoded
            self._decoded += 1
            time = timestamps.normalize(self._time_of(item, index))
            if time is not None:
                yield self._to_frame(item, time, index)
        self._check_length()

    def close(self) -> None:
        """Close the file or the device."""
        self._container.close()

    def _demux(self) -> Iterator[Any]:
        """Yield decoded images, and audio packets as they are stored."""
        import av

        streams = [self._video, *self.info.audio]
        packets = self._container.demux(streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self._record_failure(reason_of(error))
                yield from self._decode(None)
                return
            if packet.stream is not self._video:
                if packet.dts is not None:
                    yield packet
            elif packet.is_corrupt and not self.info.live:
                yield from self._decode_incomplete(packet)
            else:
                yield from self._decode(packet)

    def _decode_incomplete(self, packet: Any) -> Iterator[VideoFrame]:
        """Decode a packet of which a part is missing."""
        self.stats.damaged += 1
        if "mov" not in self._container.format.name:
            self._record_failure("a packet is incomplete")
            yield from self._decode(packet)
            return
        # An MP4 file that was cut ends here: the frames that a threaded decoder still holds come first.
        yield from self._decode(None)
        self._record_failure("a packet is incomplete")

    def _decode(self, packet: Any) -> list[VideoFrame]:
        """The images that a packet completes; what cannot be decoded is recorded and skipped."""
        import av

        expected = self._track.packet_bytes
        try:
            if expected and packet is not None and packet.size not in (0, expected):
                raise ValueError(f"found a packet of {packet.size} bytes, expected {expected}")
            images: list[VideoFrame] = self._track.context.decode(packet)
            return images
        except (av.FFmpegError, ValueError) as error:
            if not isinstance(error, av.EOFError):
                self.stats.damaged += 1
                if not self.info.live:
                    self._record_failure(reason_of(error))
            return []

    def _record_failure(self, reason: str) -> None:
        self.stats.record_failure(self._name, self._decoded, self._position, reason)

    def _time_of(self, image: VideoFrame, index: int) -> float:
        """Time of an image on the clock of the source, in seconds."""
        if self.info.live:
            return clock.monotonic()
        base = image.time_base or self._video.time_base  # images flushed from a decoder have none
        if image.pts is not None and base:
            time = float(image.pts * base)
        else:
            time = self.info.start + self._origin + float(index / self.info.rate)
        self._position = time - self._origin + float(1 / self.info.rate)
        return float(time - self._origin)

    def _check_length(self) -> None:
        """Record a failure if the source ended before the length that its header states."""
        if self.info.live or self.stats.failure or self.info.frames is None:
            return
        states_length = self._is_matroska or self._video.frames
        # Without a frame count or a duration of the video track, the length may be that of longer audio.
        exact = self._video.frames or self._video_seconds()
        tolerance = _LENGTH_TOLERANCE if exact else max(_LENGTH_TOLERANCE, round(self.info.rate))
        if states_length and self._decoded + self.stats.missing < self.info.frames - tolerance:
            self._record_failure(f"it ends here, but the header states {self.info.frames} frames")

    def _to_frame(self, image: VideoFrame, time: float, index: int) -> Frame:
        """Planes of an image, upright and in the size of the first image."""
        rotation = image.rotation % 360 if image.rotation else 0
        matrix, primaries, transfer = _color_of(image)
        image = _resize(image, *self._size)
        planes: tuple[Plane, ...]
        if self._camera is not None:
            planes, limited = (self._camera.thermal(image),), False
            self.info = replace(self.info, notes=self._camera.notes)
        else:
            if rotation and "422" in image.format.name:  # rotated 4:2:2 chroma is not 4:2:2
                image = image.reformat(format="yuv444p")
            planes, limited = thermal_plane(image) if self._modality == "ir" else visible_planes(image)
            if not index and (_is_rgb(image) or len(image.format.components) >= 3):
                self.info = replace(self.info, colored=is_colored_yuv(visible_planes(image)[0]))
        if rotation in (90, 180, 270):
            planes = tuple(np.ascontiguousarray(np.rot90(plane, rotation // 90)) for plane in planes)
        if not index:
            height, width = planes[0].shape
            self.info = replace(self.info, width=width, height=height)
        return Frame(planes, time, index, limited, matrix, primaries, transfer, self._aspect(rotation))

    def _aspect(self, rotation: int) -> Fraction | None:
        """Width of a pixel divided by its height after the rotation; ``None`` for square pixels."""
        aspect = self._video.sample_aspect_ratio or self._track.context.sample_aspect_ratio
        if not aspect or aspect == 1:
            return None
        return Fraction(1 / aspect if rotation in (90, 270) else aspect)


def visible_planes(image: VideoFrame) -> tuple[tuple[Plane, ...], bool]:
    """8-bit luma and chroma of an image, as stored where possible; and whether its range is limited."""
    name = image.format.name
    if name in _PLANAR_8_BIT:
        return _planes(image, np.uint8), _is_limited(image)
    if _is_rgb(image):
        image = image.reformat(format="yuv444p", dst_colorspace="ITU601", dst_color_range="JPEG")
        return _planes(image, np.uint8), False
    if len(image.format.components) <= 2:
        limited = image.color_range == LIMITED  # FFmpeg converts gray within its range
        return _planes(image.reformat(format="gray"), np.uint8), limited
    limited = _is_limited(image)
    color_range = LIMITED if limited else FULL
    image = image.reformat(
        format=_nearest_8_bit(image), src_color_range=color_range, dst_color_range=color_range
    )
    return _planes(image, np.uint8), limited


def thermal_plane(image: VideoFrame) -> tuple[tuple[Plane, ...], bool]:
    """One plane of an image: 8-bit luma, 9- to 16-bit counts or floats; and whether its range is limited."""
    name = image.format.name
    if name in _DEEP_GRAY:
        return _planes(image, np.uint16)[:1], False
    if name == "grayf32le":
        return _planes(image, np.float32)[:1], False
    components = image.format.components
    if components[0].bits > 8:
        if not image.format.is_rgb and image.format.is_planar and name.endswith("le"):
            return _planes(image, np.uint16)[:1], False  # the luma of deep YUV
        return _planes(image.reformat(format="gray16le"), np.uint16), False
    if name in _PLANAR_8_BIT:
        return _planes(image, np.uint8)[:1], _is_limited(image)
    # FFmpeg expands the luma of limited YUV to full range when it converts it to gray.
    limited = len(components) <= 2 and image.color_range == LIMITED
    return _planes(image.reformat(format="gray"), np.uint8)[:1], limited


def _nearest_8_bit(image: VideoFrame) -> str:
    """The 8-bit planar YUV format that holds the chroma of an image at its resolution."""
    chroma = image.format.components[1]
    if chroma.height < image.height:
        return "yuv444p" if chroma.width == image.width > 1 else "yuv420p"
    return "yuv444p" if chroma.width == image.width else "yuv422p"


def _is_rgb(image: VideoFrame) -> bool:
    return image.format.is_rgb or image.format.name.startswith("pal")


def _color_of(image: VideoFrame) -> tuple[int, int, int]:
    """Matrix, primaries and transfer function of the YUV planes that an image becomes (H.273)."""
    matrix = BT601 if _is_rgb(image) else int(image.colorspace)
    if matrix == RGB_MATRIX:  # planes are never R, G and B
        matrix = UNSPECIFIED
    primaries = int(getattr(image, "color_primaries", UNSPECIFIED))
    return matrix, primaries, int(getattr(image, "color_trc", UNSPECIFIED))


def _resize(image: VideoFrame, width: int, height: int) -> VideoFrame:
    """Resize an image to the initial size of the source: streams may change theirs."""
    if (image.width, image.height) == (width, height):
        return image
    return image.reformat(width=width, height=height)


def _planes(image: VideoFrame, dtype: type[Any]) -> tuple[Plane, ...]:
    """Views of the planes of an image; they keep its memory alive."""
    views = []
    for plane in image.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size).view(dtype)
        views.append(rows[:, : plane.width])
    return tuple(views)


def _is_limited(image: VideoFrame) -> bool:
    """Whether luma is 16..235: the default of YUV unless the file states otherwise, never of gray."""
    name = image.format.name
    if name == "gray":
        return image.color_range == LIMITED
    return not name.startswith("yuvj") and image.color_range != FULL
