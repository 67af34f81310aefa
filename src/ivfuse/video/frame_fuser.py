"""Fusion of frames, one pair after another: the method on the luma of a video, smoothed over time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ivfuse.fusion.align import Aligner
from ivfuse.fusion.method import SizedMethod
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.reduced import REDUCTION, Shape, thermal_grid
from ivfuse.image.arrays import Gray
from ivfuse.image.color import resize_to
from ivfuse.image.upsampling import fit_gains
from ivfuse.video.auto_gain import AutoGain
from ivfuse.video.black_frame import BlackFrameRemover
from ivfuse.video.frame import (
    Frame,
    Plane,
    carry_up_luma,
    concatenate_frames,
    decode_luma,
    encode_luma,
    gray_frame,
    replace_luma,
    shrink_luma,
)
from ivfuse.video.smoothing import BLOCK, TemporalSmoother

_PARTS = ("place", "luma", "method", "smooth", "carry up", "recolor")


@dataclass(frozen=True)
class _FusedPair:
    """A pair of frames and its results, kept to avoid repeated work."""

    ir: Frame
    vi: Frame
    thermal: Gray  # on a grid over the visible
    coverage: Gray | None
    fused: NDArray[np.uint8]  # luma in the levels of the visible


@dataclass
class FrameFuser:
    """Fuses pairs of frames, one after another.

    Attributes:
        fuser: the method, and the placement of the thermal on the visible.
        gain: maps thermal values to [0, 1].
        gray: write the fused luma without color.
        side_by_side: write thermal, visible and fused next to each other.
        aligner: places the thermal on the visible; ``None`` for that of ``fuser``.
        notes: remarks for the user on how the thermal is placed.
        smoother: smooths the fused brightness over time; ``None`` to fuse each frame by itself.
        remover: leaves out the black frame of a thermal video that was warped before.
        cpu: processor time of each part so far, in seconds: placing the thermal, converting luma, the method,
            smoothing over time, carrying the result up to the visible's size and levels, and scaling the
            chroma.
    """

    fuser: Fuser
    gain: AutoGain = field(default_factory=AutoGain)
    gray: bool = False
    side_by_side: bool = False
    aligner: Aligner | None = None
    notes: tuple[str, ...] = ()
    smoother: TemporalSmoother | None = field(default_factory=TemporalSmoother)
    remover: BlackFrameRemover = field(default_factory=BlackFrameRemover)
    cpu: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_PARTS, 0.0))
    _previous: _FusedPair | None = None
    _weights: tuple[Gray, Gray, Gray] | None = None  # coverage, and its share and the rest in full size

    def fuse(self, ir: Frame, vi: Frame) -> Frame:
        """Fuse a pair; the result of the previous pair is reused if both images are the same."""
        previous = self._previous
        shape = self.shape_for(ir, vi)
        if previous is None and isinstance(self.fuser.method, SizedMethod):
            self.fuser.method.expect(shape or (vi.height, vi.width))
        with self._timed("place"):
            thermal, coverage = self._place(ir, vi, shape)
        same_thermal = previous is not None and thermal is previous.thermal
        if previous and same_thermal and np.array_equal(vi.planes[0], previous.vi.planes[0]):
            fused = previous.fused
        else:
            fused = self._fuse_luma(thermal, vi, coverage, shape)
        self._previous = _FusedPair(ir, vi, thermal, coverage, fused)
        with self._timed("recolor"):
            out = gray_frame(vi, fused) if self.gray else replace_luma(vi, fused)
            if self.side_by_side:
                # Beyond its border the thermal is continued, which nobody has seen.
                seen = thermal if coverage is None else thermal * coverage
                shown = encode_luma(resize_to(seen, vi.height, vi.width), vi.limited)
                out = concatenate_frames([gray_frame(vi, shown), vi, out])
        return out

    @property
    def placer(self) -> Aligner:
        """What places the thermal on the visible."""
        return self.aligner or self.fuser.aligner

    def shape_for(self, ir: Frame, vi: Frame) -> Shape | None:
        """Height and width at which the method sees a pair if they are smaller than the visible's."""
        return self.fuser.reduced_shape(*self._shapes(ir, vi))

    def _shapes(self, ir: Frame, vi: Frame) -> tuple[Shape, Shape, float]:
        """Those of visible and thermal frame, and the fraction of the visible that the thermal covers."""
        aligner, sizes = self.placer, ((ir.width, ir.height), (vi.width, vi.height))
        covered = 1.0 if aligner.stretches else aligner.warp(*sizes).covered_fraction
        return (vi.height, vi.width), (ir.height, ir.width), covered

    def _place(self, ir: Frame, vi: Frame, shape: Shape | None) -> tuple[Gray, Gray | None]:
        """The thermal image and its coverage on a grid over the visible, about as fine as its pixels."""
        previous = self._previous
        grid = vi.height, vi.width
        if shape is not None:
            # At least as fine as what the method decides, which becomes part of the offset.
            grid = max(shape, thermal_grid(*self._shapes(ir, vi)))
        if previous and ir is previous.ir and previous.thermal.shape == grid:
            return previous.thermal, previous.coverage
        ir, weight = self.remover.apply(ir)
        return self.placer.align_frame(self.gain.apply(ir), *grid, weight)

    def _fuse_luma(
        self, thermal: Gray, vi: Frame, coverage: Gray | None, shape: Shape | None
    ) -> NDArray[np.uint8]:
        """The fused luma in the size and the levels of the visible frame."""
        with self._timed("luma"):
            luma = decode_luma(vi) if shape is None else shrink_luma(vi, *shape)
        with self._timed("place"):
            ir = resize_to(thermal, *luma.shape)
            covered = None if coverage is None else resize_to(coverage, *luma.shape)
        with self._timed("method"):
            fused = self.fuser.fuse_covered(ir, luma, covered)
        if self.smoother is not None:
            with self._timed("smooth"):
                strength = np.float32(self.fuser.options.strength)
                weight = strength if covered is None else covered * strength
                block = BLOCK if shape is None else BLOCK // REDUCTION
                fused = self.smoother.apply(fused, ir, luma, vi.time, weight=weight, block=block)
        with self._timed("carry up"):
            if shape is None:
                return encode_luma(fused, vi.limited)
            out = carry_up_luma(vi, thermal, fit_gains(fused, luma, ir))
            # Gains reach a little beyond the thermal image, where the visible is to stay as it is.
            return out if coverage is None else self._blended(out, vi.planes[0], coverage)

    def _blended(self, inside: Plane, outside: Plane, coverage: Gray) -> Plane:
        """Two planes by the coverage, whose weights are kept as long as it stays, as with a rig."""
        import cv2

        if self._weights is None or self._weights[0] is not coverage:
            weight = resize_to(coverage, *outside.shape)
            self._weights = coverage, weight, 1 - weight
        _, weight, rest = self._weights
        return np.asarray(cv2.blendLinear(inside, np.ascontiguousarray(outside), weight, rest))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Add the processor time of the block to that of a part."""
        started = time.thread_time()
        try:
            yield
        finally:
            self.cpu[part] += time.thread_time() - started
