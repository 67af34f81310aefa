"""Qp: how well the features that phase congruency finds in the sources reappear in the fused image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ivfuse.metrics import perception_phase_steps
from ivfuse.metrics.compiled import compiled_loops
from ivfuse.metrics.filters import bands
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.perception_phase_steps import LEAST, SCALES, Spectrum
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Sources, Triple, shared

ORIENTATIONS = 6
FINEST, STEP = 3.0, 2.1  # wavelength of the finest filter in pixels, and from scale to scale
BANDWIDTH = 0.55  # of the log-Gabor filters: spread of frequency over center frequency
SPREAD = math.pi / ORIENTATIONS / 1.2  # standard deviation over angles, radians
NOISE_DEVIATIONS = 2.0  # noise energy up to that many deviations above its mean is taken off
NOISE_EXCESS = 1.7  # by which the estimate of the noise is too large for this measure of congruency
FEATURE = 0.1  # congruency above it is a feature
BAND = 32  # rows that are worked on together, so that they stay in the cache


def _steps() -> Any:
    """The steps between transforms: compiled where Numba is installed, else in NumPy."""
    return compiled_loops("phase") or perception_phase_steps


@dataclass(frozen=True, eq=False)
class _Bank:
    """Log-Gabor filters for one image size: radial and angular parts, whose products are the filters.

    ``noise``: for each orientation, the threshold over the root of the mean squared finest response.
    """

    radial: tuple[Gray, ...]
    angular: list[Gray]
    noise: list[float]


def _grid(side: int) -> Gray:
    """Return frequencies of one axis in cycles per pixel, zero first; odd sides reach up to one half."""
    half = side // 2
    count = np.arange(side) - half
    return np.fft.ifftshift(count / max(side - side % 2, 1))


def _low_pass(shape: tuple[int, int]) -> Gray:
    """Return a Butterworth low-pass filter, cut at 0.45, order 15.

    For odd sides the reference shifts it by one place against the other filters; so does this.
    """
    rows, columns = ((np.arange(side) - side // 2) / side for side in shape)
    squared = (rows[:, None] ** 2 + columns[None, :] ** 2) / 0.45**2
    power = squared**2 * squared  # the 15th power by products: NumPy's own takes ten times as long
    power *= power**2 * power**2
    return np.fft.fftshift(1 / (1 + power))


@shared
def _bank(sources: Sources) -> _Bank:
    shape = sources.ir.shape
    rows, columns = (_grid(side) for side in shape)
    radius = np.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)
    radius[0, 0] = 1
    logarithm = np.log(radius)
    low_pass = _low_pass(shape)
    low_pass[0, 0] = 0  # no response to the mean
    radial = []
    for scale in range(SCALES):
        distance = logarithm + math.log(FINEST * STEP**scale)
        distance *= distance
        distance *= -1 / (2 * math.log(BANDWIDTH) ** 2)
        radial.append(np.exp(distance, out=distance) * low_pass)
    angle = np.arctan2(-rows[:, None], columns[None, :])
    together = sum(radial[1:], start=radial[0])
    step = _steps()
    angular, noise = [], []
    for orientation in range(ORIENTATIONS):
        turn = angle - orientation * math.pi / ORIENTATIONS
        turn[turn < -math.pi] += 2 * math.pi
        turn *= turn
        turn *= -1 / (2 * SPREAD**2)
        cv2.exp(turn, turn)
        angular.append(turn)
        noise.append(_threshold(*step.sum_squares(together, radial[0], turn)))
    return _Bank(tuple(radial), angular, noise)


def _threshold(energy: float, strength: float) -> float:
    """Return the noise threshold of an orientation for noise whose mean squared finest response is 1.

    Args:
        energy: sum of squares of the even part of the sum of the orientation's filters.
        strength: that of the filter of the finest scale.
    """
    if strength == 0:
        return 0.0
    rayleigh = math.sqrt(energy / strength)
    return rayleigh * (math.sqrt(math.pi / 2) + NOISE_DEVIATIONS * math.sqrt(2 - math.pi / 2)) / NOISE_EXCESS


def _invert_rows(values: Spectrum) -> None:
    """Replace each row by its inverse DFT; OpenCV is fast for products of 2, 3 and 5."""
    height, width = values.shape
    if cv2.getOptimalDFTSize(width) != width:
        values[:] = np.fft.ifft(values, axis=1)
        return
    pairs = values.view(np.float64).reshape(height, width, 2)
    cv2.idft(pairs, pairs, flags=cv2.DFT_ROWS | cv2.DFT_SCALE)


def _median(values: Gray) -> float:
    """Return the median, by one selection where NumPy's makes three; reorders the values."""
    flat = values.ravel()
    middle = flat.size // 2
    flat.partition(middle)
    upper = float(flat[middle])
    return upper if flat.size % 2 else (upper + float(flat[:middle].max())) / 2


@shared
def _workspace(sources: Sources) -> tuple[Spectrum, Spectrum, Gray, Gray]:
    """Return memory that all images reuse: touching new pages costs as much as the DFTs.

    It has the size of the responses of an orientation, (scales, H, W), of a band of them transposed, as one
    row, of four transposed maps, (4, W, H), and of five sums of such, (5, W, H).
    """
    height, width = sources.ir.shape
    responses = np.empty((SCALES, height, width), np.complex128)
    band = np.empty(SCALES * BAND * height, np.complex128)
    return responses, band, np.empty((4, width, height)), np.empty((5, width, height))


def _orient(spectrum: Spectrum, sources: Sources, orientation: int) -> None:
    """Add what one orientation finds to the sums: energies, amplitudes, and the moments xx, yy and xy.

    All is transposed, so that both passes of the inverse DFT run along rows: passes along columns and
    transposing back would take twice the time. Bands keep each pass and what goes with it in the cache.
    """
    step = _steps()
    bank, (responses, band, maps, sums) = _bank(sources), _workspace(sources)
    for rows in bands(len(spectrum), rows=BAND):
        step.weigh(spectrum, bank.angular[orientation], bank.radial, responses, rows.start, rows.stop)
        for response in responses:
            _invert_rows(response[rows])
    _, width, height = maps.shape
    for rows in bands(width, rows=BAND):
        count = rows.stop - rows.start
        part = band[: SCALES * count * height].reshape(SCALES, count, height)
        step.transpose(responses, rows.start, part)
        _invert_rows(part.reshape(-1, height))
        step.measure(part, maps, rows.start)
        cv2.exp(maps[2, rows], maps[2, rows])
    noise = bank.noise[orientation] * math.sqrt(_median(maps[3]) / math.log(2))
    angle = orientation * math.pi / ORIENTATIONS
    for rows in bands(width, rows=BAND):
        step.gather(maps, noise, math.cos(angle), math.sin(angle), sums, rows.start, rows.stop)


@shared
def _features(image: CachedImage, sources: Sources) -> tuple[Gray, Gray, Gray]:
    """Return phase congruency and its greatest and least moment over orientations (edges and corners)."""
    spectrum = np.fft.fft2(image.values)
    *_, sums = _workspace(sources)
    sums[:] = 0
    for orientation in range(ORIENTATIONS):
        _orient(spectrum, sources, orientation)
    energies, amplitudes, xx, yy, xy = sums
    energies /= amplitudes + LEAST
    both = (xx + yy) / ORIENTATIONS
    xx -= yy
    xx *= 2
    apart = np.sqrt(xy * xy + xx * xx)
    apart /= 2 * ORIENTATIONS
    apart += LEAST / 2
    congruency, greatest, least = (
        np.ascontiguousarray(values.T) for values in (energies, both + apart, both - apart)
    )
    return congruency, greatest, least


@metric(
    "Qp",
    higher_is_better=True,
    range=(-1.0, 1.0),
    needs="sources",
    source="Zhao, Laganiere & Liu, Int. J. Innovative Computing, Information and Control 3(6A), 2007",
)
def qp(triple: Triple) -> float:
    """Local correlation of phase congruency and its two moments with the best of the sources, multiplied.

    Phase congruency after Kovesi (Videre 1(3), 1999) with the settings of Z. Liu's program: 4 scales, 6
    orientations, finest wavelength 3, features above 0.1. Other settings give other numbers.
    """
    first, second, fused = (_features(image, triple.sources) for image in triple.images)
    stronger = first[0] > second[0]
    features = [np.asarray(congruency > FEATURE, np.float64) for congruency in (first[0], second[0])]
    masks = (*features, np.maximum(*features))
    count = float(masks[2].sum())
    if count == 0:
        raise Undefined("Qp: the sources have no features")
    step = _steps()
    result = 1.0
    for one, two, three in zip(first, second, fused, strict=True):
        wanted = zip((one, two, np.where(stronger, one, two)), masks, strict=True)
        result *= step.sum_likeness(tuple(each * mask for each, mask in wanted), masks, three) / count
    return result
