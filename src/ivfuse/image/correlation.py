"""Cross-correlation by the fast Fourier transform, in any number of dimensions.

Spectra are separate objects, so that an array that is compared several times is transformed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spectrum:
    """The discrete Fourier transform of an array over its last axes.

    Attributes:
        values: the transform; half of it if the array was real.
        shape: sizes to which the last axes were zero-padded.
        real: whether the array was real.
    """

    values: NDArray[np.complexfloating]
    shape: tuple[int, ...]
    real: bool


def fft_shape(*lengths: int) -> tuple[int, ...]:
    """Return the next larger sizes with a fast Fourier transform (products of 2, 3 and 5)."""
    return tuple(cv2.getOptimalDFTSize(length) for length in lengths)


def spectrum(values: NDArray[Any], shape: tuple[int, ...]) -> Spectrum:
    """Transform an array over its last axes, zero-padded.

    Args:
        values: real or complex array (..., *sizes); leading axes are channels.
        shape: the padded sizes of the last ``len(shape)`` axes. Lags do not wrap around if each is at least
            the size plus the largest requested lag.
    """
    real = not np.iscomplexobj(values)
    axes = tuple(range(-len(shape), 0))
    transform = np.fft.rfftn if real else np.fft.fftn
    return Spectrum(transform(values, s=shape, axes=axes), shape, real)


def cross_correlation(
    a: Spectrum, b: Spectrum, first: tuple[int, ...], counts: tuple[int, ...]
) -> NDArray[np.floating]:
    """Compute the real part of the sum over channels and positions n of ``a[n + lag] * conj(b[n])``.

    Args:
        a: spectrum of the first array, (channels, *sizes) or (*sizes).
        b: spectrum of the second array, with the same padded shape and kind.
        first: first lag per axis, which may be negative.
        counts: number of lags per axis; lags are modulo the padded size.

    Returns:
        Array of shape ``counts`` whose first element is the correlation at the lag ``first``.

    Raises:
        ValueError: if the spectra differ in padded shape or kind.
    """
    if a.shape != b.shape or a.real != b.real:
        raise ValueError(f"found spectra of shapes {a.shape} and {b.shape}, expected the same shape and kind")
    axes = tuple(range(-len(a.shape), 0))
    product = a.values * np.conj(b.values)
    product = product.sum(axis=tuple(range(product.ndim - len(axes))))
    if a.real:
        correlation = np.fft.irfftn(product, s=a.shape, axes=axes)
    else:
        correlation = np.fft.ifftn(product, axes=axes).real
    lags = ((start + np.arange(n)) % size for start, n, size in zip(first, counts, a.shape, strict=True))
    return np.asarray(correlation[np.ix_(*lags)])
