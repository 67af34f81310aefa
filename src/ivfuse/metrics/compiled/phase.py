"""The steps of Qp between its transforms, each in one pass: the functions of ``perception_phase_steps``.

Complex numbers are read as pairs of floats, which vectorizes.
"""

from __future__ import annotations

import math

import numpy as np

from ivfuse.metrics.compiled.jit import loop
from ivfuse.metrics.filters import gaussian
from ivfuse.metrics.perception_phase_steps import (
    LEAST,
    SCALES,
    SIGMA,
    SMALLEST,
    STEADY,
    WIDTH_CUT,
    WIDTH_GAIN,
    WINDOW,
    Maps,
    Spectrum,
)
from ivfuse.metrics.triple import Gray

GAUSSIAN = gaussian(WINDOW, SIGMA)
REACH = WINDOW // 2
LINES = 11  # sums of a row: of the fused image and its square; of each source, its square and its product


@loop
def sum_squares(together: Gray, finest: Gray, angular: Gray) -> tuple[float, float]:
    """Return sums of squares of the filters of one orientation: of their even part, and of the finest."""
    height, width = angular.shape
    energy = strength = 0.0
    for row in range(height):
        across = (height - row) % height
        for k in range(width):
            back = width - k if k else 0
            even = together[row, k] * angular[row, k] + together[across, back] * angular[across, back]
            strong = finest[row, k] * angular[row, k]
            energy += even * even
            strength += strong * strong
    return energy / 4, strength


@loop
def weigh(
    spectrum: Spectrum, angular: Gray, radial: Maps, responses: Spectrum, start: int, stop: int
) -> None:
    """Multiply rows of a spectrum with the filters of one orientation."""
    values, written = spectrum.view(np.float64), responses.view(np.float64)
    for row in range(start, stop):
        for scale in range(SCALES):
            for k in range(angular.shape[1]):
                weight = angular[row, k] * radial[scale][row, k]
                written[scale, row, 2 * k] = values[row, 2 * k] * weight
                written[scale, row, 2 * k + 1] = values[row, 2 * k + 1] * weight


@loop
def transpose(responses: Spectrum, start: int, part: Spectrum) -> None:
    """Copy columns as rows."""
    _, count, height = part.shape
    for scale in range(SCALES):
        for k in range(height):
            for row in range(count):
                part[scale, row, k] = responses[scale, k, start + row]


@loop
def measure(part: Spectrum, maps: Gray, start: int) -> None:
    """Write what the responses of all scales say of each pixel."""
    values = part.view(np.float64)
    for row in range(part.shape[1]):
        to = start + row
        for k in range(part.shape[2]):
            re, im = 2 * k, 2 * k + 1
            a, b = values[0, row, re], values[0, row, im]
            c, d = values[1, row, re], values[1, row, im]
            e, f = values[2, row, re], values[2, row, im]
            g, h = values[3, row, re], values[3, row, im]
            power = a * a + b * b
            finest, second = math.sqrt(power), math.sqrt(c * c + d * d)
            third, coarsest = math.sqrt(e * e + f * f), math.sqrt(g * g + h * h)
            real, imaginary = a + c + e + g, b + d + f + h
            energy = real * real + imaginary * imaginary
            across = abs(b * real - a * imaginary) + abs(d * real - c * imaginary)
            across += abs(f * real - e * imaginary) + abs(h * real - g * imaginary)
            total = finest + second + third + coarsest
            greatest = max(max(finest, second), max(third, coarsest))
            maps[0, to, k] = (energy - across) / (math.sqrt(energy) + LEAST)
            maps[1, to, k] = total
            maps[2, to, k] = WIDTH_GAIN * (WIDTH_CUT - total / (greatest + LEAST) / SCALES)
            maps[3, to, k] = power


@loop
def gather(maps: Gray, noise: float, cosine: float, sine: float, sums: Gray, start: int, stop: int) -> None:
    """Add rows of one orientation to the sums over all."""
    for row in range(start, stop):
        for k in range(sums.shape[2]):
            energy = max(maps[0, row, k] - noise, 0.0) / (1.0 + maps[2, row, k])
            amplitude = maps[1, row, k]
            sums[0, row, k] += energy
            sums[1, row, k] += amplitude
            share = energy / max(amplitude, SMALLEST)
            share *= share
            sums[2, row, k] += share * (cosine * cosine)
            sums[3, row, k] += share * (sine * sine)
            sums[4, row, k] += share * (cosine * sine)


@loop
def _add_down(sources: Maps, fused: Gray, row: int, lines: Gray) -> None:
    """Write the sums of one row of windows down the columns; lines begin and end with zeros.

    Two rows at a time, as far above as below, which share a weight; the middle row is its own other.
    """
    height, width = fused.shape
    lines[:] = 0.0
    for tap in range(REACH + 1):
        upper, lower = row - REACH + tap, row + REACH - tap
        first = GAUSSIAN[tap] if upper >= 0 else 0.0
        second = GAUSSIAN[tap] if lower < height and lower > upper else 0.0
        upper, lower = max(upper, 0), min(lower, height - 1)
        for k in range(width):
            one, two = fused[upper, k], fused[lower, k]
            lines[0, REACH + k] += first * one + second * two
        for k in range(width):
            one, two = fused[upper, k], fused[lower, k]
            lines[1, REACH + k] += first * (one * one) + second * (two * two)
        for number in range(len(sources)):
            source = sources[number]
            for k in range(width):
                lines[2 + 3 * number, REACH + k] += first * source[upper, k] + second * source[lower, k]
            for k in range(width):
                one, two = source[upper, k], source[lower, k]
                lines[3 + 3 * number, REACH + k] += first * (one * one) + second * (two * two)
            for k in range(width):
                one, two = source[upper, k] * fused[upper, k], source[lower, k] * fused[lower, k]
                lines[4 + 3 * number, REACH + k] += first * one + second * two


@loop
def _add_across(lines: Gray, means: Gray) -> None:
    """Write the sums of one row of windows along the row."""
    for line in range(LINES):
        for k in range(means.shape[1]):
            total = 0.0
            for tap in range(WINDOW):
                total += GAUSSIAN[tap] * lines[line, k + tap]
            means[line, k] = total


@loop
def sum_likeness(sources: Maps, masks: Maps, fused: Gray) -> float:
    """Return the local correlation of the fused image's features with the likest source's, summed."""
    height, width = fused.shape
    lines, means, best = np.zeros((LINES, width + 2 * REACH)), np.zeros((LINES, width)), np.zeros(width)
    total = 0.0
    for row in range(height):
        _add_down(sources, fused, row, lines)
        _add_across(lines, means)
        best[:] = -np.inf
        for number in range(len(sources)):
            for k in range(width):
                mean, source = means[0, k], means[2 + 3 * number, k]
                variance = means[1, k] - mean * mean
                spread = (means[3 + 3 * number, k] - source * source) * variance
                found = means[4 + 3 * number, k] - source * mean + STEADY
                found = found / (math.sqrt(abs(spread)) + STEADY) * masks[number][row, k]
                best[k] = max(best[k], found)
        for k in range(width):
            total += best[k]
    return total
