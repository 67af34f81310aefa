"""Calls of Pillow and OpenCV that the decoding of several formats shares."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_ROWS_AT_A_TIME = 256
# What OpenCV 4 and 5 put before a line of libtiff.
_BY_OPENCV = rb"OpenCV TIFF: |\[ *(?:WARN|ERROR):[^\n]*TIFF_(?:Warning|Error) "
_LIBTIFF = (
    rb"(?:%s)?((?:tempfile\.tif|_?TIFF\w*|\w*JPEG\w*|\w*(?:Decode|Setup|SetField|PreDecode)\w*): [^\n]*\n)"
    % _BY_OPENCV
)
# Warnings about tags, as those of codecs are about pixels; and a way of writing fax data.
_HARMLESS = r"(?:tempfile\.tif|_?TIFF\w*): Warning|Fax3\w+: [^\n]*without EOL"
_LOG = rb"\[ *[A-Z]+:\d+@[\d.]+\] [^\n]*\n"  # lines of OpenCV's log
_SILENT, ALL = 0, 5  # levels of OpenCV's log; OpenCV 4 passes libtiff's warnings on as debugging only
_stderr_lock = threading.Lock()
_level_lock = threading.Lock()
_levels: list[int] = []  # that threads have asked for
_level_before = 0


@contextmanager
def opencv_log(level: int = _SILENT) -> Iterator[None]:
    """Set the level of OpenCV's log, which is one for all threads: the highest that one of them asked for."""
    import cv2

    global _level_before
    # The function has moved between OpenCV 4 and 5.
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    with _level_lock:
        before = set_level(max((level, *_levels)))
        _level_before = _level_before if _levels else before
        _levels.append(level)
    try:
        yield
    finally:
        with _level_lock:
            _levels.remove(level)
            set_level(max(_levels, default=_level_before))


@contextmanager
def libtiff_errors() -> Iterator[list[str]]:
    """Take the errors that libtiff prints to the standard error while Pillow or OpenCV decodes.

    Pillow does not pass them on, and returns what some of its codecs made of damaged data. Warnings about
    tags and OpenCV's log are dropped; what others print meanwhile is printed after the block.

    Yields:
        A list that contains the errors after the block.
    """
    import tempfile

    errors: list[str] = []
    with _stderr_lock, tempfile.TemporaryFile() as file:
        with suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # a program without a standard error
            yield errors
            return
        try:
            os.dup2(file.fileno(), 2)
            yield errors
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            printed = file.read()
            lines = [line.decode("ascii", "replace").strip() for line in re.findall(_LIBTIFF, printed)]
            errors += [line for line in lines if not re.match(_HARMLESS, line)]
            if others := re.sub(_LOG, b"", re.sub(_LIBTIFF, b"", printed)):
                os.write(2, others)


def pillow_array(image: ImageFile) -> NDArray[Any]:
    """Convert to an array in the nearest lossless mode, a few rows at a time."""
    mode = _plain_mode(image.mode, image.has_transparency_data)
    image.load()
    width, height = image.size
    first = np.asarray(
        image.crop((0, 0, 1, 1)).convert(mode) if mode != image.mode else image.crop((0, 0, 1, 1))
    )
    out = np.empty((height, width, *first.shape[2:]), first.dtype)
    for top in range(0, height, _ROWS_AT_A_TIME):
        rows = image.crop((0, top, width, min(top + _ROWS_AT_A_TIME, height)))
        out[top : top + _ROWS_AT_A_TIME] = np.asarray(rows if mode == image.mode else rows.convert(mode))
    return out.astype(np.uint8) * np.uint8(255) if out.dtype == bool else out


def _plain_mode(mode: str, transparent: bool) -> str:
    """Choose the Pillow mode to convert to: gray stays gray, palettes are expanded."""
    if mode in ("F", "I", "I;16", "RGB", "RGBA", "LA", "L") and not (transparent and mode in ("L", "RGB")):
        return mode
    if mode.startswith("I;16"):
        return "I"
    if mode == "1":
        return "L"
    if mode == "L":
        return "LA"
    if mode in ("P", "PA", "RGB", "RGBX", "CMYK", "YCbCr", "La", "RGBa"):
        return "RGBA" if transparent or mode in ("PA", "RGBa") else "RGB"
    raise BadFileError(f"an image in the unsupported color mode {mode}")
