"""Cross-correlation by the fast Fourier transform, in any number of dimensions.

A spectrum is a value of its own, so that what is compared many times is transformed once.
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
        values: the transform; half of it where the array was real.
        shape: the sizes that the last axes were zero-padded to.
        real: whether the array was real.
    """

    values: NDArray[np.complexfloating]
    shape: tuple[int, ...]
    real: bool


def fft_shape(*lengths: int) -> tuple[int, ...]:
    """The next larger sizes whose Fourier transform is fast (products of 2, 3 and 5)."""
    return tuple(cv2.getOptimalDFTSize(length) for length in lengths)


def spectrum(values: NDArray[Any], shape: tuple[int, ...]) -> Spectrum:
    """Transform an array over its last axes, zero-padded.

    Args:
        values: real or complex, (..., *sizes); leading axes are channels.
        shape: the padded sizes of the last ``len(shape)`` axes. Lags do not wrap around if each is at least
            the size plus the largest lag that is asked for.
    """
    real = not np.iscomplexobj(values)
    axes = tuple(range(-len(shape), 0))
    transform = np.fft.rfftn if real else np.fft.fftn
    return Spectrum(transform(values, s=shape, axes=axes), shape, real)


def cross_correlation(
    a: Spectrum, b: Spectrum, first: tuple[int, ...], counts: tuple[int, ...]
) -> NDArray[np.floating]:
    """The real part of the sum over channels and positions n of ``a[n + lag] * conj(b[n])``.

    Args:
        a: spectrum of one array, (channels, *sizes) or (*sizes).
        b: spectrum of the other, of the same padded shape and kind.
        first: the first lag of each axis, may be negative.
        counts: how many lags of each axis; lags are taken modulo the padded size.

    Returns:
        Array of shape ``counts``; its first element belongs to the lag ``first``.

    Raises:
        ValueError: if the spectra are of different padded shapes or kinds.
    """
    if a.shape != b.shape or a.real != b.real:
        raise ValueError(f"spectra of one shape and kind are needed, found {a.shape} and {b.shape}")
    axes = tuple(range(-len(a.shape), 0))
    product = a.values * np.conj(b.values)
    product = product.sum(axis=tuple(range(product.ndim - len(axes))))
    if a.real:
        correlation = np.fft.irfftn(product, s=a.shape, axes=axes)
    else:
        correlation = np.fft.ifftn(product, axes=axes).real
    lags = ((start + np.arange(n)) % size for start, n, size in zip(first, counts, a.shape, strict=True))
    return np.asarray(correlation[np.ix_(*lags)])
