"""What both bands share: features of a small network for each band, trained to look alike in both."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.arrays import Gray
from ivfuse.runtime.onnx import open_session

Features = NDArray[np.float32]
Band = Literal["ir", "vi"]

NETWORK = Path(__file__).resolve().parents[1] / "weights" / "matcher.onnx"

FLOOR = 0.02  # mean power of features below which a block has little to tell


def describe(gray: Gray, band: Band) -> Features:
    """Features in which both bands look alike, for sums of products over blocks.

    Args:
        gray: (H, W) float32 in [0, 1], any H, W >= 1.
        band: what kind of image it is.

    Returns:
        (8, H, W) float32; no pixel's vector is longer than 1, and it is short where there is little to see.

    Raises:
        InputError: if the network is missing or damaged.

    Source: ivfuse's own network, trained by ``recipes/matcher/cpu.yaml``; its card is ``weights/matcher.md``.
    """
    nothing = np.zeros((1, 1, 1, 1), np.float32)
    images = {"ir": nothing, "vi": nothing} | {band: np.ascontiguousarray(gray, np.float32)[None, None]}
    return np.asarray(_network().run([f"{band}_features"], images)[0][0], np.float32)


@lru_cache(maxsize=1)
def _network() -> Any:
    if not NETWORK.is_file():
        raise InputError(
            f"{NETWORK}: no such file, expected the network of registration; install ivfuse again"
        )
    try:
        return open_session(NETWORK, threads=1)  # images are small and many: a second thread gains nothing
    except Exception as error:  # the runtime has exception classes of its own
        raise InputError(f"{NETWORK}: not a network that can be run; install ivfuse again") from error


def frame_mask(gray: Gray) -> Gray:
    """Where a thermal image holds an image, if it lies turned or warped inside a black frame.

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
    """The image at ``factor`` of its size, by means of areas; enlarged linearly above 1."""
    size = (max(8, round(gray.shape[1] * factor)), max(8, round(gray.shape[0] * factor)))
    if size == gray.shape[::-1]:
        return gray
    way = cv2.INTER_AREA if size[0] <= gray.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, size, interpolation=way))


@lru_cache(maxsize=256)
def fast_length(length: int) -> int:
    """The next length whose Fourier transform is quick."""
    return int(cv2.getOptimalDFTSize(length))
