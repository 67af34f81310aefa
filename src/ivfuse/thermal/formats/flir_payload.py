"""Images inside FLIR records: raw counts and photo, decoded within the size stated by the record."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.decode import decode_bytes
from ivfuse.image.formats import sniff
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.image.tiff import read_tiff_header
from ivfuse.thermal.formats.flir_records import byte_order, ycbcr_to_rgb
from ivfuse.thermal.formats.jpeg_ls import decode_jpeg_ls, is_jpeg_ls

MAX_RASTER_PIXELS = 16_000_000  # limit of a thermal raster; the largest cameras have 1.3 million pixels
MAX_PHOTO_PIXELS = 100_000_000  # limit of a photo
_HEAD = 32  # bytes of a record before its image
_SMOOTHER = 0.5  # ratio of roughness below which the unusual byte order is accepted


@dataclass(frozen=True)
class Raster:
    """Raw counts of the sensor.

    Attributes:
        counts: (H, W) uint16 in the machine's byte order.
        payload: encoding in the file: ``PNG``, ``TIFF``, ``JPEG-LS`` or ``raw``.
        swapped: whether the byte order in the file was the opposite of that of the format.
    """

    counts: NDArray[np.uint16]
    payload: str
    swapped: bool


def raster(record: bytes, median: int = 0) -> Raster:
    """Decode the raw thermal record.

    Args:
        record: bytes of the record.
        median: median of the counts as stated by the camera, which decides the byte order if the image alone
            does not; 0 if unknown.

    Raises:
        BadFileError: if the size is invalid, or the image is truncated, has another size or is not 16-bit.
        MissingExtraError: if the image is JPEG-LS and the extra ``formats`` is not installed.
    """
    order, width, height, content = _open(record, "raw thermal", MAX_RASTER_PIXELS)
    if is_jpeg_ls(content):
        return Raster(decode_jpeg_ls(content, width, height), "JPEG-LS", False)
    kind = sniff(content[:16])
    if kind in ("PNG", "TIFF"):
        header = read_header(kind, content) if kind == "PNG" else read_tiff_header(content)
        if (header.width, header.height, header.bits, header.samples) != (width, height, 16, 1):
            raise BadFileError(
                f"a damaged FLIR file (a raster of {header.width}x{header.height}, {header.bits} bit,"
                f" where the record states {width}x{height}, 16 bit)"
            )
        counts = decode_bytes(kind, content).pixels
        if counts.dtype != np.uint16:
            raise BadFileError(f"a FLIR file whose {kind} raster is not 16-bit")
        # Most cameras write the bytes of PNG values in the wrong order.
        swapped = _swapped(counts, kind == "PNG", median)
        return Raster(counts.byteswap() if swapped else counts, kind, swapped)
    if kind is not None:
        raise BadFileError(f"a FLIR file with a raster compressed as {kind}, which is not supported")
    if len(content) < 2 * width * height:
        raise BadFileError("a truncated FLIR file (the raster is cut off)")
    stored = np.frombuffer(content, order + "u2", width * height).reshape(height, width)
    counts = stored.astype(np.uint16)
    swapped = _swapped(counts, False, median)
    return Raster(counts.byteswap() if swapped else counts, "raw", swapped)


def photo(record: bytes) -> NDArray[np.uint8]:
    """Decode the photo record: JPEG, PNG (with the channels Y, Cb, Cr) or raw values.

    Returns:
        (H, W) or (H, W, 3) uint8 in R, G, B order.

    Raises:
        BadFileError: if the size is invalid, or the image is truncated or of an unknown kind.
    """
    _, width, height, content = _open(record, "photo", MAX_PHOTO_PIXELS)
    kind = sniff(content[:16])
    if kind in ("PNG", "JPEG"):
        header = read_header(kind, content)
        if header.width * header.height > MAX_PHOTO_PIXELS or header.bits != 8:
            raise BadFileError(
                f"a FLIR file with a photo of {header.width}x{header.height}, {header.bits} bit"
            )
        decoded = decode_bytes(kind, content, upright=False)
        pixels = decoded.pixels[..., ::-1] if decoded.bgr and decoded.pixels.ndim == 3 else decoded.pixels
        if kind == "PNG" and pixels.ndim == 3:
            planes = pixels.astype(np.float32)
            return ycbcr_to_rgb(planes[..., 0], planes[..., 1], planes[..., 2], studio=False)
        return np.ascontiguousarray(pixels)
    size = width * height
    if len(content) >= 2 * size and width % 2 == 0:
        return _from_422(np.frombuffer(content, np.uint8, 2 * size).reshape(height, width, 2))
    if len(content) >= size:
        return np.frombuffer(content, np.uint8, size).reshape(height, width).copy()
    raise BadFileError("a FLIR file whose photo is cut off or of an unknown kind")


def _open(record: bytes, name: str, most: int) -> tuple[str, int, int, bytes]:
    """Return the byte order, width, height and encoded image of a record."""
    order = byte_order(record, name)
    if len(record) < _HEAD:
        raise BadFileError(f"a truncated FLIR file (the {name} record is cut off)")
    width, height = struct.unpack_from(order + "HH", record, 2)
    if not 0 < width * height <= most:
        raise BadFileError(f"a damaged FLIR file (a {name} image of {width}x{height})")
    return order, width, height, record[_HEAD:]


def _swapped(counts: NDArray[np.uint16], usual: bool, median: int) -> bool:
    """Whether the bytes of the values are swapped: the image is smoother in the correct byte order.

    Args:
        counts: (H, W) decoded counts.
        usual: the result unless the smoothness of the image clearly contradicts it.
        median: median stated by the camera, which decides if both byte orders are equally smooth.
    """
    other = counts.byteswap()
    rough = [_roughness(x) for x in (counts, other)]
    if rough[0] == rough[1]:
        far = [abs(float(np.median(x)) - median) for x in (counts, other)]
        return usual if not median or far[0] == far[1] else far[1] < far[0]
    if usual:
        return not rough[0] < _SMOOTHER * rough[1]
    return rough[1] < _SMOOTHER * rough[0]


def _roughness(counts: NDArray[np.uint16]) -> float:
    """Sum of the absolute differences between neighboring pixels."""
    values = counts.astype(np.int32)
    return float(sum(np.abs(np.diff(values, axis=axis)).sum(dtype=np.int64) for axis in (0, 1)))


def _from_422(pairs: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert pixels in the order Y, Cb, Y, Cr (4:2:2) to R, G, B."""
    planes = pairs.astype(np.float32)
    blue = np.repeat(planes[:, 0::2, 1], 2, axis=1)
    red = np.repeat(planes[:, 1::2, 1], 2, axis=1)
    return ycbcr_to_rgb(planes[..., 0], blue, red, studio=False)
