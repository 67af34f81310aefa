"""Luma and chroma (BT.601, full range), and resizing of gray images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray, Rgb, strips, to_levels, to_unit

_COLOR_SAMPLES = 320  # longest side of the samples that tell color from gray
_LEAST_COLOR = 0.03  # mean difference between channels, relative to the brightest value
GAIN_FLOOR, MAX_GAIN = np.float32(0.1), np.float32(2)  # constants of the chroma gain; see recolor
WEIGHTS = (0.299, 0.587, 0.114)  # luma weights of R, G, B; ITU-R BT.601-7, 2.5.1


def luma(pixels: NDArray[Any]) -> Gray:
    """Compute the luma Y of BT.601, full range.

    Args:
        pixels: (H, W) or (H, W, 3) in R, G, B order; floats of any range, or uint8 or uint16.

    Returns:
        (H, W) float32, in the range of the floats, or in [0, 1] for integers. Gray floats are returned
        unchanged, without a copy.

    Raises:
        ShapeError: if the array is not an image.
    """
    if pixels.ndim == 2:
        return to_unit(pixels)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ShapeError(f"image: found an array of shape {pixels.shape}, expected (H, W) or (H, W, 3)")
    import cv2

    height, width = pixels.shape[:2]
    out = np.empty((height, width), np.float32)
    weights = np.array([WEIGHTS], np.float32)
    for rows in strips(height, width):
        out[rows] = cv2.transform(np.ascontiguousarray(to_unit(pixels[rows]), np.float32), weights)
    return out


def recolor(rgb: NDArray[Any], fused: Gray, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Replace the luma of a color image while keeping its hue and saturation.

    Y, Cb and Cr are linear in R, G and B, so a color keeps its saturation at another luma only if its chroma
    is scaled by the same factor. The chroma is therefore multiplied by ``(fused + eps) / (luma + eps)``,
    limited to the range 1/2 to 2: a red car stays red at twice the luma, whereas unchanged Cb and Cr would
    turn it pink. The constant ``eps`` keeps noise in dark areas from becoming color noise.

    Where the result leaves [0, 1], the chroma of the pixel is reduced just enough, which keeps the new luma
    and the hue; clipping each channel would change both.

    Args:
        rgb: (H, W, 3) float32 in [0, 1], uint8 or uint16.
        fused: the new luma, (H, W) float32 in [0, 1].
        out: array for the result, (H, W, 3) float32, uint8 or uint16; may be ``rgb`` itself.

    Returns:
        ``out`` if given, else (H, W, 3) float32 in [0, 1].

    Raises:
        ShapeError: if the shapes do not match.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.shape[:2] != fused.shape:
        raise ShapeError(f"color {rgb.shape} and luma {fused.shape}: expected (H, W, 3) and (H, W)")
    if out is None:
        out = np.empty(rgb.shape, np.float32)
    elif out.shape != rgb.shape:
        raise ShapeError(f"out: found {out.shape}, expected {rgb.shape}")
    for rows in strips(*fused.shape):
        part = _recolor_strip(to_unit(rgb[rows]), np.clip(fused[rows], 0, 1))
        out[rows] = part if out.dtype.kind == "f" else to_levels(part, 8 * out.dtype.itemsize)
    return out


def _recolor_strip(rgb: Rgb, fused: Gray) -> Rgb:
    """Apply :func:`recolor` to a few rows."""
    import cv2

    brightness = luma(rgb)
    gain = (fused + GAIN_FLOOR) / (brightness + GAIN_FLOOR)
    np.clip(gain, 1 / MAX_GAIN, MAX_GAIN, out=gain)
    chroma = cv2.split(rgb)  # planes: operations on them take half the time of those on interleaved channels
    for plane in chroma:
        np.subtract(plane, brightness, out=plane)
    red, green, blue = chroma
    highest = cv2.max(cv2.max(red, green), blue)
    lowest = cv2.min(cv2.min(red, green), blue)
    # The luma lies between the smallest and the largest channel: highest >= 0 >= lowest, up to rounding.
    room = np.minimum((1 - fused) / np.maximum(highest, 1e-6), fused / np.maximum(-lowest, 1e-6))
    np.minimum(gain, room, out=gain)
    for plane in chroma:
        plane *= gain
        plane += fused
        np.clip(plane, 0, 1, out=plane)
    return np.asarray(cv2.merge(chroma), np.float32)


def to_single_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """Reduce a thermal array to (H, W): a single channel is kept as it is, several become luma in float32."""
    if pixels.ndim != 3:
        return pixels
    return pixels[..., 0] if pixels.shape[2] == 1 else luma(pixels.astype(np.float32))


def is_colored(pixels: NDArray[Any]) -> bool:
    """Whether an image has color beyond the traces that compression leaves in a gray image of three channels.

    Args:
        pixels: (H, W) or (H, W, 3) of any type; judged by about a hundred thousand of its pixels.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        return False
    step = 1 + max(pixels.shape[:2]) // _COLOR_SAMPLES
    some = pixels[::step, ::step].astype(np.float32)
    spread = float(np.mean(some.max(axis=2) - some.min(axis=2)))
    return spread > _LEAST_COLOR * float(some.max())


def resize_to(gray: Gray, height: int, width: int, *, bounded: bool = True) -> Gray:
    """Resize a gray image with area averaging where it shrinks and cubic interpolation where it grows.

    Args:
        gray: (H, W) float32 in [0, 1].
        height: the new height, in pixels.
        width: the new width, in pixels.
        bounded: whether to clip to [0, 1]. Use ``False`` for measured values of any range; enlargement is
            then linear, so that no interpolated value exceeds its neighbors.

    Returns:
        (height, width) float32 in [0, 1]; ``gray`` itself if it already has that size.
    """
    if gray.shape == (height, width):
        return gray
    import cv2

    grow = cv2.INTER_CUBIC if bounded else cv2.INTER_LINEAR
    # A side may shrink while the other grows; the one that shrinks comes first.
    smaller = min(height, gray.shape[0]), min(width, gray.shape[1])
    for rows, columns, kind in ((*smaller, cv2.INTER_AREA), (height, width, grow)):
        if gray.shape != (rows, columns):
            gray = np.asarray(cv2.resize(gray, (columns, rows), interpolation=kind), np.float32)
    return np.clip(gray, 0, 1, out=gray) if bounded else gray


def extended(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill pixels without data with the nearest value, which resampling may then mix into the others.

    Args:
        values: (H, W) float32.
        valid: (H, W) bool with at least one true value.
    """
    missing, nearest = nearest_data(valid)
    filled = np.array(values, np.float32, order="C")
    filled.ravel()[missing] = values.ravel()[nearest]
    return filled


def nearest_data(valid: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the nearest pixel with data of each pixel without.

    Args:
        valid: (H, W) bool with at least one true value.

    Returns:
        Positions of the pixels without data and of the nearest with data, in the flattened image.
    """
    import cv2

    hidden = (~valid).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = labels.ravel()
    # Labels are propagated over at most 2 pixels at a time: all nearest pixels lie beside the missing ones.
    beside = np.flatnonzero((cv2.dilate(hidden, np.ones((5, 5), np.uint8)) > 0) & valid)
    places = np.zeros(int(labels.max()) + 1, np.intp)
    places[labels[beside]] = beside
    missing = np.flatnonzero(hidden)
    return missing, places[labels[missing]]
