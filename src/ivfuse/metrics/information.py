"""Metrics of information: entropy, and what the fused image tells about its sources."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, ImagePair, Triple, shared


def _entropy(counts: NDArray[np.intp]) -> float:
    """Return the entropy of a histogram in bits: log2 N - sum(c log2 c) / N, which needs no empty bins."""
    filled = counts[counts > 0].astype(np.float64)
    total = filled.sum()
    return float(np.log2(total) - np.dot(filled, np.log2(filled)) / total)


@shared
def histogram(image: CachedImage) -> NDArray[np.intp]:
    """Count the pixels of each level: 256 bins."""
    return np.bincount(image.levels.ravel(), minlength=256)


@shared
def entropy(image: CachedImage) -> float:
    """Return the entropy of the levels in bits."""
    return _entropy(histogram(image))


@shared
def joint_histogram(pair: ImagePair) -> NDArray[np.intp]:
    """Count the pixels of each pair of levels: (256, 256), rows are the first image's levels."""
    first, second = pair.first.levels.ravel(), pair.second.levels.ravel()
    counts = np.zeros(65536, np.intp)
    for start in range(0, first.size, 131072):
        part = slice(start, start + 131072)
        codes = first[part].astype(np.intp)
        codes <<= 8
        codes |= second[part]
        counts += np.bincount(codes, minlength=65536)
    return counts.reshape(256, 256)


@shared
def joint_entropy(pair: ImagePair) -> float:
    """Return the entropy of the pairs of levels in bits."""
    return _entropy(joint_histogram(pair))


@shared
def mutual_information(pair: ImagePair) -> float:
    """Return what one image tells about the other, in bits."""
    return max(entropy(pair.first) + entropy(pair.second) - joint_entropy(pair), 0.0)


@metric(
    "EN",
    higher_is_better=True,
    range=(0.0, 8.0),
    needs="fused",
    source="Roberts, van Aardt & Ahmed, J. Applied Remote Sensing 2, 2008",
)
def en(triple: Triple) -> float:
    """Entropy of the fused image's histogram (256 levels), in bits.

    All common programs agree. It rewards noise as much as detail.
    """
    return entropy(triple.fused)


@metric(
    "MI",
    higher_is_better=True,
    range=(0.0, 16.0),
    needs="sources",
    source="Qu, Zhang & Yan, Electronics Letters 38(7), 2002",
)
def mi(triple: Triple) -> float:
    """Mutual information of the fused image with each source, the two added, in bits.

    Published numbers differ by the unit (bits or nats), by a saturation of the levels 254 and 255 in one
    widely copied program, and one family prints twice the entropy under this name; see the conventions.
    """
    return sum(mutual_information(pair) for pair in triple.pairs)


def mi_nats(triple: Triple) -> float:
    """Mutual information in natural units: bits times ln 2."""
    return mi(triple) * math.log(2)


def mi_saturated(triple: Triple) -> float:
    """Mutual information whose joint histogram counts the levels 254 and 255 as one.

    The program adds one to 8-bit levels before it uses them as an index, and 255 + 1 saturates. The entropies
    of the single images are right, so the result is too large where 255 is frequent.
    """

    def merged(pair: ImagePair) -> float:
        counts = joint_histogram(pair).copy()
        counts[254] += counts[255]
        counts[255] = 0
        counts[:, 254] += counts[:, 255]
        counts[:, 255] = 0
        return entropy(pair.first) + entropy(pair.second) - _entropy(counts)

    return sum(merged(pair) for pair in triple.pairs)


def mi_twice_entropy(triple: Triple) -> float:
    """Twice the entropy of the fused image, whatever the sources are.

    The program takes whole rows as symbols and both joint entropies come out as zero.
    """
    return 2 * entropy(triple.fused)


@metric(
    "CE",
    higher_is_better=False,
    range=(-1 / (math.e * math.log(2)), math.inf),
    needs="sources",
    source="Bulanon, Burks & Alchanatis, Biosystems Engineering 103(1), 2009",
)
def ce(triple: Triple) -> float:
    """Cross entropy: divergence of the fused image's histogram from each source's, the mean, in bits.

    It is sum(p log2(p / f)) over the levels that occur in both, as in VIFB. Levels that the fused image
    lacks are skipped instead of counting as infinite, so an image of few levels can score too well, even
    below 0.
    Some programs take the root mean square of the two, or merge the levels 0 and 1.
    """
    fused = histogram(triple.fused)
    result = 0.0
    for source in (triple.ir, triple.vi):
        counts = histogram(source)
        both = (counts > 0) & (fused > 0)
        if not both.any():
            raise Undefined("CE: the fused image and a source have no level in common")
        share = counts[both] / source.pixels
        result += float(np.dot(share, np.log2(counts[both] / fused[both])))
    return result / 2


@metric(
    "NMI",
    higher_is_better=True,
    range=(0.0, 2.0),
    needs="sources",
    source="Hossny, Nahavandi & Creighton, Electronics Letters 44(18), 2008",
)
def nmi(triple: Triple) -> float:
    """Normalized mutual information, also called Qmi: 2 (I(A,F) / (H(A) + H(F)) + I(B,F) / (H(B) + H(F))).

    Unlike MI it does not favor sources of high entropy, and the unit cancels. Other programs print
    2 MI / (H(A) + H(B)) or ratios of entropies under the name NMI; those values are not comparable.
    """
    result = 0.0
    for pair in triple.pairs:
        entropies = entropy(pair.first) + entropy(pair.second)
        if entropies == 0:
            raise Undefined("NMI: the fused image and a source are both constant")
        result += mutual_information(pair) / entropies
    return 2 * result


@metric(
    "Qncie",
    higher_is_better=True,
    range=(1 - math.log(3, 256), 1.0),
    needs="sources",
    source="Wang, Shen & Zhang, IEEE Int. Conf. Systems, Man and Cybernetics, 2005",
)
def qncie(triple: Triple) -> float:
    """Nonlinear correlation information entropy of the three images together.

    Entropies to the base 256 give three correlations I / 8 in a 3x3 matrix with ones on its diagonal; the
    result is 1 plus the sum of (l / 3) log256(l / 3) over its eigenvalues l. It never falls below 0.802, so
    small differences count. Programs that put Pearson correlations into the matrix print larger values.
    """
    ir, vi = (mutual_information(pair) / 8 for pair in triple.pairs)
    cross = mutual_information(triple.sources.pair) / 8
    matrix = np.array([[1, cross, ir], [cross, 1, vi], [ir, vi, 1]])
    parts = np.linalg.eigvalsh(matrix) / 3
    parts = parts[parts > 0]
    return 1 + float((parts * np.log(parts)).sum()) / math.log(256)


TSALLIS = 0.43137  # the order q that Nava, Cristobal & Escalante-Ramirez chose


def _tsallis(counts: NDArray[np.intp], first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return (1 - sum p^q / (first second)^(q-1)) / (1 - q) for the shares p of a joint histogram.

    Args:
        counts: (256, 256) joint histogram.
        first: (256,) shares that go with the rows.
        second: (256,) shares that go with the columns.
    """
    rows, columns = np.nonzero(counts)
    joint = counts[rows, columns] / counts.sum()
    product = first[rows] * second[columns]
    used = product > 0
    terms = (joint[used] / product[used]) ** TSALLIS * product[used]
    return (1 - float(terms.sum())) / (1 - TSALLIS)


def _tsallis_information(pair: ImagePair) -> float:
    first, second = (histogram(image) / image.pixels for image in (pair.first, pair.second))
    return max(_tsallis(joint_histogram(pair), first, second), 0.0)


def _qte(triple: Triple, information: Callable[[ImagePair], float]) -> float:
    entropies = math.fsum(max(entropy(source), 0.0) ** TSALLIS for source in (triple.ir, triple.vi))
    scale = entropies + information(triple.sources.pair)
    if scale == 0:
        raise Undefined("Qte: both sources are constant")
    return sum(information(pair) for pair in triple.pairs) / scale


@metric(
    "Qte",
    higher_is_better=True,
    range=(0.0, 1.18),
    needs="sources",
    source="Cvejic, Canagarajah & Bull, Electronics Letters 42(11), 2006; Nava et al., SPIE Newsroom, 2007",
)
def qte(triple: Triple) -> float:
    """Mutual information in Tsallis' form of order 0.43137, normalized by the sources' own.

    The scale is H(A)^q + H(B)^q + I(A,B) with Shannon entropies in bits, as the common program has it. That
    program (imageFusionMetrics) exchanges the two marginals of each joint histogram; its published numbers
    are those of the convention ``liu``. Cvejic's form with q = 1.85 is not normalized and exceeds 1000.
    """
    return _qte(triple, _tsallis_information)


def _stretch(image: CachedImage) -> NDArray[np.intp]:
    """Return where each level goes when the image is stretched to 0..255."""
    low, high = int(image.levels.min()), int(image.levels.max())
    if low == high:
        if low == 0:
            return np.arange(256)
        raise Undefined("Qte of this convention stretches the images, and one is constant")
    target = np.floor((np.arange(256.0) - low) / (high - low) * 255 + 0.5)
    return np.clip(target, 0, 255).astype(np.intp)


def _tsallis_exchanged(pair: ImagePair) -> float:
    """Return the information of the stretched images with the marginals exchanged."""
    counts = np.zeros((256, 256), np.intp)
    rows, columns = np.nonzero(joint_histogram(pair))
    placed = _stretch(pair.first)[rows], _stretch(pair.second)[columns]
    counts[placed] = joint_histogram(pair)[rows, columns]
    shares = counts / counts.sum()
    return _tsallis(counts, shares.sum(axis=0), shares.sum(axis=1))


def qte_exchanged(triple: Triple) -> float:
    """Qte of images stretched to 0..255, the marginals of each joint histogram exchanged."""
    return _qte(triple, _tsallis_exchanged)
