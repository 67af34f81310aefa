"""Reading of visible images from files and arrays as float32 in [0, 1], with a note on the value mapping."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import (
    TOLERANCE,
    Gray,
    Pixels,
    check_finite,
    full_scale,
    scale_to_unit,
    strips,
    to_float,
)
from ivfuse.image.color import WEIGHTS, is_colored
from ivfuse.image.decode import Decoded, decode


@dataclass(frozen=True)
class Visible:
    """A visible image in memory.

    Attributes:
        pixels: (H, W) or (H, W, 3) in R, G, B order, float32 in [0, 1].
        alpha: opacity, (H, W) float32 in [0, 1], or ``None``; the colors are not premultiplied.
        depth: bits per sample of the source: 8, 16, or 32 for floats and 32-bit integers.
        note: one line on how values were mapped, or "".
    """

    pixels: Pixels
    alpha: Gray | None = None
    depth: int = 8
    note: str = ""

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])


def read_visible(source: str | os.PathLike[str] | Any, name: str = "visible") -> Visible:
    """Read a visible image from a file or an array.

    8-bit values are divided by 255, 16-bit values by 65535. Floats in [0, 1] are kept; other floats and
    32-bit integers of files are stretched from minimum..maximum to 0..1, which is stated in the note.

    Args:
        source: a PNG, JPEG, TIFF, BMP or WebP file with 8, 16 or 32 bits per sample, or an array as accepted
            by :func:`to_float`. The first page or frame of a file is read, and its EXIF orientation applied.
        name: name of an array in error messages.

    Returns:
        The image: (H, W) if gray, (H, W, 3) if color or palette, with alpha separate. The pixels of a float32
        array are the array itself.

    Raises:
        InputError: if the file is missing, not an image, damaged or too large, or contains NaN or infinity.
        ShapeError: if an array is not (H, W), (H, W, 1) or (H, W, 3).
    """
    if not isinstance(source, str | os.PathLike):
        pixels = to_float(source, name)
        return Visible(pixels, depth=16 if getattr(source, "dtype", None) == np.uint16 else 8)
    path = Path(source)
    decoded = decode(path)
    low, high, note = _range(path, decoded.pixels)
    alpha = decoded.alpha
    return Visible(
        scale_to_unit(decoded.pixels, low, high, reverse=decoded.bgr),
        None if alpha is None else scale_to_unit(alpha, 0, full_scale(alpha.dtype)),
        min(8 * decoded.pixels.dtype.itemsize, 32),
        "; ".join(part for part in (note, decoded.note) if part),
    )


def read_values(path: str | os.PathLike[str]) -> tuple[NDArray[Any], str]:
    """Read the stored values of an image file as a single channel.

    Args:
        path: an image file, see :func:`read_visible`; color is converted to luma, alpha is dropped.

    Returns:
        (H, W) uint8, uint16, int32 or float32 in upright orientation, and one line about the file or "".

    Raises:
        InputError: see :func:`read_visible`; NaN and infinity are permitted.
    """
    decoded = decode(Path(path))
    return _single_channel(decoded), decoded.note


def read_counts(path: str | os.PathLike[str]) -> tuple[NDArray[Any], str, bool]:
    """Read as :func:`read_values` does; the third result is whether the image is in color."""
    decoded = decode(Path(path))
    return _single_channel(decoded), decoded.note, is_colored(decoded.pixels)


def _single_channel(decoded: Decoded) -> NDArray[Any]:
    values = decoded.pixels
    return _luma_of_counts(values, decoded.bgr) if values.ndim == 3 else values


def _range(path: Path, pixels: NDArray[Any]) -> tuple[float, float, str]:
    """Determine the values that become 0 and 1, and the note."""
    if pixels.dtype in (np.uint8, np.uint16):
        return 0, full_scale(pixels.dtype), ""
    check_finite(pixels, str(path))
    low, high = float(pixels.min()), float(pixels.max())
    kind = "float values" if pixels.dtype.kind == "f" else "32-bit integers"
    if pixels.dtype.kind == "f" and low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return 0, 1, ""
    if low == high:
        return low, low + 1, f"{kind}, constant {low:g}, set to 0"
    return low, high, f"{kind}, stretched from {low:.6g} to {high:.6g}"


def _luma_of_counts(values: NDArray[Any], bgr: bool) -> NDArray[Any]:
    """Compute the luma of a color image in the range and type of the file."""
    weights = np.array(WEIGHTS[::-1] if bgr else WEIGHTS, np.float32)
    out = np.empty(values.shape[:2], values.dtype)
    for rows in strips(*values.shape[:2]):
        part = values[rows].astype(np.float32) @ weights
        out[rows] = np.rint(part) if values.dtype.kind in "iu" else part
    return out
