"""Decoding of the full image of a TIFF file to its stored values, by the first decoder that is exact.

OpenCV decodes deep interleaved samples, Pillow 8 bits and less; tifffile, of the extra ``formats``, the rest.
"""

from __future__ import annotations

import math
import warnings
import zlib
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import MissingExtraError
from ivfuse.image.decoders import ALL, libtiff_errors, opencv_log, pillow_array
from ivfuse.image.directories import COLOR_MAP, BadFileError, UnsupportedFileError, with_directory
from ivfuse.image.tiff import (
    ASSOCIATED,
    CMYK,
    FLOAT,
    MIN_IS_BLACK,
    MIN_IS_WHITE,
    PALETTE,
    RGB,
    SIGNED,
    UNASSOCIATED,
    UNSIGNED,
    YCBCR,
    TiffHeader,
    check_blocks,
)
from ivfuse.image.tiff_blocks import blocks, check_stated_sizes

_LOSSLESS = (1, 5, 8, 32773, 32946)  # compressions that every build of OpenCV and Pillow decodes
_FAX = (2, 3, 4)  # CCITT RLE, Group 3 and Group 4
_PILLOW = (*_LOSSLESS, *_FAX, 7)
_OPENCV_5 = (np.dtype("u4"), np.dtype("u8"), np.dtype("i8"))  # types that older releases do not have
_EXACT = 2**53  # the largest integer up to which float64 is exact


@dataclass(frozen=True)
class TiffPixels:
    """The stored values of a TIFF file, before its orientation is applied.

    Attributes:
        pixels: (H, W) or (H, W, 3) in R, G, B order; uint8, uint16, int32, float32, or float64 for integers
            that int32 does not hold.
        alpha: opacity, (H, W) of the same type, or ``None``.
        white: the value of white where the bits do not fill the type, or ``None``.
        valid: (H, W) bool, false where the file states that there is no data; ``None`` if all are valid.
        note: a remark for the user, or "".
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    white: int | None = None
    valid: NDArray[np.bool_] | None = None
    note: str = ""


def decode_tiff(header: TiffHeader, data: bytes) -> TiffPixels:
    """Decode the image that a header describes; its size must have been checked.

    Raises:
        BadFileError: if the pixels are damaged, or of a kind that cannot be read.
        MissingExtraError: if they are of a kind that the extra ``formats`` reads, and it is not installed.
    """
    check_blocks(header, len(data))
    if header.compression in (8, 32946):
        _check_deflate(header, data)
    if header.format not in (UNSIGNED, SIGNED, FLOAT) or header.samples < header.colors:
        raise header.unsupported()
    unknown = header.samples - header.colors - (_alpha_kind(header) is not None)
    if header.colors == 1 and unknown:
        raise header.unsupported("the meaning of the bands is not stated")
    clean = with_directory(data, header.directory)
    values = _by_opencv(header, clean) if _fits_opencv(header) else None
    if values is not None:
        return _finished(header, values)
    if _fits_pillow(header):
        return _by_pillow(header, clean)
    return _finished(header, _by_tifffile(header, clean))


def _check_deflate(header: TiffHeader, data: bytes) -> None:
    """Verify the checksums of Deflate, which libtiff does not; the inflated data is dropped in parts."""
    most = 4 * header.width * header.height * header.samples * header.bits // 8 + (1 << 24)
    for rest in blocks(header, data):
        inflater = zlib.decompressobj()
        try:
            while rest and not inflater.eof and most > 0:
                most -= len(inflater.decompress(rest, 1 << 20))
                rest = inflater.unconsumed_tail
        except zlib.error as error:
            raise _undecodable(header) from error


def _alpha_kind(header: TiffHeader) -> int | None:
    """The kind of alpha of the first extra sample; OpenCV writes deep RGBA without stating one."""
    if header.extra:
        return header.extra[0] if header.extra[0] in (ASSOCIATED, UNASSOCIATED) else None
    return UNASSOCIATED if header.photometric == RGB and header.samples == 4 and header.bits > 8 else None


def _fits_opencv(header: TiffHeader) -> bool:
    """Whether OpenCV returns the stored values unchanged, as tests verify for each combination."""
    deep = header.bits in (16, 32, 64) or (header.bits == 8 and header.format == SIGNED)
    gray_or_rgb = header.photometric in (MIN_IS_WHITE, MIN_IS_BLACK, RGB) and header.samples in (1, 3, 4)
    half = header.format == FLOAT and header.bits == 16
    return deep and gray_or_rgb and not half and not header.planar and header.compression in _LOSSLESS


def _fits_pillow(header: TiffHeader) -> bool:
    """Whether Pillow returns the stored values, scaled to 8 bits where they are fewer."""
    if header.format != UNSIGNED or header.bits not in (1, 2, 4, 8) or header.compression not in _PILLOW:
        return False
    if header.photometric in (MIN_IS_WHITE, MIN_IS_BLACK, PALETTE):
        return header.samples == 1 or (
            header.samples == 2 and header.extra == (UNASSOCIATED,) and header.photometric == MIN_IS_BLACK
            and header.bits == 8 and not header.planar
        )  # fmt: skip
    return header.bits == 8 and header.photometric in (RGB, CMYK, YCBCR) and header.samples <= 4


def _dtype(header: TiffHeader) -> np.dtype[Any] | None:
    """The type of the stored values, the next larger one for packed bits; ``None`` if there is none."""
    if header.format == FLOAT:
        return np.dtype(f"f{header.bits // 8}") if header.bits in (16, 32, 64) else None
    size = next(size for size in (1, 2, 4, 8) if header.bits <= 8 * size)
    if header.format == SIGNED and header.bits != 8 * size:
        return None
    return np.dtype(f"{'i' if header.format == SIGNED else 'u'}{size}")


def _by_opencv(header: TiffHeader, data: bytes) -> NDArray[Any] | None:
    """Decode with OpenCV; ``None`` if this version of it returns another type."""
    import cv2

    if _dtype(header) in _OPENCV_5 and not hasattr(cv2, "CV_32U"):
        return None
    try:
        with opencv_log():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        raise _undecodable(header) from error
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise _undecodable(header)
    if pixels.dtype != _dtype(header):
        return None
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels


def _undecodable(header: TiffHeader) -> BadFileError:
    return BadFileError(f"a damaged TIFF file with {header}")


def _by_pillow(header: TiffHeader, data: bytes) -> TiffPixels:
    """Decode with Pillow; palettes, CMYK and YCbCr become RGB."""
    from PIL.TiffImagePlugin import TiffImageFile

    listening = libtiff_errors() if header.compression != 1 else nullcontext(list[str]())
    try:
        with (
            listening as errors,
            warnings.catch_warnings(action="ignore"),
            TiffImageFile(BytesIO(data)) as image,
        ):
            if image.size != (header.width, header.height):
                raise header.unsupported()
            if header.compression in _FAX:
                _warn_by_opencv(data)
            values = pillow_array(image)
    except UnsupportedFileError:
        raise
    except BadFileError as error:
        raise header.unsupported() from error
    except MemoryError as error:
        raise BadFileError("a TIFF file that needs more memory than is available") from error
    except Exception as error:  # Pillow raises many kinds of exceptions on damaged files
        raise _undecodable(header) from error
    if errors:  # some codecs go on with the next row
        raise _undecodable(header)
    alpha = None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha = values[..., -1]
        values = values[..., 0] if values.shape[2] == 2 else values[..., :3]
    plain = header.photometric in (MIN_IS_BLACK, RGB) and header.bits == 8
    return TiffPixels(values, alpha, valid=_valid(header, values) if plain else None)


def _warn_by_opencv(data: bytes) -> None:
    """Have OpenCV print libtiff's warnings of fax data, such as rows of a wrong length; Pillow drops them."""
    import cv2

    with opencv_log(ALL), suppress(cv2.error, MemoryError):
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def _by_tifffile(header: TiffHeader, data: bytes) -> NDArray[Any]:
    """Decode with tifffile and imagecodecs."""
    dtype = _dtype(header)
    if dtype is None:
        raise header.unsupported()
    try:
        import logging

        import imagecodecs  # noqa: F401  # tifffile uses it, and would decode without it only in part
        import tifffile
    except ImportError as error:
        raise MissingExtraError(f"a TIFF file with {header}", "formats") from error
    check_stated_sizes(header, data)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # errors are raised; the log adds nothing
    try:
        with tifffile.TiffFile(BytesIO(data)) as file:
            values = np.asarray(file.pages[0].asarray(maxworkers=1))
    except MemoryError as error:
        raise BadFileError("a TIFF file that needs more memory than is available") from error
    except (NotImplementedError, KeyError) as error:
        raise header.unsupported() from error
    except ImportError as error:  # some builds of imagecodecs lack codecs
        raise header.unsupported("imagecodecs was built without this compression") from error
    except Exception as error:  # the codecs raise exceptions of their own
        if "not supported" in str(error) or "not implemented" in str(error):
            raise header.unsupported() from error
        raise _undecodable(header) from error
    if header.planar and values.ndim == 3:
        values = np.moveaxis(values, 0, 2)
    shape = (
        (header.height, header.width)
        if header.samples == 1
        else (header.height, header.width, header.samples)
    )
    if values.shape != shape or values.dtype.newbyteorder("=") != dtype:
        raise header.unsupported(f"decoded to {values.shape} {values.dtype}")
    return values.astype(dtype, copy=False)


def _finished(header: TiffHeader, values: NDArray[Any]) -> TiffPixels:
    """Separate colors and alpha, apply palette and polarity, and convert to the types of the toolkit."""
    if header.photometric == PALETTE and values.ndim == 2:
        return TiffPixels(_colors(header, values))
    jpeg_rgb = header.photometric == YCBCR and header.compression in (7, 50001)  # decoders return RGB
    if header.photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB) and not jpeg_rgb:
        raise header.unsupported()
    colors, alpha, note = values, None, ""
    if values.ndim == 3:
        colors = values[..., 0] if header.colors == 1 else values[..., :3]
        kind = _alpha_kind(header)
        if kind is not None:
            alpha = values[..., header.colors]
        elif header.samples > header.colors:
            note = f"{header.samples - header.colors} further samples per pixel are not used"
        if kind == ASSOCIATED and alpha is not None:
            colors = _unassociated(colors, alpha, header)
    valid = _valid(header, colors)
    top = (1 << header.bits) - 1
    if header.photometric == MIN_IS_WHITE and header.format == UNSIGNED:
        colors = colors.dtype.type(top) - colors
    white = top if header.format == UNSIGNED and header.bits in range(9, 16) else None
    if header.bits < 8:
        colors = (
            colors * np.uint8(255 // top) if 255 % top == 0 else np.rint(colors * (255 / top)).astype("u1")
        )
    return TiffPixels(
        _plain_type(header, colors, valid),
        None if alpha is None else _plain_type(header, alpha, None),
        white, valid, note,
    )  # fmt: skip


def _unassociated(colors: NDArray[Any], alpha: NDArray[Any], header: TiffHeader) -> NDArray[Any]:
    """Divide premultiplied colors by their alpha."""
    top = 1.0 if header.format == FLOAT else float((1 << header.bits) - 1)
    share = np.maximum(alpha.astype(np.float64) / top, np.finfo(np.float32).tiny)
    divided = colors / (share[..., None] if colors.ndim == 3 else share)
    if header.format == FLOAT:
        return np.where(np.isfinite(divided), divided, 0).astype(colors.dtype)
    return np.rint(np.clip(divided, 0, top)).astype(colors.dtype)


def _colors(header: TiffHeader, indices: NDArray[Any]) -> NDArray[np.uint8]:
    """Look up the colors of a palette."""
    table = header.directory.fields.get(COLOR_MAP)
    if table is None or len(table) != 3 << header.bits or indices.dtype.kind != "u":
        raise header.unsupported("no palette of the right size")
    colors = table.reshape(3, -1).T
    levels = (colors >> 8 if colors.max() > 255 else colors).astype(np.uint8)
    return np.asarray(levels[indices], np.uint8)


def _valid(header: TiffHeader, values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Compare with the no-data value; a pixel is without data if all its colors have that value."""
    try:
        nodata = float(header.nodata)
    except ValueError:
        return None
    if math.isnan(nodata):
        empty = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    elif values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            empty = values == values.dtype.type(nodata)
        if abs(nodata) > 1e30:  # extremes of the type are often written with few digits
            empty |= np.isclose(values, nodata, rtol=1e-5, atol=0)
    else:
        empty = values == nodata
    if empty.ndim == 3:
        empty = empty.all(axis=2)
    return ~empty if empty.any() else None


def _plain_type(header: TiffHeader, values: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Convert to uint8, uint16, int32, float32 or, for integers beyond int32, float64; 0 where not valid."""
    if valid is not None:
        values = np.where(valid if values.ndim == 2 else valid[..., None], values, values.dtype.type(0))
    if values.dtype.kind == "f":
        return _to_float32(header, values)
    if values.dtype in (np.uint8, np.uint16):
        return values
    low, high = int(values.min()), int(values.max())
    if low >= -(2**31) and high < 2**31:
        return values.astype(np.int32, copy=False)
    if low < -_EXACT or high > _EXACT:
        raise header.unsupported(f"values from {low} to {high}")
    return values.astype(np.float64)


def _to_float32(header: TiffHeader, values: NDArray[Any]) -> NDArray[np.float32]:
    """Convert floats; signaling NaN become quiet, since every later conversion of them would warn."""
    with np.errstate(invalid="ignore", over="ignore"):
        plain = values.astype(np.float32, copy=False)
    if values.dtype == np.float64 and (np.isinf(plain) & np.isfinite(values)).any():
        finite = values[np.isfinite(values)]
        raise header.unsupported(f"values from {finite.min():g} to {finite.max():g}")
    missing = np.isnan(plain)
    return np.where(missing, np.float32(np.nan), plain) if missing.any() else plain
