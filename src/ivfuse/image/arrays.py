"""Types of image arrays, and the conversion between integer and float images.

Inside ivfuse an image is float32 in [0, 1]; files, cameras and most other libraries use integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, ShapeError, UsageError

Gray = NDArray[np.float32]  # (H, W) in [0, 1]
Rgb = NDArray[np.float32]  # (H, W, 3) in [0, 1]
Pixels = NDArray[np.float32]  # Gray or Rgb
Levels = NDArray[np.uint8]  # (H, W) or (H, W, 3)

TOLERANCE = 1e-3  # floats up to this far outside [0, 1] are clipped silently: rounding and resampling errors

_STRIP = 1 << 15  # pixels converted at a time, whose floats stay in the cache of a core


def strips(height: int, width: int) -> list[slice]:
    """Divide an image into slices of rows of about 32,768 pixels each."""
    rows = max(1, _STRIP // max(width, 1))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def full_scale(dtype: np.dtype[Any]) -> int:
    """Return the value that represents 1.0: 255 for uint8, 65535 for uint16, and 1 for all other types."""
    return {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(dtype, 1)


def level_type(depth: int) -> np.dtype[Any]:
    """Return the data type of integer levels: uint8 for a depth of 8 bits, else uint16."""
    return np.dtype(np.uint8 if depth == 8 else np.uint16)


def as_array(image: Any, name: str = "image") -> NDArray[Any]:
    """Convert an image of any supported kind to an array.

    Args:
        image: an array of any memory layout and byte order, a PIL image, or anything that NumPy can convert.
        name: name of the image in error messages.

    Returns:
        (H, W) or (H, W, C) in the machine's byte order, without a copy where possible.

    Raises:
        InputError: if the image cannot be converted to an array.
        UsageError: if it is no image, such as ``None``.
    """
    mode = getattr(image, "mode", None)
    if mode in ("P", "PA", "1", "CMYK", "YCbCr", "RGBX") and hasattr(image, "convert"):
        image = image.convert({"1": "L", "PA": "RGBA"}.get(mode, "RGB"))
    try:
        array = np.asarray(image)
    except (TypeError, ValueError) as error:
        raise InputError(field=name, found=type(image).__name__, expected="an array or an image") from error
    if array.ndim == 0 and array.dtype.kind in "OSU":
        raise UsageError(field=name, found=f"{image!r:.60}", expected="a path, an array or an image")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def to_float(image: Any, name: str = "image") -> Pixels:
    """Convert an image to float32 in [0, 1]; see :func:`checked_image` for arguments and errors.

    Returns:
        (H, W) or (H, W, 3) float32; ``image`` itself if it needs no conversion.
    """
    return to_unit(checked_image(image, name))


def checked_image(image: Any, name: str = "image") -> NDArray[Any]:
    """Check an image, and convert what is neither uint8, uint16 nor float32.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) array, or a PIL image; uint8 means 0 to 255, uint16 0 to 65535,
            and bool 0 and 1. Floats must be in [0, 1]; values up to 0.001 outside are clipped.
        name: name of the image in error messages.

    Returns:
        (H, W) or (H, W, 3), uint8, uint16, or float32 in [0, 1]; ``image`` itself if it is one of these.

    Raises:
        ShapeError: if the array is empty or has another shape.
        InputError: if the array has another type, or contains NaN, infinity or floats outside [0, 1].
    """
    x = as_array(image, name)
    if x.ndim == 3 and x.shape[2] == 1:
        x = x[..., 0]
    check_shape(x, name)
    if x.dtype in (np.uint8, np.uint16):
        return x
    if x.dtype == bool:
        return x.astype(np.float32)
    if x.dtype.kind != "f":
        raise InputError(
            field=name, found=f"an array of {x.dtype}", expected="uint8, uint16, bool or float in [0, 1]"
        )
    check_finite(x, name)
    low, high = float(x.min()), float(x.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise InputError(field=name, found=f"floats from {low:g} to {high:g}", expected="[0, 1]")
    if low < 0 or high > 1:
        x = np.clip(x, 0, 1)
    return np.asarray(x, np.float32)


def to_unit(stored: NDArray[Any]) -> Pixels:
    """Convert the levels of an image to float32 in [0, 1].

    Args:
        stored: (H, W) or (H, W, C); uint8 or uint16 from 0 to full scale, or floats.

    Returns:
        A new array for integers; floats are returned unchanged.
    """
    return stored if stored.dtype.kind == "f" else scale_to_unit(stored, 0, full_scale(stored.dtype))


def to_levels(pixels: NDArray[Any], depth: int = 8) -> NDArray[Any]:
    """Convert an image to the nearest integer levels; floats outside [0, 1] are clipped.

    Args:
        pixels: float array in [0, 1] with two or more dimensions, or uint8 or uint16, which is returned
            unchanged if it has the depth already.
        depth: bits per sample, 8 or 16.

    Returns:
        uint8 or uint16 array of the same shape.
    """
    wanted = level_type(depth)
    if pixels.dtype == wanted:
        return pixels
    out = np.empty(pixels.shape, wanted)
    for rows in strips(pixels.shape[0], int(np.prod(pixels.shape[1:]))):
        unit = to_unit(pixels[rows])
        part = np.clip(unit, 0, 1) * unit.dtype.type(full_scale(wanted))
        out[rows] = np.rint(part, out=part)
    return out


def scale_to_unit(values: NDArray[Any], low: float, high: float, *, reverse: bool = False) -> Pixels:
    """Map ``low``..``high`` linearly to 0..1 and clip, in a new float32 array.

    Args:
        values: (H, W) or (H, W, C) of any numeric type.
        low: the value that becomes 0.
        high: the value that becomes 1; must differ from ``low``.
        reverse: whether to reverse the order of the channels (B, G, R to R, G, B).
    """
    out = np.empty(values.shape, np.float32)
    whole = low == 0 and values.dtype.kind == "u" and high == full_scale(values.dtype)
    for rows in strips(*values.shape[:2]):
        part, target = values[rows], out[rows]
        if reverse and part.ndim == 3:
            part = reverse_channels(part)
        if whole:
            np.divide(part, np.float32(high), out=target)
        else:
            # In float64, because float32 cannot represent all 32-bit counts exactly.
            np.clip((part.astype(np.float64) - low) / (high - low), 0, 1, out=target, casting="same_kind")
    return out


def check_shape(x: NDArray[Any], name: str) -> None:
    """Raise ShapeError unless ``x`` is (H, W) or (H, W, 3) and not empty."""
    if not x.size or not (x.ndim == 2 or (x.ndim == 3 and x.shape[2] == 3)):
        raise ShapeError(field=name, found=f"an array of shape {x.shape}", expected="(H, W) or (H, W, 3)")


def check_finite(values: NDArray[Any], name: str) -> None:
    """Raise InputError if there is NaN or infinity; a full-size mask is allocated only in that case."""
    if values.dtype.kind == "f" and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise InputError(
            field=name, found=f"{bad} values that are NaN or infinite", expected="finite numbers"
        )


def reverse_channels(part: NDArray[Any]) -> NDArray[Any]:
    """Reverse the order of the channels of (H, W, C); OpenCV copies colors several times as fast as NumPy."""
    if part.shape[2] != 3 or part.dtype not in (np.uint8, np.uint16):
        return part[..., ::-1]
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_BGR2RGB))
