"""Luma and chroma (BT.601, full range), and images brought to another size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray, Rgb, strips

GAIN_FLOOR, MAX_GAIN = np.float32(0.1), np.float32(2)  # of the chroma; see recolor
WEIGHTS = (0.299, 0.587, 0.114)  # of R, G, B in the luma; ITU-R BT.601-7, 2.5.1


def luma(pixels: NDArray[np.float32]) -> Gray:
    """Y of BT.601, full range.

    Args:
        pixels: (H, W) or (H, W, 3) in R, G, B order; any range.

    Returns:
        (H, W) float32 of the same range. A gray image is returned as it is, not copied.

    Raises:
        ShapeError: if the array is not an image.
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ShapeError(f"image: found an array of shape {pixels.shape}, expected (H, W) or (H, W, 3)")
    import cv2

    height, width = pixels.shape[:2]
    out = np.empty((height, width), np.float32)
    weights = np.array([WEIGHTS], np.float32)
    for rows in strips(height, width):
        out[rows] = cv2.transform(np.ascontiguousarray(pixels[rows], dtype=np.float32), weights)
    return out


def recolor(rgb: Rgb, fused: Gray, out: Rgb | None = None) -> Rgb:
    """Give a color image a new luma; hue and saturation stay.

    Y, Cb, Cr are linear in R, G, B: a color is its luma, plus a chroma that is the same in every scale of
    brightness only if it grows and shrinks with it. So the chroma is multiplied by
    ``(fused + eps) / (luma + eps)``, between a half and two: a red car stays red at twice the luma, where the
    same Cb and Cr would make it pink. ``eps`` keeps the noise of dark areas from becoming colored noise.

    Where the result leaves [0, 1], the chroma of the pixel is scaled towards gray just enough, which keeps
    the new luma and the hue; clipping each channel would change both.

    Args:
        rgb: (H, W, 3) float32 in [0, 1].
        fused: the new luma, (H, W) float32 in [0, 1].
        out: where to write the result, (H, W, 3) float32; may be ``rgb`` itself.

    Returns:
        (H, W, 3) float32 in [0, 1]; ``out`` if it was given.

    Raises:
        ShapeError: if the shapes do not fit.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.shape[:2] != fused.shape:
        raise ShapeError(f"color {rgb.shape} and luma {fused.shape}: expected (H, W, 3) and (H, W)")
    if out is None:
        out = np.empty(rgb.shape, np.float32)
    elif out.shape != rgb.shape:
        raise ShapeError(f"out: found {out.shape}, expected {rgb.shape}")
    for rows in strips(*fused.shape):
        _recolor_strip(rgb[rows], np.clip(fused[rows], 0, 1), out[rows])
    return out


def _recolor_strip(rgb: Rgb, fused: Gray, out: Rgb) -> None:
    """:func:`recolor` for a few rows."""
    import cv2

    brightness = luma(rgb)
    chroma = rgb - brightness[..., np.newaxis]
    gain = (fused + GAIN_FLOOR) / (brightness + GAIN_FLOOR)
    chroma *= np.clip(gain, 1 / MAX_GAIN, MAX_GAIN, out=gain)[..., np.newaxis]
    red, green, blue = cv2.split(chroma)
    highest = cv2.max(cv2.max(red, green), blue)
    lowest = cv2.min(cv2.min(red, green), blue)
    # The luma lies between the smallest and the largest channel: highest >= 0 >= lowest, up to rounding.
    scale = np.minimum((1 - fused) / np.maximum(highest, 1e-6), fused / np.maximum(-lowest, 1e-6))
    np.minimum(scale, 1, out=scale)
    chroma *= scale[..., np.newaxis]
    chroma += fused[..., np.newaxis]
    np.clip(chroma, 0, 1, out=out)


def one_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """A thermal array as (H, W): the only channel as it is, or the luma of several as float32."""
    if pixels.ndim != 3:
        return pixels
    return pixels[..., 0] if pixels.shape[2] == 1 else luma(pixels.astype(np.float32))


def resize_to(gray: Gray, height: int, width: int, *, bounded: bool = True) -> Gray:
    """Bring a gray image to another size: means of areas where it shrinks, cubic where it grows.

    Args:
        gray: (H, W) float32 in [0, 1].
        height: wanted, in pixels.
        width: wanted, in pixels.
        bounded: clip to [0, 1]; ``False`` for measured values of any range, which then grow linearly, so
            that none is made up that lies beyond its neighbors.

    Returns:
        (height, width) float32 in [0, 1]; ``gray`` itself if it has that size.
    """
    if gray.shape == (height, width):
        return gray
    import cv2

    # Each side by itself, the shrinking one first: it may shrink while the other grows.
    sides = [(gray.shape[0], height, True), (gray.shape[1], width, False)]
    for old, new, vertical in sorted(sides, key=lambda side: side[1] / side[0]):
        if old != new:
            size = (gray.shape[1], new) if vertical else (new, gray.shape[0])
            grow = cv2.INTER_CUBIC if bounded else cv2.INTER_LINEAR
            kind = cv2.INTER_AREA if new < old else grow
            gray = np.asarray(cv2.resize(gray, size, interpolation=kind), np.float32)
    return np.clip(gray, 0, 1, out=gray) if bounded else gray
