"""A description of a video file: its streams, so that one can tell the thermal from the visible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ivfuse.video.container import open_container
from ivfuse.video.open import require_av


def describe_video(path: Path) -> dict[str, Any]:
    """Describe a video file by its header.

    Returns:
        A dictionary: ``file``, ``format``, ``seconds`` and ``streams``, a list with ``type`` (video, audio,
        data or subtitle) and ``codec``, and of videos ``width`` and ``height`` in pixels, ``pixels`` (the
        pixel format by FFmpeg's name), ``rate`` in frames per second and ``frames``; None where the header
        does not say.

    Raises:
        MissingExtraError: if PyAV is not installed.
        InputError: if FFmpeg cannot open the file.
    """
    require_av()
    container = open_container(str(path), str(path), None, live=False)
    with container:
        seconds = None if container.duration is None else container.duration / 1_000_000
        streams = [_describe(stream) for stream in container.streams]
        return {
            "file": str(path),
            "format": container.format.long_name,
            "seconds": seconds,
            "streams": streams,
        }


def _describe(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    facts = {"type": stream.type, "codec": None if context is None else context.name}
    if stream.type == "video" and context is not None:
        rate = stream.average_rate or stream.base_rate
        facts |= {"width": context.width, "height": context.height, "pixels": context.pix_fmt}
        facts |= {"rate": None if rate is None else float(rate), "frames": stream.frames or None}
    return facts
