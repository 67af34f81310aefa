"""What both bands share: where edges are and how they run, whatever side is the brighter one.

An edge is a doubled angle (contrast that turns over leaves it unchanged), weighted by its strength relative
to its surroundings; harmonics of that angle are channels, so that products of channels compare orientations.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.imaging.image import Gray

Features = NDArray[np.float32]

SURROUNDINGS = 6.0  # pixels, sigma of the neighbourhood an edge is compared with
STRONGEST = 2.0  # weight an edge gets at most
_TINY = 1e-12


def edge_features(gray: Gray, sigma: float = 1.0, smooth: float = 1.0, harmonics: int = 2) -> Features:
    """Orientation of edges as channels.

    Args:
        gray: (H, W) float32, any range.
        sigma: of the Gaussian before the gradient, in pixels.
        smooth: of the Gaussian over the channels, in pixels.
        harmonics: 1 for the doubled angle, 2 for that and the fourfold one, which is narrower.

    Returns:
        (2 * harmonics, H, W) float32: cosine and sine of each harmonic, weighted; zero where nothing is.

    Source: the doubled angle is that of Granlund & Knutsson 1995, ch. 6; channels of orientation for matching
        across sensors are from Ye et al. 2019 (CFOG), the normalisation by surroundings from normalised
        gradient fields (Haber & Modersitzki 2006).
    """
    blurred = cv2.GaussianBlur(gray, (0, 0), sigma)
    gx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REPLICATE)
    power = gx * gx + gy * gy
    around = np.sqrt(cv2.GaussianBlur(power, (0, 0), SURROUNDINGS, borderType=cv2.BORDER_REFLECT))
    floor = 0.5 * float(np.median(around)) + 1e-4 * float(around.max()) + _TINY
    weight = np.minimum(np.sqrt(power) / (around + floor), np.float32(STRONGEST))
    cos2 = (gx * gx - gy * gy) / (power + _TINY)
    sin2 = 2 * gx * gy / (power + _TINY)
    channels = [weight * cos2, weight * sin2]
    if harmonics > 1:
        channels += [weight * (cos2 * cos2 - sin2 * sin2), weight * (2 * cos2 * sin2)]
    return np.stack([cv2.GaussianBlur(channel, (0, 0), smooth) for channel in channels])


def frame_mask(gray: Gray) -> Gray:
    """Where a thermal picture holds a picture, if it lies turned or warped inside a black frame.

    Black that touches the border counts as frame only if what remains is (nearly) convex: a cold sky behind
    trees is not.

    Args:
        gray: (H, W) float32.

    Returns:
        (H, W) float32, 1 inside and 0 in the frame and 2 pixels around it.
    """
    everything = np.ones(gray.shape, np.float32)
    dark = (gray <= gray.min()).astype(np.uint8)
    ring = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    if not 0.02 < ring.mean() < 1:
        return everything
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    frame = np.isin(labels, border[border > 0])
    contours, _ = cv2.findContours((~frame).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return everything
    largest = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(largest)
    if cv2.contourArea(largest) < 0.985 * cv2.contourArea(hull) or cv2.contourArea(hull) < 0.3 * gray.size:
        return everything
    inside = np.zeros(gray.shape, np.float32)
    cv2.fillConvexPoly(inside, hull, 1.0)
    return np.asarray(cv2.erode(inside, np.ones((5, 5), np.uint8)))


def shrunk(gray: Gray, factor: float) -> Gray:
    """The picture at ``factor`` of its size, by means of areas; enlarged linearly above 1."""
    size = (max(8, round(gray.shape[1] * factor)), max(8, round(gray.shape[0] * factor)))
    if size == gray.shape[::-1]:
        return gray
    way = cv2.INTER_AREA if size[0] <= gray.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, size, interpolation=way))


@lru_cache(maxsize=256)
def fast_length(length: int) -> int:
    """The next length whose Fourier transform is quick."""
    return int(cv2.getOptimalDFTSize(length))
