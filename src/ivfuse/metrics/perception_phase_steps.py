"""The steps of Qp between its transforms, in NumPy; ``compiled.phase`` has the same functions for Numba.

Complex maps are transposed between both passes of the inverse DFT, and what comes out of them stays so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.filters import bands, filter_valid, gaussian
from ivfuse.metrics.triple import Gray

SCALES = 4
LEAST = 1e-4  # keeps divisions by small amplitudes in bounds
WIDTH_CUT, WIDTH_GAIN = 0.5, 10.0  # responses at few scales only are played down
WINDOW = 11  # pixels, of the local correlation
SIGMA = 1.5  # pixels, of its Gaussian
STEADY = 1e-4  # its constant
SMALLEST = float(np.finfo(np.float64).tiny)

Spectrum = NDArray[np.complex128]
Maps = tuple[Gray, ...]


def sum_squares(together: Gray, finest: Gray, angular: Gray) -> tuple[float, float]:
    """Return sums of squares of the filters of one orientation, all (H, W) with frequency zero first.

    Args:
        together: the sum of the radial parts.
        finest: that of the finest scale.
        angular: the part of the orientation.

    Returns:
        The sum for the even part of the sum of the filters, and the sum for the finest filter.
    """
    both, strong = together * angular, finest * angular
    both += np.roll(both[::-1, ::-1], (1, 1), axis=(0, 1))  # even part, twice
    return float(np.vdot(both, both)) / 4, float(np.vdot(strong, strong))


def weigh(
    spectrum: Spectrum, angular: Gray, radial: Maps, responses: Spectrum, start: int, stop: int
) -> None:
    """Multiply rows of a spectrum with the filters of one orientation.

    Args:
        spectrum: (H, W).
        angular: (H, W) part of the filters that all scales share.
        radial: (H, W) part of each scale.
        responses: (4, H, W), rows written.
        start: first row.
        stop: row after the last.
    """
    weighted = spectrum[start:stop] * angular[start:stop]
    for part, response in zip(radial, responses, strict=True):
        np.multiply(weighted, part[start:stop], out=response[start:stop])


def transpose(responses: Spectrum, start: int, part: Spectrum) -> None:
    """Copy columns as rows.

    Args:
        responses: (4, H, W).
        start: first column.
        part: (4, n, H), written.
    """
    part[:] = responses[:, :, start : start + part.shape[1]].transpose(0, 2, 1)


def measure(part: Spectrum, maps: Gray, start: int) -> None:
    """Write what the responses of all scales say of each pixel.

    Args:
        part: (4, n, H) responses, replaced.
        maps: (4, W, H), rows written: energy, summed amplitudes, the exponent of what plays down a response
            at few scales, and the power of the finest response.
        start: first row.
    """
    energy, total, spread, power = (each[start : start + part.shape[1]] for each in maps)
    amplitude = np.abs(part)
    together = part.sum(axis=0)
    np.multiply(together.real, together.real, out=energy)
    energy += together.imag * together.imag
    length = np.sqrt(energy)
    length += LEAST
    part *= np.conj(together, out=together)
    energy -= np.abs(part.imag).sum(axis=0)
    energy /= length
    amplitude.sum(axis=0, out=total)
    amplitude.max(axis=0, out=spread)
    spread += LEAST
    np.divide(total, spread, out=spread)
    spread *= -WIDTH_GAIN / SCALES
    spread += WIDTH_GAIN * WIDTH_CUT
    np.multiply(amplitude[0], amplitude[0], out=power)


def gather(maps: Gray, noise: float, cosine: float, sine: float, sums: Gray, start: int, stop: int) -> None:
    """Add rows of one orientation to the sums over all.

    Args:
        maps: (4, W, H) as of :func:`measure`, the third the exponential itself; rows may be replaced.
        noise: energy that is taken off.
        cosine: of the orientation.
        sine: of the orientation.
        sums: (5, W, H), added to: energies, amplitudes, and the moments xx, yy and xy.
        start: first row.
        stop: row after the last.
    """
    energy, amplitude, spread, _ = (each[start:stop] for each in maps)
    energies, amplitudes, xx, yy, xy = (each[start:stop] for each in sums)
    energy -= noise
    np.maximum(energy, 0, out=energy)
    spread += 1
    energy /= spread
    energies += energy
    amplitudes += amplitude
    energy /= np.maximum(amplitude, SMALLEST, out=amplitude)
    energy *= energy
    xx += energy * cosine**2
    yy += energy * sine**2
    energy *= cosine * sine
    xy += energy


def sum_likeness(sources: Maps, masks: Maps, fused: Gray) -> float:
    """Return the local correlation of the fused image's features with the likest source's, summed.

    The window is Gaussian, 11x11, zeros outside; where a source has no features its correlation is 0.

    Args:
        sources: (H, W) features of both sources and of the stronger one, times the masks.
        masks: (H, W) each, 1 where these are features, else 0.
        fused: (H, W) features of the fused image.
    """
    window = gaussian(WINDOW, SIGMA)
    reach = window.size // 2
    *framed, three = (np.pad(values, reach) for values in (*sources, fused))
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
