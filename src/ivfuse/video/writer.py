"""Where a fused video goes: a file with sound, playable at every moment, or a row of PNG images."""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from ivfuse.errors import OutputError, UsageError
from ivfuse.video.frame import FULL, Frame
from ivfuse.video.frame_conversion import format_of, to_pixels, to_video_frame

if TYPE_CHECKING:
    from ivfuse.video.source import Packet

Codec = Literal["auto", "h264", "ffv1", "mpeg4"]

CONTAINERS = (".mp4", ".mkv")
CLOCK = Fraction(1, 60_000)  # seconds per tick: fine, and MPEG-4 allows no finer one
_EARLY = 4096  # packets of sound kept until the first frame comes
_KEYFRAME_SECONDS = 2.0  # a killed run loses what came after the last keyframe or two

# Encoders for H.264 in the order they are tried. libx264 is GPL, so an FFmpeg may be built without it.
_H264 = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")


@dataclass(frozen=True)
class Coding:
    """How a video is written.

    Attributes:
        codec: ``auto`` is H.264, or MPEG-4 part 2 where this FFmpeg has no encoder for H.264.
        crf: quality of libx264, 0 (best) to 51.
        preset: speed of libx264, from ``ultrafast`` to ``veryslow``.
        threads: of the encoder; 0 leaves it to the encoder.
    """

    codec: Codec = "auto"
    crf: int = 20
    preset: str = "veryfast"
    threads: int = 0


class Sink(Protocol):
    """Takes frames in the order of their times."""

    notes: list[str]

    def write(self, frame: Frame) -> None:
        """Write a frame; its time counts from the first one."""
        ...

    def sound(self, packet: Packet) -> None:
        """Write a packet of sound as it is; ignored where no sound goes."""
        ...

    def close(self) -> Path | None:
        """Complete the output and give its place; ``None`` if nothing was written."""
        ...


def open_sink(
    out: str,
    rate: Fraction,
    coding: Coding,
    *,
    audio: Any = None,
    aspect: Fraction | None = None,
    overwrite: bool = False,
) -> Sink:
    """Choose the sink by the name of the output.

    Args:
        out: a .mp4 or .mkv file; a folder, or a pattern like ``out/f_%05d.png``.
        rate: frames per second, on average.
        coding: how a video is written.
        audio: the stream of sound to write beside it.
        aspect: width of a pixel by its height; ``None`` for square ones.
        overwrite: replace what is there.

    Raises:
        UsageError: if the name or the codec does not fit, or the output exists.
        OutputError: if nothing can be written there.
    """
    path = Path(out)
    suffix = path.suffix.lower()
    if suffix in CONTAINERS and not path.is_dir():
        if path.exists() and not overwrite:
            raise UsageError(f"{out}: exists already; --overwrite replaces it")
        return FileSink(path, rate, coding, audio, aspect)
    if suffix and suffix != ".png" and not out.endswith(("/", os.sep)) and not path.is_dir():
        raise UsageError(
            f"{out}: expected a name in {' or '.join(CONTAINERS)}, a folder, or a pattern like f_%05d.png"
        )
    if suffix == ".png" and not re.search(r"%(0\d+)?d", path.name):
        raise UsageError(f"{out}: one image cannot hold a video; expected a pattern like f_%05d.png")
    if coding.codec != "auto":
        raise UsageError(f"--codec {coding.codec} has no meaning for images ({out})")
    return ImageSink(path / "%06d.png" if suffix != ".png" else path, overwrite)


class FileSink:
    """A video file.

    It is written as ``NAME.part.mp4`` (or .mkv) in the output's folder, in pieces that play by themselves,
    and gets its name when it is complete. So even a run that is killed leaves a file that plays, under that
    other name.
    """

    def __init__(
        self, path: Path, rate: Fraction, coding: Coding, audio: Any = None, aspect: Fraction | None = None
    ) -> None:
        """Choose the encoder; the file is made with the first frame."""
        self.path = path
        self.part = path.with_name(f"{path.stem}.part{path.suffix}")
        self.notes: list[str] = []
        self._rate = rate
        self._coding = coding
        self._aspect = aspect
        self._template = audio
        self.encoder = _choose_encoder(path, coding)
        if self.encoder == "mpeg4" and coding.codec in ("auto", "h264"):
            self.notes.append("this FFmpeg has no encoder for H.264; written as MPEG-4 part 2")
        self._container: Any = None
        self._video: Any = None
        self._audio: Any = None
        self._early: deque[Packet] = deque(maxlen=_EARLY)
        self._first = 0.0
        self._last = -1

    def write(self, frame: Frame) -> None:
        """See :meth:`Sink.write`."""
        import av

        try:
            if self._container is None:
                self._open(frame)
            image = to_video_frame(self._trimmed(frame), self._pixels)
            self._last = max(self._last + 1, round((frame.time - self._first) / CLOCK))
            image.pts, image.time_base = self._last, CLOCK
            self._container.mux(self._video.encode(image))
        except (av.FFmpegError, OSError) as error:
            raise OutputError(
                f"{self.path}: cannot be written: {getattr(error, 'strerror', None) or error}"
            ) from error

    def sound(self, packet: Packet) -> None:
        """See :meth:`Sink.sound`; what lies before the first frame is left out."""
        import av

        if self._container is None and self._template is not None:
            self._early.append(packet)
        if self._audio is None or packet.pts is None or packet.dts is None:
            return
        shift = round(self._first / packet.time_base)
        if packet.pts < shift:
            return
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = self._audio
        try:
            self._container.mux(packet)
        except av.FFmpegError as error:
            raise OutputError(f"{self.path}: the sound cannot be written: {error.strerror}") from error

    def close(self) -> Path | None:
        """See :meth:`Sink.close`."""
        import av

        if self._container is None:
            return None
        container, self._container = self._container, None
        try:
            container.mux(self._video.encode(None))
            container.close()
            os.replace(self.part, self.path)
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"{self.path}: cannot be completed: {reason}; see {self.part}") from error
        return self.path

    def _open(self, frame: Frame) -> None:
        """Make the file for frames like this one."""
        import av

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self.part), "w", options=_recoverable(self.path.suffix.lower()))
        video = self._container.add_stream(self.encoder, rate=self._rate, options=self._options())
        self._pixels = _pixel_format(frame, self.encoder)
        trimmed = self._trimmed(frame)
        if trimmed is not frame:
            self.notes.append(
                f"cut from {frame.width}x{frame.height} to {trimmed.width}x{trimmed.height}: "
                f"{self.encoder} takes even sides only"
            )
        video.width, video.height, video.pix_fmt = trimmed.width, trimmed.height, self._pixels
        context = video.codec_context
        context.time_base = CLOCK
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * self._rate))
        context.color_range = FULL if self._pixels == "gray" else frame.color_range
        context.colorspace = frame.matrix
        context.thread_count = self._coding.threads
        if self._aspect:
            context.sample_aspect_ratio = self._aspect
        self._video, self._first = video, frame.time
        self._add_sound()

    def _add_sound(self) -> None:
        if self._template is None:
            return
        name = self._template.codec_context.name
        if name not in self._container.supported_codecs:
            hint = "; .mkv takes more" if self.path.suffix.lower() == ".mp4" else ""
            self.notes.append(f"the sound ({name}) is left out: {self.path.suffix} does not take it{hint}")
            return
        self._audio = self._container.add_stream_from_template(self._template)
        self._container.start_encoding()
        while self._early:
            self.sound(self._early.popleft())

    def _options(self) -> dict[str, str]:
        if self.encoder == "libx264":
            return {"crf": str(self._coding.crf), "preset": self._coding.preset}
        if self.encoder == "ffv1":
            return {"level": "3"}
        if self.encoder == "mpeg4":
            return {"flags": "+qscale", "global_quality": str(118 * 3)}  # quantizer 3 of 1 to 31
        return {"b": "8000000"}

    def _trimmed(self, frame: Frame) -> Frame:
        """The frame with even sides, for the encoders that need them."""
        height, width = frame.height, frame.width
        if self.encoder == "ffv1" or (height % 2 == 0 and width % 2 == 0) or min(height, width) < 2:
            return frame
        luma = frame.planes[0][: height // 2 * 2, : width // 2 * 2]
        chroma = []
        for plane in frame.planes[1:]:
            rows = height // 2 if plane.shape[0] < height else luma.shape[0]
            columns = width // 2 if plane.shape[1] < width else luma.shape[1]
            chroma.append(plane[:rows, :columns])
        return Frame((luma, *chroma), frame.time, frame.index, frame.limited, frame.matrix)


class ImageSink:
    """PNG images, each written whole or not at all, numbered from 0."""

    def __init__(self, pattern: Path, overwrite: bool) -> None:
        """Note the names.

        Raises:
            UsageError: if there are images already and they are not to be replaced.
        """
        from ivfuse.image.pairing import list_images

        self.notes: list[str] = []
        self._pattern = pattern
        self._count = 0
        folder = pattern.parent
        if not overwrite and folder.is_dir() and list_images(folder):
            raise UsageError(f"{folder}: there are images in it already; --overwrite replaces them")

    def write(self, frame: Frame) -> None:
        """See :meth:`Sink.write`."""
        import cv2

        from ivfuse.runtime.files import write_atomic

        pixels = to_pixels(frame)
        path = self._pattern.with_name(self._pattern.name % self._count)
        done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not done:
            raise OutputError(f"{path}: the encoder failed on {pixels.shape}")
        write_atomic(path, np.ascontiguousarray(data).data)
        self._count += 1

    def sound(self, packet: Packet) -> None:
        """Images are silent."""

    def close(self) -> Path | None:
        """See :meth:`Sink.close`."""
        return self._pattern.parent if self._count else None


def _choose_encoder(path: Path, coding: Coding) -> str:
    """The first encoder of the codec that this FFmpeg has."""
    import av

    if coding.codec not in get_args(Codec):
        raise UsageError(f"codec: found {coding.codec!r}, expected one of {', '.join(get_args(Codec))}")
    if coding.codec == "ffv1" and path.suffix.lower() != ".mkv":
        raise UsageError(f"{path}: FFV1 goes into .mkv files")
    wanted = {"h264": _H264, "ffv1": ("ffv1",), "mpeg4": ("mpeg4",)}.get(coding.codec, (*_H264, "mpeg4"))
    for name in wanted:
        try:
            if av.Codec(name, "w").is_encoder:
                return name
        except av.FFmpegError:
            continue
        except ValueError:
            continue
    raise UsageError(f"--codec {coding.codec}: this FFmpeg has none of the encoders {', '.join(wanted)}")


def _recoverable(suffix: str) -> dict[str, str]:
    """Options of the container that make every piece playable as soon as it is written."""
    if suffix == ".mp4":
        # Pieces while it is written, one index when it is complete; an FFmpeg before 7.1 keeps the pieces.
        return {
            "movflags": "+hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof",
            "flush_packets": "1",
        }
    return {"cluster_time_limit": "1000", "flush_packets": "1"}


def _pixel_format(frame: Frame, encoder: str) -> str:
    """What the encoder is given; H.264 and MPEG-4 with chroma of half the sides, which everything plays."""
    return format_of(frame) if encoder == "ffv1" else "yuv420p"
