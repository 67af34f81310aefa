"""Synthetic rigs: a street seen by two cameras, the thermal frame somewhere known on the visible one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ivfuse.image.color import luma
from ivfuse.registration.geometry import Matrix, to_centers
from ivfuse.synthetic.street import street_scene

Gray = NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """Thermal and visible luma of one street, and the matrix between them, which counts from corners."""

    ir: Gray
    vi: Gray
    truth: Matrix


@pytest.fixture(scope="session")
def shoot() -> Callable[..., Shot]:
    """Take an image: ``quad`` says where the corners of the thermal lie on the 640 x 480 visible."""
    scenes: dict[tuple[int, str], tuple[Gray, Gray]] = {}

    def take(
        quad: list[tuple[float, float]], size: tuple[int, int] = (320, 256), seed: int = 0, time: str = "day"
    ) -> Shot:
        if (seed, time) not in scenes:
            scene = street_scene(480, 640, seed, time)  # type: ignore[arg-type]
            scenes[seed, time] = scene.ir, luma(scene.vi)
        ir, vi = scenes[seed, time]
        frame = [(0, 0), (size[0], 0), (size[0], size[1]), (0, size[1])]
        truth = cv2.getPerspectiveTransform(np.float32(frame), np.float32(quad)).astype(np.float64)
        zoom = max(1.0, (quad[1][0] - quad[0][0]) / size[0])
        blurred = cv2.GaussianBlur(ir, (0, 0), 0.5 * zoom) if zoom > 1 else ir
        thermal = cv2.warpPerspective(blurred, to_centers(np.linalg.inv(truth)), size)
        return Shot(thermal, vi, truth)

    return take


INNER = [(90.0, 60.0), (560.0, 72.0), (548.0, 430.0), (80.0, 440.0)]


@pytest.fixture(scope="session")
def shot(shoot: Callable[..., Shot]) -> Shot:
    """A thermal of half the resolution that sees the middle of the visible, slightly askew."""
    return shoot(INNER)
