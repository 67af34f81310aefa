"""Drawing of a color bar with temperature labels into an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Rgb

_MIN_SIZE = (48, 64)  # height and width of the smallest image that a bar is drawn into
_STEPS = (1.0, 2.0, 5.0)


def draw_bar(image: Rgb, colors: NDArray[np.float32], low: float, high: float) -> Rgb:
    """Draw a color bar with temperature labels at the right edge.

    Args:
        image: (H, W, 3) float32 in [0, 1]; modified in place.
        colors: (N, 3) float32, from cold to hot.
        low: temperature of the first color, in degC.
        high: temperature of the last color, in degC.

    Returns:
        ``image``, unchanged if it is too small for a bar.
    """
    height, width = image.shape[:2]
    if height < _MIN_SIZE[0] or width < _MIN_SIZE[1]:
        return image
    size = int(np.clip(height / 32, 9, 40))
    edge = max(3, height // 60)
    thick, top, bottom = max(4, size), edge + 2 * size, height - edge - 2 * size
    labels = _labels(low, high, (bottom - top) / (2.4 * size))
    right = width - edge
    space = max(_width(text, size) for _, text in labels)
    left = right - thick - space - size // 2
    # A darkened background keeps the labels legible on any image.
    background = image[
        max(0, top - 2 * size + edge // 2) : bottom + 2 * size - edge // 2, max(0, left - size // 2) :
    ]
    background *= 0.45
    rows = np.linspace(1, 0, bottom - top)
    image[top:bottom, right - thick : right] = colors[np.rint(rows * (len(colors) - 1)).astype(int)][:, None]
    for value, text in labels:
        middle = bottom - 1 - (value - low) / (high - low) * (bottom - top - 1)
        image[round(middle), right - thick : right] = 1 - image[round(middle), right - thick : right]
        _write(image, text, right - thick - size // 2, middle, size)
    _write(image, "°C", right, top - size, size)
    return image


def _labels(low: float, high: float, most: float) -> list[tuple[float, str]]:
    """Choose round temperatures that fit beside the bar; its two ends if fewer than two round values do."""
    step = 10.0 ** math.floor(math.log10((high - low) / max(most, 1)))
    step = next(step * k for k in (*_STEPS, 10.0, 20.0) if (high - low) / (step * k) <= max(most, 1))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [k * step for k in range(first, last + 1)]
    if len(values) < 2:
        values, digits = [low, high], max(digits, 1)
    return [(value, f"{value + 0.0:.{digits}f}") for value in values]


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    return math.ceil(float(_font(size).getlength(text)))


def _write(image: Rgb, text: str, right: float, middle: float, size: int) -> None:
    """Write white text that ends at a column, vertically centered on a row."""
    from PIL import Image, ImageDraw

    width = _width(text, size) + 2
    stamp = Image.new("L", (width, 2 * size), 0)
    ImageDraw.Draw(stamp).text((width - 1, size), text, 255, _font(size), anchor="rm")
    mask = np.asarray(stamp, np.float32)[..., np.newaxis] / 255
    top, left = round(middle) - size, round(right) - width
    rows = slice(max(0, top), min(image.shape[0], top + 2 * size))
    columns = slice(max(0, left), min(image.shape[1], left + width))
    part = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    target = image[rows, columns]
    target += (1 - target) * part
