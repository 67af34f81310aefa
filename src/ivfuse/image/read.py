"""Images from files and arrays: float32 in [0, 1], with a word on how the file's numbers became that.

Visible images keep their color, thermal ones become one channel, mapped by a window that is always stated.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, ShapeError, UsageError

Gray = NDArray[np.float32]
Rgb = NDArray[np.float32]
Window = tuple[float, float]

PERCENTILES = (1.0, 99.0)  # of the thermal values, the window where none is given
TOLERANCE = 1e-3  # floats this far outside [0, 1] are clipped silently: rounding, resampling

_STRIP = 1 << 18  # pixels converted at a time, so that no second full-size copy is made


@dataclass(frozen=True)
class Visible:
    """An image in memory.

    Attributes:
        pixels: (H, W) or (H, W, 3) in R, G, B order, float32 in [0, 1].
        alpha: opacity, (H, W) float32 in [0, 1], or ``None``; colors are not multiplied by it.
        depth: bits per sample of the source: 8, 16, or 32 for floats and 32-bit integers.
        note: "" or one line on how values were mapped.
    """

    pixels: NDArray[np.float32]
    alpha: Gray | None
    depth: int
    note: str

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])


def read_visible(path: str | os.PathLike[str]) -> Visible:
    """Read a visible image, upright by its EXIF orientation.

    Values of 8 bit are divided by 255, those of 16 bit by 65535. Floats in [0, 1] stay as they are; other
    floats and 32-bit integers are stretched from their minimum..maximum to 0..1, which the note says.

    Args:
        path: a PNG, JPEG, TIFF, BMP or WebP file of 8, 16 or 32 bit per sample; of several pages or frames,
            the first.

    Returns:
        (H, W) for a gray file, (H, W, 3) for color and palettes; alpha apart.

    Raises:
        InputError: if the file is missing, is no image, is damaged or too large, or holds NaN or infinity.
    """
    from ivfuse.image.decode import decode

    path = Path(path)
    decoded = decode(path)
    low, high, note = _visible_range(path, decoded.pixels)
    alpha = decoded.alpha
    return Visible(
        _scaled(decoded.pixels, low, high, decoded.bgr),
        None if alpha is None else _scaled(alpha, 0, _full_scale(alpha.dtype), False),
        _depth(decoded.pixels.dtype),
        _joined(note, decoded.note),
    )


def read_thermal(path: str | os.PathLike[str], window: Window | None = None) -> Visible:
    """Read a thermal image as one channel.

    8-bit files are divided by 255 (color becomes luma) unless a window is given. 16-bit counts, floats and
    32-bit integers (counts or degC) are mapped by the window; see :func:`thermal_window`.

    Args:
        path: as for :func:`read_visible`.
        window: the values that become 0 and 1; ``None`` for the 1st and 99th percentile.

    Returns:
        (H, W); alpha is dropped; the note states the window.

    Raises:
        InputError: as :func:`read_visible`.
        UsageError: if the window is empty.
    """
    values, remark = read_values(path)
    if values.dtype == np.uint8 and window is None:
        return Visible(_scaled(values, 0, 255, False), None, 8, remark)
    gray, note = thermal_window(values, window, name=str(path))
    return Visible(gray, None, _depth(values.dtype), _joined(note, remark))


def read_values(path: str | os.PathLike[str]) -> tuple[NDArray[Any], str]:
    """The numbers of a thermal file as they are stored, in one channel.

    Args:
        path: as for :func:`read_visible`; color becomes luma, alpha is dropped.

    Returns:
        (H, W) uint8, uint16, int32 or float32, upright; and "" or one line about the file.

    Raises:
        InputError: as :func:`read_visible`, NaN and infinity excepted.
    """
    from ivfuse.image.decode import decode

    decoded = decode(Path(path))
    values = decoded.pixels
    if values.ndim == 3:
        values = _counts_luma(values, decoded.bgr)
    return values, decoded.note


def thermal_window(
    counts: NDArray[Any], window: Window | None = None, name: str = "thermal"
) -> tuple[Gray, str]:
    """Map thermal values to [0, 1] by a window; what lies outside is clipped.

    Args:
        counts: (H, W) integers or floats: counts of the sensor, or degC.
        window: the values that become 0 and 1; ``None`` for the 1st and 99th percentile of the values. Where
            these are equal the minimum and maximum are taken, and a constant image becomes 0.
        name: what to call the image in errors.

    Returns:
        (H, W) float32 in [0, 1], and one line that states the window.

    Raises:
        InputError: if a value is NaN or infinite.
        ShapeError: if the array is empty or not (H, W).
        UsageError: if the window's ends are not finite or not in order.
    """
    check_thermal(counts, name)
    if window is None:
        return mapped(counts, *window_of(counts))
    low, high = (float(end) for end in window)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"thermal window: found {low:g} to {high:g}, expected LO below HI")
    return mapped(counts, low, high)


def check_thermal(values: NDArray[Any], name: str) -> None:
    """Raise ShapeError or InputError unless values are (H, W) and finite."""
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"{name}: found an array of shape {values.shape}, expected (H, W)")
    _check_finite(name, values)


def check_window(window: Window) -> None:
    """Raise UsageError unless the ends of a window that a user gave are finite and in order."""
    if not (np.isfinite(window).all() and window[0] < window[1]):
        raise UsageError(f"ir_window: found {window[0]:g} {window[1]:g}, expected LO below HI")


def mapped(counts: NDArray[Any], low: float, high: float) -> tuple[Gray, str]:
    """As :func:`thermal_window`, for checked values and a window that is known; zeros where it is empty."""
    kind = "float values" if counts.dtype.kind == "f" else f"{8 * counts.dtype.itemsize}-bit counts"
    if low >= high:
        return np.zeros(counts.shape, np.float32), f"{kind}, constant {low:g}"
    return _scaled(counts, low, high, False), f"{kind}, window {low:.6g} to {high:.6g}"


def window_of(values: NDArray[Any]) -> Window:
    """The 1st and 99th percentile of values, their minimum and maximum where these are equal."""
    low, high = _percentiles(values)
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def to_image_array(x: NDArray[Any]) -> NDArray[np.float32]:
    """Bring an array that a user gave to float32 in [0, 1].

    Args:
        x: (H, W), (H, W, 1) or (H, W, 3); uint8 is divided by 255, uint16 by 65535, bool becomes 0 and 1,
            floats are in [0, 1] already (up to 0.001 outside is clipped).

    Returns:
        (H, W) or (H, W, 3) float32; ``x`` itself where nothing needs to change.

    Raises:
        ShapeError: if the array is empty or has another shape.
        InputError: if it has another type, holds NaN or infinity, or floats outside [0, 1].
    """
    x = np.asarray(x)
    if x.ndim == 3 and x.shape[2] == 1:
        x = x[..., 0]
    if not x.size or not (x.ndim == 2 or (x.ndim == 3 and x.shape[2] == 3)):
        raise ShapeError(f"image: found an array of shape {x.shape}, expected (H, W) or (H, W, 3)")
    if x.dtype in (np.uint8, np.uint16):
        return _scaled(x, 0, _full_scale(x.dtype), False)
    if x.dtype == bool:
        return x.astype(np.float32)
    if x.dtype.kind != "f":
        raise InputError(
            f"image: found an array of {x.dtype}, expected uint8, uint16, bool or float in [0, 1]"
        )
    _check_finite("image", x)
    low, high = float(x.min()), float(x.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise InputError(f"image: found floats from {low:g} to {high:g}, expected [0, 1]")
    if low < 0 or high > 1:
        x = np.clip(x, 0, 1)
    return np.asarray(x, np.float32)


def write_image(
    path: str | os.PathLike[str], pixels: NDArray[np.float32], depth: int = 8, alpha: Gray | None = None
) -> None:
    """Write an image, whole or not at all; see :func:`ivfuse.image.write.write_image`."""
    from ivfuse.image import write

    write.write_image(path, pixels, depth, alpha)


def _visible_range(path: Path, pixels: NDArray[Any]) -> tuple[float, float, str]:
    """The values that become 0 and 1, and the note."""
    if pixels.dtype in (np.uint8, np.uint16):
        return 0, _full_scale(pixels.dtype), ""
    _check_finite(str(path), pixels)
    low, high = float(pixels.min()), float(pixels.max())
    kind = "float values" if pixels.dtype.kind == "f" else "32-bit integers"
    if pixels.dtype.kind == "f" and low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return 0, 1, ""
    if low == high:
        return low, low + 1, f"{kind}, constant {low:g}, set to 0"
    return low, high, f"{kind}, stretched from {low:.6g} to {high:.6g}"


def _scaled(values: NDArray[Any], low: float, high: float, swap: bool) -> NDArray[np.float32]:
    """(values - low) / (high - low), clipped, in a new array; a few rows at a time to spare memory.

    ``swap`` turns B, G, R into R, G, B.
    """
    out = np.empty(values.shape, np.float32)
    whole = low == 0 and values.dtype.kind == "u" and high == _full_scale(values.dtype)
    rows = max(1, _STRIP // max(values.shape[1], 1))
    for top in range(0, values.shape[0], rows):
        part, target = values[top : top + rows], out[top : top + rows]
        if swap and part.ndim == 3:
            part = part[..., ::-1]
        if whole:
            np.divide(part, np.float32(high), out=target)
        else:
            # In float64: counts of 32 bit minus the window's foot must not lose digits.
            np.clip((part.astype(np.float64) - low) / (high - low), 0, 1, out=target, casting="same_kind")
    return out


def _counts_luma(values: NDArray[Any], bgr: bool) -> NDArray[Any]:
    """Luma of a color image in the numbers and the type of the file."""
    from ivfuse.image.color import WEIGHTS

    weights = np.array(WEIGHTS[::-1] if bgr else WEIGHTS, np.float32)
    out = np.empty(values.shape[:2], values.dtype)
    rows = max(1, _STRIP // max(values.shape[1], 1))
    for top in range(0, values.shape[0], rows):
        part = values[top : top + rows].astype(np.float32) @ weights
        out[top : top + rows] = np.rint(part) if values.dtype.kind in "iu" else part
    return out


def _percentiles(values: NDArray[Any]) -> Window:
    """The 1st and 99th percentile as ``np.percentile`` gives them; for 16-bit counts from a histogram."""
    if values.dtype != np.uint16:
        low, high = np.percentile(values, PERCENTILES)
        return float(low), float(high)
    histogram = np.zeros(65536, np.int64)
    rows = max(1, _STRIP // max(values.shape[1], 1))
    for top in range(0, values.shape[0], rows):
        histogram += np.bincount(values[top : top + rows].ravel(), minlength=65536)
    below = np.cumsum(histogram)
    ranks = np.array(PERCENTILES) / 100 * (values.size - 1)
    floor = np.searchsorted(below, np.floor(ranks), side="right")
    ceil = np.searchsorted(below, np.ceil(ranks), side="right")
    low, high = floor + (ceil - floor) * (ranks % 1)
    return float(low), float(high)


def _check_finite(name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity; without a full-size mask unless there are some."""
    if values.dtype.kind == "f" and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise InputError(f"{name}: found {bad} values that are NaN or infinite, expected finite numbers")


def _full_scale(dtype: np.dtype[Any]) -> int:
    return {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(dtype, 1)


def _depth(dtype: np.dtype[Any]) -> int:
    return min(8 * dtype.itemsize, 32)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
