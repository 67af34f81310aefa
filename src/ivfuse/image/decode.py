"""Decoding of image files to arrays of the stored values: 8-bit or 16-bit integers, or floats.

OpenCV decodes plain PNG files without loss, libjpeg-turbo decodes JPEG, and Pillow the others (palettes, BMP,
WebP); TIFF files have a module of their own. The header is checked first for the size and for completeness.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, MissingExtraError
from ivfuse.image.decoders import opencv_log, pillow_array
from ivfuse.image.directories import UnsupportedFileError
from ivfuse.image.formats import NAMES, sniff
from ivfuse.image.headers import BadFileError, Header, exif_orientation, read_header, webp_size
from ivfuse.image.jpeg import DamagedError, decode_jpeg
from ivfuse.image.metadata import NO_METADATA, Metadata, read_metadata
from ivfuse.image.png import prepare
from ivfuse.runtime.files import check_regular
from ivfuse.runtime.limits import pixel_limit

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from ivfuse.image.tiff import TiffHeader


SIZE_HINT = "{max_pixels} sets another limit"
DAMAGE_HINT = "{allow_damaged} uses what can be decoded"

_allow_damaged: ContextVar[bool | None] = ContextVar("allow_damaged", default=None)


@contextmanager
def allowing_damage(allow: bool | None = True) -> Iterator[None]:
    """Return what can be decoded of damaged files, with a note, within the block and in this thread.

    A context rather than a parameter, because images also lie inside files of other formats.

    Args:
        allow: ``False`` for an error that suggests to allow it; ``None``, as outside of such blocks, for an
            error that does not, because the caller has no such option.
    """
    before = _allow_damaged.set(allow)
    try:
        yield
    finally:
        _allow_damaged.reset(before)


class TooLargeError(BadFileError):
    """An image whose size exceeds the limit; no memory is allocated for it."""


@dataclass(frozen=True)
class Decoded:
    """The stored pixels of a file, in upright orientation.

    Attributes:
        pixels: (H, W) or (H, W, 3); uint8, uint16, int32 or float32, or float64 for integers that int32 does
            not hold; possibly a view. 0 where ``valid`` is false.
        bgr: whether the channels are in B, G, R order instead of R, G, B.
        alpha: opacity, (H, W) of the same type, or ``None``.
        note: a remark about the file for the user, or "".
        white: the value of white where the bits do not fill the type, as for 12 bits; ``None`` otherwise.
        valid: (H, W) bool, false where the file states that there is no data; ``None`` if all are valid.
        metadata: color profile, significant bits, EXIF and XMP of the file.
    """

    pixels: NDArray[Any]
    bgr: bool
    alpha: NDArray[Any] | None
    note: str
    white: int | None = None
    valid: NDArray[np.bool_] | None = None
    metadata: Metadata = NO_METADATA


def decode(path: Path) -> Decoded:
    """Decode a file.

    Raises:
        InputError: if the file is missing, not an image, damaged, too large or not supported.
        MissingExtraError: if the file needs the extra ``formats``, which is not installed.
    """
    kind, data = load(path)
    try:
        return replace(decode_bytes(kind, data), metadata=read_metadata(kind, data))
    except MissingExtraError as error:
        error.message = f"{path}: {error.message}"
        raise
    except TooLargeError as error:
        raise InputError(f"{path}: {error}", hint=SIZE_HINT) from error
    except UnsupportedFileError as error:
        raise InputError(f"{path}: {error}") from error
    except DamagedError as error:
        expected = f"a complete {NAMES} image"
        hint = DAMAGE_HINT if _allow_damaged.get() is False else None
        raise InputError(f"{path}: found {error}", expected=expected, hint=hint) from error
    except BadFileError as error:
        raise InputError(f"{path}: found {error}, expected a complete {NAMES} image") from error


def upright_size(path: Path) -> tuple[int, int]:
    """Read width and height from the header of a file, as they are after its EXIF orientation is applied.

    Raises:
        InputError: if the file is missing, not an image, or its header is damaged.
    """
    kind, data = load(path)
    try:
        if kind in ("PNG", "JPEG", "TIFF"):
            header = _read_header(kind, data)
            (width, height), orientation = (header.width, header.height), header.orientation
        else:
            with _open_pillow(kind, data) as image:
                (width, height), orientation = image.size, exif_orientation(image.info.get("exif") or b"")
    except Exception as error:  # Pillow's readers raise many kinds of exceptions on damaged files
        found = error if isinstance(error, BadFileError) else f"a damaged {kind} file"
        raise InputError(f"{path}: found {found}, expected a complete {NAMES} image") from error
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def decode_bytes(kind: str, data: bytes, *, upright: bool = True) -> Decoded:
    """Decode an image in memory.

    Args:
        kind: name of the format, as returned by :func:`ivfuse.image.formats.sniff`.
        data: the whole file.
        upright: whether to apply the EXIF orientation.

    Raises:
        BadFileError: if the image is damaged or too large.
    """
    if kind == "TIFF":
        return _decode_tiff(data, upright)
    if kind in ("PNG", "JPEG"):
        header = read_header(kind, data)
        _check_size(header.width, header.height)
        turned = header if upright else replace(header, orientation=1)
        if kind == "PNG":
            return _decode_png(turned, data)
        pixels, note = decode_jpeg(header, data, allow_damaged=bool(_allow_damaged.get()))
        return _upright(_checked(header, pixels), True, None, turned.orientation, note)
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


def _decode_png(header: Header, data: bytes) -> Decoded:
    """Decode palettes and packed bits with Pillow, others with OpenCV, which keeps 16-bit color."""
    data = prepare(header, data)
    if header.bits == 16 or header.simple:
        return _with_opencv(header, data)
    found = _with_pillow("PNG", data)
    return _upright(found.pixels, False, found.alpha, header.orientation, _pages_note(header.more))


def _read_header(kind: str, data: bytes) -> Header | TiffHeader:
    if kind != "TIFF":
        return read_header(kind, data)
    from ivfuse.image.tiff import read_tiff_header

    return read_tiff_header(data)


def _checked(header: Header, pixels: NDArray[Any] | None) -> NDArray[Any]:
    """Reject a decoded image that has not the size stated in the header."""
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise BadFileError(f"a {header.kind} file that cannot be decoded")
    return pixels


def _decode_tiff(data: bytes, upright: bool) -> Decoded:
    """Decode the full image of a TIFF file."""
    from ivfuse.image.decode_tiff import decode_tiff
    from ivfuse.image.tiff import read_tiff_header

    header = read_tiff_header(data)
    _check_size(header.width, header.height)
    found = decode_tiff(header, data)
    orientation = header.orientation if upright else 1
    note = "; ".join(part for part in (found.note, _pages_note(header.more)) if part)
    turned = _upright(found.pixels, False, found.alpha, orientation, note)
    valid = None if found.valid is None else turn(found.valid, orientation)
    return replace(turned, white=found.white, valid=valid)


def _with_opencv(header: Header, data: bytes) -> Decoded:
    """Decode with OpenCV and check that the result has the size stated in the header."""
    import cv2

    try:
        with opencv_log():
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        raise BadFileError(f"a {header.kind} file that cannot be decoded") from error
    pixels: NDArray[Any] = _checked(header, found)
    alpha = None
    if pixels.ndim == 3:
        # OpenCV returns gray images with alpha, and palettes, as color images.
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
        gray = header.samples < 3 and header.kind == "PNG"
        pixels = pixels[..., 0] if gray else pixels[..., :3]
    return _upright(pixels, True, alpha, header.orientation, _pages_note(header.more))


def _with_pillow(kind: str, data: bytes) -> Decoded:
    """Decode with Pillow's reader for this format."""
    try:
        with warnings.catch_warnings(action="ignore"), _open_pillow(kind, data) as image:
            _check_size(*image.size)
            more = getattr(image, "n_frames", 1) > 1
            pixels = pillow_array(image)
            orientation = exif_orientation(image.info.get("exif") or b"")
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
    if kind == "BMP":
        from PIL.BmpImagePlugin import BmpImageFile

        _check_length(kind, int.from_bytes(data[2:6], "little"), len(data))
        image = BmpImageFile(file)
        _check_size(*image.size)
        # Runs of BMP hold at most 255 pixels in two bytes; other compressions expand nothing.
        _check_expansion(kind, image.width * image.height, 255 / 2, len(data))
        return image
    from PIL.WebPImagePlugin import WebPImageFile

    _check_length(kind, int.from_bytes(data[4:8], "little") + 8, len(data))
    _check_size(*webp_size(data))  # opening allocates the whole canvas, twice
    return WebPImageFile(file)


def _check_length(kind: str, stated: int, found: int) -> None:
    """Reject a file that is shorter than its header states (0 means unknown)."""
    if found < stated:
        raise BadFileError(f"a truncated {kind} file")


def _check_expansion(kind: str, size: int, most: float, found: int) -> None:
    """Reject a file that is too short for its pixels by the highest ratio of its compression."""
    if size > most * found + 4096:
        raise BadFileError(f"a truncated {kind} file ({found} bytes cannot hold its pixels)")


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
