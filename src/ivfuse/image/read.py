"""Reading of visible images from files and arrays, with a note on how their values map to [0, 1]."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import (
    TOLERANCE,
    Gray,
    Pixels,
    check_finite,
    checked_image,
    full_scale,
    reverse_channels,
    scale_to_unit,
    strips,
    to_unit,
)
from ivfuse.image.color import WEIGHTS, is_colored
from ivfuse.image.decode import decode
from ivfuse.image.metadata import NO_METADATA, Metadata
from ivfuse.image.profiles import to_srgb

DEPTHS = (10, 12, 14)  # bits that cameras store in 16-bit files


@dataclass(frozen=True)
class Visible:
    """A visible image in memory.

    Attributes:
        stored: (H, W) or (H, W, 3) in R, G, B order; uint8 or uint16 from 0 to full scale, or float32 in
            [0, 1]. Large images stay in the few bytes of their file, and are converted some rows at a time.
        alpha: opacity, (H, W) float32 in [0, 1], or ``None``; the colors are not premultiplied.
        depth: bits per sample of the source: 8, 16, or 32 for floats and 32-bit integers.
        note: one line on how values were mapped, or "".
        metadata: EXIF and XMP of the file, among others.
    """

    stored: NDArray[Any]
    alpha: Gray | None = None
    depth: int = 8
    note: str = ""
    metadata: Metadata = NO_METADATA

    @property
    def pixels(self) -> Pixels:
        """The whole image as float32 in [0, 1], converted at each call."""
        return to_unit(self.stored)

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.stored.shape[0])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.stored.shape[1])


def read_visible(
    source: str | os.PathLike[str] | Any, name: str = "visible", *, as_stored: bool = False
) -> Visible:
    """Read a visible image from a file or an array.

    8-bit values are divided by 255, 16-bit values by 65535, or by the largest value of 10, 12 or 14 bits if
    the file states so or has no larger value. 8-bit colors with another profile are converted to sRGB.
    Floats in [0, 1] are kept; other floats and 32-bit integers of files are stretched from minimum..maximum
    to 0..1. The note states all of this.

    Args:
        source: a PNG, JPEG, TIFF, BMP or WebP file with 8, 16 or 32 bits per sample, or an array as accepted
            by :func:`to_float`. The first page or frame of a file is read, and its EXIF orientation applied.
        name: name of an array in error messages.
        as_stored: whether to ignore color profiles and to use the full range of 16 bits, as for results.

    Returns:
        The image: (H, W) if gray, (H, W, 3) if color or palette, with alpha separate. A uint8, uint16 or
        float32 array is stored as it is, not copied.

    Raises:
        InputError: if the file is missing, not an image, damaged or too large, or contains NaN or infinity.
        ShapeError: if an array is not (H, W), (H, W, 1) or (H, W, 3).
    """
    if not isinstance(source, str | os.PathLike):
        stored = checked_image(source, name)
        return Visible(stored, depth=16 if stored.dtype == np.uint16 else 8)
    path = Path(source)
    decoded = decode(path)
    metadata = Metadata(bits=16) if as_stored else decoded.metadata
    pixels, color_note = to_srgb(decoded.pixels, metadata.profile, bgr=decoded.bgr)
    low, high, note = _range(path, pixels, decoded.valid, decoded.white, metadata.bits)
    alpha = decoded.alpha
    return Visible(
        _in_rgb(pixels, low, high, decoded.bgr),
        None if alpha is None else scale_to_unit(alpha, 0, decoded.white or full_scale(alpha.dtype)),
        min(8 * pixels.dtype.itemsize, 32),
        "; ".join(part for part in (note, color_note, decoded.note) if part),
        decoded.metadata,
    )


class StoredValues(NamedTuple):
    """The stored values of a file as a single channel, in upright orientation.

    Attributes:
        values: (H, W) uint8, uint16, int32, float32, or float64 for integers that int32 does not hold.
        note: one line about the file, or "".
        valid: (H, W) bool, false where the file states that there is no data; ``None`` if all are valid.
        colored: whether the values are the luma of a color image.
        metadata: EXIF and XMP of the file, among others.
    """

    values: NDArray[Any]
    note: str = ""
    valid: NDArray[np.bool_] | None = None
    colored: bool = False
    metadata: Metadata = NO_METADATA


def read_values(path: str | os.PathLike[str]) -> StoredValues:
    """Read the stored values of an image file as a single channel.

    Args:
        path: an image file, see :func:`read_visible`; color is converted to luma, alpha is dropped.

    Raises:
        InputError: see :func:`read_visible`; NaN and infinity are permitted.
    """
    decoded = decode(Path(path))
    values = decoded.pixels
    if values.ndim == 3:
        values = _luma_of_counts(values, decoded.bgr)
    return StoredValues(values, decoded.note, decoded.valid, is_colored(decoded.pixels), decoded.metadata)


def white_level(pixels: NDArray[Any], bits: int = 0) -> tuple[int, str]:
    """Determine the value that represents white in integer pixels, and a note if it is not the largest one.

    Cameras store 10, 12 or 14 bits in 16-bit files, which would appear black. Where the file does not state
    the bits, they are the fewest of these that hold all values.

    Args:
        pixels: uint8 or uint16 array.
        bits: significant bits as stated by the file; 0 if unknown.
    """
    if pixels.dtype != np.uint16:
        return full_scale(pixels.dtype), ""
    most = int(pixels.max())
    if bits == 0 and most > 255:  # darker images say nothing about the depth
        bits = next((each for each in DEPTHS if most < 2**each), 16)
        reason = f"no value is above {2**bits - 1}"
    else:
        reason = "as the file states"
    if not (8 <= bits < 16 and most < 2**bits):
        return full_scale(pixels.dtype), ""
    return 2**bits - 1, f"{bits} bits in 16 ({reason}), scaled to the full range"


def _range(
    path: Path, pixels: NDArray[Any], valid: NDArray[np.bool_] | None, white: int | None, bits: int
) -> tuple[float, float, str]:
    """Determine the values that become 0 and 1 from the pixels with data, and the note."""
    if valid is not None:
        pixels = pixels[valid]
    if white is not None:
        return 0, white, ""
    if pixels.dtype in (np.uint8, np.uint16) or not pixels.size:
        return (0, *white_level(pixels, bits)) if pixels.size else (0, full_scale(pixels.dtype), "")
    check_finite(pixels, str(path))
    low, high = float(pixels.min()), float(pixels.max())
    kind = "float values" if pixels.dtype.kind == "f" else "32-bit integers"
    if pixels.dtype.kind == "f" and low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return 0, 1, ""
    if low == high:
        return low, low + 1, f"{kind}, constant {low:g}, set to 0"
    return low, high, f"{kind}, stretched from {low:.6g} to {high:.6g}"


def _in_rgb(pixels: NDArray[Any], low: float, high: float, bgr: bool) -> NDArray[Any]:
    """R, G, B or gray: integers that use their full scale as they are, all others as float32 in [0, 1]."""
    if pixels.dtype in (np.uint8, np.uint16) and (low, high) == (0, full_scale(pixels.dtype)):
        return reverse_channels(pixels) if bgr and pixels.ndim == 3 else np.ascontiguousarray(pixels)
    return scale_to_unit(pixels, low, high, reverse=bgr)


def _luma_of_counts(values: NDArray[Any], bgr: bool) -> NDArray[Any]:
    """Compute the luma of a color image in the range and type of the file."""
    weights = np.array(WEIGHTS[::-1] if bgr else WEIGHTS, np.float32)
    out = np.empty(values.shape[:2], values.dtype)
    for rows in strips(*values.shape[:2]):
        part = values[rows].astype(np.float32) @ weights
        out[rows] = np.rint(part) if values.dtype.kind in "iu" else part
    return out
