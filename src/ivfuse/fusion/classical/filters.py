"""Filters for the classical methods: window means, the guided filter, global contrast.

Every window is square with side ``2 * radius + 1`` pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray

Plane = NDArray[Any]  # float32 or float64


def window_mean(plane: Gray, radius: int) -> Gray:
    """Compute the mean over a square window; the image is mirrored at the border.

    Args:
        plane: (H, W) float32.
        radius: radius of the window, in pixels.

    Returns:
        (H, W) float32.
    """
    side = 2 * radius + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def guided_filter(plane: Gray, guide: Gray, radius: int, eps: float) -> Gray:
    """Smooth a plane while following the edges of a guide; locally the result is ``slope * guide + offset``.

    Windows are clipped at the border of the image, so that a constant plane stays constant there. The result
    at a pixel depends on the pixels within ``2 * radius``.

    Args:
        plane: (H, W) float32.
        guide: (H, W) float32 in [0, 1].
        radius: radius of the window, in pixels.
        eps: regularization, above 0; where the variance of the guide is far below it, the result is the mean.

    Returns:
        (H, W) float32.

    Source: He, Sun & Tang 2013, IEEE Transactions on Pattern Analysis and Machine Intelligence 35(6),
        1397-1409, eqs. 5, 6 and 8.
    """
    # The rounding error of a float32 variance, 1e-7, becomes visible if eps is small, so float64 is used, in
    # strips of rows that fit in the cache. Rows affected by the border of a strip are computed in the next.
    kind = np.float32 if eps > 1e-3 else np.float64
    rows = plane.shape[0] if eps > 1e-3 else max(64, 4 * radius)
    result = np.empty_like(plane)
    for top in range(0, plane.shape[0], rows):
        near = slice(max(0, top - 2 * radius), top + rows + 2 * radius)
        strip = _guided(np.asarray(plane[near], kind), np.asarray(guide[near], kind), radius, eps)
        result[top : top + rows] = strip[top - near.start :][:rows]
    return result


def _guided(y: Plane, x: Plane, radius: int, eps: float) -> Plane:
    """Apply the guided filter to ``y`` with the guide ``x``."""
    share = _window_shares(x.shape, radius, x.dtype)
    mean_x, mean_y = _shared_mean(x, radius, share), _shared_mean(y, radius, share)
    product = x * x  # one buffer for all products
    spread = _shared_mean(product, radius, share)
    spread -= np.multiply(mean_x, mean_x, out=product)
    np.maximum(spread, 0, out=spread)
    spread += eps
    slope = _shared_mean(np.multiply(x, y, out=product), radius, share)
    slope -= np.multiply(mean_x, mean_y, out=product)
    slope /= spread
    mean_y -= np.multiply(slope, mean_x, out=product)
    result = _shared_mean(slope, radius, share)
    result *= x
    result += _shared_mean(mean_y, radius, share)
    return result


def guided_smooth(image: Gray, radius: int, eps: float) -> Gray:
    """Smooth an image by a guided filter with itself as the guide; edges above ``sqrt(eps)`` are kept.

    Args:
        image: (H, W) float32 in [0, 1].
        radius: radius of the window, in pixels.
        eps: regularization as in :func:`guided_filter`; above 1e-3.

    Returns:
        (H, W) float32.
    """
    share = _window_shares(image.shape, radius, image.dtype)
    mean = _shared_mean(image, radius, share)
    product = image * image
    slope = _shared_mean(product, radius, share)
    slope -= np.multiply(mean, mean, out=product)
    np.maximum(slope, 0, out=slope)
    slope /= np.add(slope, np.float32(eps), out=product)
    mean -= np.multiply(slope, mean, out=product)
    result = _shared_mean(slope, radius, share)
    result *= image
    result += _shared_mean(mean, radius, share)
    return np.asarray(result, np.float32)


def global_contrast(image: Gray) -> Gray:
    """Compute the mean distance between the gray value of each pixel and those of all other pixels.

    Args:
        image: (H, W) float32; values are clipped to [0, 1].

    Returns:
        (H, W) float32, scaled to 0 for the smallest and 1 for the largest mean distance. If these differ by
        less than 1/16 of the range from black to white, they are not scaled up to 1, which would amplify the
        noise of a flat image.

    Source: Zhai & Shah 2006, ACM Multimedia, eqs. 7-9: mean distance to the histogram of 256 gray values,
        interpolated between gray values.
    """
    place = np.clip(image, 0, 1) * np.float32(255)
    level = place.astype(np.uint8)
    count = np.bincount(np.rint(place).astype(np.uint8).ravel(), minlength=256)
    gray = np.arange(256)
    distance = np.abs(gray[:, None] - gray[None, :]) @ count / image.size
    used = np.flatnonzero(count)
    low, high = distance[used].min(), distance[used].max()
    value = ((distance - low) / max(high - low, 255 / 16)).astype(np.float32)
    slope = np.append(np.diff(value), np.float32(0))
    place -= level
    place *= slope[level]
    place += value[level]
    return np.asarray(np.clip(place, 0, 1, out=place), np.float32)


def _shared_mean(plane: Plane, radius: int, share: Plane) -> Plane:
    """Compute the mean over the window within the image; ``share`` is 1 / number of its pixels."""
    side = (2 * radius + 1, 2 * radius + 1)
    total = np.asarray(cv2.boxFilter(plane, -1, side, normalize=False, borderType=cv2.BORDER_CONSTANT))
    total *= share
    return total


def _window_shares(shape: tuple[int, ...], radius: int, kind: np.dtype[Any]) -> Plane:
    """Compute 1 / number of pixels of the window around each pixel that lie within the image."""
    rows, columns = (1 / _window_lengths(length, radius) for length in shape)
    return np.outer(rows, columns).astype(kind)


def _window_lengths(length: int, radius: int) -> NDArray[np.float64]:
    """Count, for each of ``length`` pixels in a row, the pixels within ``radius``."""
    place = np.arange(length)
    return (np.minimum(place + radius, length - 1) - np.maximum(place - radius, 0) + 1).astype(np.float64)
