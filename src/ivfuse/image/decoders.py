"""Calls of Pillow and OpenCV that the decoding of several formats shares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_ROWS_AT_A_TIME = 256


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Suppress the warnings that OpenCV's decoders print to the console."""
    import cv2

    # The function has moved between OpenCV 4 and 5.
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    level = set_level(0)
    try:
        yield
    finally:
        set_level(level)


@cache
def quiet_libtiff() -> None:
    """Turn off the lines that libtiff prints to the console when Pillow decodes damaged files.

    Pillow has no setting for it, but libtiff has: without a handler, errors are only returned. It is set once
    for the process; to restore it after each file would race with decoding in other threads. Where Pillow is
    linked statically (Windows) the setting is out of reach.
    """
    import ctypes

    from PIL import _imaging

    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(_imaging.__file__)  # symbols are also looked up in what it is linked with
        library.TIFFSetErrorHandler.restype = ctypes.c_void_p
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler.restype = ctypes.c_void_p
        library.TIFFSetWarningHandler(None)


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
