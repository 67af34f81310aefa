"""Modality-invariant features: a small network per band, trained to respond alike to one scene in both."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.arrays import Gray
from ivfuse.runtime.onnx import open_session

Features = NDArray[np.float32]
Band = Literal["ir", "vi"]

NETWORK = Path(__file__).resolve().parents[1] / "weights" / "matcher.onnx"

FLOOR = 0.02  # mean feature power added to a block's own, so that weak blocks correlate weakly


def describe(gray: Gray, band: Band) -> Features:
    """Compute features whose inner products over blocks measure how well two places match across bands.

    Args:
        gray: (H, W) float32 in [0, 1], any H, W >= 1.
        band: the modality of the image.

    Returns:
        (8, H, W) float32; the vector of a pixel has length 1 at most, less where there is little structure.

    Raises:
        InputError: if the network is missing or damaged.

    Source: ivfuse's own network, trained by ``recipes/matcher/cpu.yaml``; its card is ``weights/matcher.md``.
    """
    unused = np.zeros((1, 1, 1, 1), np.float32)  # the graph has both inputs; only the requested branch runs
    images = {"ir": unused, "vi": unused} | {band: np.ascontiguousarray(gray, np.float32)[None, None]}
    return np.asarray(_network().run([f"{band}_features"], images)[0][0], np.float32)


@lru_cache(maxsize=1)
def _network() -> Any:
    if not NETWORK.is_file():
        raise InputError(
            f"{NETWORK}: no such file, expected the feature network of registration; install ivfuse again"
        )
    try:
        return open_session(NETWORK, threads=1)  # images are small and many: a second thread gains nothing
    except Exception as error:  # onnxruntime raises exception classes of its own
        raise InputError(f"{NETWORK}: not a network that can be run; install ivfuse again") from error
