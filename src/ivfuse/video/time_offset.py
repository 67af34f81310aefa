"""Estimation of the time offset between two recordings of one scene, from the motion in both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.correlation import cross_correlation, spectrum
from ivfuse.video.auto_gain import AutoGain
from ivfuse.video.frame import Frame

MAX_OFFSET = 10.0  # seconds that are searched in both directions
MAX_SECONDS = 60.0  # of each recording that are read

_SAMPLE_PERIOD = 1 / 60  # seconds
_GRID = (12, 16)  # rows and columns of cells in which motion is measured
_CELL_SIZE = 6  # pixels per side of a cell after downsampling
_HIGH_PASS = 1.0  # seconds; slower changes of brightness do not count as motion
_MIN_OVERLAP = 2.0  # seconds that the recordings must share at an offset
_MIN_PEAK_RATIO = 1.5  # of the best correlation to the best elsewhere
# Correlation times (peak ratio - 1). Recordings of different scenes reach 0.2, the clips of M3SVD 0.3 to 4.
_MIN_CONFIDENCE = 0.25
_PEAK_WIDTH = 0.35  # seconds around the best offset that do not count as elsewhere

_HINT = "give {offset} SECONDS"


@dataclass(frozen=True)
class MotionSignal:
    """How much moved, when and where.

    Attributes:
        times: of the samples, in seconds, 1/60 s apart.
        energy: (samples, cells) change of brightness, high-pass filtered.
    """

    times: NDArray[np.float64]
    energy: NDArray[np.float32]


@dataclass(frozen=True)
class OffsetEstimate:
    """An estimated time offset.

    Attributes:
        seconds: to add to the thermal times.
        correlation: of the motion in both recordings at this offset, up to 1.
        peak_ratio: the correlation divided by the best one at another offset.
    """

    seconds: float
    correlation: float
    peak_ratio: float


def measure_motion(frames: Iterable[object], seconds: float = MAX_SECONDS) -> MotionSignal:
    """Measure the motion in the first seconds of a recording.

    Args:
        frames: frames in the order of their times; other items of a source are ignored.
        seconds: how much of the recording to read.

    Raises:
        InputError: if there are fewer than four frames.
    """
    rows, columns = _GRID
    times: list[float] = []
    changes: list[NDArray[np.float32]] = []
    previous: tuple[float, NDArray[np.float32]] | None = None
    for time, image in _thumbnails(frames):
        if times and time - times[0] > seconds:
            break
        if previous is not None:
            cells = np.abs(image - previous[1]).reshape(rows, _CELL_SIZE, columns, _CELL_SIZE)
            times.append((previous[0] + time) / 2)
            changes.append(cells.mean((1, 3)).ravel())
        previous = time, image
    if len(times) < 3:
        count = len(times) + (previous is not None)
        raise InputError(f"found {count} frames", expected="4 or more to measure motion")
    return _resample(np.array(times), np.array(changes))


def estimate_offset(ir: MotionSignal, vi: MotionSignal, max_offset: float = MAX_OFFSET) -> OffsetEstimate:
    """Estimate the offset at which the motion in both recordings correlates best.

    Args:
        ir: motion in the thermal recording.
        vi: motion in the visible recording.
        max_offset: seconds to search in both directions.

    Raises:
        InputError: if nothing moves, the recordings are too short, or the best offset does not stand out.
    """
    for name, motion in (("thermal", ir), ("visible", vi)):
        if not motion.energy.any():
            raise InputError(f"offset auto: nothing moves in the {name}", hint=_HINT)
    shift = round((vi.times[0] - ir.times[0]) / _SAMPLE_PERIOD)
    reach = round(max_offset / _SAMPLE_PERIOD)
    lags = np.arange(-reach, reach + 1)  # in samples, by which the thermal is delayed
    scores = _normalized_correlation(ir.energy, vi.energy, lags - shift)
    if not np.isfinite(scores).any():
        raise InputError(
            f"offset auto: the recordings share less than {_MIN_OVERLAP:g} s at any offset "
            f"up to {max_offset:g} s",
            hint=_HINT,
        )
    return _best_offset(np.where(np.isfinite(scores), scores, -1), lags)


def _thumbnails(frames: Iterable[object]) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Time and downsampled image, float32 in [0, 1], of each frame."""
    import cv2

    gain = AutoGain()
    rows, columns = (cells * _CELL_SIZE for cells in _GRID)
    for frame in frames:
        if isinstance(frame, Frame):
            image = cv2.resize(gain.apply(frame), (columns, rows), interpolation=cv2.INTER_AREA)
            yield frame.time, np.asarray(image, np.float32)


def _best_offset(scores: NDArray[np.float64], lags: NDArray[np.int_]) -> OffsetEstimate:
    """The best offset, rejected if another one correlates nearly as well."""
    best = int(scores.argmax())
    elsewhere = np.abs(lags - lags[best]) > _PEAK_WIDTH / _SAMPLE_PERIOD
    rival = max(float(scores[elsewhere].max(initial=0)), 1e-3)
    seconds = float((lags[best] + _subsample_peak(scores, best)) * _SAMPLE_PERIOD)
    found = OffsetEstimate(seconds, float(scores[best]), float(scores[best]) / rival)
    confidence = found.correlation * (found.peak_ratio - 1)
    if found.peak_ratio < _MIN_PEAK_RATIO or confidence < _MIN_CONFIDENCE:
        other = float(lags[np.where(elsewhere, scores, -2).argmax()] * _SAMPLE_PERIOD)
        raise InputError(
            f"offset auto: unsure: {found.seconds:+.2f} s fits best (correlation {found.correlation:.2f}), "
            f"but {other:+.2f} s fits nearly as well ({rival:.2f})",
            hint=_HINT,
        )
    return found


def _resample(times: NDArray[np.float64], changes: NDArray[np.float32]) -> MotionSignal:
    """Sample motion evenly, without changes of the whole image and slow changes."""
    changes = np.sqrt(changes)  # so that one bright car does not outweigh everything else
    # Encoders refresh the whole image periodically, which is no motion.
    changes = changes - np.median(changes, 1, keepdims=True)
    first, last = np.ceil(times[0] / _SAMPLE_PERIOD), np.floor(times[-1] / _SAMPLE_PERIOD)
    grid = np.arange(first, last + 1) * _SAMPLE_PERIOD
    energy = np.stack([np.interp(grid, times, cell) for cell in changes.T], 1)
    width = max(3, round(_HIGH_PASS / _SAMPLE_PERIOD))
    padded = np.pad(energy, ((width, width), (0, 0)), mode="edge")
    sums = np.cumsum(padded, 0)
    moving_average = (sums[2 * width :] - sums[: -2 * width]) / (2 * width)
    return MotionSignal(grid, (energy - moving_average).astype(np.float32))


def _normalized_correlation(
    a: NDArray[np.float32], b: NDArray[np.float32], lags: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Normalized cross-correlation of two signals, summed over all cells.

    Scores are weighted by the square root of the overlap, because short overlaps correlate well by chance.

    Args:
        a, b: (samples, cells).
        lags: consecutive lags, in samples, by which ``a`` is delayed.

    Returns:
        The score of each lag; NaN where the signals overlap too little.
    """
    shape = (1 << int(np.ceil(np.log2(len(a) + len(b)))),)

    def correlate(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum of x[n - lag] * y[n] over cells and samples n, for every lag."""
        sums = cross_correlation(spectrum(y.T, shape), spectrum(x.T, shape), (int(lags[0]),), (len(lags),))
        return np.asarray(sums)

    ones = [np.ones((len(x), 1), np.float32) for x in (a, b)]
    power_a = correlate((a**2).sum(1, keepdims=True), ones[1])
    power_b = correlate(ones[0], (b**2).sum(1, keepdims=True))
    overlap = np.minimum(len(b), len(a) + lags) - np.maximum(0, lags)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = correlate(a, b) / np.sqrt(power_a * power_b) * np.sqrt(overlap / overlap.max())
    return np.where(overlap >= _MIN_OVERLAP / _SAMPLE_PERIOD, scores, np.nan)


def _subsample_peak(scores: NDArray[np.float64], best: int) -> float:
    """Position of the vertex of the parabola through the best score and its neighbors, in samples."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    before, peak, after = scores[best - 1 : best + 2]
    curvature = before - 2 * peak + after
    return float(0.5 * (before - after) / curvature) if curvature < 0 else 0.0
