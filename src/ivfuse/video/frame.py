"""A frame as planes of numbers, luma apart from chroma: a fused luma takes the place of one plane.

Chroma is never converted to RGB and back, and stays at the resolution and in the range it was filmed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray
from ivfuse.image.color import WEIGHTS

Plane = NDArray[Any]

BT709, BT2020 = 1, 9  # color matrices as H.273 numbers them; anything else is taken for BT.601
LIMITED, FULL = 1, 2  # FFmpeg's numbers of color ranges
_STRIP = 20_000  # pixels of chroma treated at a time
_RED_AND_BLUE = {BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}  # weights of the luma


@dataclass(frozen=True)
class Frame:
    """A frame.

    Attributes:
        planes: Y, or Y, U, V; uint8. U and V may be smaller. A thermal frame has one plane, which may also be
            uint16 counts or float32 values. Planes may be views of a decoder's memory: never write to them.
        time: seconds on the clock of its source.
        index: its number in the source, from 0.
        limited: 8-bit luma goes from 16 to 235 instead of from 0 to 255.
        matrix: how the colors were turned into Y, U, V (H.273, table 4).
    """

    planes: tuple[Plane, ...]
    time: float
    index: int
    limited: bool = False
    matrix: int = 2

    @property
    def color_range(self) -> int:
        """FFmpeg's number of the range."""
        return LIMITED if self.limited else FULL

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.planes[0].shape[1])


def luma_of(frame: Frame) -> Gray:
    """The luma of an 8-bit frame.

    Returns:
        (H, W) float32 in [0, 1], a new array.
    """
    import cv2

    return np.asarray(cv2.LUT(frame.planes[0], _table(frame.limited)), np.float32)


def levels_of(gray: Gray, limited: bool) -> NDArray[np.uint8]:
    """A luma as levels of a frame.

    Args:
        gray: (H, W) float32 in [0, 1].
        limited: 0 and 1 become 16 and 235 instead of 0 and 255.
    """
    import cv2

    foot, span = _range(limited)
    return np.asarray(cv2.convertScaleAbs(gray, alpha=span, beta=foot), np.uint8)


def with_luma(frame: Frame, fused: Gray) -> Frame:
    """The same frame with another luma; its colors stay.

    U and V are kept bit for bit but where the new luma would drive a color out of RGB: there they shrink
    towards gray just enough, which keeps the fused luma and the hue.

    Args:
        frame: Y or Y, U, V of 8 bit.
        fused: (H, W) float32 in [0, 1].

    Raises:
        ShapeError: if the sizes differ.
    """
    if fused.shape != (frame.height, frame.width):
        raise ShapeError(f"luma {fused.shape}: expected {(frame.height, frame.width)}, the size of the frame")
    luma = levels_of(fused, frame.limited)
    if len(frame.planes) == 1:
        return replace(frame, planes=(luma,))
    return replace(frame, planes=(luma, *_limit_chroma(frame, fused)))


def gray_frame(frame: Frame, gray: Gray) -> Frame:
    """A frame without color at the time and in the range of another one."""
    return replace(frame, planes=(levels_of(gray, frame.limited),))


def beside(frames: list[Frame]) -> Frame:
    """Frames of one size in a row, from left to right; those without color become gray.

    Args:
        frames: of one size and range; the first that has color tells the resolution of the chroma.
    """
    colored = next((x for x in frames if len(x.planes) == 3), None)
    rows = [np.hstack([x.planes[0] for x in frames])]
    if colored is not None:
        for which in (1, 2):
            gray = np.full_like(colored.planes[which], 128)
            rows.append(np.hstack([x.planes[which] if len(x.planes) == 3 else gray for x in frames]))
    return replace(colored or frames[0], planes=tuple(rows))


def full_range_luma(frame: Frame) -> NDArray[np.uint8]:
    """The 8-bit luma from 0 to 255, whatever the range of the frame."""
    if not frame.limited:
        return np.asarray(frame.planes[0], np.uint8)
    return levels_of(luma_of(frame), limited=False)


@lru_cache(maxsize=2)
def _table(limited: bool) -> NDArray[np.float32]:
    foot, span = _range(limited)
    return np.clip((np.arange(256) - foot) / span, 0, 1).astype(np.float32)


def _range(limited: bool) -> tuple[int, int]:
    """Level of black, and levels from black to white."""
    return (16, 219) if limited else (0, 255)


def _limit_chroma(frame: Frame, fused: Gray) -> tuple[Plane, Plane]:
    """U and V, smaller where the new luma leaves them too little room; see ``imaging.color.recolor``."""
    import cv2

    u, v = frame.planes[1:]
    height, width = u.shape
    if fused.shape != u.shape:
        fused = np.asarray(cv2.resize(fused, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    weights = _RED_AND_BLUE.get(frame.matrix, (WEIGHTS[0], WEIGHTS[2]))
    span = 224 if frame.limited else 255
    out = np.empty(u.shape, np.uint8), np.empty(v.shape, np.uint8)
    # A few rows at a time: temporary arrays of a whole frame cost more to get from the system than to fill.
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        scale = _room(u[part], v[part], fused[part], weights, span)
        for chroma, target in zip((u, v), out, strict=True):
            target[part] = chroma[part] if scale is None else _shrink(chroma[part], scale)
    return out


def _room(u: Plane, v: Plane, fused: Gray, weights: tuple[float, float], span: int) -> Gray | None:
    """By how much chroma must shrink at each place, 0..1; ``None`` if nowhere."""
    import cv2

    red_weight, blue_weight = weights
    green_weight = 1 - red_weight - blue_weight
    blue = cv2.LUT(u, _offsets(2 * (1 - blue_weight) / span))  # B - Y
    red = cv2.LUT(v, _offsets(2 * (1 - red_weight) / span))  # R - Y
    green = cv2.addWeighted(red, -red_weight / green_weight, blue, -blue_weight / green_weight, 0)
    highest = cv2.max(cv2.max(red, green), blue)
    lowest = cv2.min(cv2.min(red, green), blue)
    up, down = np.maximum(highest, np.float32(1e-6)), np.maximum(-lowest, np.float32(1e-6))
    scale: Gray = np.minimum((1 - fused) / up, fused / down)
    return None if scale.min() >= 1 else np.minimum(scale, 1, out=scale)


def _shrink(chroma: Plane, scale: Gray) -> Plane:
    """Chroma times a factor, about its middle."""
    import cv2

    moved = cv2.add(cv2.multiply(chroma, scale, dtype=cv2.CV_32F), 128 - 128 * scale, dtype=cv2.CV_8U)
    return np.asarray(moved, np.uint8)


@lru_cache(maxsize=8)
def _offsets(step: float) -> NDArray[np.float32]:
    """A level of chroma -> what it adds to the luma."""
    return ((np.arange(256) - 128) * step).astype(np.float32)
