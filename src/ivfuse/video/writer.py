"""Writers of fused video, chosen by the name of the output; a file stays playable if the run is killed."""

from __future__ import annotations

import os
import re
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from ivfuse.errors import OutputError, UsageError, fault_of
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.locks import Lock, take_lock
from ivfuse.video.bags.writer import BagWriter, find_output
from ivfuse.video.frame import FULL, Frame, hdr_notes
from ivfuse.video.frame_conversion import pixel_format_of, to_av_frame
from ivfuse.video.image_writer import ImageSequenceWriter

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket

Codec = Literal["auto", "h264", "ffv1", "mpeg4"]

CONTAINERS = (".mp4", ".mkv")
TIME_BASE = Fraction(1, 60_000)  # seconds per tick; the finest that MPEG-4 allows

_MAX_PENDING_AUDIO = 4096  # packets kept until the first frame arrives
_KEYFRAME_INTERVAL = 2.0  # seconds
_MAX_KEYFRAME_FRAMES = 10_000  # a damaged header can state any rate
_FRAGMENT_SECONDS = 0.2  # of video; a killed run loses the last fragment and what the encoder holds back
_MPEG4_QUANTIZER = 2  # of 1 (best) to 31
_SLICED = 8  # pixels; FFV1 of level 3 cannot divide the planes of smaller frames into slices
_BIT_RATE = 8_000_000  # bits per second, for H.264 encoders without a constant quality mode

# Encoders for H.264 in order of preference. libx264 is GPL, so FFmpeg may be built without it.
_H264_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")

# Shortest and longest side that an encoder of FFmpeg takes, in pixels; others than these are asked.
_SIDES = {"libx264": (2, 16_384), "mpeg4": (1, 8_191)}
# FFmpeg takes frames whose 8 (width + 128) (height + 128) is below this (av_image_check_size in libavutil).
_MOST_BITS = 2**31 - 1


@dataclass(frozen=True)
class EncoderOptions:
    """How a video file is encoded.

    Attributes:
        codec: ``auto`` is H.264, or MPEG-4 Part 2 if FFmpeg has no encoder for H.264.
        crf: quality of libx264, 0 (best) to 51.
        preset: speed of libx264, ``ultrafast`` to ``veryslow``.
        threads: number of encoder threads, 1 to 1024; ``None`` lets the encoder choose.
    """

    codec: Codec = "auto"
    crf: int = 20
    preset: str = "veryfast"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError if the threads are not 1 to 1024."""
        check_threads(self.threads)


class FrameWriter(Protocol):
    """Takes frames in the order of their times."""

    notes: list[str]

    def write(self, frame: Frame) -> None:
        """Write a frame; its time counts from that of the first frame."""
        ...

    def write_audio(self, packet: AudioPacket) -> None:
        """Copy an audio packet; ignored by outputs without audio."""
        ...

    def close(self) -> Path | None:
        """Complete the output and return its path; ``None`` if nothing was written."""
        ...


def open_writer(
    out: str,
    rate: Fraction,
    options: EncoderOptions,
    *,
    audio: tuple[Any, ...] = (),
    overwrite: bool = False,
) -> FrameWriter:
    """Choose a writer by the name of the output.

    Args:
        out: a .mp4 or .mkv file; a folder, or a pattern like ``out/f_%05d.png``; an .mcap file, with a topic
            as in ``out.mcap:/fused/image_raw`` or without.
        rate: average number of frames per second.
        options: how a video file is encoded.
        audio: audio streams of PyAV to copy.
        overwrite: replace an existing output.

    Raises:
        UsageError: if the name or the codec is not valid, or the output exists.
        MissingExtraError: if PyAV, or rosbags for an .mcap file, is not installed.
    """
    bag = find_output(out)
    if bag is not None:
        if options.codec != "auto":
            raise UsageError(field="codec", found=f"{options.codec} for a bag ({out})", expected="auto")
        return BagWriter(bag, overwrite)
    path = Path(out)
    suffix = path.suffix.lower()
    is_folder = path.is_dir() or out.endswith(("/", os.sep))
    if suffix in CONTAINERS and not path.is_dir():
        if path.exists() and not overwrite:
            raise UsageError(f"{out}: exists already", hint="{overwrite} replaces it")
        return VideoFileWriter(path, rate, options, audio, overwrite)
    if suffix and suffix != ".png" and not is_folder:
        names = " or ".join(CONTAINERS)
        raise UsageError(
            field="out",
            found=out,
            expected=f"a name in {names}, a bag in .mcap, a folder, or a pattern like f_%05d.png",
        )
    if suffix == ".png" and not re.search(r"%(0\d+)?d", path.name):
        raise UsageError(
            "one image cannot hold a video", field="out", found=out, expected="a pattern like f_%05d.png"
        )
    if options.codec != "auto":
        raise UsageError(field="codec", found=f"{options.codec} for PNG images ({out})", expected="auto")
    return ImageSequenceWriter(path if suffix == ".png" else path / "%06d.png", overwrite)


class VideoFileWriter:
    """Writes a video file.

    The file is written as ``NAME.part.mp4`` (or .mkv) in the folder of the output, in fragments that are
    playable by themselves, and is renamed when it is complete. So even a run that is killed leaves a file
    that plays, under that other name. A second run that writes the same output is refused; where the system
    has no locks on files, each run has a name of its own for the unfinished file.
    """

    def __init__(
        self,
        path: Path,
        rate: Fraction,
        options: EncoderOptions,
        audio: tuple[Any, ...] = (),
        overwrite: bool = True,
    ) -> None:
        """Choose the encoder; the file is created with the first frame. See :func:`open_writer`."""
        self.path = path
        self.part = _part_of(path, f".part{path.suffix}")
        self.notes: list[str] = []
        self.encoder = _choose_encoder(path, options)
        if self.encoder == "mpeg4" and options.codec in ("auto", "h264"):
            self.notes.append("FFmpeg has no encoder for H.264 here; written as MPEG-4 Part 2")
        self._rate = rate
        self._options = options
        self._audio_templates = audio
        self._overwrite = overwrite
        self._lock: Lock | None = None
        self._container: Any = None
        self._video: Any = None
        self._audio: dict[int, Any] = {}  # streams of the output by the indices of their templates
        self._pending_audio: deque[AudioPacket] = deque(maxlen=_MAX_PENDING_AUDIO)
        self._start = 0.0  # time of the first frame, in seconds
        self._last_tick = -1

    def write(self, frame: Frame) -> None:
        """See :meth:`FrameWriter.write`."""
        import av

        try:
            if self._container is None:
                self._open(frame)
            image = to_av_frame(self._crop_to_even(frame), self._pixel_format)
            self._last_tick = max(self._last_tick + 1, round((frame.time - self._start) / TIME_BASE))
            image.pts, image.time_base = self._last_tick, TIME_BASE
            self._container.mux(self._encode(image))
        except (av.FFmpegError, OSError) as error:
            self._release()
            raise OutputError(f"{self.path}: cannot be written: {fault_of(error)}") from error

    def _encode(self, image: Any) -> Any:
        """Encode a frame; an encoder that fails on the first one leaves no file behind."""
        import av

        try:
            return self._video.encode(image)
        except av.FFmpegError as error:
            if not self._last_tick:
                with suppress(OSError):
                    self.part.unlink()
            self._release()
            raise OutputError(
                f"{self.path}: the encoder {self.encoder} fails on frames of {image.width}x{image.height} "
                f"pixels: {fault_of(error)}",
                hint="a folder of PNG images takes any size",
            ) from error

    def write_audio(self, packet: AudioPacket) -> None:
        """See :meth:`FrameWriter.write_audio`; packets from before the first frame are left out."""
        import av

        if self._container is None and self._audio_templates:
            self._pending_audio.append(packet)
        stream = self._audio.get(packet.stream.index)
        if stream is None or packet.pts is None or packet.dts is None:
            return
        shift = round(self._start / packet.time_base)
        if packet.pts < shift:
            return
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = stream
        try:
            self._container.mux(packet)
        except av.FFmpegError as error:
            raise OutputError(f"{self.path}: the audio cannot be written: {fault_of(error)}") from error

    def close(self) -> Path | None:
        """See :meth:`FrameWriter.close`."""
        import av

        if self._container is None:
            return None
        container, self._container = self._container, None
        try:
            container.mux(self._video.encode(None))
            container.close()
            os.replace(self.part, self.path)
        except (av.FFmpegError, OSError) as error:
            raise OutputError(
                f"{self.path}: cannot be completed: {fault_of(error)}; see {self.part}"
            ) from error
        finally:
            self._release()
        return self.path

    def _open(self, frame: Frame) -> None:
        """Create the file for frames like this one."""
        import av

        cropped = self._crop_to_even(frame)
        self._check_size(cropped)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._container = av.open(str(self.part), "w", options=_fragment_options(self.path.suffix.lower()))
        video = self._container.add_stream(
            self.encoder, rate=self._rate, options=self._encoder_options(cropped.width, cropped.height)
        )
        # Other encoders than FFV1 get 4:2:0, which every player decodes.
        self._pixel_format = pixel_format_of(frame) if self.encoder == "ffv1" else "yuv420p"
        if cropped is not frame:
            self.notes.append(
                f"cut from {frame.width}x{frame.height} to {cropped.width}x{cropped.height}: "
                f"{self.encoder} needs even sides"
            )
        video.width, video.height, video.pix_fmt = cropped.width, cropped.height, self._pixel_format
        context = video.codec_context
        context.time_base = TIME_BASE
        context.gop_size = min(max(1, round(_KEYFRAME_INTERVAL * self._rate)), _MAX_KEYFRAME_FRAMES)
        context.color_range = FULL if self._pixel_format == "gray" else frame.color_range
        context.colorspace, context.color_primaries = frame.matrix, frame.primaries
        context.color_trc = frame.transfer
        context.thread_count = self._options.threads or 0
        if frame.aspect:
            context.sample_aspect_ratio = frame.aspect
        self.notes += hdr_notes(frame)
        self._video, self._start = video, frame.time
        self._add_audio()

    def _check_size(self, frame: Frame) -> None:
        """Refuse a size that the encoder does, of which FFmpeg says no more than that it failed."""
        low, high = _SIDES.get(self.encoder, (1, max(frame.width, frame.height)))
        if not low <= min(frame.width, frame.height) <= max(frame.width, frame.height) <= high:
            expected = f"{low}x{low} to {high}x{high} for the encoder {self.encoder}"
        elif 8 * (frame.width + 128) * (frame.height + 128) >= _MOST_BITS:
            expected = f"about {_MOST_BITS // 8_000_000} million pixels at most"
        else:
            return
        raise OutputError(
            f"{self.path}: found frames of {frame.width}x{frame.height} pixels",
            expected=expected,
            hint="a folder of PNG images takes any size",
        )

    def _take_lock(self) -> None:
        """Claim the unfinished file, or choose a name of its own where files cannot be locked."""
        self._lock = take_lock(self.part, self.path)
        if self._lock is None:
            self.part = _part_of(self.path, f".{secrets.token_hex(4)}.part{self.path.suffix}")
        elif self.path.exists() and not self._overwrite:
            self.part.unlink()
            self._release()
            raise OutputError(f"{self.path}: exists already: another run has written it meanwhile")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _add_audio(self) -> None:
        """Add audio streams like those of the source, and the packets that arrived so far."""
        for template in self._audio_templates:
            context = template.codec_context
            codec = "in an unknown codec" if context is None else context.name
            if codec not in self._container.supported_codecs:
                suffix = self.path.suffix.lower()
                hint = "; .mkv supports more codecs" if context and suffix == ".mp4" else ""
                self.notes.append(f"the audio ({codec}) is left out: {suffix} does not support it{hint}")
                continue
            stream = self._container.add_stream_from_template(template)
            stream.metadata.update(
                {key: value for key, value in template.metadata.items() if key in ("language", "title")}
            )
            self._audio[template.index] = stream
        if self._audio:
            self._container.start_encoding()
        while self._pending_audio:
            self.write_audio(self._pending_audio.popleft())

    def _encoder_options(self, width: int, height: int) -> dict[str, str]:
        if self.encoder == "libx264":
            return {"crf": str(self._options.crf), "preset": self._options.preset}
        if self.encoder == "ffv1":
            return {"level": "3" if min(width, height) >= _SLICED else "1"}
        if self.encoder == "mpeg4":
            # FFmpeg takes the quantizer from the frame, where PyAV cannot set it; the lower limit applies.
            return {"flags": "+qscale", "qmin": str(_MPEG4_QUANTIZER)}
        return {"b": str(_BIT_RATE)}

    def _crop_to_even(self, frame: Frame) -> Frame:
        """Crop the frame to even sides for encoders that need them."""
        height, width = frame.height, frame.width
        if self.encoder == "ffv1" or (height % 2 == 0 and width % 2 == 0) or min(height, width) < 2:
            return frame
        luma = frame.planes[0][: height // 2 * 2, : width // 2 * 2]
        chroma = []
        for plane in frame.planes[1:]:
            rows = height // 2 if plane.shape[0] < height else luma.shape[0]
            columns = width // 2 if plane.shape[1] < width else luma.shape[1]
            chroma.append(plane[:rows, :columns])
        return replace(frame, planes=(luma, *chroma))


def _choose_encoder(path: Path, options: EncoderOptions) -> str:
    """The first encoder of the codec that FFmpeg has."""
    codec = options.codec
    if codec not in get_args(Codec):
        raise UsageError(field="codec", found=codec, expected=f"one of {', '.join(get_args(Codec))}")
    if codec == "ffv1" and path.suffix.lower() != ".mkv":
        raise UsageError("FFV1 goes into .mkv files", field="codec", found=path.name)
    candidates = {"h264": _H264_ENCODERS, "ffv1": ("ffv1",), "mpeg4": ("mpeg4",)}
    names = candidates.get(codec, (*_H264_ENCODERS, "mpeg4"))
    for name in names:
        if _has_encoder(name):
            return name
    raise UsageError(
        field="codec", found=f"{codec}, but FFmpeg has none of the encoders {', '.join(names)} here"
    )


def _has_encoder(name: str) -> bool:
    import av

    try:
        return bool(av.Codec(name, "w").is_encoder)
    except (av.FFmpegError, ValueError):
        return False


def _fragment_options(suffix: str) -> dict[str, str]:
    """Container options that make each fragment playable as soon as it is written."""
    if suffix == ".mp4":
        # Fragments while writing, one index when complete; FFmpeg before 7.1 keeps the fragments. Without an
        # edit list, only negative composition offsets let reordered frames begin with the audio.
        flags = "+hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets"
        microseconds = str(round(_FRAGMENT_SECONDS * 1e6))
        return {"movflags": flags, "frag_duration": microseconds, "flush_packets": "1"}
    milliseconds = str(round(_FRAGMENT_SECONDS * 1e3))
    return {"cluster_time_limit": milliseconds, "flush_packets": "1"}


def _part_of(path: Path, ending: str) -> Path:
    """The unfinished file of an output; its stem is cut where names would exceed 255 bytes."""
    return path.with_name(os.fsencode(path.stem)[: 255 - len(ending)].decode("utf-8", "ignore") + ending)
