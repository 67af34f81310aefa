"""How far two recordings of one scene lie apart in time, told by what moves in both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.correlation import cross_correlation, spectrum
from ivfuse.video.auto_gain import SteadyWindow
from ivfuse.video.frame import Frame

MAX_OFFSET = 10.0  # seconds that are searched in both directions
SECONDS_READ = 60.0  # of each recording

_STEP = 1 / 60  # seconds between the samples that are compared
_GRID = (12, 16)  # cells in which motion is measured
_SLOW = 1.0  # seconds; what changes more slowly than this is no motion
_LEAST_SECONDS = 2.0  # that the recordings must share at an offset
_LEAST_LEAD = 1.5  # of the best offset over any that is not beside it, as a ratio
_LEAST_TRUST = (
    0.25  # correlation times (lead - 1): recordings of different things reach 0.2, M3SVD's 0.3 to 4
)
_BESIDE = 0.35  # seconds


@dataclass(frozen=True)
class Motion:
    """How much moved, when and where.

    Attributes:
        times: of the samples, in seconds, ``_STEP`` apart.
        energy: (samples, cells) change of brightness.
    """

    times: NDArray[np.float64]
    energy: NDArray[np.float32]


@dataclass(frozen=True)
class Offset:
    """An estimate.

    Attributes:
        seconds: to be added to the thermal times.
        correlation: of the motion of both at that offset, up to 1.
        lead: by how much that exceeds the best elsewhere, as a ratio.
    """

    seconds: float
    correlation: float
    lead: float


def motion_of(frames: Iterable[Frame], seconds: float = SECONDS_READ) -> Motion:
    """Measure the motion of the first seconds of a recording.

    Args:
        frames: in the order of their times.
        seconds: how much of it.

    Raises:
        InputError: if there are fewer than three frames.
    """
    import cv2

    steady = SteadyWindow()
    rows, columns = _GRID
    times: list[float] = []
    changes: list[NDArray[np.float32]] = []
    last, before = None, 0.0
    for frame in frames:
        if times and frame.time - times[0] > seconds:
            break
        small = cv2.resize(steady.apply(frame), (columns * 6, rows * 6), interpolation=cv2.INTER_AREA)
        if last is not None:
            changed = np.abs(small - last).reshape(rows, 6, columns, 6).mean((1, 3))
            times.append((before + frame.time) / 2)
            changes.append(changed.ravel())
        last, before = small, frame.time
    if len(times) < 3:
        raise InputError(f"found {len(times) + (last is not None)} frames, expected more to see motion in")
    return _sampled(np.array(times), np.array(changes))


def estimate_offset(ir: Motion, vi: Motion, largest: float = MAX_OFFSET) -> Offset:
    """The offset at which the motion of both fits best.

    Args:
        ir: of the thermal recording.
        vi: of the visible one.
        largest: seconds to search in both directions.

    Raises:
        InputError: if nothing moves, the recordings are too short, or several offsets fit about as well.
    """
    for name, motion in (("thermal", ir), ("visible", vi)):
        if not motion.energy.any():
            raise InputError(f"offset auto: nothing moves in the {name}; give --offset SECONDS")
    first = round((vi.times[0] - ir.times[0]) / _STEP)
    reach = round(largest / _STEP)
    lags = np.arange(-reach, reach + 1)  # in samples, of the thermal to be later
    scores = _scores(ir.energy, vi.energy, lags - first)
    if not np.isfinite(scores).any():
        raise InputError(
            f"offset auto: the recordings share less than {_LEAST_SECONDS:g} s at any offset "
            f"up to {largest:g} s; give --offset SECONDS"
        )
    return _judged(np.where(np.isfinite(scores), scores, -1), lags)


def _judged(scores: NDArray[np.float64], lags: NDArray[np.int_]) -> Offset:
    """The best offset, refused if it does not stand out."""
    best = int(scores.argmax())
    apart = np.abs(lags - lags[best]) > _BESIDE / _STEP
    rival = max(float(scores[apart].max(initial=0)), 1e-3)
    at = float((lags[best] + _peak(scores, best)) * _STEP)
    found = Offset(at, float(scores[best]), float(scores[best]) / rival)
    if found.lead < _LEAST_LEAD or found.correlation * (found.lead - 1) < _LEAST_TRUST:
        other = float(lags[np.where(apart, scores, -2).argmax()] * _STEP)
        raise InputError(
            f"offset auto: unsure: {found.seconds:+.2f} s fits best (correlation {found.correlation:.2f}), "
            f"but {other:+.2f} s fits nearly as well ({rival:.2f}); give --offset SECONDS"
        )
    return found


def _sampled(times: NDArray[np.float64], changes: NDArray[np.float32]) -> Motion:
    """Even samples of the motion, freed of what the whole image does and of slow changes."""
    changes = np.sqrt(changes)  # so that one bright car does not outweigh everything else
    # A coder refreshes its whole image in a rhythm of its own; that is no motion.
    changes = changes - np.median(changes, 1, keepdims=True)
    grid = np.arange(np.ceil(times[0] / _STEP), np.floor(times[-1] / _STEP) + 1) * _STEP
    energy = np.stack([np.interp(grid, times, cell) for cell in changes.T], 1)
    width = max(3, round(_SLOW / _STEP))
    padded = np.pad(energy, ((width, width), (0, 0)), mode="edge")
    sums = np.cumsum(padded, 0)
    slow = (sums[2 * width :] - sums[: -2 * width]) / (2 * width)
    return Motion(grid, (energy - slow).astype(np.float32))


def _scores(a: NDArray[np.float32], b: NDArray[np.float32], lags: NDArray[np.int_]) -> NDArray[np.float64]:
    """Correlation of ``a``, shifted by consecutive lags, with ``b``; NaN where they share too little.

    It weighs less where less is shared: over a few seconds chance reaches high values.
    """
    shape = (1 << int(np.ceil(np.log2(len(a) + len(b)))),)

    def crossed(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum over cells and samples of x[n - lag] * y[n], for every lag."""
        sums = cross_correlation(spectrum(y.T, shape), spectrum(x.T, shape), (int(lags[0]),), (len(lags),))
        return np.asarray(sums)

    ones = [np.ones((len(x), 1), np.float32) for x in (a, b)]
    power_a = crossed((a**2).sum(1, keepdims=True), ones[1])
    power_b = crossed(ones[0], (b**2).sum(1, keepdims=True))
    shared = np.minimum(len(b), len(a) + lags) - np.maximum(0, lags)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = crossed(a, b) / np.sqrt(power_a * power_b) * np.sqrt(shared / shared.max())
    return np.where(shared >= _LEAST_SECONDS / _STEP, scores, np.nan)


def _peak(scores: NDArray[np.float64], best: int) -> float:
    """Where between the samples the highest point of a parabola lies."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    before, top, after = scores[best - 1 : best + 2]
    bend = before - 2 * top + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
