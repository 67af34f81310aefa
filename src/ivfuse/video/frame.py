"""A video frame as luma and chroma planes, of which fusion replaces the luma.

Chroma is never converted to RGB and back: it keeps the resolution and the range in which it was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import Gray
from ivfuse.image.color import GAIN_FLOOR, MAX_GAIN, WEIGHTS
from ivfuse.image.upsampling import LocalGains, apply_gains

if TYPE_CHECKING:
    from ivfuse.registration.pinhole import PinholeCamera

Plane = NDArray[Any]

# Matrix coefficients of H.273, table 4; those that are not named are treated as BT.601.
RGB_MATRIX, BT709, UNSPECIFIED, BT601, BT2020 = 0, 1, 2, 6, 9
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # transfer characteristics of H.273, table 3
LIMITED, FULL = 1, 2  # color ranges as FFmpeg numbers them

_STRIP = 20_000  # chroma samples processed at a time
_LUMA_WEIGHTS = {BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}  # of red and blue
_NEUTRAL = 128  # the chroma level of gray
_LEAST_CHROMA = 2.0  # mean distance from it, in levels of 255, of a video in color
_LEAST_DIFFERENCE = np.float32(1e-6)  # of a channel from the luma, against division by zero


@dataclass(frozen=True)
class MessageHeader:
    """What the message of a robot states about its image, which the fused image inherits.

    Attributes:
        stamp: time of the exposure, in nanoseconds.
        frame: name of the camera's coordinate frame.
        camera: calibration of the image; ``None`` if it is not known.
    """

    stamp: int
    frame: str
    camera: PinholeCamera | None = None


@dataclass(frozen=True)
class Frame:
    """A frame of a video.

    Attributes:
        planes: Y, or Y, U and V; uint8. U and V may be subsampled. A thermal frame has one plane, which may
            also hold uint16 counts or float32 values. Planes may be views of a decoder's memory: never write
            to them.
        time: on the clock of its source, in seconds.
        index: position in its source, from 0.
        limited: 8-bit luma is 16..235 instead of 0..255.
        matrix: coefficients that convert R, G, B to Y, U, V (H.273, table 4).
        primaries: color primaries (H.273, table 2).
        transfer: transfer characteristics (H.273, table 3).
        aspect: width of a pixel divided by its height; ``None`` for square pixels.
        header: of the message of a robot; ``None`` for other sources.
    """

    planes: tuple[Plane, ...]
    time: float
    index: int
    limited: bool = False
    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    aspect: Fraction | None = None
    header: MessageHeader | None = None

    @property
    def color_range(self) -> int:
        """The color range as FFmpeg numbers it."""
        return LIMITED if self.limited else FULL

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.planes[0].shape[1])


def decode_luma(frame: Frame) -> Gray:
    """The luma of an 8-bit frame, a new (H, W) float32 array in [0, 1]."""
    import cv2

    return np.asarray(cv2.LUT(frame.planes[0], _luma_table(frame.limited)), np.float32)


def black_level(frame: Frame) -> int:
    """The level of black in 8-bit luma."""
    return _luma_levels(frame.limited)[0]


def is_colored_yuv(planes: tuple[Plane, ...]) -> bool:
    """Whether Y, U and V, uint8, have color beyond the traces that compression leaves in gray video."""
    if len(planes) < 3:
        return False
    spread = np.mean([float(np.abs(plane.astype(np.int16) - _NEUTRAL).mean()) for plane in planes[1:]])
    return bool(spread > _LEAST_CHROMA)


def shrink_luma(frame: Frame, height: int, width: int) -> Gray:
    """The luma of an 8-bit frame at a smaller size, (height, width) float32 in [0, 1]."""
    import cv2

    small = cv2.resize(frame.planes[0], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.LUT(small, _luma_table(frame.limited)), np.float32)


def carry_up_luma(frame: Frame, thermal: Gray, gains: LocalGains) -> NDArray[np.uint8]:
    """The fused luma in the levels of a frame, from gains that were fitted at a smaller size.

    Args:
        frame: the visible frame, 8 bit.
        thermal: the thermal image on its grid, float32 in [0, 1], of the same size or smaller.
        gains: those of the luma and of the thermal image, both in [0, 1].
    """
    luma = frame.planes[0]
    black, span = _luma_levels(frame.limited)
    gains = gains.for_levels(black, span)
    out = np.empty(luma.shape, np.uint8)
    if thermal.shape == luma.shape:
        apply_gains(gains, (luma, thermal), out)
    else:
        apply_gains(gains.with_last(thermal), (luma,), out)
    return np.clip(out, black, black + span, out=out) if frame.limited else out


def encode_luma(gray: Gray, limited: bool) -> NDArray[np.uint8]:
    """Convert luma to the 8-bit levels of a frame.

    Args:
        gray: (H, W) float32 in [0, 1].
        limited: map 0 and 1 to 16 and 235 instead of 0 and 255.
    """
    import cv2

    black, span = _luma_levels(limited)
    return np.asarray(cv2.convertScaleAbs(gray, alpha=span, beta=black), np.uint8)


def replace_luma(frame: Frame, fused: NDArray[np.uint8]) -> Frame:
    """Replace the luma of a frame and keep its hue and saturation.

    U and V are scaled with the luma, and toward gray where the result would leave the RGB gamut, as in
    :func:`ivfuse.image.color.recolor`. Where the luma does not change, they stay bit for bit.

    Args:
        frame: Y, or Y, U and V; 8 bit.
        fused: the new luma, (H, W) uint8 in the levels of the frame.

    Raises:
        ShapeError: if the sizes differ.
    """
    if fused.shape != (frame.height, frame.width):
        raise ShapeError(f"luma {fused.shape}: expected {(frame.height, frame.width)}, the size of the frame")
    if len(frame.planes) == 1:
        return replace(frame, planes=(fused,))
    return replace(frame, planes=(fused, *_fit_chroma(frame, fused)))


def gray_frame(frame: Frame, luma: NDArray[np.uint8]) -> Frame:
    """A frame without color, of 8-bit luma, that has the time and the range of another frame."""
    return replace(frame, planes=(luma,))


def concatenate_frames(frames: list[Frame]) -> Frame:
    """Concatenate frames from left to right; frames without color become gray.

    Beside subsampled chroma, an odd width is padded by repeating its last column, so that the chroma of each
    frame stays under its luma.

    Args:
        frames: frames of one size and range; the first with color determines the chroma resolution.
    """
    colored = next((frame for frame in frames if len(frame.planes) == 3), None)
    luma = [frame.planes[0] for frame in frames]
    if colored is not None and colored.planes[1].shape != luma[0].shape:
        luma = [np.pad(plane, ((0, 0), (0, plane.shape[1] % 2)), "edge") for plane in luma]
    planes = [np.hstack(luma)]
    if colored is not None:
        for channel in (1, 2):
            gray = np.full_like(colored.planes[channel], _NEUTRAL)
            parts = [frame.planes[channel] if len(frame.planes) == 3 else gray for frame in frames]
            planes.append(np.hstack(parts))
    return replace(colored or frames[0], planes=tuple(planes))


def full_range_luma(frame: Frame) -> NDArray[np.uint8]:
    """The 8-bit luma as 0..255, whatever the range of the frame."""
    if not frame.limited:
        return np.asarray(frame.planes[0], np.uint8)
    return encode_luma(decode_luma(frame), limited=False)


@lru_cache(maxsize=2)
def _luma_table(limited: bool) -> NDArray[np.float32]:
    """Luma in [0, 1] of each 8-bit level."""
    black, span = _luma_levels(limited)
    return np.clip((np.arange(256) - black) / span, 0, 1).astype(np.float32)


def _luma_levels(limited: bool) -> tuple[int, int]:
    """The level of black, and the number of levels from black to white."""
    return (16, 219) if limited else (0, 255)


def _fit_chroma(frame: Frame, fused: NDArray[np.uint8]) -> tuple[Plane, Plane]:
    """U and V, scaled to the new luma."""
    u, v = frame.planes[1:]
    height, width = u.shape
    luma, fused = (_resize(plane, height, width) for plane in (frame.planes[0], fused))
    weights = _LUMA_WEIGHTS.get(frame.matrix, (WEIGHTS[0], WEIGHTS[2]))
    out = np.empty(u.shape, np.uint8), np.empty(v.shape, np.uint8)
    # A few rows at a time: allocating temporary arrays of a whole frame costs more than filling them.
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        scale = _chroma_scale(luma[part], fused[part], u[part], v[part], frame.limited, weights)
        for chroma, target in zip((u, v), out, strict=True):
            target[part] = _scale_chroma(chroma[part], scale)
    return out


def _resize(luma: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Downsample 8-bit luma to the resolution of the chroma."""
    import cv2

    if luma.shape == (height, width):
        return luma
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _chroma_scale(
    luma: Plane, fused: Plane, u: Plane, v: Plane, limited: bool, weights: tuple[float, float]
) -> Gray:
    """The factor by which chroma is scaled at each pixel.

    Args:
        luma, fused: the luma before and after, at the resolution of the chroma, uint8.
        u, v: chroma planes, uint8.
        limited: range of the planes.
        weights: of red and blue in the luma.
    """
    import cv2

    brighter, reciprocal, room_above, room_below = _gain_tables(limited)
    scale = cv2.multiply(cv2.LUT(fused, brighter), cv2.LUT(luma, reciprocal))
    np.clip(scale, 1 / MAX_GAIN, MAX_GAIN, out=scale)
    highest, lowest = _color_extremes(u, v, weights, 224 if limited else 255)
    # The chroma may not leave the RGB gamut.
    np.maximum(highest, _LEAST_DIFFERENCE, out=highest)
    np.minimum(lowest, -_LEAST_DIFFERENCE, out=lowest)
    cv2.min(scale, cv2.divide(cv2.LUT(fused, room_above), highest), dst=scale)
    cv2.min(scale, cv2.divide(cv2.LUT(fused, room_below), lowest), dst=scale)
    return np.asarray(scale, np.float32)


def _color_extremes(u: Plane, v: Plane, weights: tuple[float, float], span: int) -> tuple[Gray, Gray]:
    """The largest and the smallest of R - Y, G - Y and B - Y at each pixel, as fractions of white."""
    import cv2

    red_weight, blue_weight = weights
    green_weight = 1 - red_weight - blue_weight
    blue = cv2.LUT(u, _difference_table(2 * (1 - blue_weight) / span))  # B - Y
    red = cv2.LUT(v, _difference_table(2 * (1 - red_weight) / span))  # R - Y
    green = cv2.addWeighted(red, -red_weight / green_weight, blue, -blue_weight / green_weight, 0)
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(highest, np.float32), np.asarray(lowest, np.float32)


def _scale_chroma(chroma: Plane, scale: Gray) -> Plane:
    """Scale chroma about its neutral level."""
    import cv2

    scaled = cv2.multiply(cv2.LUT(chroma, _difference_table(1.0)), scale)
    return np.asarray(cv2.addWeighted(scaled, 1, scaled, 0, _NEUTRAL, dtype=cv2.CV_8U), np.uint8)


@lru_cache(maxsize=2)
def _gain_tables(limited: bool) -> tuple[Gray, Gray, Gray, Gray]:
    """Of each 8-bit luma: itself plus the floor of the gain, the reciprocal of that, 1 - luma, and -luma."""
    luma = _luma_table(limited)
    one = np.float32(1)
    return luma + GAIN_FLOOR, one / (luma + GAIN_FLOOR), one - luma, -luma


@lru_cache(maxsize=8)
def _difference_table(step: float) -> NDArray[np.float32]:
    """The color difference, such as B - Y, of each 8-bit chroma level."""
    return ((np.arange(256) - _NEUTRAL) * step).astype(np.float32)


def hdr_notes(frame: Frame) -> list[str]:
    """What happens to a visible with high dynamic range."""
    name = HDR_TRANSFERS.get(frame.transfer)
    if name is None:
        return []
    return [f"the visible is HDR ({name}): written with 8 bit in its transfer function, without tone mapping"]
