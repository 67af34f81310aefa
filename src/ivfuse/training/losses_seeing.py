"""Losses that ask for what people and detectors see by: tones, detail, warm targets, no halos.

Each takes the fused picture and a batch of :class:`~ivfuse.training.seeing.Views`, and is about the clean
sources whatever the network was shown. All images are (B, 1, H, W) in [0, 1]; a loss is a scalar.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ivfuse.training.loss_registry import loss
from ivfuse.training.losses import gaussian_taps
from ivfuse.training.seeing import MOST, RING, Views

BANDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # sigmas, in pixels: a band lies between two of them
NOISE = 0.006  # deviation of a thermal band that is nothing but noise
SHARP = 4.0  # exponent of loudness: how clearly the louder source wins
# Of what the thermal darkens in a band: wide ones put a shadow round what is warm.
FRINGE = (1.0, 1.0, 0.6, 0.3, 0.1)
FINE = 3  # bands that ``crisp`` is about
SAMPLES = 64  # pixels of a target, and of its ring, that are compared
SOFT = 0.05  # a difference of levels that counts as one, roughly


@loss("seeing")
def picture(
    fused: Tensor,
    views: Views,
    *,
    warm: float = 0.6,
    cold: float = 0.3,
    night: float = 1.0,
    base: float = 0.5,
    gain: float = 1.12,
    prefer: float = 1.15,
    crisp: float = 1.0,
    fringe: float = 1.0,
    slopes: float = 0.5,
    near_targets: float = 0.4,
) -> Tensor:
    """L1 to a picture put together from both sources: the level of :func:`tones`, the bands of detail.

    Learning one picture is faster and steadier than weighing many measures against each other, which settle
    on something like the mean of the sources first.

    Args:
        fused, views: see above.
        warm, cold, night, base: of the level, see :func:`tones`.
        gain, prefer: of the detail, see :func:`detail`.
        crisp: a factor of its three finest bands besides.
        fringe: how much of the shadow that the thermal's wide bands lay round what is warm is asked for: from
            1, all of it, to 0, the little that does no harm to a clear sky beside a warm roof.
        slopes: weight of the L1 between the slopes of both images.
        near_targets: weight of pixels in and around warm targets, about which :func:`targets` knows more.
    """
    with torch.no_grad():
        level = _level(views.clean_ir, views.clean_vi, BANDS[-1], warm, cold, night, base)
        stronger = _stronger(views.clean_ir, views.clean_vi, gain, prefer, fringe)
        stronger[:FINE] *= crisp
        goal = (level + stronger.sum(0)).clamp(0, 1)
        weight = 1 - (1 - near_targets) * (views.regions > 0).float()
    off = fused - goal
    across, down = off[..., 1:] - off[..., :-1], off[..., 1:, :] - off[..., :-1, :]
    total: Tensor = (weight * off.abs()).mean() + slopes * (across.abs().mean() + down.abs().mean())
    return total


@loss("seeing")
def tones(
    fused: Tensor,
    views: Views,
    *,
    sigma: float = 8.0,
    warm: float = 0.0,
    cold: float = 0.0,
    night: float = 1.0,
    base: float = 0.5,
) -> Tensor:
    """L1 between low frequencies: the visible's by day, with the thermal's where the visible is dark.

    Args:
        fused, views: see above.
        sigma: of the Gaussian, in pixels.
        warm, cold: by day, how far the thermal moves the level: towards white above its mean, darker below.
        night: how much of the thermal the dark parts get.
        base: the share of the thermal's mean that is taken off there, so that what is neither warm nor cold
            does not become a gray wall.
    """
    with torch.no_grad():
        goal = _level(views.clean_ir, views.clean_vi, sigma, warm, cold, night, base)
    return (blurred(fused, sigma) - goal).abs().mean()


def _level(
    ir: Tensor, vi: Tensor, sigma: float, warm: float, cold: float, night: float, base: float
) -> Tensor:
    mean = ir.mean((2, 3), keepdim=True)
    moved = vi + warm * F.relu(ir - mean) * (1 - vi) - cold * F.relu(mean - ir) * vi
    low, day = blurred(vi, 8.0), blurred(moved, sigma)
    lifted = ((ir - base * mean) / (1 - base * mean)).clamp(0, 1)
    dark_scene = ((0.42 - vi.mean((2, 3), keepdim=True)) / 0.2).clamp(0.3, 1)
    dark = night * dark_scene * ((0.34 - low) / 0.24).clamp(0, 1)
    return day + dark * (blurred(torch.maximum(vi, lifted), sigma) - day)


@loss("seeing")
def detail(fused: Tensor, views: Views, *, gain: float = 1.0, prefer: float = 1.0) -> Tensor:
    """L1 between five bands of detail, the sources' from whichever has more of it near by.

    The choice is a smooth one, so that no border shows where it changes; the thermal has to be louder than
    the noise of its sensor. ``gain`` makes up for what L1 smooths away, ``prefer`` is a factor of the
    visible's loudness.
    """
    with torch.no_grad():
        goal = _stronger(views.clean_ir, views.clean_vi, gain, prefer)
    return len(goal) * (bands(fused) - goal).abs().mean()


def _stronger(ir: Tensor, vi: Tensor, gain: float, prefer: float, fringe: float = 1.0) -> Tensor:
    """The bands of the source that is louder near by, (5, B, 1, H, W)."""
    sources = bands(torch.cat((ir, vi), 1))
    loud = blurred_by(sources.square(), tuple(1.5 * sigma + 1 for sigma in BANDS[1:])).clamp(min=0).sqrt()
    thermal = F.relu(loud[:, :, :1] - NOISE) ** SHARP
    visible = (prefer * F.relu(loud[:, :, 1:] - NOISE / 3)) ** SHARP
    share = (thermal + 1e-12) / (thermal + visible + 2e-12)
    ir, vi = sources[:, :, :1], sources[:, :, 1:]
    change = ir - vi
    darker = fringe + (1 - fringe) * torch.tensor(FRINGE, device=ir.device).view(-1, 1, 1, 1, 1)
    return gain * (vi + share * torch.where(change < 0, darker * change, change))


@loss("seeing")
def local(fused: Tensor, views: Views, *, gain: float = 1.0, floor: float = 0.008) -> Tensor:
    """How far the deviation in 9x9 pixels stays below ``gain`` times the larger of the sources'."""
    with torch.no_grad():
        goal = F.relu(torch.maximum(_deviation(views.clean_ir), _deviation(views.clean_vi)) - floor)
    return F.relu(gain * goal - _deviation(fused)).mean()


@loss("seeing")
def targets(
    fused: Tensor, views: Views, *, apart: float = 2.0, part: float = 0.75, rise: float = 1.0
) -> Tensor:
    """Hinges on how warm targets stand out from their rings in the fused picture.

    Args:
        fused, views: see above.
        apart: the difference of the means that is asked for, in deviations of both (2: an AUC of .92).
        part: the share of the rise that can be asked for: that of the infrared, within the room above the
            visible's ring.
        rise: weight of the second hinge, on the rise.
    """
    masks = _masks(views.regions)
    counts = masks.sum(2)
    inside, around = counts[:, :MOST], counts[:, MOST:]
    there = ((inside >= 8) & (around >= 20)).float()
    stack = torch.cat((fused, fused.square(), views.clean_ir, views.clean_vi), 1).flatten(2)
    sums = masks @ stack.transpose(1, 2) / counts.clamp(min=1)[..., None]
    warm, ring = sums[:, :MOST], sums[:, MOST:]
    fused_rise, _, ir_rise, vi_rise = (warm - ring).unbind(2)
    spread = [(part_[..., 1] - part_[..., 0].square()).clamp(min=0) for part_ in (warm, ring)]
    deviation = ((spread[0] + spread[1]) / 2 + 1e-4).sqrt()
    hinge = F.relu(apart - fused_rise / deviation) / apart
    hinge = hinge + rise * _missing_rise(fused_rise, ir_rise, vi_rise, ring[..., 3], part)
    mean: Tensor = (hinge * there).sum() / there.sum().clamp(min=1)
    return mean


@loss("seeing")
def apart(fused: Tensor, views: Views, *, auc: float = 0.88, part: float = 0.5, rise: float = 0.5) -> Tensor:
    """Hinges on whether warm targets can be told from their rings: on the AUC itself, and on the rise.

    Unlike the distance in deviations that :func:`targets` asks for, the AUC does not mind a few lamps or lit
    windows in the ring, so nothing is gained by dimming them. What the visible, as it is seen, shows as a
    dark shape before something bright, such as a trunk before the sky, may stay dark.

    Args:
        fused, views: see above.
        auc: the share of pairs of a pixel inside and one of the ring whose inner one should be brighter.
        part, rise: of the second hinge, see :func:`targets`.
    """
    stack = torch.cat((fused, views.clean_ir, views.clean_vi, views.vi), 1)
    values, counts = _sampled(stack, views.regions)
    there = ((counts[:, :MOST] >= 8) & (counts[:, MOST:] >= 20)).float()
    warm, ring = values[:, :, :MOST], values[:, :, MOST:]
    brighter, _, clean_brighter, seen_brighter = _soft_auc(warm, ring).unbind(1)
    fused_rise, ir_rise, vi_rise, _ = (warm.mean(3) - ring.mean(3)).unbind(1)
    hinge = F.relu(auc - brighter) / auc
    hinge = hinge + rise * _missing_rise(fused_rise, ir_rise, vi_rise, ring[:, 2].mean(2), part)
    dark = torch.maximum(clean_brighter, seen_brighter)
    shape = ((ring[:, 3].mean(2) - 0.55) / 0.2).clamp(0, 1) * ((0.35 - dark) / 0.2).clamp(0, 1)
    hinge = hinge + shape * (F.relu(auc - 1 + brighter) / auc - hinge)
    mean: Tensor = (hinge * there).sum() / there.sum().clamp(min=1)
    return mean


def _missing_rise(fused: Tensor, ir: Tensor, vi: Tensor, around: Tensor, part: float) -> Tensor:
    """How far rises stay below what can be asked for, relative to that; ``around``: the visible's ring."""
    aim = part * torch.minimum(ir, torch.maximum(1 - around, vi.abs()))
    return F.relu(aim - fused) / (aim.clamp(min=0) + 0.04)


def _soft_auc(warm: Tensor, ring: Tensor) -> Tensor:
    """(..., SAMPLES) each -> the share of their pairs in which the first is brighter, smoothly counted."""
    return torch.sigmoid((warm[..., :, None] - ring[..., None, :]) / SOFT).mean((-2, -1))


def _sampled(x: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels spread evenly over targets and rings, (B, C, 2 * MOST, SAMPLES), and their sizes."""
    flat = regions.flatten(1).long()
    order = torch.argsort(flat, dim=1, stable=True)
    sizes = torch.zeros(len(flat), 256, dtype=torch.long, device=flat.device)
    sizes.scatter_add_(1, flat, torch.ones_like(flat))
    starts = sizes.cumsum(1) - sizes
    numbers = _numbers(flat.device).flatten().long()
    sizes, starts = sizes[:, numbers], starts[:, numbers]
    steps = (torch.arange(SAMPLES, device=flat.device) + 0.5) / SAMPLES
    places = (starts[..., None] + (sizes[..., None] * steps).long()).clamp(max=flat.shape[1] - 1)
    pixels = order.gather(1, places.flatten(1))
    values = x.flatten(2).gather(2, pixels[:, None].expand(-1, x.shape[1], -1))
    return values.reshape(*values.shape[:2], *places.shape[1:]), sizes


def _masks(regions: Tensor) -> Tensor:
    """(B, 2 * MOST, pixels): targets, then their rings."""
    return (regions.flatten(2) == _numbers(regions.device)).float()


@lru_cache(maxsize=8)
def _numbers(device: torch.device) -> Tensor:
    numbers = [*range(1, MOST + 1), *range(RING + 1, RING + MOST + 1)]
    return torch.tensor(numbers, dtype=torch.uint8, device=device)[None, :, None]


@loss("seeing")
def overshoot(fused: Tensor, views: Views, *, margin: float = 0.02, reach: float = 5) -> Tensor:
    """How far the fused picture leaves the range of both sources within ``reach`` pixels: halos."""
    side = 2 * int(reach) + 1
    with torch.no_grad():
        high = _greatest(torch.maximum(views.clean_ir, views.clean_vi), side)
        low = -_greatest(-torch.minimum(views.clean_ir, views.clean_vi), side)
    return (F.relu(fused - high - margin) + F.relu(low - margin - fused)).mean()


@loss("seeing")
def islands(fused: Tensor, views: Views, *, sigma: float = 3.0, margin: float = 0.002) -> Tensor:
    """How far slopes of the fused picture exceed those of both sources near by: borders that nothing has."""
    with torch.no_grad():
        sources = _slope(blurred(torch.cat((views.clean_ir, views.clean_vi), 1), sigma))
        allowed = 1.2 * _greatest(sources.amax(1, keepdim=True), 5) + margin
    return F.relu(_slope(blurred(fused, sigma)) - allowed).mean()


def _slope(x: Tensor) -> Tensor:
    down, right = x[..., 1:, :-1] - x[..., :-1, :-1], x[..., :-1, 1:] - x[..., :-1, :-1]
    return (down.square() + right.square() + 1e-10).sqrt()


def _greatest(x: Tensor, side: int) -> Tensor:
    """The greatest value in a square; rows first, then columns, which is several times faster."""
    x = F.max_pool2d(x, (side, 1), stride=1, padding=(side // 2, 0))
    return F.max_pool2d(x, (1, side), stride=1, padding=(0, side // 2))


def _deviation(x: Tensor) -> Tensor:
    """In squares of 9x9 pixels, one for every third pixel: neighbors tell the same."""
    mean, square = (F.avg_pool2d(y, 9, stride=3) for y in (x, x * x))
    return ((square - mean * mean).clamp(min=0) + 1e-6).sqrt()


def bands(x: Tensor) -> Tensor:
    """Differences of Gaussians between :data:`BANDS`, finest first: (B, C, H, W) -> (5, B, C, H, W)."""
    smooth = torch.cat((x[None], blurred_by(x[None], BANDS[1:])))
    return smooth[:-1] - smooth[1:]


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with mirrored borders, as two products of matrices: fast anywhere."""
    rows, columns = (_blur_matrix(side, sigma, x.device) for side in x.shape[-2:])
    return rows @ x @ columns.T


def blurred_by(x: Tensor, sigmas: tuple[float, ...]) -> Tensor:
    """The same by several at once: (1 or S, B, C, H, W) -> (S, B, C, H, W)."""
    rows, columns = (_blur_matrices(side, sigmas, x.device) for side in x.shape[-2:])
    return rows @ x @ columns.transpose(-1, -2)


@lru_cache(maxsize=32)
def _blur_matrices(side: int, sigmas: tuple[float, ...], device: torch.device) -> Tensor:
    """(S, 1, 1, side, side)."""
    return torch.stack([_blur_matrix(side, sigma, device) for sigma in sigmas])[:, None, None]


@lru_cache(maxsize=64)
def _blur_matrix(side: int, sigma: float, device: torch.device) -> Tensor:
    reach = max(1, round(3 * sigma))
    taps = gaussian_taps(2 * reach + 1, sigma)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    for row in range(side):
        index = torch.arange(row - reach, row + reach + 1) % (2 * side)
        index = torch.minimum(index, 2 * side - 1 - index)
        matrix[row].index_add_(0, index, taps)
    return matrix.float().to(device)
