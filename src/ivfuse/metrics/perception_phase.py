"""Qp: how well the features that phase congruency finds in the sources reappear in the fused image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.filters import bands, gaussian
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Sources, Triple, shared

SCALES, ORIENTATIONS = 4, 6
FINEST, STEP = 3.0, 2.1  # wavelength of the finest filter in pixels, and from scale to scale
BANDWIDTH = 0.55  # of the log-Gabor filters: spread of frequency over center frequency
SPREAD = math.pi / ORIENTATIONS / 1.2  # standard deviation over angles, radians
NOISE_DEVIATIONS = 2.0  # noise energy up to that many deviations above its mean is taken off
NOISE_EXCESS = 1.7  # by which the estimate of the noise is too large for this measure of congruency
WIDTH_CUT, WIDTH_GAIN = 0.5, 10.0  # responses at few scales only are played down
LEAST = 1e-4  # keeps divisions by small amplitudes in bounds
FEATURE = 0.1  # congruency above it is a feature
STEADY = 1e-4  # constant of the local correlation


Spectrum = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class _Bank:
    """Log-Gabor filters for one image size: radial and angular parts, whose products are the filters.

    ``noise``: for each orientation, the threshold over the root of the mean squared finest response.
    """

    radial: list[Gray]
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
    radius = np.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)
    return np.fft.fftshift(1 / (1 + (radius / 0.45) ** 30))


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
    angular, noise = [], []
    for orientation in range(ORIENTATIONS):
        turn = angle - orientation * math.pi / ORIENTATIONS
        turn -= 2 * math.pi * np.rint(turn / (2 * math.pi))
        turn *= turn
        turn *= -1 / (2 * SPREAD**2)
        angular.append(np.exp(turn, out=turn))
        noise.append(_threshold(radial, angular[-1]))
    return _Bank(radial, angular, noise)


def _threshold(radial: list[Gray], angular: Gray) -> float:
    """Return the noise threshold of an orientation for noise whose mean squared finest response is 1."""
    both = sum(radial[1:], start=radial[0]) * angular
    both += np.roll(both[::-1, ::-1], (1, 1), axis=(0, 1))  # even part, twice
    energy = float(np.vdot(both, both)) / 4
    finest = radial[0] * angular
    strength = float(np.vdot(finest, finest))
    if strength == 0:
        return 0.0
    rayleigh = math.sqrt(energy / strength)
    return rayleigh * (math.sqrt(math.pi / 2) + NOISE_DEVIATIONS * math.sqrt(2 - math.pi / 2)) / NOISE_EXCESS


def _inverse(spectrum: Spectrum) -> Spectrum:
    """Return the transposed inverse DFT; spoils its argument.

    Both passes run along rows, and the image stays transposed until all orientations are added up: passes
    along columns and transposing back would take twice the time.
    """
    return _inverse_rows(np.ascontiguousarray(_inverse_rows(spectrum).T))


def _inverse_rows(values: Spectrum) -> Spectrum:
    """Return the inverse DFT of each row, in place where OpenCV is fast: for products of 2, 3 and 5."""
    height, width = values.shape
    if cv2.getOptimalDFTSize(width) != width:
        return np.fft.ifft(values, axis=1)
    pairs = values.view(np.float64).reshape(height, width, 2)
    cv2.idft(pairs, pairs, flags=cv2.DFT_ROWS | cv2.DFT_SCALE)
    return values


def _oriented(spectrum: Spectrum, bank: _Bank, orientation: int) -> tuple[Gray, Gray]:
    """Return weighted energy above the noise and summed amplitudes of one orientation, transposed."""
    weighted = spectrum * bank.angular[orientation]
    responses = [_inverse(weighted * radial) for radial in bank.radial]
    finest = responses[0]
    power = finest.real * finest.real
    power += finest.imag * finest.imag
    noise = bank.noise[orientation] * math.sqrt(float(np.median(power)) / math.log(2))
    parts = [
        _energy([response[rows] for response in responses], noise) for rows in bands(finest.shape[0], rows=16)
    ]
    energy, total = (np.concatenate(part) for part in zip(*parts, strict=True))
    return energy, total


def _energy(responses: list[Spectrum], noise: float) -> tuple[Gray, Gray]:
    """Return weighted energy and summed amplitudes of some rows, given the responses of all scales."""
    parts = [(np.ascontiguousarray(each.real), np.ascontiguousarray(each.imag)) for each in responses]
    amplitudes = [np.asarray(cv2.magnitude(*part), np.float64) for part in parts]
    even, odd = (sum(part[1:], start=part[0]) for part in zip(*parts, strict=True))
    energy = even * even
    energy += odd * odd
    length = np.sqrt(energy)
    length += LEAST
    energy /= length
    even /= length
    odd /= length
    for part_even, part_odd in parts:
        part_even *= odd
        part_odd *= even
        part_even -= part_odd
        energy -= np.abs(part_even, out=part_even)
    energy -= noise
    np.maximum(energy, 0, out=energy)
    total = sum(amplitudes[1:], start=amplitudes[0])
    width = np.maximum(np.maximum(*amplitudes[:2]), np.maximum(*amplitudes[2:]))
    width += LEAST
    np.divide(total, width, out=width)
    width *= -WIDTH_GAIN / SCALES
    width += WIDTH_GAIN * WIDTH_CUT
    np.exp(width, out=width)
    width += 1
    energy /= width
    return energy, total


@shared
def _features(image: CachedImage, bank: _Bank) -> tuple[Gray, Gray, Gray]:
    """Return phase congruency and its greatest and least moment over orientations (edges and corners)."""
    spectrum = np.fft.fft2(image.values)
    energies, amplitudes, xx, yy, xy = (np.zeros(image.shape[::-1]) for _ in range(5))
    for orientation in range(ORIENTATIONS):
        energy, amplitude = _oriented(spectrum, bank, orientation)
        energies += energy
        amplitudes += amplitude
        energy /= np.maximum(amplitude, np.finfo(np.float64).tiny)
        energy *= energy
        angle = orientation * math.pi / ORIENTATIONS
        xx += energy * math.cos(angle) ** 2
        yy += energy * math.sin(angle) ** 2
        xy += energy * (math.cos(angle) * math.sin(angle))
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


def _blur(values: Gray) -> Gray:
    """Blur with the 11x11 Gaussian window of the local correlation, zeros outside."""
    window = gaussian(11, 1.5)
    return np.asarray(
        cv2.sepFilter2D(values, cv2.CV_64F, window, window, borderType=cv2.BORDER_CONSTANT), np.float64
    )


def _correlation(source: Gray, mask: Gray, fused: Gray, mean: Gray, variance: Gray) -> Gray:
    """Return the local correlation of a source's features with the fused image's, 0 where it has none."""
    source = source * mask
    mean_source = _blur(source)
    covariance = _blur(source * fused) - mean_source * mean
    variance_source = _blur(source * source) - mean_source * mean_source
    variance_source *= variance
    np.abs(variance_source, out=variance_source)
    covariance += STEADY
    covariance /= np.sqrt(variance_source) + STEADY
    covariance *= mask
    return covariance


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
    bank = _bank(triple.sources)
    first, second, fused = (_features(image, bank) for image in triple.images)
    stronger = first[0] > second[0]
    masks = [np.asarray(congruency > FEATURE, np.float64) for congruency in (first[0], second[0])]
    masks.append(np.maximum(*masks))
    count = float(masks[2].sum())
    if count == 0:
        raise Undefined("Qp: the sources have no features")
    result = 1.0
    for one, two, three in zip(first, second, fused, strict=True):
        mean = _blur(three)
        variance = _blur(three * three) - mean * mean
        references = zip((one, two, np.where(stronger, one, two)), masks, strict=True)
        found = [_correlation(source, mask, three, mean, variance) for source, mask in references]
        result *= float(np.maximum(np.maximum(*found[:2]), found[2]).sum()) / count
    return result
