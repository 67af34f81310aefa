"""Temporal consistency of a fused video: BiSWE and MS2R, which compare frames along their motion.

Both need three consecutive frames and are therefore no metrics of a triple. Motion is the optical flow of
OpenCV's DIS (Kroeger et al. 2016, preset medium); values of another flow are not comparable.
Source: Zhao et al. 2025, arXiv 2505.19858, where the flow is that of a network.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.metrics.metric import Undefined
from ivfuse.runtime.processes import available_cpus

Levels = NDArray[np.uint8]  # (H, W), 0..255
Flow = NDArray[np.float32]  # (H, W, 2): how far each pixel moves to the right and down, in pixels

LEAST_SIDE = 16  # pixels that the flow needs
# Forward-backward check (Sundaram et al. 2010): a flow f with the flow b at its end is consistent if
# |f + b|^2 <= CHECK_SHARE * (|f|^2 + |b|^2) + CHECK_OFFSET, in square pixels.
CHECK_SHARE, CHECK_OFFSET = 0.01, 0.5

_per_thread = threading.local()


@dataclass(frozen=True)
class TemporalScores:
    """The temporal consistency of a fused video.

    Attributes:
        biswe: bidirectional self-warping error, in levels of 255; 0 or more, lower is better. Mean over
            frames of mean |frame - previous, warped| + mean |frame - next, warped|, by the flow of the fused
            video, over pixels whose flow passes a forward-backward check in both sources.
        ms2r: motion smoothness with two references, in pixels; 0 or more, lower is better. Mean over frames
            of half the sum over both sources of mean |change of the flow of the fused - that of the source|,
            where the change is flow to the next frame - flow from the previous one, and the mean is over
            pixels and both components.
        frames: number of frames that have both neighbors.
    """

    biswe: float
    ms2r: float
    frames: int


@dataclass(frozen=True)
class _Step:
    """The motion between two consecutive frames of a video."""

    forward: Flow  # from the earlier frame to the later one
    backward: Flow


@dataclass
class _Sums:
    """What was added up for a fused video."""

    warp_errors: list[float] = field(default_factory=list)
    roughness: list[float] = field(default_factory=list)
    pending: float = np.nan  # error of the latest frame against the one before it, warped


class TemporalScorer:
    """Scores one or several fused videos of the same sources, frame by frame.

    Example:
        >>> scorer = TemporalScorer()
        >>> for ir, vi, fused in frames:  # doctest: +SKIP
        ...     scorer.add(ir, vi, [fused])
        >>> scorer.scores()[0].biswe  # doctest: +SKIP
    """

    def __init__(self, count: int = 1) -> None:
        """Begin.

        Args:
            count: number of fused videos.
        """
        self._sums = [_Sums() for _ in range(count)]
        self._frames: list[Levels] = []  # the latest: thermal, visible and all fused
        self._steps: list[_Step] = []  # that led to them
        self._threads = ThreadPoolExecutor(min(2 * (2 + count), available_cpus()))

    def add(self, ir: Levels, vi: Levels, fused: Sequence[Levels]) -> None:
        """Add the next frame.

        Args:
            ir: thermal frame, (H, W) uint8, H, W >= 16.
            vi: luma of the visible frame, of the same shape.
            fused: luma of the frames of all fused videos, of the same shape.

        Raises:
            ShapeError: if the shapes differ from each other or from those before, or are too small.
        """
        frames = [np.ascontiguousarray(each) for each in (ir, vi, *fused)]
        _check(frames, self._frames, 2 + len(self._sums))
        previous, self._frames = self._frames, frames
        if not previous:
            return
        steps = self._follow(previous, frames)
        ways = (steps[0], steps[1], _reversed(steps[0]), _reversed(steps[1]))
        consistent = list(self._threads.map(_consistent, ways))
        valid_before, valid_after = consistent[0] & consistent[1], consistent[2] & consistent[3]
        changes = [now.forward - before.forward for now, before in zip(steps, self._steps, strict=False)]
        for at, sums in enumerate(self._sums, 2):
            to_next = _warp_error(previous[at], frames[at], steps[at].forward, valid_before)
            if changes:
                sums.warp_errors.append(sums.pending + to_next)
                sums.roughness.append(_roughness(changes[at], changes[:2]))
            sums.pending = _warp_error(frames[at], previous[at], steps[at].backward, valid_after)
        self._steps = steps

    def interrupt(self) -> None:
        """State that frames are missing here: what follows is not compared with what was before."""
        self._frames, self._steps = [], []

    def scores(self) -> list[TemporalScores]:
        """The scores of the fused videos, in the order of ``add``.

        Raises:
            Undefined: if there are fewer than three frames in a row, or nothing can be followed in both
                sources.
        """
        return [_mean_scores(sums) for sums in self._sums]

    def _follow(self, earlier: Sequence[Levels], later: Sequence[Levels]) -> list[_Step]:
        """The motion of each video, all directions of all videos at the same time."""
        flows = list(self._threads.map(_flow, (*earlier, *later), (*later, *earlier)))
        return [_Step(*both) for both in zip(flows[: len(earlier)], flows[len(earlier) :], strict=True)]


def temporal_consistency(fused: NDArray[Any], ir: NDArray[Any], vi: NDArray[Any]) -> TemporalScores:
    """BiSWE and MS2R of a fused video.

    Args:
        fused: luma, (N, H, W) uint8, N >= 3, H, W >= 16.
        ir: thermal video of the same shape.
        vi: luma of the visible video, of the same shape.

    Raises:
        ShapeError: if the shapes differ or are too small.
        Undefined: if there are fewer than three frames, or nothing can be followed in both sources.
    """
    if not len(fused) == len(ir) == len(vi):
        raise ShapeError(f"found {len(fused)} fused, {len(ir)} thermal, {len(vi)} visible frames")
    scorer = TemporalScorer()
    for frames in zip(ir, vi, fused, strict=True):
        scorer.add(*frames[:2], frames[2:])
    return scorer.scores()[0]


def _check(frames: Sequence[Levels], previous: Sequence[Levels], count: int) -> None:
    if len(frames) != count:
        raise ShapeError(f"found {len(frames) - 2} fused frames, expected {count - 2}")
    shapes = {each.shape for each in (*frames, *previous)}
    if len(shapes) > 1 or frames[0].ndim != 2 or min(frames[0].shape) < LEAST_SIDE:
        found = ", ".join(map(str, sorted(shapes)))
        raise ShapeError(f"frames {found}: expected one shape (H, W) of {LEAST_SIDE} pixels or more a side")
    if any(each.dtype != np.uint8 for each in frames):
        raise ShapeError(f"frames of {', '.join(sorted({str(x.dtype) for x in frames}))}: expected uint8")


def _mean_scores(sums: _Sums) -> TemporalScores:
    if not sums.roughness:
        raise Undefined("temporal consistency needs three frames in a row")
    if np.isnan(sums.warp_errors).all():
        raise Undefined("no pixel can be followed in both sources")
    return TemporalScores(
        float(np.nanmean(sums.warp_errors)), float(np.mean(sums.roughness)), len(sums.roughness)
    )


def _flow(earlier: Levels, later: Levels) -> Flow:
    """The optical flow from one frame to another; DIS keeps buffers, so that each thread has its own."""
    if not hasattr(_per_thread, "dis"):
        medium = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        _per_thread.dis = cv2.DISOpticalFlow_create(medium)  # type: ignore[attr-defined]
    flow: Flow = _per_thread.dis.calc(earlier, later, None)
    return flow


def _roughness(change: Flow, sources: Sequence[Flow]) -> float:
    """MS2R of a frame from the change of its flow and those of the flows of its sources."""
    return float(np.mean([np.abs(change - source).mean(dtype=np.float64) for source in sources]))


def _reversed(step: _Step) -> _Step:
    return _Step(step.backward, step.forward)


def _consistent(step: _Step) -> NDArray[np.bool_]:
    """Pixels whose forward flow ends inside the image, and whose backward flow leads back."""
    ends = step.forward + _grid(*step.forward.shape[:2])
    back = _sample(step.backward, ends)
    allowed = CHECK_SHARE * (_squared(step.forward) + _squared(back)) + CHECK_OFFSET
    return np.asarray(_inside(ends) & (_squared(step.forward + back) <= allowed))


def _warp_error(frame: Levels, other: Levels, flow: Flow, valid: NDArray[np.bool_]) -> float:
    """Mean |frame - other, warped to it| over valid pixels whose flow ends inside; NaN if there are none."""
    ends = flow + _grid(*frame.shape)
    valid = valid & _inside(ends)
    if not valid.any():
        return np.nan
    warped = _sample(other.astype(np.float32), ends)
    return float(np.abs(frame - warped)[valid].mean(dtype=np.float64))


def _sample(values: NDArray[np.float32], ends: Flow) -> NDArray[np.float32]:
    """Values, (H, W) or (H, W, 2), at the ends of a flow, as columns and rows."""
    border = cv2.BORDER_REPLICATE
    sampled = cv2.remap(values, ends, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(sampled, np.float32)


@lru_cache(maxsize=1)
def _grid(height: int, width: int) -> Flow:
    """Column and row of each pixel."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))


def _inside(ends: Flow) -> NDArray[np.bool_]:
    """Which ends of a flow, as columns and rows, lie inside the image."""
    height, width = ends.shape[:2]
    x, y = ends[..., 0], ends[..., 1]
    return np.asarray((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))


def _squared(flow: Flow) -> NDArray[np.float32]:
    """The squared length of each vector."""
    x, y = flow[..., 0], flow[..., 1]
    return x * x + y * y
