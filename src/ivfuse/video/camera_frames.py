"""Thermal images out of the video frames of USB cameras, live or recorded without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.thermal.camera_frames import FrameLayout, choose_layout, find_layouts, frame_notes

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_LOSSLESS = ("rawvideo", "ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv")  # keep the bytes of YUYV


class CameraFrames:
    """Takes the thermal image out of each frame, in the layout that the first frame shows.

    Attributes:
        rows: of the thermal image.
        notes: remarks for the user, known with the first frame.
    """

    def __init__(self, layouts: tuple[FrameLayout, ...]) -> None:
        """Choose between layouts of one size with the first frame."""
        self.rows = layouts[0].rows
        self.notes: tuple[str, ...] = ()
        self._layouts = layouts

    @classmethod
    def of(cls, context: Any) -> CameraFrames | None:
        """Recognize a camera by the size and pixel format of its frames; ``None`` if none is known.

        Args:
            context: PyAV's codec context of the video.
        """
        yuyv = context.pix_fmt in ("yuyv422", "yuv422p") and context.codec.name in _LOSSLESS
        if context.pix_fmt != "gray16le" and not yuyv:
            return None
        layouts = find_layouts(context.width, context.height, yuyv=yuyv)
        return cls(layouts) if layouts else None

    def thermal(self, image: VideoFrame) -> NDArray[Any]:
        """The thermal image of a frame: (H, W) float32 in degC, or uint16 counts."""
        counts = _counts(image)
        if not self.notes:
            layout = choose_layout(counts, self._layouts)
            self._layouts, self.notes = (layout,), frame_notes(counts, layout)
        return self._layouts[0].values(counts)


def _counts(image: VideoFrame) -> NDArray[np.uint16]:
    """The counts of a frame, whose bytes a camera may declare as YUYV, and a codec may store in planes."""
    planes = [np.frombuffer(memoryview(each), np.uint8).reshape(each.height, -1) for each in image.planes]
    if image.format.name != "yuv422p":
        return planes[0][:, : 2 * image.width].view(np.uint16)
    counts = planes[0][:, : image.width].astype(np.uint16)
    for start, chroma in enumerate(planes[1:]):
        counts[:, start::2] |= chroma[:, : image.width // 2].astype(np.uint16) << 8
    return counts
