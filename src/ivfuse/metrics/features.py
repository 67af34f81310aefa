"""Feature mutual information (FMI): what windows of the fused image's features tell of the sources."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics import features_wavelet, features_windows
from ivfuse.metrics.compiled import compiled_loops
from ivfuse.metrics.features_wavelet import meyer
from ivfuse.metrics.features_windows import POSITIONS, SIDE, margins, shared_information
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Triple, shared

Feature = Callable[[CachedImage], Gray]
Flags = NDArray[np.bool_]

SOURCE = "Haghighat & Razian, Int. Conf. Application of Information and Communication Technologies, 2014"
EDGE_SCALE = 4.0  # an edge has a squared strength above this many times the mean


def _fmi(name: str, triple: Triple, feature: Feature) -> float:
    """Return the mean over windows and sources of the information that two windows share.

    Equal windows count 1. The released program compares the second source with a fused window that it has
    already scaled; the published numbers do not show it, and here both sources are treated alike.
    """
    if min(triple.fused.shape) < SIDE:
        raise Undefined(f"{name} needs {SIDE}x{SIDE} pixels, the image is {triple.fused.size}")
    maps = tuple(np.ascontiguousarray(feature(image)) for image in triple.images)
    total: float = (compiled_loops("windows") or features_windows).sum_shared(maps)
    height, width = maps[0].shape
    return total / float(2 * (height - SIDE + 1) * (width - SIDE + 1))


def _codes(flags: Flags) -> NDArray[np.int64]:
    """Return each 3x3 window of a map of zeros and ones as one number of nine bits."""
    weights = 2.0 ** np.arange(POSITIONS).reshape(SIDE, SIDE).T
    found = cv2.filter2D(flags.view(np.uint8), cv2.CV_16S, weights, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(found[1:-1, 1:-1], np.int64).ravel()


def _fmi_of_flags(name: str, triple: Triple, feature: Callable[[CachedImage], Flags]) -> float:
    """Return the FMI of maps of zeros and ones, each pair of patterns worked out once."""
    if min(triple.fused.shape) < SIDE:
        raise Undefined(f"{name} needs {SIDE}x{SIDE} pixels, the image is {triple.fused.size}")
    first, second, fused = (_codes(feature(image)) for image in triple.images)
    pairs = np.concatenate([first << POSITIONS | fused, second << POSITIONS | fused])
    counts = np.bincount(pairs, minlength=1 << 2 * POSITIONS)
    kinds = np.flatnonzero(counts)
    bits = np.arange(POSITIONS)[:, None]
    source, pattern = (((code >> bits) & 1).astype(np.float64) for code in (kinds >> POSITIONS, kinds))
    found = shared_information(margins(source), margins(pattern))
    found[(source == pattern).all(axis=0)] = 1
    return float(np.vdot(found, counts[kinds])) / pairs.size


@shared
def edges(image: CachedImage) -> Flags:
    """Return where MATLAB's edge() sees an edge.

    Sobel, border repeated; thinned to places no weaker than the neighbor before and stronger than the one
    after, across the edge; nothing beyond the frame competes.
    """
    across, down = (
        np.asarray(
            cv2.Sobel(image.levels, cv2.CV_64F, *order, scale=0.125, borderType=cv2.BORDER_REPLICATE),
            np.float64,
        )
        for order in ((1, 0), (0, 1))
    )
    squared = across * across + down * down
    frame = np.pad(squared, 1)
    steep, level = np.abs(across, out=across), np.abs(down, out=down)
    least = 100 * np.finfo(np.float64).eps
    upright = (steep >= level - least) & (frame[1:-1, :-2] <= squared) & (squared > frame[1:-1, 2:])
    lying = (level >= steep - least) & (frame[:-2, 1:-1] <= squared) & (squared > frame[2:, 1:-1])
    found: Flags = (squared > EDGE_SCALE * squared.mean()) & (upright | lying)
    return found


@metric("FMI_pixel", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def fmi_pixel(triple: Triple) -> float:
    """Feature mutual information of the edge maps, the mean of both sources and all 3x3 windows.

    What H. Li's and L. Tang's tables print as FMI_pixel (about 0.85 to 0.92): their program takes Sobel edges
    where no feature is named, although its help says raw pixels; those are FMI_raw. Programs with another
    edge detector (Octave's, OpenCV's) print other values.
    """
    return _fmi_of_flags("FMI_pixel", triple, edges)


@metric("FMI_raw", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def fmi_raw(triple: Triple) -> float:
    """Feature mutual information of the pixels themselves.

    The feature ``none`` of the released program; tables that print it as FMI_pixel mean FMI_pixel if their
    values lie near 0.9, this one if they lie near 0.45.
    """
    return _fmi("FMI_raw", triple, lambda image: image.values)


def _slope(image: CachedImage) -> Gray:
    """Return the horizontal gradient: central differences, one-sided at the frame."""
    return np.asarray(np.gradient(image.values, axis=1), np.float64)


@metric("FMI_gradient", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def fmi_gradient(triple: Triple) -> float:
    """Feature mutual information of the horizontal gradients.

    Only the horizontal ones, as in the released program. On images 0..1 (convention ``li``) rounding makes
    equal slopes unequal, which moves the third digit.
    """
    return _fmi("FMI_gradient", triple, _slope)


def fmi_gradient_unit_range(triple: Triple) -> float:
    """FMI_gradient of images scaled to 0..1, where rounding tells equal slopes apart."""
    return _fmi("FMI_gradient", triple, lambda image: np.gradient(image.values / 255, axis=1))


def _cosines(values: Gray) -> Gray:
    """Return the orthonormal DCT-II of each row, by one FFT of its even, then its odd places backwards.

    The FFT of real values gives the first half; turned, its imaginary part is the other half backwards.
    """
    count = values.shape[1]
    half = count // 2 + 1
    spectrum = np.fft.rfft(np.concatenate([values[:, ::2], values[:, 1::2][:, ::-1]], axis=1))
    spectrum *= np.exp(-0.5j * math.pi / count * np.arange(half)) * math.sqrt(2 / count)
    result = np.empty_like(values)
    result[:, :half] = spectrum.real
    np.negative(spectrum.imag[:, 1 : count - half + 1][:, ::-1], out=result[:, half:])
    result[:, 0] /= math.sqrt(2)
    return result


@shared
def _dct(image: CachedImage) -> Gray:
    return _cosines(np.ascontiguousarray(_cosines(image.values.T).T))


@metric("FMI_dct", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def fmi_dct(triple: Triple) -> float:
    """Feature mutual information of the cosine transforms of the whole images.

    The transform is of the whole image, not of 8x8 blocks, as in the released program.
    """
    return _fmi("FMI_dct", triple, _dct)


def _halves(values: Gray) -> tuple[Gray, Gray]:
    """Return the low and the high half of each column: one step, border mirrored with its last pixel."""
    low = np.array(meyer())
    high = low[::-1] * np.where(np.arange(low.size) % 2, -1, 1)
    longer = np.pad(values, ((low.size - 1, low.size - 1), (0, 0)), mode="symmetric")
    halves: tuple[Gray, Gray] = (compiled_loops("wavelet") or features_wavelet).halve(longer, low, high)
    return halves


@shared
def _wavelet(image: CachedImage) -> Gray:
    """Return the four bands of one step of the discrete Meyer wavelet side by side, together within 0..1."""
    low, high = _halves(np.ascontiguousarray(image.values.T))
    (low_low, low_high), (high_low, high_high) = (
        _halves(np.ascontiguousarray(part.T)) for part in (low, high)
    )
    whole = np.block([[low_low, low_high], [high_low, high_high]])
    least, greatest = float(whole.min()), float(whole.max())
    if least == greatest:
        return np.ones_like(whole)
    return (whole - least) / (greatest - least)


@metric("FMI_wavelet", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def fmi_wavelet(triple: Triple) -> float:
    """Feature mutual information of one step of the discrete Meyer wavelet; FMI_w in H. Li's tables.

    With the 102-tap filter of MATLAB, here computed from Meyer's formula. PyWavelets' ``dmey`` has 62 taps,
    which changes the size of the bands and the values.
    """
    return _fmi("FMI_wavelet", triple, _wavelet)
