"""Frames to what PyAV encodes and to what OpenCV writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.video.frame import BT709, BT2020, FULL, Frame, full_range_luma

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def to_video_frame(frame: Frame, pixels: str) -> VideoFrame:
    """A frame for an encoder.

    Args:
        frame: Y or Y, U, V of 8 bit.
        pixels: FFmpeg's pixel format: ``gray`` or planar YUV of 8 bit.
    """
    held = format_of(frame)
    if pixels == "gray":
        return _filled("gray", (full_range_luma(frame),), FULL, frame.matrix)
    luma_range = frame.color_range
    if held == "gray":  # gray in YUV: chroma in the middle
        height, width = -(-frame.height // 2), -(-frame.width // 2)
        gray = np.full((height, width), 128, np.uint8)
        return _filled("yuv420p", (frame.planes[0], gray, gray), luma_range, frame.matrix)
    out = _filled(held, frame.planes, luma_range, frame.matrix)
    if held == pixels:
        return out
    converted: VideoFrame = out.reformat(
        format=pixels, src_color_range=luma_range, dst_color_range=luma_range
    )
    converted.color_range, converted.colorspace = luma_range, frame.matrix
    return converted


def to_pixels(frame: Frame) -> NDArray[np.uint8]:
    """A frame as OpenCV writes it: (H, W) gray of full range, or (H, W, 3) B, G, R; 8 bit."""
    return full_range_luma(frame) if len(frame.planes) == 1 else to_bgr(frame)


def to_bgr(frame: Frame) -> NDArray[np.uint8]:
    """A frame with color as (H, W, 3) B, G, R of 8 bit."""
    import cv2

    luma, blue, red = frame.planes
    if not frame.limited and blue.shape == luma.shape and frame.matrix not in (BT709, BT2020):
        return np.asarray(cv2.cvtColor(cv2.merge((luma, red, blue)), cv2.COLOR_YCrCb2BGR), np.uint8)
    out = _filled(format_of(frame), frame.planes, frame.color_range, frame.matrix)
    matrix: Any = {BT709: "ITU709", BT2020: "BT2020"}.get(frame.matrix, "ITU601")
    shown = out.reformat(
        format="bgr24",
        src_colorspace=matrix,
        src_color_range=frame.color_range,
        dst_color_range=FULL,
        interpolation="BICUBIC",
    )
    return np.asarray(shown.to_ndarray(), np.uint8)


def format_of(frame: Frame) -> str:
    """FFmpeg's name of the format that the planes are in."""
    if len(frame.planes) == 1:
        return "gray"
    rows, columns = (a < b for a, b in zip(frame.planes[1].shape, frame.planes[0].shape, strict=True))
    return "yuv420p" if rows else "yuv422p" if columns else "yuv444p"


def _filled(pixels: str, planes: tuple[NDArray[Any], ...], luma_range: int, matrix: int) -> VideoFrame:
    """A new frame of PyAV with these planes."""
    from av.video.frame import VideoFrame

    height, width = planes[0].shape
    out = VideoFrame(width, height, pixels)
    for target, values in zip(out.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, target.line_size)
        rows[:, : target.width] = values
    out.color_range, out.colorspace = luma_range, matrix
    return out
