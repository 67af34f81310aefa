"""Weather and faults of cameras laid over a pair, at five strengths: to test methods, and for training.

A degradation gives the same pixels for the same seed, and a higher strength of a seed is more of the same:
the same drops and more of them, the same noise and louder.

Example:
    >>> ir, vi = degrade(ir, vi, "haze", strength=3, seed=0)
    >>> ir, vi = degrade_all(ir, vi, parse_degradations("rain:4,noise:2"), seed=7)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.image.arrays import to_float, to_levels
from ivfuse.synthetic import weather
from ivfuse.synthetic.weather import Float32, Floats, to_display, to_linear

STRENGTHS = (1, 2, 3, 4, 5)

Kind = Literal["weather", "light", "thermal", "camera", "pair"]
Apply = Callable[[Floats, Floats, float, np.random.Generator], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Degradation:
    """A kind of weather or fault.

    Attributes:
        name: for the command line and tables.
        kind: ``weather``, ``light``, ``thermal`` (the thermal alone), ``camera`` (both) or ``pair`` (how the
            two lie on each other).
        summary: one line.
        apply: takes thermal, visible, strength and a source of chance.
    """

    name: str
    kind: Kind
    summary: str
    apply: Apply


@dataclass(frozen=True)
class Step:
    """A degradation at a strength."""

    name: str
    strength: float

    def __str__(self) -> str:
        """As it is written: ``haze:3``."""
        return f"{self.name}:{self.strength:g}"


DEGRADATIONS: dict[str, Degradation] = {}


def degradation(name: str, kind: Kind, summary: str) -> Callable[[Apply], Apply]:
    """Register a degradation under a name."""

    def register(apply: Apply) -> Apply:
        DEGRADATIONS[name] = Degradation(name, kind, summary, apply)
        return apply

    return register


def degrade(
    ir: NDArray[np.float32], vi: NDArray[np.float32], name: str, strength: float = 3, seed: int = 0
) -> tuple[Float32, Float32]:
    """Lay weather or a fault over a pair.

    Args:
        ir: thermal, (H, W) float32 in [0, 1].
        vi: visible, (H, W) or (H, W, 3) float32 in [0, 1]; its size may be another.
        name: one of :data:`DEGRADATIONS`.
        strength: 1 (slight) to 5 (severe); parts of a step are allowed.
        seed: 0 or more; of what is random.

    Returns:
        Thermal and visible, new arrays of the same shapes, float32 in [0, 1].

    Raises:
        UnknownNameError: there is no such degradation.
        UsageError: the strength or the seed is out of range.
        ShapeError: an array is not an image.
    """
    if name not in DEGRADATIONS:
        raise UnknownNameError("degradation", name, DEGRADATIONS)
    if not STRENGTHS[0] <= strength <= STRENGTHS[-1]:
        raise UsageError(f"strength of {name}: found {strength:g}, expected 1 to 5")
    if seed < 0:
        raise UsageError(f"seed: found {seed}, expected 0 or more")
    if (
        ir.ndim != 2
        or vi.ndim not in (2, 3)
        or (vi.ndim == 3 and vi.shape[2] != 3)
        or not (ir.size and vi.size)
    ):
        raise ShapeError(
            f"thermal {ir.shape} and visible {vi.shape}: expected (H, W) and (H, W) or (H, W, 3)"
        )
    # The name is part of the seed, the strength is not: a stronger one is more of the same.
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    own_ir, own_vi = (np.array(x, np.float32, order="C") for x in (ir, vi))
    worse_ir, worse_vi = DEGRADATIONS[name].apply(own_ir, own_vi, float(strength), rng)
    return _bounded(worse_ir), _bounded(worse_vi)


def degrade_all(
    ir: NDArray[np.float32], vi: NDArray[np.float32], steps: Iterable[Step], seed: int = 0
) -> tuple[Float32, Float32]:
    """Apply several degradations in turn; see :func:`degrade`."""
    for step in steps:
        ir, vi = degrade(ir, vi, step.name, step.strength, seed)
    return ir, vi


def parse_degradations(text: str) -> tuple[Step, ...]:
    """Read ``haze:3`` or ``rain:4,noise:2``; a name alone means strength 3.

    Raises:
        UnknownNameError: there is no such degradation.
        UsageError: the text or a strength cannot be read.
    """
    steps = []
    for part in (part.strip() for part in text.split(",")):
        name, colon, number = part.partition(":")
        name = name.strip().casefold()
        if not name:
            raise UsageError(f"degradation {text!r}: expected NAME:STRENGTH, several with commas between")
        if name not in DEGRADATIONS:
            raise UnknownNameError("degradation", name, DEGRADATIONS)
        try:
            strength = float(number) if colon else 3.0
        except ValueError:
            strength = 0.0
        if not STRENGTHS[0] <= strength <= STRENGTHS[-1]:
            raise UsageError(f"degradation {part!r}: expected a strength of 1 to 5, as in {name}:3")
        steps.append(Step(name, strength))
    return tuple(steps)


def _bounded(pixels: Floats) -> Float32:
    return np.ascontiguousarray(np.clip(pixels, 0, 1), np.float32)


def _level(strength: float, values: tuple[float, float, float, float, float]) -> float:
    """The value at a strength, linear between the steps."""
    return float(np.interp(strength, STRENGTHS, values))


@degradation("haze", "weather", "haze that thickens with distance, lit by the scene's own light")
def _haze(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    density = _level(strength, (0.4, 0.8, 1.4, 2.2, 3.4))
    depth, glow = weather.depth_ramp(vi, rng), float(rng.uniform(0, 1))
    vi = weather.veil(vi, density, depth, glow)
    return weather.damped(ir, float(np.exp(-0.05 * density))), vi


@degradation("rain", "weather", "streaks of rain at three distances, and a thin veil")
def _rain(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    depth = weather.depth_ramp(vi, rng)
    vi = weather.veil(vi, _level(strength, (0.08, 0.16, 0.28, 0.42, 0.6)), depth)
    amount = _level(strength, (0.10, 0.22, 0.42, 0.68, 1.0))
    ir, vi = weather.falling(ir, vi, weather.RAIN, amount, 1.15, rng)
    keep = _level(strength, (0.98, 0.96, 0.93, 0.89, 0.84))
    wet = np.asarray(cv2.GaussianBlur(ir, (0, 0), 0.2 + 0.05 * strength), np.float32)
    return weather.damped(wet, keep), vi


@degradation("snow", "weather", "flakes at four distances, near ones large and soft, and a veil")
def _snow(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    depth = weather.depth_ramp(vi, rng)
    vi = weather.veil(vi, _level(strength, (0.15, 0.3, 0.5, 0.8, 1.2)), depth)
    amount = _level(strength, (0.10, 0.22, 0.42, 0.68, 1.0))
    ir, vi = weather.falling(ir, vi, weather.SNOW, amount, 1.35, rng)
    return weather.damped(ir, _level(strength, (0.98, 0.96, 0.93, 0.90, 0.86))), vi


@degradation("low-light", "light", "too little light for the visible: dark, noisy, in few levels")
def _low_light(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    gain = _level(strength, (0.35, 0.18, 0.08, 0.035, 0.014))
    noise = rng.standard_normal(vi.shape, dtype=np.float32)
    light = to_linear(vi) * np.float32(gain)
    # Shot noise grows with the root of the light; read noise is what is left in the dark.
    light += noise * np.sqrt(light * np.float32(2e-4) + np.float32(1e-7)) * np.float32(np.sqrt(strength))
    return ir, np.rint(to_display(light) * 255) / 255


@degradation(
    "over-exposure", "light", "too much light for the visible: clipped, with a glow about what is bright"
)
def _over_exposure(
    ir: Floats, vi: Floats, strength: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    light = to_linear(vi) * np.float32(_level(strength, (1.6, 2.4, 3.8, 6.0, 10.0)))
    bright = np.clip(light - 1, 0, 3)
    glow = cv2.GaussianBlur(bright, (0, 0), max(min(vi.shape[:2]) / 40, 0.5))
    return ir, to_display(light + 0.25 * glow)


@degradation("noise", "camera", "noise of both sensors: grain in color, and grain of the thermal")
def _noise(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    loud = _level(strength, (0.02, 0.04, 0.07, 0.11, 0.16))
    grain = rng.standard_normal(vi.shape, dtype=np.float32)
    grain = 0.8 * grain + 0.5 * cv2.GaussianBlur(grain, (0, 0), 0.8)
    heat = rng.standard_normal(ir.shape, dtype=np.float32)
    # Less grain where it is bright, as display values of shot noise have.
    return ir + 0.7 * loud * heat, vi + loud * (1.25 - 0.6 * vi) * grain


@degradation("stripes", "thermal", "columns and bands of rows of the thermal that are off by a constant")
def _stripes(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    loud = _level(strength, (0.01, 0.018, 0.03, 0.05, 0.08))
    height, width = ir.shape
    columns = rng.standard_normal((1, width), dtype=np.float32)
    columns += np.repeat(rng.standard_normal((1, -(-width // 8)), dtype=np.float32), 8, 1)[
        :, :width
    ]  # by readout
    rows = cv2.GaussianBlur(
        rng.standard_normal((height, 1), dtype=np.float32), (0, 0), 2.0, borderType=cv2.BORDER_REFLECT
    )
    return ir + loud * (0.8 * columns + 0.5 * rows.reshape(height, 1)), vi


@degradation(
    "dead-pixels", "thermal", "pixels of the thermal that are always black or white, some in clusters"
)
def _dead_pixels(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    share = _level(strength, (0.0005, 0.0015, 0.004, 0.01, 0.025))
    chance = rng.random(ir.shape, dtype=np.float32)
    chance[rng.integers(ir.shape[0]), rng.integers(ir.shape[1])] = 0  # at least one, however small the image
    hot = (rng.random(ir.shape) < 0.5).astype(np.float32)
    dead = chance < 0.8 * share
    clusters = cv2.dilate((chance < 0.03 * share).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.where(dead | clusters, hot, ir), vi


@degradation("blur", "camera", "a camera that moves during the exposure, and is a little out of focus")
def _blur(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    angle = float(rng.uniform(0, np.pi))
    length = _level(strength, (2.5, 5, 9, 14, 21))

    def moved(pixels: Floats, part: float) -> Floats:
        scale = max(min(pixels.shape[:2]) / 480, 0.35) * part
        kernel = _motion_kernel(length * scale, angle)
        soft = cv2.GaussianBlur(pixels, (0, 0), 0.3 + 0.25 * strength * scale)
        return np.asarray(cv2.filter2D(soft, -1, kernel, borderType=cv2.BORDER_REFLECT), np.float32)

    return moved(ir, 0.7), moved(vi, 1.0)


@degradation("compression", "camera", "both images saved as JPEG of low quality")
def _compression(ir: Floats, vi: Floats, strength: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    quality = round(_level(strength, (45, 28, 17, 10, 5)))

    def saved(pixels: Floats) -> Floats:
        _, data = cv2.imencode(".jpg", to_levels(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return to_float(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))

    # The order of channels matters to the codec's color transform.
    return saved(ir), saved(vi) if vi.ndim == 2 else saved(vi[..., ::-1])[..., ::-1]


@degradation(
    "misregistration", "pair", "the thermal lies as many pixels beside the visible as the strength says"
)
def _misregistration(
    ir: Floats, vi: Floats, strength: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    angle = float(rng.uniform(0, 2 * np.pi))
    shift = np.array([[1, 0, strength * np.cos(angle)], [0, 1, strength * np.sin(angle)]], np.float32)
    size = (ir.shape[1], ir.shape[0])
    moved = cv2.warpAffine(ir, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32), vi


def _motion_kernel(length: float, angle: float) -> Floats:
    """A line of a length and an angle, antialiased, with sum 1; odd sides."""
    half = max(1, int(np.ceil(length / 2)))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    line = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(line / line.sum(), np.float32)
