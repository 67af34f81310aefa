"""Visible images from files and arrays: float32 in [0, 1], with a note on how values were mapped."""

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
from ivfuse.image.color import WEIGHTS
from ivfuse.image.decode import decode


@dataclass(frozen=True)
class Visible:
    """A visible image in memory.

    Attributes:
        pixels: (H, W) or (H, W, 3) in R, G, B order, float32 in [0, 1].
        alpha: opacity, (H, W) float32 in [0, 1], or ``None``; colors are not multiplied by it.
        depth: bits per sample of the source: 8, 16, or 32 for floats and 32-bit integers.
        note: "" or one line on how values were mapped.
    """

    pixels: Pixels
    alpha: Gray | None = None
    depth: int = 8
    note: str = ""

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])


def read_visible(source: str | os.PathLike[str] | Any, name: str = "visible") -> Visible:
    """Read a visible image from a file or an array.

    Values of 8 bit are divided by 255, those of 16 bit by 65535. Floats in [0, 1] stay as they are; other
    floats and 32-bit integers of files are stretched from minimum..maximum to 0..1, which the note says.

    Args:
        source: a PNG, JPEG, TIFF, BMP or WebP file of 8, 16 or 32 bit per sample (of several pages or frames,
            the first; turned upright by its EXIF orientation); or an array as :func:`to_float` takes it.
        name: of an array, for errors.

    Returns:
        (H, W) for a gray image, (H, W, 3) for color and palettes; alpha apart. The pixels of a float32 array
        are the array itself.

    Raises:
        InputError: if the file is missing, is no image, is damaged or too large, or holds NaN or infinity.
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
    """The numbers of an image file as they are stored, in one channel.

    Args:
        path: as for :func:`read_visible`; color becomes luma, alpha is dropped.

    Returns:
        (H, W) uint8, uint16, int32 or float32, upright; and "" or one line about the file.

    Raises:
        InputError: as :func:`read_visible`, NaN and infinity excepted.
    """
    decoded = decode(Path(path))
    values = decoded.pixels
    if values.ndim == 3:
        values = _luma_of_counts(values, decoded.bgr)
    return values, decoded.note


def _range(path: Path, pixels: NDArray[Any]) -> tuple[float, float, str]:
    """The values that become 0 and 1, and the note."""
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
    """Luma of a color image in the numbers and the type of the file."""
    weights = np.array(WEIGHTS[::-1] if bgr else WEIGHTS, np.float32)
    out = np.empty(values.shape[:2], values.dtype)
    for rows in strips(*values.shape[:2]):
        part = values[rows].astype(np.float32) @ weights
        out[rows] = np.rint(part) if values.dtype.kind in "iu" else part
    return out
