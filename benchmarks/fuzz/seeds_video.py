"""Videos of half a second in the containers and codecs that people record with, and bags of robots."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from fuzz.seeds import made_by, seeds
from ivfuse.synthetic.street import street_scene

HEIGHT, WIDTH, FRAMES, RATE = 64, 96, 6, 12

# name -> encoder, pixel format, whether it has sound
_CLIPS = {
    "h264.mp4": ("libx264", "yuv420p", True),
    "h264.mkv": ("libx264", "yuv420p", True),
    "mpeg4.avi": ("mpeg4", "yuv420p", False),
    "mjpeg.avi": ("mjpeg", "yuvj420p", False),
    "mjpeg.mov": ("mjpeg", "yuvj420p", False),
    "raw.avi": ("rawvideo", "gray", False),
    "ffv1-16.mkv": ("ffv1", "gray16le", False),
    "ffv1.mkv": ("ffv1", "yuv444p", False),
    "h264.ts": ("libx264", "yuv420p", False),
    "vp9.webm": ("libvpx-vp9", "yuv420p", False),
    "png.avi": ("png", "rgb24", False),
    "hevc.mp4": ("libx265", "yuv420p", False),
    "image.gif": ("gif", "rgb8", False),
}


@seeds("video")
def clips() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return {name: _clip(Path(folder) / name, *facts) for name, facts in _CLIPS.items()}


@seeds("video")
def bags() -> dict[str, bytes]:
    """A thermal and a visible topic; ROS 2 with images as they are, ROS 1 with compressed ones."""
    made, scene = made_by("synthetic_bags"), street_scene(HEIGHT, WIDTH, 0)
    ir, vi = (6000 + 2000 * scene.ir).astype(np.uint16), np.rint(scene.vi * 255).astype(np.uint8)
    found = {}
    for name, generation in (("drive.mcap", 2), ("drive.bag", 1)):
        messages = made.Messages(generation)
        visible = messages.compressed if generation == 1 else partial(messages.image, encoding="rgb8")
        items = []
        for time in range(made.START, made.START + 3 * made.PERIOD, made.PERIOD):
            items.append(("/thermal", time, messages.image(time, ir, "mono16")))
            items.append(("/visible", time, visible(time, vi)))
        with tempfile.TemporaryDirectory() as folder:
            found[name] = made.write_bag(Path(folder) / name, messages, items).read_bytes()
    return found


def _clip(path: Path, encoder: str, pixels: str, sound: bool) -> bytes:
    scene = street_scene(HEIGHT, WIDTH, 0)
    options = (
        {"x265-params": "log-level=none:pools=none:frame-threads=1:no-wpp=1"} if encoder == "libx265" else {}
    )
    with av.open(str(path), "w") as container:
        video = container.add_stream(encoder, rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, pixels
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for index in range(FRAMES):
            image = np.roll(np.rint(scene.vi * 255).astype(np.uint8), index, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
            tone.sample_rate, tone.pts = 8000, 0
            container.mux([*audio.encode(tone), *audio.encode(None)])
    return path.read_bytes()
