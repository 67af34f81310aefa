"""A smooth scene with something warm in it, and its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def celsius() -> np.ndarray:
    """Temperatures of 10 to about 45 degC, (48, 64)."""
    rows, columns = np.mgrid[:48, :64].astype(np.float64)
    return 10 + columns / 8 + 30 * np.exp(-((rows - 20) ** 2 + (columns - 40) ** 2) / 40)


@pytest.fixture(scope="session")
def camera_file(flir: Any, celsius: np.ndarray) -> Any:
    """The scene as a file to be, without a photo."""
    return flir.Flir(np.rint(flir.counts_of(celsius)).astype(np.uint16))
