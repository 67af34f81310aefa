"""Open a source of frames by its location: a file, images, a topic of a bag, a stream or a camera."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path

from ivfuse.errors import InputError, MissingExtraError, UsageError
from ivfuse.runtime.limits import check_threads
from ivfuse.thermal.formats.base import ThermalFrames
from ivfuse.thermal.formats.raw_frames import raw_video_of
from ivfuse.thermal.formats.registry import open_frames
from ivfuse.video.bags.location import find_bag
from ivfuse.video.image_sequence import ImageSequenceSource, find_images, is_pattern
from ivfuse.video.recording import RecordingSource
from ivfuse.video.source import DEFAULT_RATE, FrameSource, Modality
from ivfuse.video.stream import StreamSource

_DEVICE = re.compile(r"/dev/video\d+")
_Y16 = "gray16le"  # FFmpeg's name of V4L2's pixel format Y16
_ADDRESS = re.compile(r"([a-z][a-z0-9+]+)://", re.IGNORECASE)


def open_source(
    location: str,
    modality: Modality,
    *,
    rate: Fraction | None = None,
    threads: int | None = None,
    stream: int | None = None,
) -> FrameSource:
    """Open a source.

    Args:
        location: a file that FFmpeg reads, or a headerless one of 16-bit frames; the recording of a thermal
            camera; a folder of images, or a pattern like ``ir_%04d.png``; an address like ``rtsp://...``;
            ``camera:0`` or a device like ``/dev/video0``; a topic of a bag like
            ``drive.mcap:/thermal/image_raw``.
        modality: ``ir`` yields one plane in the bit depth of the source; ``vi`` yields 8-bit luma and chroma.
        rate: frames per second of an image sequence, of headerless frames, or of a recording without times.
        threads: number of decoder threads, 1 to 1024; ``None`` lets FFmpeg choose.
        stream: position among the video streams of a file, from 0; ``None`` for the first usable one.

    Raises:
        MissingExtraError: if PyAV, or rosbags for a bag, is not installed.
        InputError: if the source cannot be opened or contains no video.
        UsageError: if the name of a camera is empty, there is no such stream, or the threads are not
            1 to 1024.
    """
    check_threads(threads)
    bag = find_bag(location)
    found = None if bag else find_images(location)
    if (bag or found) and stream is not None:
        raise _no_streams("bags have topics," if bag else "images have", modality, stream)
    if bag is not None:
        from ivfuse.video.bags.source import BagSource

        return BagSource(bag, modality)
    require_av()
    recording = None if found is not None else _recording(location, modality)
    if recording is not None:
        if stream is not None:
            raise _no_streams("the recording has", modality, stream)
        return RecordingSource(location, recording, rate)
    if found is not None:
        return ImageSequenceSource(location, found.images, modality, rate or DEFAULT_RATE, found.notes)
    camera = _camera(location, modality)
    if camera is not None:
        device, driver = camera
        return _open_camera(device, driver, location, modality, stream)
    if (raw := raw_video_of(location)) is not None:
        size, frames = f"{raw.width}x{raw.height}", str(rate or DEFAULT_RATE)
        options = {"video_size": size, "pixel_format": _Y16, "framerate": frames}
        return StreamSource(location, modality, format="rawvideo", options=options, stream=stream)
    return StreamSource(location, modality, live=_is_live(location), threads=threads, stream=stream)


def _is_live(location: str) -> bool:
    """Whether a location is an address on a network and no file; raises InputError if it is neither."""
    address = _ADDRESS.match(location)
    if address is None and not Path(location).exists():
        raise InputError(
            f"{location}: no such file",
            expected="a video, a folder or pattern of images, a topic of a bag like drive.mcap:/thermal, "
            "an address like rtsp://..., or camera:0",
        )
    return address is not None and address[1].lower() != "file"


def open_pair(
    ir: str,
    vi: str,
    *,
    rate: Fraction | None = None,
    ir_stream: int | None = None,
    vi_stream: int | None = None,
) -> tuple[FrameSource, FrameSource]:
    """Open a thermal and a visible source; an image sequence takes the rate of a video beside it.

    Args:
        ir: location of the thermal source, see :func:`open_source`.
        vi: location of the visible source.
        rate: frames per second of image sequences; ``None`` for that of the other source, or 25.
        ir_stream: position of the thermal among the video streams of its file, from 0.
        vi_stream: position of the visible among the video streams of its file.

    Raises:
        MissingExtraError, InputError, UsageError: see :func:`open_source`.
        UsageError: if both sources are the same stream of one file.
        UsageError: if one source is live and the other is recorded.
    """
    if ir_stream == vi_stream and _is_same_file(ir, vi):
        raise UsageError(
            f"{ir}: the thermal and the visible are one {'topic' if find_bag(ir) else 'stream'}",
            hint=None
            if find_bag(ir)
            else "{ir_stream} and {vi_stream} choose the streams of a file that contains both",
        )
    if _states_no_rate(ir) and not _states_no_rate(vi):
        visible = open_source(vi, "vi", stream=vi_stream)
        thermal = open_source(ir, "ir", rate=rate or visible.info.rate, stream=ir_stream)
    else:
        thermal = open_source(ir, "ir", rate=rate, stream=ir_stream)
        vi_rate = rate or (None if _states_no_rate(ir) else thermal.info.rate)
        visible = open_source(vi, "vi", rate=vi_rate, stream=vi_stream)
    if thermal.info.live != visible.info.live:
        for source in (thermal, visible):
            source.close()
        raise UsageError(
            "one source is live and the other is recorded, so their times are not comparable",
            expected="two live or two recorded sources",
        )
    return thermal, visible


def _no_streams(what: str, modality: Modality, stream: int) -> UsageError:
    return UsageError(f"{what} no streams", field=f"{modality}_stream", found=stream, expected="a video file")


def _recording(location: str, modality: Modality) -> ThermalFrames | None:
    """The frames of a thermal camera's recording; ``None`` for another location."""
    if not Path(location).is_file():
        return None
    frames = open_frames(location)
    if frames is not None and modality == "vi":
        raise InputError(f"{location}: found the recording of a thermal camera", expected="a visible video")
    return frames


def _is_same_file(ir: str, vi: str) -> bool:
    """Whether both locations are one file; not so for addresses, which may serve several readers."""
    bags = find_bag(ir), find_bag(vi)
    if None not in bags:
        return bags[0] == bags[1] and bool(bags[0] and bags[0].topic)
    first, second = Path(ir), Path(vi)
    return first.is_file() and second.is_file() and first.samefile(second)


def is_images(location: str) -> bool:
    """Whether a location is a folder or a pattern of images."""
    return find_bag(location) is None and (Path(location).is_dir() or is_pattern(location))


def _states_no_rate(location: str) -> bool:
    """Whether a location is a row of images or of headerless frames."""
    return is_images(location) or raw_video_of(location) is not None


def require_av() -> None:
    """Raise MissingExtraError if PyAV is not installed."""
    try:
        import av  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("video", "video") from error


def _open_camera(device: str, driver: str, name: str, modality: Modality, stream: int | None) -> StreamSource:
    """Open a camera; a thermal one by V4L2 sends 16-bit counts without automatic gain where it can."""
    if modality == "ir" and driver == "v4l2":
        try:
            return StreamSource(
                device,
                modality,
                name=name,
                format=driver,
                options={"input_format": _Y16},
                live=True,
                stream=stream,
            )
        except InputError:  # it has no such format, or cannot be opened, which the next error says
            pass
    return StreamSource(device, modality, name=name, format=driver, live=True, stream=stream)


def _camera(location: str, modality: Modality) -> tuple[str, str] | None:
    """FFmpeg's name of a camera and of the input device that reads it; ``None`` for another location."""
    if _DEVICE.fullmatch(location):
        return location, "v4l2"
    if not location.startswith("camera:"):
        return None
    name = location.removeprefix("camera:")
    if not name:
        raise UsageError(
            field=modality, found=location, expected="a number or a name after the colon, as in camera:0"
        )
    if sys.platform.startswith("linux"):
        return (f"/dev/video{name}" if name.isdigit() else name), "v4l2"
    if sys.platform == "darwin":
        return name, "avfoundation"
    return f"video={name}", "dshow"
