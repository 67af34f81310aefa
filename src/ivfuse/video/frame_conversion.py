"""Conversion of frames to those of PyAV, for encoders, and to arrays of OpenCV, for image files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.video.frame import BT709, BT2020, FULL, Frame, full_range_luma

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_COLORSPACES = {BT709: "ITU709", BT2020: "BT2020"}  # as FFmpeg's scaler names them; BT.601 otherwise


def to_av_frame(frame: Frame, pixel_format: str) -> VideoFrame:
    """Convert a frame for an encoder.

    Args:
        frame: Y, or Y, U and V; 8 bit.
        pixel_format: FFmpeg's name of the format: ``gray`` or 8-bit planar YUV.
    """
    image = _to_av_planes(frame, pixel_format)
    image.colorspace = frame.matrix
    if hasattr(image, "color_trc"):  # PyAV 16
        image.color_primaries, image.color_trc = frame.primaries, frame.transfer
    return image


def _to_av_planes(frame: Frame, pixel_format: str) -> VideoFrame:
    """Convert the planes and tag them with their range."""
    stored = pixel_format_of(frame)
    if pixel_format == "gray":
        return _new_av_frame("gray", (full_range_luma(frame),), FULL, frame.matrix)
    if stored == "gray":  # YUV needs neutral chroma
        height, width = -(-frame.height // 2), -(-frame.width // 2)
        neutral = np.full((height, width), 128, np.uint8)
        return _new_av_frame("yuv420p", (frame.planes[0], neutral, neutral), frame.color_range, frame.matrix)
    image = _new_av_frame(stored, frame.planes, frame.color_range, frame.matrix)
    if stored == pixel_format:
        return image
    converted: VideoFrame = image.reformat(
        format=pixel_format, src_color_range=frame.color_range, dst_color_range=frame.color_range
    )
    converted.color_range = frame.color_range
    return converted


def to_opencv(frame: Frame) -> NDArray[np.uint8]:
    """Convert a frame to full-range gray (H, W), or to B, G, R (H, W, 3) if it has color; 8 bit."""
    return full_range_luma(frame) if len(frame.planes) == 1 else to_bgr(frame)


def to_bgr(frame: Frame) -> NDArray[np.uint8]:
    """Convert a frame with color to B, G, R, (H, W, 3), 8 bit."""
    import cv2

    y, u, v = frame.planes
    if not frame.limited and u.shape == y.shape and frame.matrix not in _COLORSPACES:
        return np.asarray(cv2.cvtColor(cv2.merge((y, v, u)), cv2.COLOR_YCrCb2BGR), np.uint8)
    image = _new_av_frame(pixel_format_of(frame), frame.planes, frame.color_range, frame.matrix)
    colorspace: Any = _COLORSPACES.get(frame.matrix, "ITU601")
    converted = image.reformat(
        format="bgr24",
        src_colorspace=colorspace,
        src_color_range=frame.color_range,
        dst_color_range=FULL,
        interpolation="BICUBIC",
    )
    return np.asarray(converted.to_ndarray(), np.uint8)


def pixel_format_of(frame: Frame) -> str:
    """FFmpeg's name of the format in which the planes are stored."""
    if len(frame.planes) == 1:
        return "gray"
    luma, chroma = frame.planes[0].shape, frame.planes[1].shape
    if chroma[0] < luma[0]:
        return "yuv420p"
    return "yuv422p" if chroma[1] < luma[1] else "yuv444p"


def _new_av_frame(
    pixel_format: str, planes: tuple[NDArray[Any], ...], color_range: int, matrix: int
) -> VideoFrame:
    """Copy planes into a new frame of PyAV."""
    from av.video.frame import VideoFrame

    height, width = planes[0].shape
    out = VideoFrame(width, height, pixel_format)
    for target, values in zip(out.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, target.line_size)
        rows[:, : target.width] = values
    out.color_range, out.colorspace = color_range, matrix
    return out
