"""Decoding of image files to arrays of the stored values: 8-bit or 16-bit integers, or floats.

OpenCV decodes the variants that it decodes without loss (JPEG, plain PNG, deep TIFF); Pillow decodes the
others (palettes, BMP, WebP, 8-bit TIFF). The header is checked first for the size and for completeness.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.formats import NAMES, sniff
from ivfuse.image.headers import EXIF_ORIENTATION, BadFileError, Header, read_header
from ivfuse.runtime.files import check_regular
from ivfuse.runtime.limits import pixel_limit

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_ROWS_AT_A_TIME = 256


class TooLargeError(BadFileError):
    """An image whose size exceeds the limit; no memory is allocated for it."""


@dataclass(frozen=True)
class Decoded:
    """The stored pixels of a file, in upright orientation.

    Attributes:
        pixels: (H, W) or (H, W, 3); uint8, uint16, int32 or float32; possibly a view.
        bgr: whether the channels are in B, G, R order instead of R, G, B.
        alpha: opacity, (H, W) of the same type, or ``None``.
        note: a remark about the file for the user, or "".
    """

    pixels: NDArray[Any]
    bgr: bool
    alpha: NDArray[Any] | None
    note: str


def decode(path: Path) -> Decoded:
    """Decode a file.

    Raises:
        InputError: if the file is missing, not an image, damaged or too large.
    """
    kind, data = load(path)
    try:
        return decode_bytes(kind, data)
    except TooLargeError as error:
        raise InputError(f"{path}: {error}") from error
    except BadFileError as error:
        raise InputError(f"{path}: found {error}, expected a complete {NAMES} image") from error


def decode_bytes(kind: str, data: bytes, *, upright: bool = True) -> Decoded:
    """Decode an image in memory.

    Args:
        kind: name of the format, as returned by :func:`ivfuse.image.formats.sniff`.
        data: the whole file.
        upright: whether to apply the EXIF orientation.

    Raises:
        BadFileError: if the image is damaged or too large.
    """
    if kind in ("PNG", "JPEG", "TIFF"):
        header = read_header(kind, data)
        _check_size(header.width, header.height)
        if _fits_opencv(header):
            return _with_opencv(header if upright else replace(header, orientation=1), data)
    return _with_pillow(kind, data)


def load(path: Path) -> tuple[str, bytes]:
    """Read a file and return the name of its format and its bytes.

    Raises:
        InputError: if the file is missing, cannot be read or is not an image.
    """
    expected = f"expected a {NAMES} image"
    check_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
            if not head:
                raise InputError(f"{path}: found an empty file, {expected}")
            kind = sniff(head)
            if kind is None:
                raise InputError(
                    f"{path}: not an image in a supported format (it begins with {head[:8]!r}), {expected}"
                )
            return kind, head + file.read()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file, {expected}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: found a folder, {expected}") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if os.path.isdir(path):  # Windows reports opening a folder as a missing permission
            raise InputError(f"{path}: found a folder, {expected}") from error
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}), {expected}") from error


def _check_size(width: int, height: int) -> None:
    """Reject an invalid or excessive size before memory is allocated for it."""
    if width < 1 or height < 1 or width * height > pixel_limit():
        most = f"{pixel_limit() / 10**6:g} megapixels"
        raise TooLargeError(f"the header states {width}x{height} pixels, expected 1x1 up to {most}")


def _fits_opencv(header: Header) -> bool:
    """Whether OpenCV returns the stored values unchanged."""
    if header.kind == "TIFF":
        deep = header.bits == 16 or (header.floating and header.bits in (32, 64))
        return deep and header.simple and header.samples in (1, 3, 4)
    return header.kind == "JPEG" or header.bits == 16 or header.simple


def _with_opencv(header: Header, data: bytes) -> Decoded:
    """Decode with OpenCV and check that the result has the size stated in the header."""
    import cv2

    if header.kind == "TIFF" and header.planar:
        raise BadFileError(f"a {header.bits}-bit TIFF file with separate color planes (not supported)")
    if header.kind == "JPEG":
        color = cv2.IMREAD_GRAYSCALE if header.samples == 1 else cv2.IMREAD_COLOR
        flags = color | cv2.IMREAD_IGNORE_ORIENTATION
    else:
        flags = cv2.IMREAD_UNCHANGED
    if header.orientation_one and header.orientation != 1:
        # OpenCV applies the orientation of TIFF files regardless of its flags, but not for all depths.
        # Setting the tag to 1 leaves the orientation to turn().
        at, one = header.orientation_one
        data = b"".join((data[:at], one, data[at + len(one) :]))
    try:
        with _quiet(cv2):
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise BadFileError(f"a {header.kind} file that cannot be decoded") from error
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise BadFileError(f"a {header.kind} file that cannot be decoded")
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    if header.inverted and pixels.dtype == np.uint16:
        pixels = 65535 - pixels
    alpha = None
    if pixels.ndim == 3:
        # OpenCV returns gray images with alpha, and palettes, as color images.
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
        gray = header.samples < 3 and header.kind == "PNG"
        pixels = pixels[..., 0] if gray else pixels[..., :3]
    return _upright(pixels, True, alpha, header.orientation, _pages_note(header.more))


@contextmanager
def _quiet(cv2: Any) -> Iterator[None]:
    """Suppress the warnings that OpenCV's decoders print to the console."""
    # The function has moved between OpenCV 4 and 5.
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    level = set_level(0)
    try:
        yield
    finally:
        set_level(level)


def _with_pillow(kind: str, data: bytes) -> Decoded:
    """Decode with Pillow's reader for this format."""
    try:
        with warnings.catch_warnings(action="ignore"), _open_pillow(kind, data) as image:
            _check_size(*image.size)
            more = getattr(image, "n_frames", 1) > 1
            pixels = _pillow_array(image)
            orientation = image.getexif().get(EXIF_ORIENTATION, 1)  # 1 if Pillow has already applied it
    except BadFileError:
        raise
    except MemoryError as error:
        raise BadFileError(f"a {kind} file that needs more memory than is available") from error
    except Exception as error:  # Pillow's readers raise many kinds of exceptions on damaged files
        cut = isinstance(error, EOFError) or any(
            w in str(error).lower() for w in ("truncated", "not enough", "eof")
        )
        raise BadFileError(f"a {'truncated' if cut else 'damaged'} {kind} file") from error
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1]
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return _upright(pixels, False, alpha, orientation, _pages_note(more))


def _open_pillow(kind: str, data: bytes) -> ImageFile:
    """Open an image lazily; ``Image.open`` would load every plugin and apply its own size limit."""
    from io import BytesIO

    file = BytesIO(data)
    if kind == "PNG":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)
    if kind == "TIFF":
        from PIL.TiffImagePlugin import TiffImageFile

        return TiffImageFile(file)
    if kind == "BMP":
        from PIL.BmpImagePlugin import BmpImageFile

        _check_length(kind, int.from_bytes(data[2:6], "little"), len(data))
        return BmpImageFile(file)
    from PIL.WebPImagePlugin import WebPImageFile

    _check_length(kind, int.from_bytes(data[4:8], "little") + 8, len(data))
    return WebPImageFile(file)


def _check_length(kind: str, stated: int, found: int) -> None:
    """Reject a file that is shorter than its header states (0 means unknown)."""
    if found < stated:
        raise BadFileError(f"a truncated {kind} file")


def _pillow_array(image: ImageFile) -> NDArray[Any]:
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


def _upright(
    pixels: NDArray[Any], bgr: bool, alpha: NDArray[Any] | None, orientation: int, note: str
) -> Decoded:
    """Apply the EXIF orientation to pixels and alpha, as views."""
    return Decoded(turn(pixels, orientation), bgr, None if alpha is None else turn(alpha, orientation), note)


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rotate and mirror an image to its upright position (EXIF 2.32, tag 0x0112).

    Args:
        pixels: (H, W) or (H, W, C).
        orientation: EXIF orientation, 1 to 8.

    Returns:
        A view of ``pixels``.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _pages_note(more: bool) -> str:
    return "the first of several images in the file" if more else ""
