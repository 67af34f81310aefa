"""Metrics that weigh contrast and error by the eye's sensitivity to spatial frequency: Qcb and Qcv.

Both come from images stretched to 0..255 and filtered in the frequency domain, where the image is
periodic.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Triple, shared

NARROW, WIDE = 2.0, 4.0  # standard deviations, in pixels, of the two blurs whose ratio is the contrast
REACH = 15  # of these blurs, in pixels
BLOCK = 16  # side of Qcv's regions, in pixels
SALIENCE = 5  # Qcv: the power of the edge strength that says how much a region matters


@shared
def stretched(image: CachedImage) -> Gray:
    """Return the image with its least level at 0, its greatest at 255, rounded half up.

    Raises:
        Undefined: the image is constant (all black stays black).
    """
    values = image.values
    low, high = float(values.min()), float(values.max())
    if low == high:
        if high == 0:
            return values
        raise Undefined("a constant image cannot be stretched to 0..255")
    values -= low
    values /= high - low
    values *= 255
    values += 0.5
    return np.floor(values, out=values)


def frequencies(shape: tuple[int, int], divisor: float) -> Gray:
    """Return the radial frequency of each term of a DFT, zero first, in units of ``divisor`` half-spectra.

    The half-spectrum of an axis of N pixels counts as N / ``divisor``, so the unit is 2 / ``divisor``
    cycles per image.
    """
    rows, columns = (np.fft.fftfreq(side) * 2 * side / divisor for side in shape)
    return np.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)


def filtered(values: Gray, gain: Gray) -> Gray:
    """Multiply the spectrum of an image by a real, even gain."""
    spectrum = np.fft.rfft2(values)
    spectrum *= gain[:, : spectrum.shape[1]]
    return np.asarray(np.fft.irfft2(spectrum, values.shape), np.float64)


def _blur(values: Gray, sigma: float) -> Gray:
    """Blur with a Gaussian cut at ``REACH`` pixels and not normalized after the cut, zeros outside."""
    x = np.arange(-REACH, REACH + 1)
    window = np.exp(-(x * x) / (2 * sigma * sigma)) / (math.sqrt(2 * math.pi) * sigma)
    return np.asarray(
        cv2.sepFilter2D(values, cv2.CV_64F, window, window, borderType=cv2.BORDER_CONSTANT), np.float64
    )


@shared
def _contrast(image: CachedImage) -> Gray:
    """Return the masked local contrast of an image as the eye sees it; NaN where the wide blur is 0."""
    frequency = frequencies(image.shape, 30)
    sensitivity = np.exp(-((frequency / 15.3870) ** 2)) - 0.7622 * np.exp(-((frequency / 1.3456) ** 2))
    seen = filtered(stretched(image), sensitivity)
    contrast = _blur(seen, NARROW)
    with np.errstate(divide="ignore", invalid="ignore"):
        contrast /= _blur(seen, WIDE)
    contrast -= 1
    np.abs(contrast, out=contrast)
    squared = contrast * contrast
    return contrast * squared / (squared + 1e-4)


def _kept(source: Gray, fused: Gray) -> Gray:
    """Return the smaller of two contrasts over the greater."""
    kept: Gray = np.minimum(source, fused) / np.maximum(source, fused)
    return kept


@metric(
    "Qcb",
    higher_is_better=True,
    range=(0.0, 1.0),
    needs="sources",
    source="Chen & Blum, Image and Vision Computing 27(10), 2009",
)
def qcb(triple: Triple) -> float:
    """Share of the sources' visible local contrast that the fused image keeps, weighted by contrast.

    As in the MATLAB programs of Z. Liu and of VIFB, which agree: images stretched to 0..255, a difference
    of Gaussians as sensitivity, blurs of 2 and 4 pixels, zeros outside. Python ports differ by up to 0.05:
    they sample the frequencies elsewhere, repeat the border or stretch to 0..1.
    """
    try:
        first, second, fused = (_contrast(image) for image in triple.images)
    except Undefined as reason:
        raise Undefined(f"Qcb: {reason}") from None
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = first * first
        quality = weight * _kept(first, fused)
        squared = second * second
        weight += squared
        quality += squared * _kept(second, fused)
        quality /= weight
    result = float(quality.mean())
    if not math.isfinite(result):
        raise Undefined("Qcb: somewhere the images have no contrast to compare (0 / 0)")
    return result


def _regions(values: Gray) -> Gray:
    """Return the sum over each 16x16 region; regions cut by the frame are filled with zeros."""
    height, width = values.shape
    rows = np.add.reduceat(values, np.arange(0, height, BLOCK), axis=0)
    return np.add.reduceat(rows, np.arange(0, width, BLOCK), axis=1)


@shared
def _salience(image: CachedImage) -> Gray:
    """Return how much each region of a source matters: the sum of its edge strengths to the fifth power."""
    values = stretched(image)
    across = np.asarray(cv2.Sobel(values, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_CONSTANT), np.float64)
    down = np.asarray(cv2.Sobel(values, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_CONSTANT), np.float64)
    squared = across * across + down * down
    return _regions(squared * squared * np.sqrt(squared))


@metric(
    "Qcv",
    higher_is_better=False,
    range=(0.0, math.inf),
    needs="sources",
    source="Chen & Varshney, Information Fusion 8(2), 2007",
)
def qcv(triple: Triple) -> float:
    """Squared error to each source as the eye sees it, by regions weighted by the sources' edges; 0 is best.

    Images stretched to 0..255, regions of 16x16, sensitivity of Mannos & Sakrison, edges to the power 5,
    as in the MATLAB programs of Z. Liu and of VIFB. Lower is better. Ports that print less than 1 resize
    the maps and are not this measure.
    """
    try:
        fused = stretched(triple.fused)
        sources = [(stretched(image), _salience(image)) for image in (triple.ir, triple.vi)]
    except Undefined as reason:
        raise Undefined(f"Qcv: {reason}") from None
    weight = sum(float(salience.sum()) for _, salience in sources)
    if weight == 0:
        raise Undefined("Qcv: the sources have no edges")
    frequency = 0.144 * frequencies(triple.fused.shape, 8)
    sensitivity = 2.6 * (0.0192 + frequency) * np.exp(-(frequency**1.1))
    error = 0.0
    for source, salience in sources:
        seen = filtered(source - fused, sensitivity)
        error += float((salience * _regions(seen * seen)).sum()) / BLOCK**2
    return error / weight
