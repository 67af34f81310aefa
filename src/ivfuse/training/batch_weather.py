"""Weather and faults laid over a batch on its own device: what a training crop is seen through.

The package's degradations (``ivfuse.synthetic.degrade``) draw one pair for people and tests; these draw
hundreds of batches a minute, each image with numbers of its own, wider than any of the five strengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Apply = Callable[[Tensor, Tensor, "Dice"], Tensor]
SHARES = (0.34, 0.42, 0.4)  # of the light behind, hidden by drops that are far, nearer, near


class Dice:
    """All chance of one batch, on its device; the same for the same seed."""

    def __init__(self, seed: int, device: torch.device) -> None:
        """``seed`` is below 2**63."""
        self.device = device
        self.generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        """(count, 1, 1, 1) numbers."""
        values = torch.rand(count, 1, 1, 1, generator=self.generator, device=self.device)
        return low + (high - low) * values

    def log_uniform(self, count: int, low: float, high: float) -> Tensor:
        """(count, 1, 1, 1) numbers, as many between 1 and 2 as between 2 and 4."""
        return self.uniform(count, math.log(low), math.log(high)).exp()

    def chance(self, count: int, probability: float) -> Tensor:
        """(count, 1, 1, 1) zeros and ones."""
        return (self.uniform(count, 0, 1) < probability).float()

    def noise(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def field(self, *shape: int) -> Tensor:
        """Numbers in [0, 1)."""
        return torch.rand(*shape, generator=self.generator, device=self.device)


@dataclass(frozen=True)
class BatchWeather:
    """A kind of weather or fault of the visible.

    Attributes:
        apply: takes the visible, (B, 1, H, W) in [0, 1], the height of each row in its picture, (B, 1, H, 1)
            from 0 at the upper edge to 1 at the lower, and all chance; returns the visible as it is seen.
        knowable: share of the level without the weather in what is asked for, 0..1: a network cannot know all
            of it.
    """

    apply: Apply
    knowable: float


WEATHERS: dict[str, BatchWeather] = {}


def weather(name: str, *, knowable: float) -> Callable[[Apply], Apply]:
    """Register a kind of weather under the name that recipes use."""

    def register(apply: Apply) -> Apply:
        WEATHERS[name] = BatchWeather(apply, knowable)
        return apply

    return register


@weather("haze", knowable=0.25)
def haze(vi: Tensor, height: Tensor, dice: Dice) -> Tensor:
    """Koschmieder's law over a road scene, or an even wall of it for a quarter of the images."""
    return _veil(vi, height, dice.log_uniform(len(vi), 0.5, 3.2), dice)


@weather("rain", knowable=0.4)
def rain(vi: Tensor, height: Tensor, dice: Dice) -> Tensor:
    """Streaks at three distances behind a thin veil."""
    vi = _veil(vi, height, dice.uniform(len(vi), 0.05, 0.7), dice)
    layers = ((2600, 11, 0.55), (900, 26, 0.8), (160, 70, 1.5))
    return _falling(vi, layers, SHARES, dice, bright=1.15)


@weather("snow", knowable=0.4)
def snow(vi: Tensor, height: Tensor, dice: Dice) -> Tensor:
    """Flakes at four distances behind a veil."""
    vi = _veil(vi, height, dice.uniform(len(vi), 0.1, 1.2), dice)
    layers = ((2800, 2.2, 1.2), (850, 5.0, 2.6), (140, 11.0, 6.0), (26, 26.0, 14.0))
    return _falling(vi, layers, (0.75, 0.75, 0.8, 0.55), dice, bright=1.35)


@weather("dark", knowable=0.0)
def dark(vi: Tensor, height: Tensor, dice: Dice) -> Tensor:
    """Too little light: dark, noisy, in few levels."""
    light = vi.square() * dice.log_uniform(len(vi), 0.02, 0.5)
    loud = dice.uniform(len(vi), 0.5, 2.2)
    light = light + dice.noise(*vi.shape) * (light * 2e-4 + 1e-7).sqrt() * loud
    return (light.clamp(0, 1).sqrt() * 255).round() / 255


@weather("glare", knowable=0.0)
def glare(vi: Tensor, height: Tensor, dice: Dice) -> Tensor:
    """Too much light: clipped, with a glow about what is bright."""
    light = vi.square() * dice.log_uniform(len(vi), 1.4, 6.0)
    glow = smoothed((light - 1).clamp(0, 3), dice.uniform(len(vi), 4, 12))
    return _display(light + 0.25 * glow)


@weather("grain", knowable=1.0)
def grain(vi: Tensor, height: Tensor, dice: Dice) -> Tensor:
    """Noise of the sensor after a blur of the lens, each of any strength."""
    vi = smoothed(vi, dice.uniform(len(vi), 0.05, 1.2))
    loud = dice.log_uniform(len(vi), 0.01, 0.12)
    noise = dice.noise(*vi.shape)
    noise = 0.8 * noise + smoothed(noise, torch.full_like(loud, 0.8))
    return (vi + loud * (1.25 - 0.6 * vi) * noise).clamp(0, 1)


def thermal_faults(ir: Tensor, dice: Dice, chance: float) -> Tensor:
    """Noise, stripes of rows and columns, blur and less contrast, each with ``chance``."""
    if not chance:
        return ir
    count, _, rows, columns = ir.shape
    blurred = smoothed(ir, dice.uniform(count, 0.3, 1.3))
    ir = torch.where(dice.chance(count, chance) > 0, blurred, ir)
    keep = 1 - dice.chance(count, chance) * dice.uniform(count, 0.0, 0.25)
    mean = ir.mean((2, 3), keepdim=True)
    ir = mean + keep * (ir - mean)
    loud = dice.chance(count, chance) * dice.log_uniform(count, 0.006, 0.07)
    ir = ir + loud * dice.noise(count, 1, rows, columns)
    loud = dice.chance(count, chance) * dice.log_uniform(count, 0.006, 0.05)
    stripes = dice.noise(count, 1, 1, columns) + 0.7 * dice.noise(count, 1, rows, 1)
    return (ir + loud * stripes).clamp(0, 1)


def smoothed(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (B, 1, H, W) by (B, 1, 1, 1) pixels, in the frequency domain (borders meet)."""
    rows, columns = _frequencies(x)
    power = sigma.square() * (rows.square() + columns.square())
    blurred: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * torch.exp(-power / 2), s=x.shape[-2:])
    return blurred


def _frequencies(x: Tensor) -> tuple[Tensor, Tensor]:
    """Angular frequencies of rows and of the columns that a real transform keeps."""
    rows = 2 * math.pi * torch.fft.fftfreq(x.shape[-2], device=x.device)
    columns = 2 * math.pi * torch.fft.rfftfreq(x.shape[-1], device=x.device)
    return rows[:, None], columns[None, :]


def _ambient(light: Tensor) -> Tensor:
    """What haze, drops and flakes send to the camera: bright by day, faint by night; (B, 1, 1, 1)."""
    level = light.mean((2, 3), keepdim=True).sqrt()
    night, dusk, day = level.clamp(max=0.15), (level - 0.15).clamp(0, 0.2), (level - 0.35).clamp(0, 0.25)
    return 0.06 + 0.53 * night + 1.4 * dusk + 1.52 * day


def _display(light: Tensor) -> Tensor:
    return light.clamp(1e-6, 1).sqrt()


def _veil(vi: Tensor, height: Tensor, density: Tensor, dice: Dice) -> Tensor:
    """``J t + A (1 - t)`` in light; ``height`` (B, 1, H, 1) is 0 at the upper edge, 1 below."""
    count = len(vi)
    horizon = dice.uniform(count, 0.25, 0.5)
    below = (height - horizon).clamp(min=0) / (1 - horizon)
    depth = 0.16 / (0.16 + below)
    even = dice.chance(count, 0.25)
    depth = even * dice.uniform(count, 0.4, 1.0) + (1 - even) * depth
    banks = F.interpolate(dice.noise(count, 1, 5, 5), vi.shape[-2:], mode="bicubic", align_corners=False)
    through = torch.exp(-density * depth * (1 + 0.12 * banks).clamp(0.6, 1.4))
    light = vi.square()
    air = _ambient(light) * dice.uniform(count, 0.8, 1.2)
    return _display(light * through + air * (1 - through))


def _falling(
    vi: Tensor,
    layers: tuple[tuple[float, float, float], ...],
    shares: tuple[float, ...],
    dice: Dice,
    bright: float,
) -> Tensor:
    """Lay traces over the light: (count on 640x480, length, width) of each layer, from far to near."""
    count = len(vi)
    light = vi.square()
    scale = dice.log_uniform(count, 0.45, 1.5)
    amount = dice.log_uniform(count, 0.1, 1.1)
    angle = 0.2 * dice.noise(count, 1, 1, 1)
    around = smoothed(light, torch.full_like(scale, 16.0))
    shine = (bright * dice.uniform(count, 0.8, 1.2) * _ambient(light) + 0.5 * around).clamp(0, 1)
    for (number, length, width), share in zip(layers, shares, strict=True):
        density = amount * number / (307200 * scale.square())
        over = _traces(light, density, length * scale, width * scale, angle, dice)
        over = over * share * dice.uniform(count, 0.7, 1.3)
        light = light + over.clamp(0, 0.95) * (shine - light)
    return _display(light)


def _traces(
    like: Tensor, density: Tensor, length: Tensor, width: Tensor, angle: Tensor, dice: Dice
) -> Tensor:
    """Gaussian traces of a length, width and angle from straight down; about 1 within a strong one."""
    seeds = (dice.field(*like.shape) < density).float() * dice.field(*like.shape).sqrt()
    along, across = (length / 3).clamp(min=0.5), (width / 2.35).clamp(min=0.5)
    rows, columns = _frequencies(like)
    down = rows * angle.cos() + columns * angle.sin()
    side = columns * angle.cos() - rows * angle.sin()
    power = (along * down).square() + (across * side).square()
    spread = torch.fft.rfft2(seeds) * torch.exp(-power / 2)
    # A trace thinner than a pixel is one pixel wide and fainter.
    peak = 2 * math.pi * along * across * width.clamp(0.3, 1.0)
    traces: Tensor = torch.fft.irfft2(spread, s=like.shape[-2:]) * peak
    return traces.clamp(0, 1)
