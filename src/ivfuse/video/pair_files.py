"""Pairs of frames as image files, for what works on files: fusion of images and registration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.runtime.files import write_atomic
from ivfuse.video.frame import Frame
from ivfuse.video.frame_conversion import to_opencv
from ivfuse.video.queues import NoItem
from ivfuse.video.source import FrameSource
from ivfuse.video.sync import FramePairer

_PNG_COMPRESSION = 1  # of 0 to 9; the files are read once


def paired_frames(ir: FrameSource, vi: FrameSource) -> Iterator[tuple[Frame, Frame]]:
    """Yield each visible frame with the thermal frame nearest in time.

    Raises:
        InputError: if a source breaks; after the pairs before that.
    """
    thermal = (item for item in ir.items() if isinstance(item, Frame))
    pairer = FramePairer(lambda _: next(thermal, NoItem.ENDED), ir.info.rate, vi.info.rate)
    for item in vi.items():
        if not isinstance(item, Frame):
            continue
        match = pairer.match(item.time)
        if match is not None:
            yield match, item
        elif pairer.is_exhausted(item.time):
            break
    for source in (ir, vi):
        if source.stats.failure:
            raise InputError(source.stats.failure)


def write_pairs(
    ir: FrameSource, vi: FrameSource, folder: Path, most: int | None = None
) -> tuple[Path, Path, str]:
    """Write paired frames as ``ir/NAME.png`` (.tiff for floats) and ``vi/NAME.png``.

    Args:
        ir: the thermal source.
        vi: the visible source.
        folder: an existing folder.
        most: number of pairs, which are spread over the video; ``None`` for all.

    Returns:
        The two folders, and where a source broke, or "". NAME is the time of the visible frame: seconds and
        nanoseconds joined by ``_``.

    Raises:
        InputError: if there is no pair.
        OutputError: if a file cannot be written.
    """
    folders = folder / "ir", folder / "vi"
    every = 1 if most is None else max(1, (vi.info.frames or round(most * vi.info.rate)) // most)
    written, failure = 0, ""
    try:
        for index, (thermal, visible) in enumerate(paired_frames(ir, vi)):
            if index % every:
                continue
            name = _name_of(visible)
            _write(folders[0] / name, thermal.planes[0])
            _write(folders[1] / name, to_opencv(visible))
            written += 1
            if written == most:
                break
    except InputError as error:
        failure = str(error)
    if not written:
        raise InputError(failure or f"{ir.info.name} and {vi.info.name}: no frames near in time")
    return *folders, failure


def _name_of(frame: Frame) -> str:
    nanoseconds = frame.header.stamp if frame.header else round(frame.time * 1e9)
    return "{}_{:09d}".format(*divmod(nanoseconds, 10**9))


def _write(path: Path, pixels: NDArray[Any]) -> None:
    is_float = pixels.dtype.kind == "f"
    suffix, options = (".tiff", []) if is_float else (".png", [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION])
    _, data = cv2.imencode(suffix, pixels, options)
    write_atomic(path.with_name(path.name + suffix), np.ascontiguousarray(data).data)
