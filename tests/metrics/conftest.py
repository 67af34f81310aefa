"""A synthetic triple made by whole-number formulas, so that its pixels are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    ir: Levels
    vi: Levels
    fused: Levels

    @property
    def degraded(self) -> Levels:
        """The fused image spoilt in every respect: mirrored, 16 levels, half the contrast."""
        return self.fused[:, ::-1] // 16 * 8


def noise(height: int, width: int, seed: int) -> NDArray[np.int64]:
    y, x = np.mgrid[:height, :width].astype(np.int64)
    mixed = (x * 73856093) ^ (y * 19349663) ^ (seed * 83492791)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177 & 0x7FFFFFFF
    return (mixed ^ (mixed >> 16)) & 255


def make_scene(height: int = 64, width: int = 80) -> Scene:
    y, x = np.mgrid[:height, :width].astype(np.int64)
    warm = 200 * ((x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 5) ** 2)
    ir = 40 + x // 2 + warm + noise(height, width, 1) // 16
    vi = 70 + y + 60 * ((x // 8 + y // 6) % 2) + noise(height, width, 2) // 12
    fused = np.maximum(ir, vi) * 3 // 5 + (ir + vi) // 5
    return Scene(*(np.clip(plane, 0, 255).astype(np.uint8) for plane in (ir, vi, fused)))


@pytest.fixture(scope="session")
def scene_of() -> Callable[..., Scene]:
    """Make a scene of another size: ``scene_of(height, width)``."""
    return make_scene


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene()


@pytest.fixture
def same() -> Callable[[dict[str, float]], Any]:
    """Compare values but for the last bits, which FFT and BLAS round by how arrays lie in memory."""
    return lambda values: pytest.approx(values, rel=1e-12, abs=1e-13, nan_ok=True)
