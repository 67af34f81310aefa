"""Qp: how well the features that phase congruency finds in the sources reappear in the fused image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.filters import bands, filter_valid, gaussian
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
    angular, noise = [], []
    for orientation in range(ORIENTATIONS):
        turn = angle - orientation * math.pi / ORIENTATIONS
        turn[turn < -math.pi] += 2 * math.pi
        turn *= turn
        turn *= -1 / (2 * SPREAD**2)
        cv2.exp(turn, turn)
        angular.append(turn)
        noise.append(_threshold(together * turn, radial[0] * turn))
    return _Bank(radial, angular, noise)


def _threshold(both: Gray, finest: Gray) -> float:
    """Return the noise threshold of an orientation for noise whose mean squared finest response is 1.

    Args:
        both: the sum of the orientation's filters.
        finest: the filter of the finest scale.
    """
    both += np.roll(both[::-1, ::-1], (1, 1), axis=(0, 1))  # even part, twice
    energy = float(np.vdot(both, both)) / 4
    strength = float(np.vdot(finest, finest))
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
def _workspace(sources: Sources) -> tuple[Spectrum, Gray]:
    """Return memory that all orientations of all images reuse: touching new pages costs as much as the DFTs.

    It has the size of the responses, (scales, H, W), and of four transposed maps, (4, W, H).
    """
    height, width = sources.ir.shape
    return np.empty((SCALES, height, width), np.complex128), np.empty((4, width, height))


def _oriented(spectrum: Spectrum, sources: Sources, orientation: int) -> Iterator[tuple[slice, Gray, Gray]]:
    """Yield bands of weighted energy above the noise and summed amplitudes of one orientation.

    All is transposed, so that both passes of the inverse DFT run along rows: passes along columns and
    transposing back would take twice the time. Bands keep each pass and what goes with it in the cache.
    """
    bank, (responses, maps) = _bank(sources), _workspace(sources)
    for rows in bands(len(spectrum), rows=16):
        weighted = spectrum[rows] * bank.angular[orientation][rows]
        for radial, response in zip(bank.radial, responses, strict=True):
            np.multiply(weighted, radial[rows], out=response[rows])
            _invert_rows(response[rows])
    energy, total, spread, power = maps
    for rows in bands(len(power), rows=16):
        part = np.ascontiguousarray(responses[:, :, rows].transpose(0, 2, 1))
        _invert_rows(part.reshape(-1, part.shape[2]))
        energy[rows], total[rows], spread[rows], power[rows] = _energy(part)
    noise = bank.noise[orientation] * math.sqrt(_median(power) / math.log(2))
    for rows in bands(len(power), rows=16):
        part_energy = energy[rows]
        part_energy -= noise
        np.maximum(part_energy, 0, out=part_energy)
        part_energy /= spread[rows]
        yield rows, part_energy, total[rows]


def _energy(responses: Spectrum) -> tuple[Gray, Gray, Gray, Gray]:
    """Return four maps of some rows, given the responses of all scales.

    They are the energy, the summed amplitudes, what to divide the energy by where few scales respond, and
    the power of the finest response.
    """
    amplitude = np.abs(responses)
    together = responses.sum(axis=0)
    energy = together.real * together.real
    energy += together.imag * together.imag
    length = np.sqrt(energy)
    length += LEAST
    responses *= np.conj(together, out=together)
    energy -= np.abs(responses.imag).sum(axis=0)
    energy /= length
    total = amplitude.sum(axis=0)
    spread = amplitude.max(axis=0)
    spread += LEAST
    np.divide(total, spread, out=spread)
    spread *= -WIDTH_GAIN / SCALES
    spread += WIDTH_GAIN * WIDTH_CUT
    cv2.exp(spread, spread)
    spread += 1
    return energy, total, spread, amplitude[0] * amplitude[0]


@shared
def _features(image: CachedImage, sources: Sources) -> tuple[Gray, Gray, Gray]:
    """Return phase congruency and its greatest and least moment over orientations (edges and corners)."""
    spectrum = np.fft.fft2(image.values)
    energies, amplitudes, xx, yy, xy = (np.zeros(image.shape[::-1]) for _ in range(5))
    for orientation in range(ORIENTATIONS):
        angle = orientation * math.pi / ORIENTATIONS
        for rows, energy, amplitude in _oriented(spectrum, sources, orientation):
            energies[rows] += energy
            amplitudes[rows] += amplitude
            energy /= np.maximum(amplitude, np.finfo(np.float64).tiny, out=amplitude)
            energy *= energy
            xx[rows] += energy * math.cos(angle) ** 2
            yy[rows] += energy * math.sin(angle) ** 2
            energy *= math.cos(angle) * math.sin(angle)
            xy[rows] += energy
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


def _likeness(sources: Sequence[Gray], masks: Sequence[Gray], fused: Gray) -> float:
    """Return the local correlation of the fused image's features with the likest source's, summed.

    The window is Gaussian, 11x11, zeros outside; where a source has no features its correlation is 0.
    """
    window = gaussian(11, 1.5)
    reach = window.size // 2
    *framed, three = (
        np.pad(values, reach)
        for values in (*(source * mask for source, mask in zip(sources, masks, strict=True)), fused)
    )
    total = 0.0
    for rows in bands(three.shape[0], window.size):
        part = three[rows]
        mean = filter_valid(part, window)
        variance = filter_valid(part * part, window) - mean * mean
        inner = slice(rows.start, rows.stop - 2 * reach)
        best = np.full_like(mean, -np.inf)
        for values, mask in zip(framed, masks, strict=True):
            source = values[rows]
            mean_source = filter_valid(source, window)
            found = filter_valid(source * part, window)
            found -= mean_source * mean
            found += STEADY
            mean_source *= mean_source
            spread = filter_valid(source * source, window)
            spread -= mean_source
            spread *= variance
            np.abs(spread, out=spread)
            np.sqrt(spread, out=spread)
            spread += STEADY
            found /= spread
            found *= mask[inner]
            np.maximum(best, found, out=best)
        total += float(best.sum())
    return total


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
    masks = [np.asarray(congruency > FEATURE, np.float64) for congruency in (first[0], second[0])]
    masks.append(np.maximum(*masks))
    count = float(masks[2].sum())
    if count == 0:
        raise Undefined("Qp: the sources have no features")
    result = 1.0
    for one, two, three in zip(first, second, fused, strict=True):
        result *= _likeness((one, two, np.where(stronger, one, two)), masks, three) / count
    return result
