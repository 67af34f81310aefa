"""The measure inside FMI in one pass over blocks of windows; what it computes is in ``features_windows``.

Scratch arrays hold rows of ``LANES`` windows one after another, so that every inner loop runs over windows
and has no branch. They are flat with constant distances of rows, which lets the compiler see that rows do
not overlap.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from ivfuse.metrics.compiled.jit import bits, from_bits, loop
from ivfuse.metrics.features_windows import POSITIONS, SIDE, TINY

Row = NDArray[np.float64]
Keys = NDArray[np.int64]

LANES = 88  # not a power of two, which would bring all rows to the same places of the cache
INNER = POSITIONS - 1
STEPS = 2 * INNER
EPS = float(np.finfo(np.float64).eps)

# Rows of a map's windows: pixels, probabilities, their logarithms, sums of those before; then single rows.
RAW, PARTS, LOGS, BEFORE = (LANES * POSITIONS * row for row in range(4))
MEAN, DEVIATION, SCALE, ENTROPY, MAP_ROWS = (LANES * (4 * POSITIONS + row) for row in range(5))
# Rows of a pair: probability and its logarithm that begin at a running sum; single rows; state of the walk.
NEXT, NEXT_LOG = 0, LANES * STEPS
CORRELATION, FREE, RATIO, JOINT = (LANES * (2 * STEPS + row) for row in range(4))
ONE, ONE_LOG, OTHER, OTHER_LOG, END, PAIR_ROWS = (LANES * (2 * STEPS + 4 + row) for row in range(6))

NUMBER = 15  # the last four bits
HALF = 8  # for rounding to what is left
OF_SECOND = 8  # set in the numbers of the second margin

LN2 = math.log(2)
ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
MANTISSA = 52  # bits of the fraction
# (2 artanh(s) - 2 s) / s^3 as a polynomial of s^2: its series, 2/3 + 2/5 s^2 + ..., brought to seven terms.
SQUARED = ((math.sqrt(2) - 1) / (math.sqrt(2) + 1)) ** 2
ARTANH: tuple[float, ...] = tuple(
    Chebyshev.interpolate(Polynomial([2 / (2 * k + 3) for k in range(13)]), 6, domain=[0, SQUARED])
    .convert(kind=Polynomial)
    .coef.tolist()
)


@loop
def logarithm(x: float) -> float:
    """Return ln(x) of a normal positive number, within 2 units in the last place.

    x = 2^e m with m in sqrt(1/2)..sqrt(2); ln(m) = 2 artanh(s) with s = (m - 1) / (m + 1), at most 0.172. No
    branch, so that a loop around it is vectorized.
    """
    pattern = bits(x)
    exponent = (pattern - ROOT_HALF) >> MANTISSA
    excess = from_bits(pattern - (exponent << MANTISSA)) - 1.0
    s = excess / (2.0 + excess)
    z = s * s
    series = ARTANH[6]
    series = series * z + ARTANH[5]
    series = series * z + ARTANH[4]
    series = series * z + ARTANH[3]
    series = series * z + ARTANH[2]
    series = series * z + ARTANH[1]
    series = series * z + ARTANH[0]
    return exponent * LN2 + (s * z * series + 2.0 * s)


@loop
def _margins(values: Row, start: int, count: int, width: int, rows: Row) -> None:
    """Write the distributions of ``count`` windows, the first pixel of the first at ``start``."""
    for col in range(SIDE):
        for row in range(SIDE):
            begin, to = start + row * width + col, RAW + (SIDE * col + row) * LANES
            for k in range(count):
                rows[to + k] = values[begin + k]
    for k in range(LANES):
        least = greatest = rows[RAW + k]
        for i in range(1, POSITIONS):
            least = min(least, rows[RAW + i * LANES + k])
            greatest = max(greatest, rows[RAW + i * LANES + k])
        flat = 1.0 if least == greatest else 0.0
        total = 0.0
        for i in range(POSITIONS):
            total += rows[RAW + i * LANES + k] - least + flat
        share = 1.0 / total
        before = mean = square = energy = 0.0
        for i in range(POSITIONS):
            height = rows[RAW + i * LANES + k] - least + flat
            part = height * share
            part += (height - part * total) * share  # the quotient, which a division takes twice as long for
            part = 1.0 if height == total else part  # exactly, in a window of one peak
            rows[PARTS + i * LANES + k] = part
            rows[BEFORE + i * LANES + k] = before
            before += part
            mean += (i + 1) * part
            square += (i + 1) ** 2 * part
            energy += part * part
        rows[MEAN + k] = mean
        rows[DEVIATION + k] = math.sqrt(max(square - mean * mean, 0.0))
        rows[SCALE + k] = 0.0 if flat == 1.0 else 1.0 / math.sqrt(energy - 1 / POSITIONS)
        rows[ENTROPY + k] = 0.0
    for i in range(0, POSITIONS * LANES, LANES):
        for k in range(LANES):
            part = rows[PARTS + i + k]
            rows[LOGS + i + k] = logarithm(max(part, TINY))
            rows[ENTROPY + k] -= part * rows[LOGS + i + k]


@loop
def _start(first: Row, second: Row, pair: Row, keys: Keys) -> None:
    """Write the correlation, the running sums and what begins at each, and the first cell of the walk.

    If the windows are opposed, the second is read backwards. A running sum has its number in the last four
    bits, below any accuracy, so that no two are equal and those of one margin keep their order. The first
    step of the merge is done on the way: sums of the same number in order.
    """
    for k in range(LANES):
        product = -1 / POSITIONS
        for i in range(0, POSITIONS * LANES, LANES):
            product += first[PARTS + i + k] * second[PARTS + i + k]
        correlation = product * (first[SCALE + k] * second[SCALE + k])
        opposed = correlation < 0.0
        pair[CORRELATION + k] = correlation
        pair[JOINT + k] = pair[END + k] = 0.0
        pair[ONE + k], pair[ONE_LOG + k] = first[PARTS + k], first[LOGS + k]
        ahead, back = second[PARTS + k], second[PARTS + INNER * LANES + k]
        part = back if opposed else ahead
        pair[OTHER + k] = part
        ahead, back = second[LOGS + k], second[LOGS + INNER * LANES + k]
        pair[OTHER_LOG + k] = back if opposed else ahead
        before = 0.0
        for i in range(INNER):
            low, high = i * LANES + k, (i + INNER) * LANES + k
            after, last = (i + 1) * LANES + k, (INNER - 1 - i) * LANES + k
            before += part
            one = ((bits(first[BEFORE + after]) + HALF) & ~NUMBER) | i
            other = ((bits(before) + HALF) & ~NUMBER) | i | OF_SECOND
            kept = one < other
            keys[low] = one if kept else other
            keys[high] = other if kept else one
            ahead, back = second[PARTS + after], second[PARTS + last]
            part = back if opposed else ahead
            own = first[PARTS + after]
            pair[NEXT + low] = own if kept else part
            pair[NEXT + high] = part if kept else own
            ahead, back = second[LOGS + after], second[LOGS + last]
            ahead = back if opposed else ahead
            own = first[LOGS + after]
            pair[NEXT_LOG + low] = own if kept else ahead
            pair[NEXT_LOG + high] = ahead if kept else own


@loop
def _merge(pair: Row, keys: Keys) -> None:
    """Sort the running sums of both margins, with what begins at each, by Batcher's odd-even merge."""
    for gap in (4, 2, 1):
        for place in range(gap, STEPS - gap):
            if place // gap % 2 == 0:
                continue
            low, high = place * LANES, (place + gap) * LANES
            for k in range(LANES):
                one, other = keys[low + k], keys[high + k]
                kept = one < other
                keys[low + k] = one if kept else other
                keys[high + k] = other if kept else one
                first, second = pair[NEXT + low + k], pair[NEXT + high + k]
                pair[NEXT + low + k] = first if kept else second
                pair[NEXT + high + k] = second if kept else first
                first, second = pair[NEXT_LOG + low + k], pair[NEXT_LOG + high + k]
                pair[NEXT_LOG + low + k] = first if kept else second
                pair[NEXT_LOG + high + k] = second if kept else first


@loop
def _mix(first: Row, second: Row, pair: Row, keys: Keys) -> None:
    """Write the shares of independence and of the bound.

    The mean product of positions counted from the last is the sum of the lesser of each pair of running sums:
    that over all pairs of sorted sums, less the pairs within either margin, which its moments give.
    """
    for k in range(LANES):
        mean, other = first[MEAN + k], second[MEAN + k]
        spread, other_spread = first[DEVIATION + k], second[DEVIATION + k]
        correlation = pair[CORRELATION + k]
        other = POSITIONS + 1 - other if correlation < 0.0 else other
        lesser = 0.0
        for i in range(STEPS - 1):
            lesser += (STEPS - 1 - i) * from_bits(keys[i * LANES + k] & ~NUMBER)
        lesser -= (INNER * POSITIONS - (INNER + POSITIONS) * mean + mean * mean + spread * spread) / 2
        lesser -= (INNER * POSITIONS - (INNER + POSITIONS) * other + other * other + other_spread**2) / 2
        covariance = lesser - (POSITIONS - mean) * (POSITIONS - other)
        mix = abs(correlation) * spread * other_spread
        mix = 0.0 if (covariance <= 0.0) | (mix <= 0.0) else mix / covariance
        free = 1.0 - mix
        free = EPS if free == 0.0 else free
        pair[FREE + k] = free
        pair[RATIO + k] = mix / free


@loop
def _walk(pair: Row, keys: Keys) -> None:
    """Add up what the cells of the path change of the joint entropy; each ends where the next sum begins."""
    for step in range(STEPS + 1):
        at = min(step, STEPS - 1) * LANES
        last = step == STEPS
        for k in range(LANES):
            key = keys[at + k]
            end = 1.0 if last else from_bits(key & ~NUMBER)
            one, one_log = pair[ONE + k], pair[ONE_LOG + k]
            other, other_log = pair[OTHER + k], pair[OTHER_LOG + k]
            product = one * other
            mixed = product + (end - pair[END + k]) * pair[RATIO + k]
            pair[JOINT + k] += product * (one_log + other_log) - mixed * logarithm(max(abs(mixed), TINY))
            of_second = key & OF_SECOND != 0
            part, part_log = pair[NEXT + at + k], pair[NEXT_LOG + at + k]
            pair[ONE + k] = one if of_second else part
            pair[ONE_LOG + k] = one_log if of_second else part_log
            pair[OTHER + k] = part if of_second else other
            pair[OTHER_LOG + k] = part_log if of_second else other_log
            pair[END + k] = end


@loop
def _shared(first: Row, second: Row, pair: Row, found: Row) -> None:
    """Write what the windows share: twice their mutual information over the sum of their entropies."""
    for k in range(LANES):
        free, entropies = pair[FREE + k], first[ENTROPY + k] + second[ENTROPY + k]
        joint = (entropies + pair[JOINT + k]) * free - logarithm(abs(free))
        shared = 2.0 * (entropies - joint)
        shared = shared / entropies if entropies > 0.0 else shared
        alike = (first[SCALE + k] == 0.0) & (second[SCALE + k] == 0.0)  # both flat
        different = False
        for i in range(0, POSITIONS * LANES, LANES):
            different |= first[RAW + i + k] != second[RAW + i + k]
        found[k] = shared if different & (not alike) else 1.0


@loop
def sum_shared(maps: tuple[NDArray[np.float64], ...]) -> float:
    """Return the sum of the information that windows of sources share with those of the fused image."""
    height, width = maps[0].shape
    fused, source, pair = np.zeros(MAP_ROWS), np.zeros(MAP_ROWS), np.zeros(PAIR_ROWS)
    keys, found = np.zeros(STEPS * LANES, np.int64), np.zeros(LANES)
    total = 0.0
    for start in range(0, (height - SIDE + 1) * width - SIDE + 1, LANES):
        count = min(LANES, (height - SIDE + 1) * width - SIDE + 1 - start)
        for number in range(len(maps) - 1, -1, -1):
            rows = fused if number == len(maps) - 1 else source
            _margins(maps[number].ravel(), start, count, width, rows)
            if number == len(maps) - 1:
                continue
            _start(source, fused, pair, keys)
            _merge(pair, keys)
            _mix(source, fused, pair, keys)
            _walk(pair, keys)
            _shared(source, fused, pair, found)
            for k in range(count):
                if (start + k) % width <= width - SIDE:
                    total += found[k]
    return total
