"""The canvas of the street: visible light and thermal radiance, painted through one camera model.

World coordinates are meters: x to the right, y up from the road, z away from the camera.
Light is linear, heat is in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Color = tuple[float, float, float]
Window = tuple[slice, slice]  # rows and columns of the canvas

_SHIFT = 4  # fractional bits of polygon corners


@dataclass(frozen=True)
class Camera:
    """A level camera that looks along the street.

    Attributes:
        height: of the canvas, in pixels.
        width: of the canvas, in pixels.
        eye: height of the camera above the road, in meters.
        horizon: row of the horizon, relative to the height.
        zoom: focal length, relative to the shorter side.
    """

    height: int
    width: int
    eye: float = 2.3
    horizon: float = 0.47
    zoom: float = 1.0

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.zoom * min(self.height, 0.75 * self.width)

    def project(self, x: Floats | float, y: Floats | float, z: Floats | float) -> Floats:
        """Project world coordinates to columns and rows in pixels, (..., 2)."""
        x, y, z = np.broadcast_arrays(x, y, np.maximum(z, 0.5))
        columns = self.width / 2 + self.focal * x / z
        rows = self.horizon * self.height + self.focal * (self.eye - y) / z
        return np.stack((columns, rows), -1).astype(np.float32)

    def scale(self, z: float) -> float:
        """Pixels per meter at a distance."""
        return self.focal / max(z, 0.5)


class Canvas:
    """Painted from far to near: linear light (H, W, 3), heat and warm targets (H, W), and what is seen where.

    Attributes:
        owner: (H, W) uint8, which thing is seen in a pixel.
        things: the kind of each thing by its number; 0 is nothing.
    """

    def __init__(self, height: int, width: int) -> None:
        """Start black and cold."""
        self.light = np.zeros((height, width, 3), np.float32)
        self.heat = np.zeros((height, width), np.float32)
        self.target = np.zeros((height, width), np.float32)
        self.owner = np.zeros((height, width), np.uint8)
        self.things = ["unlabeled"]
        self._painting: int | None = 0

    def begin(self, kind: str | None) -> int:
        """What is painted from now on belongs to a new thing of a kind; ``None`` leaves pixels as they are.

        Returns:
            The thing's number in ``owner``, which is its place in ``things``.
        """
        if kind is None:
            self._painting = None
            return 0
        self._painting = len(self.things)
        self.things.append(kind)
        return self._painting

    def polygon(self, points: Floats) -> tuple[Window, Floats] | None:
        """The rows and columns around a polygon and its antialiased mask there; ``None`` if it is outside.

        Args:
            points: (N, 2) columns and rows.
        """
        height, width = self.heat.shape
        low = np.floor(points.min(0)).astype(int) - 1
        high = np.ceil(points.max(0)).astype(int) + 2
        left, top = max(int(low[0]), 0), max(int(low[1]), 0)
        right, bottom = min(int(high[0]), width), min(int(high[1]), height)
        if left >= right or top >= bottom:
            return None
        mask = np.zeros((bottom - top, right - left), np.uint8)
        corners = np.rint((points - (left, top)) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, _SHIFT)
        return np.s_[top:bottom, left:right], mask.astype(np.float32) / 255

    def paint(
        self, window: Window, mask: Floats, color: Floats | Color, heat: Floats | float, target: bool = False
    ) -> None:
        """Blend a color and a thermal value into a window, by a mask in [0, 1].

        Args:
            window: rows and columns.
            mask: (h, w), how much of each pixel is covered.
            color: linear light, (3,) or (h, w, 3).
            heat: a number or (h, w).
            target: what is painted is a warm target; else it hides what is behind.
        """
        part = self.light[window]
        part += mask[..., np.newaxis] * (np.asarray(color, np.float32) - part)
        warmth = self.heat[window]
        warmth += mask * (heat - warmth)
        marked = self.target[window]
        marked += mask * (float(target) - marked)
        if self._painting is not None:
            self.owner[window][mask >= 0.5] = self._painting

    def fill(
        self, points: Floats, color: Floats | Color, heat: float, target: bool = False, opacity: float = 1.0
    ) -> None:
        """Paint a polygon in one color and heat."""
        found = self.polygon(points)
        if found is not None:
            self.paint(found[0], found[1] * opacity, color, heat, target)

    def fill_round(
        self, points: Floats, color: Floats | Color, heat: float, *, radius: float, target: bool = False
    ) -> None:
        """Paint a polygon with the shading of a round body: darker and cooler towards its edge.

        Args:
            points: (N, 2) columns and rows.
            color: linear light in the middle.
            heat: in the middle.
            radius: distance from the edge, in pixels, at which the shading ends.
            target: as in :meth:`paint`.
        """
        found = self.polygon(points)
        if found is None:
            return
        window, mask = found
        padded = cv2.copyMakeBorder((mask > 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        inner = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1] / max(radius, 1e-3)
        inner = np.sqrt(np.clip(inner, 0.05, 1))
        shades = (0.55 + 0.45 * inner)[..., np.newaxis] * np.asarray(color, np.float32)
        self.paint(window, mask, shades, heat * (0.86 + 0.14 * inner), target)

    def warp(self, image: Floats, corners: Floats) -> None:
        """Paint a flat image in perspective.

        Args:
            image: (h, w, 4): linear light and heat.
            corners: (4, 2) where the image's corners go, clockwise from the top left.
        """
        found = self.polygon(corners)
        if found is None:
            return
        window, mask = found
        height, width = image.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        offset = np.array([window[1].start, window[0].start], np.float32)
        matrix = cv2.getPerspectiveTransform(source, corners - offset)
        size = (mask.shape[1], mask.shape[0])
        warped = cv2.warpPerspective(
            np.asarray(image, np.float32),
            matrix,
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        seen = np.asarray(warped, np.float32)
        self.paint(window, mask, seen[..., :3], seen[..., 3])


def vector(*values: float) -> Floats:
    """A float32 array of numbers."""
    return np.array(values, np.float32)


def resized(image: Floats, height: int, width: int) -> Floats:
    """Resize: area averages for fewer pixels, linear interpolation for more."""
    kind = cv2.INTER_AREA if height * width < image.shape[0] * image.shape[1] else cv2.INTER_LINEAR
    source = np.ascontiguousarray(image, np.float32)
    return np.asarray(cv2.resize(source, (width, height), interpolation=kind), np.float32)


def blurred(image: Floats, sigma: float) -> Floats:
    """Blur by a Gaussian; keeps the number of channels."""
    out = cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), sigma)
    return np.asarray(out, np.float32).reshape(image.shape)


def ellipse(cx: float, cy: float, rx: float, ry: float, turn: float = 0.0, count: int = 28) -> Floats:
    """Points of an ellipse, (count, 2)."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = rx * np.cos(t), ry * np.sin(t)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack((cx + c * x - s * y, cy + s * x + c * y), -1).astype(np.float32)


def hull(*circles: tuple[float, float, float]) -> Floats:
    """The outline around circles (x, y, radius): limbs, trunks and other round things, (N, 2)."""
    points = np.concatenate([ellipse(x, y, r, r, count=20) for x, y, r in circles])
    return np.asarray(cv2.convexHull(points)[:, 0], np.float32)


def fractal(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4) -> Floats:
    """Smooth noise with several octaves, about -1..1.

    Args:
        rng: source of randomness.
        height: rows.
        width: columns.
        cell: size of the largest features, in pixels.
        octaves: number of scales, each half of the one before.
    """
    out = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        grid = rng.standard_normal((int(height / size) + 3, int(width / size) + 3)).astype(np.float32)
        grown = cv2.resize(grid, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        out += grown[:height, :width] * 0.5 ** (octave + 1)
    return out


def linear(color: Color | Floats) -> Floats:
    """Display values (gamma 2.2) to linear light."""
    return np.asarray(color, np.float32) ** np.float32(2.2)


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1).astype(np.float32)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
