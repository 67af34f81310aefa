"""Small moving scenes, and clips of them in the codecs that the tests need, made with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ivfuse.synthetic.street import street_scene

HEIGHT, WIDTH, FRAMES, RATE = 64, 96, 12, 12

Array = NDArray[Any]


@dataclass(frozen=True)
class Moving:
    """A scene that moves: thermal (N, H, W) and visible (N, H, W, 3), uint8."""

    ir: Array
    vi: Array


@pytest.fixture(scope="session", autouse=True)
def _needs_av() -> None:
    pytest.importorskip("av", reason="video needs PyAV (the extra video)")


@pytest.fixture(scope="session")
def moving() -> Moving:
    """A street that a warm, bright object passes."""
    scene = street_scene(HEIGHT, WIDTH, 3, "dusk")
    ir = np.repeat(np.rint(scene.ir * 255).astype(np.uint8)[np.newaxis], FRAMES, 0)
    vi = np.repeat(np.rint(scene.vi * 255).astype(np.uint8)[np.newaxis], FRAMES, 0)
    for index in range(FRAMES):
        left = 4 + index * 6
        ir[index, 20:36, left : left + 10] = 240
        vi[index, 20:36, left : left + 10] = (200, 60, 40)
    return Moving(ir, vi)


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., Path]:
    """Write frames into a video file; see :func:`_write_clip`."""
    return _write_clip


def _write_clip(
    path: Path,
    frames: Sequence[Array] | Array,
    *,
    codec: str = "ffv1",
    pixels: str | None = None,
    rate: int = RATE,
    times: Sequence[float] | None = None,
    audio: str | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    color_range: int | None = None,
) -> Path:
    """Write a clip.

    Args:
        path: the suffix chooses the container.
        frames: (H, W) uint8 or uint16, or (H, W, 3) uint8 R, G, B.
        codec: FFmpeg's name of an encoder.
        pixels: FFmpeg's pixel format; ``None`` for the one nearest to the arrays.
        rate: frames per second.
        times: of the frames, in seconds; ``None`` for even ones from 0.
        audio: encoder of a sine tone.
        options, container: of the encoder and the container.
        color_range: 1 limited, 2 full.
    """
    import av

    first = frames[0]
    given = "rgb24" if first.ndim == 3 else "gray16le" if first.dtype == np.uint16 else "gray"
    pixels = pixels or ("yuv444p" if given == "rgb24" else given)
    tick = Fraction(1, 12_000)
    with av.open(str(path), "w", options=container or {}) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width, stream.pix_fmt = first.shape[0], first.shape[1], pixels
        stream.codec_context.time_base = tick
        if color_range:
            stream.codec_context.color_range = color_range
        if audio:
            _add_tone(out, audio, len(frames) / rate)
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=given)
            if frame.format.name != pixels:
                counts = pixels.startswith("gray1") and given == "gray16le"
                frame = _as_counts(array, pixels) if counts else frame.reformat(format=pixels)
            frame.pts = round((times[index] if times else index / rate) / tick)
            frame.time_base = tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _as_counts(array: Array, pixels: str) -> Any:
    """Copy counts of 10 to 14 bit: the conversion of FFmpeg would scale them."""
    import av

    frame = av.VideoFrame(array.shape[1], array.shape[0], pixels)
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size).view(np.uint16)
    rows[:, : plane.width] = array
    return frame


def _add_tone(out: Any, codec: str, seconds: float) -> None:
    """Add an audio stream with a sine tone."""
    import av

    stream: Any = out.add_stream(codec, rate=8000)
    stream.layout = "mono"
    wave = (np.sin(np.arange(round(seconds * 8000)) * 2 * np.pi * 440 / 8000) * 8000).astype(np.int16)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(
            wave[np.newaxis, start : start + 1024], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, moving: Moving) -> tuple[Path, Path]:
    """A thermal and a visible clip of the moving scene, lossless."""
    folder = tmp_path_factory.mktemp("clips")
    return _write_clip(folder / "ir.mkv", moving.ir), _write_clip(folder / "vi.mkv", moving.vi, audio="aac")


@pytest.fixture(scope="session")
def read_clip() -> Callable[[Path], list[Array]]:
    """Decode a file to R, G, B images."""
    return _read_clip


def _read_clip(path: Path) -> list[Array]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
