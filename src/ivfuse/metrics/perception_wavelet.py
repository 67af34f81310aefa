"""Visual information fidelity over the bands of a steerable pyramid, as its authors first published it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ivfuse.metrics.features_windows import windows
from ivfuse.metrics.filters import bands
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Triple, shared

LEVELS = 4
BLOCK = 3  # neighborhoods of 3x3 coefficients are one vector
NOISE = 0.4  # variance of the eye's noise, for levels 0..255
LEAST_SIDE = 72  # below it the fourth level is smaller than the low-pass filter
LEAST_ENERGY = 1e-15 * 255**2  # a window with less counts as flat

# Filters of the space-domain steerable pyramid with six orientations ("sp5"), by Karasaridis & Simoncelli
# (ICASSP 1996), as distributed in pyrtools (MIT license). The low-pass filters are symmetric in both axes:
# a quarter is written down. The measure takes two of six orientations; the second is the first transposed.
_BEFORE = (
    (0.00341614, -0.01551246, -0.03848215),
    (-0.01551246, 0.05586982, 0.15925570),
    (-0.03848215, 0.15925570, 0.40304148),
)
_BETWEEN = (
    (0.00085404, -0.00244917, -0.00387812, -0.00944432, -0.00962054),
    (-0.00244917, -0.00523281, -0.00661117, 0.00410600, 0.01002988),
    (-0.00387812, -0.00661117, 0.01396746, 0.03277038, 0.03981393),
    (-0.00944432, 0.00410600, 0.03277038, 0.06426333, 0.08169618),
    (-0.00962054, 0.01002988, 0.03981393, 0.08169618, 0.10096540),
)
_BAND = (  # rows of half the columns; symmetric along rows, the lower half is the negative of the upper
    (0.00277643, 0.00496194, 0.01026699, 0.01455399),
    (-0.00986904, -0.00893064, 0.01189859, 0.02755155),
    (-0.01021852, -0.03075356, -0.08226445, -0.11732297),
)


def _mirrored(quarter: tuple[tuple[float, ...], ...]) -> Gray:
    """Return the whole of a filter that is symmetric about its middle row and column."""
    reach = len(quarter) - 1
    return np.pad(np.array(quarter), ((0, reach), (0, reach)), mode="reflect")


def _band_filters() -> tuple[Gray, Gray]:
    """Return the filters of the two orientations used."""
    upper = np.pad(np.array(_BAND), ((0, 0), (0, 3)), mode="reflect")
    across = np.vstack([upper, np.zeros((1, 7)), -upper[::-1]])
    return across, across.T


def _correlate(values: Gray, kernel: Gray) -> Gray:
    """Correlate with a kernel, the image mirrored about its frame."""
    return np.asarray(cv2.filter2D(values, cv2.CV_64F, kernel, borderType=cv2.BORDER_REFLECT_101), np.float64)


@shared
def _bands(image: CachedImage) -> list[tuple[int, Gray]]:
    """Return (level from the finest = 0, coefficients) of the two orientations at each level."""
    low = _correlate(image.values, _mirrored(_BEFORE))
    found = []
    for level in range(LEVELS):
        for kernel in _band_filters():
            band = _correlate(low, kernel)
            height, width = (side // BLOCK * BLOCK for side in band.shape)
            found.append((level, np.ascontiguousarray(band[:height, :width])))
        if level < LEVELS - 1:
            low = np.ascontiguousarray(_correlate(low, 2 * _mirrored(_BETWEEN))[::2, ::2])
    return found


def _window(level: int) -> int:
    """Return the side of the windows that estimate the channel: 17 at the finest level, 3 at the last."""
    return int(2 ** (LEVELS - level)) + 1


def _inner(blocks: Gray, level: int) -> Gray:
    """Leave out the blocks whose window reaches over the frame."""
    edge = math.ceil((_window(level) // 2) / BLOCK)
    return blocks[edge:-edge, edge:-edge]


def _sums(values: Gray, level: int) -> Gray:
    """Return the sum in the window about the middle of each block."""
    side = _window(level)
    sums = cv2.boxFilter(values, cv2.CV_64F, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(sums, np.float64)[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]


@dataclass(frozen=True)
class _Local:
    """Window sums of one band of one image, and its summed squared deviations."""

    mean: Gray
    energy: Gray


@shared
def _local(image: CachedImage) -> list[_Local]:
    result = []
    for level, band in _bands(image):
        pixels = _window(level) ** 2
        mean = _sums(band, level) / pixels
        energy = _sums(band * band, level) - pixels * mean * mean
        result.append(_Local(mean, np.maximum(energy, 0, out=energy)))
    return result


def _covariance(band: Gray) -> Gray:
    """Return the (9, 9) covariance of the 3x3 neighborhoods, added up over bands of rows."""
    products, sums, count = np.zeros((BLOCK**2, BLOCK**2)), np.zeros(BLOCK**2), 0
    for rows in bands(band.shape[0], BLOCK, 16):
        vectors = windows(band[rows])
        products += vectors @ vectors.T
        sums += vectors.sum(axis=1)
        count += vectors.shape[1]
    mean = sums / count
    covariance: Gray = products / count - np.outer(mean, mean)
    return covariance


@shared
def _scene(image: CachedImage) -> list[tuple[Gray, Gray]]:
    """Return, for each band of a source, the energy field over blocks and the variances of a block's vector.

    The source is modeled as a Gaussian scale mixture: the vector of a block has covariance s C.
    """
    result = []
    for _, band in _bands(image):
        height, width = band.shape
        variances, axes = np.linalg.eigh(_covariance(band))
        kept = variances > 1e-13 * max(variances[-1], LEAST_ENERGY)
        places = [(row, column) for column in range(BLOCK) for row in range(BLOCK)]
        blocks = np.stack([band[row::BLOCK, column::BLOCK].ravel() for row, column in places])
        along = axes[:, kept].T @ blocks
        along *= along
        energy = (1 / variances[kept]) @ along / BLOCK**2
        result.append((energy.reshape(height // BLOCK, width // BLOCK), variances[kept]))
    return result


def _bits(signal: Gray, variances: Gray) -> float:
    """Return sum(log2(1 + signal * variance)) over windows and variances."""
    product = np.ones_like(signal)
    for variance in variances:
        product *= 1 + signal * float(variance)
    return float(np.log2(product).sum())


def _fidelity(source: CachedImage, fused: CachedImage, noise: float) -> float:
    """Return the information on the source that the eye gets from the fused image over that from itself."""
    kept = there = 0.0
    parts = zip(_bands(source), _bands(fused), _local(source), _local(fused), _scene(source), strict=True)
    for (level, band), (_, other), one, two, (energy, variances) in parts:
        pixels = _window(level) ** 2
        covariance = _sums(band * other, level) - pixels * one.mean * two.mean
        gain = np.maximum(covariance, 0) / (one.energy + LEAST_ENERGY)
        gain[(one.energy < LEAST_ENERGY) | (two.energy < LEAST_ENERGY)] = 0
        residual = np.where(gain > 0, (two.energy - gain * covariance) / pixels, two.energy)
        np.maximum(residual, LEAST_ENERGY, out=residual)
        field = _inner(energy, level)
        signal = _inner(gain, level) ** 2 * field / (_inner(residual, level) + noise)
        kept += _bits(signal, variances)
        there += _bits(field / noise, variances)
    if there == 0:
        raise Undefined("VIF_wavelet: a source holds no information")
    return kept / there


def _vif(triple: Triple, noise: float) -> float:
    if min(triple.fused.shape) < LEAST_SIDE:
        raise Undefined(f"VIF_wavelet needs sides of {LEAST_SIDE} pixels, the image is {triple.fused.size}")
    if triple.ir.constant or triple.vi.constant:
        raise Undefined("VIF_wavelet: a source is constant and holds no information")
    return sum(_fidelity(source, triple.fused, noise) for source in (triple.ir, triple.vi)) / 2


@metric(
    "VIF_wavelet",
    higher_is_better=True,
    range=(0.0, math.inf),
    needs="sources",
    source="Sheikh & Bovik, IEEE Trans. Image Processing 15(2), 2006",
)
def vif_wavelet(triple: Triple) -> float:
    """Visual information fidelity to each source over a steerable pyramid, the mean of the two.

    One per identical triple. H. Li's tables (the column VIF of MDLatLRR) run it on images 0..1 while the
    eye's noise is meant for 0..255, which raises the values about twofold: convention ``li``.
    """
    return _vif(triple, NOISE)


def vif_wavelet_unit_range(triple: Triple) -> float:
    """VIF_wavelet of images scaled to 0..1, for which the noise is 255^2 times too strong."""
    return _vif(triple, NOISE * 255**2)
