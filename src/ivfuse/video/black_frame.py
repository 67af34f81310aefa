"""The black frame of a thermal video that was warped before: found in its first frames, left out of all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.image.black_frame import BlackFrame, find_black_frame
from ivfuse.video.frame import Frame, black_level

_FRAMES = 64  # that are compared; a cold sky that is taken for a frame has moved by then
_NOISE = 4  # levels by which compression brightens black in 8-bit video


@dataclass
class BlackFrameRemover:
    """Leaves out the black frame of thermal video frames, one after another.

    A frame is black in all images and can only shrink, so that a video without one costs one search. It is
    searched in the brightest values so far, after 1, 2, 4, ... 64 images. A white one is found in the first.

    Attributes:
        frame: the black or white frame; ``None`` if there is none, or none is known yet.
    """

    frame: BlackFrame | None = None
    _brightest: NDArray[Any] | None = None
    _count: int = 0

    def apply(self, ir: Frame) -> tuple[Frame, Gray | None]:
        """Continue a thermal frame into its black frame.

        Returns:
            The frame, and its weight, (H, W) float32 in [0, 1]; ``None`` for 1 everywhere.
        """
        if self._count < _FRAMES:
            self._compare(ir)
        if self.frame is None or self.frame.inside.shape != ir.planes[0].shape:
            return ir, None
        return replace(ir, planes=(self.frame.fill(ir.planes[0]),)), self.frame.weight

    def _compare(self, ir: Frame) -> None:
        values = ir.planes[0]
        if self._brightest is not None and self._brightest.shape == values.shape:
            values = np.maximum(self._brightest, values)
        self._brightest = np.array(values)  # planes may be views of a decoder's memory
        if values.min() == values.max():  # a shutter, or nothing yet
            return
        self._count += 1
        if self._count & (self._count - 1):
            return
        if values.dtype == np.uint8:
            values = np.where(values <= black_level(ir) + _NOISE, np.uint8(0), values)
        self.frame = find_black_frame(values, 255.0 if values.dtype == np.uint8 else float(values.max()))
        if self.frame is None or self.frame.white:  # which the brightest values of a scene may reach
            self._count = _FRAMES
