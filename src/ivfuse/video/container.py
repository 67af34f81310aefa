"""Containers that FFmpeg opens, and the choice of a video stream in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ivfuse.errors import InputError, UsageError
from ivfuse.video.source import Modality

SUFFIXES = (
    ".mp4",
    ".mkv",
    ".avi",
    ".mov",
    ".m4v",
    ".ts",
    ".mts",
    ".m2ts",
    ".webm",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
)  # of the files of a folder that FFmpeg reads
VIDEO_SUFFIXES = (*SUFFIXES, ".seq", ".csq")  # and of the recordings of thermal cameras
_OPEN_TIMEOUT, _READ_TIMEOUT = 10.0, 10.0  # seconds before a live source counts as dead
_PROBE_MICROSECONDS = 1_000_000  # FFmpeg analyzes a stream for five seconds by default

# Uncompressed formats whose fourcc FFmpeg's demuxers do not know, as thermal cameras write them into AVI.
_RAW_FORMATS = {"Y16": "gray16le"}


@dataclass(frozen=True)
class VideoTrack:
    """A video stream and its decoder.

    Attributes:
        stream: PyAV's video stream.
        context: PyAV's codec context that decodes its packets.
        packet_bytes: size of each packet of an uncompressed format; ``None`` if sizes vary.
    """

    stream: Any
    context: Any
    packet_bytes: int | None = None


def open_container(
    name: str, url: str, format: str | None, live: bool, options: dict[str, str] | None = None
) -> Any:
    """Open an input of FFmpeg, with timeouts if it is live.

    Args:
        name: name of the source in messages.
        url: a file, an address or a device.
        format: FFmpeg's input format, for devices.
        live: give up when nothing arrives for ten seconds.
        options: of that input format.

    Raises:
        InputError: if it cannot be opened.
    """
    import av

    options = dict(options or {})
    if url.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    if live and format is None:
        options |= {"analyzeduration": str(_PROBE_MICROSECONDS), "fpsprobesize": "5"}
    timeout = (_OPEN_TIMEOUT, _READ_TIMEOUT) if live else None
    try:
        return av.open(url, format=format, options=options, timeout=timeout)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be opened: {reason_of(error)}", expected="a video") from error


def choose_track(container: Any, name: str, modality: Modality, index: int | None = None) -> VideoTrack:
    """Choose a video stream: the one with the given index, or the first that can be decoded.

    Cover images, which audio and video files carry as video streams of one frame, are taken only if there is
    nothing else.

    Args:
        container: PyAV's input container.
        name: name of the source in messages.
        modality: of the source, for messages.
        index: position among the video streams, from 0; ``None`` to choose.

    Raises:
        InputError: if there is no video, or FFmpeg has no decoder for it.
        UsageError: if there is no stream with this index.
    """
    from av.stream import Disposition

    streams = list(container.streams.video)
    if not streams:
        raise InputError(f"{name}: found no image in it", expected="a video")
    if index is not None:
        if not 0 <= index < len(streams):
            raise UsageError(
                f"{name} has {len(streams)} video streams",
                field=f"{modality}_stream",
                found=index,
                expected=f"0 to {len(streams) - 1}" if len(streams) > 1 else "0",
            )
        streams = [streams[index]]
    streams.sort(key=lambda stream: bool(stream.disposition & Disposition.attached_pic))
    for stream in streams:
        track = _track_of(container, stream)
        if track is not None:
            return track
    raise InputError(
        f"{name}: FFmpeg has no decoder for its video, {_codec_of(container, streams[0])}",
        expected="a video in a known codec",
    )


def reason_of(error: BaseException) -> str:
    """FFmpeg's error message, without its number and the file name."""
    if isinstance(error, MemoryError):  # FFmpeg refuses most such sizes by itself
        return "it states sizes for which there is not enough memory"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]


def _track_of(container: Any, stream: Any) -> VideoTrack | None:
    """The stream and its decoder; ``None`` if it cannot be decoded."""
    import av

    if stream.codec_context is not None:
        return VideoTrack(stream, stream.codec_context)
    fourcc, size = _described(container, stream)
    pixel_format = _RAW_FORMATS.get(fourcc)
    if pixel_format is None or not size:
        return None
    context: Any = av.CodecContext.create("rawvideo", "r")
    context.width, context.height = size
    context.pix_fmt = pixel_format
    return VideoTrack(stream, context, size[0] * size[1] * 2)


def _codec_of(container: Any, stream: Any) -> str:
    """The codec of a stream that has no decoder, in words."""
    fourcc = _described(container, stream)[0]
    return f"whose codec is {fourcc!r}" if fourcc else "whose codec the header does not state"


def _described(container: Any, stream: Any) -> tuple[str, tuple[int, int] | None]:
    """Fourcc ("" if unknown), width and height of a stream without a codec context.

    PyAV gives access to them only in FFmpeg's description of the container, which it captures from the log.
    """
    from av import logging

    level = logging.get_level()
    logging.set_level(logging.INFO)
    try:
        text = container.dumps_format()
    finally:
        logging.set_level(level)
    start = rf"Stream #\d+:{stream.index}\b[^\n]*?Video: "
    found = re.search(rf"{start}\w+ (?:\([^()]*\) )?\((.+?) / 0x[0-9A-Fa-f]+\)", text)
    size = re.search(rf"{start}[^\n]*?, (\d+)x(\d+)", text)
    fourcc = found[1].strip() if found else ""
    return fourcc, (int(size[1]), int(size[2])) if size else None
