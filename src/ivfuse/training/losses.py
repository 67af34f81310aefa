"""Training losses on reconstructions, codes, bands, hidden patches and fused images, by name.

Arguments are those of the kind of each loss, see ``loss_registry.py``; every loss is a scalar mean over the
batch. Losses on random views are in ``losses_views.py``, those about what people and detectors see by in
``losses_seeing.py``.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ivfuse.training.loss_registry import loss
from ivfuse.training.nets.blocks import Bands

# ------------------------------------------------------------------ reconstruction


@loss("reconstruction", "alignment")
def mse(out: Tensor, target: Tensor, *, scale: float = 1.0) -> Tensor:
    """Mean squared error of values multiplied by ``scale`` (255: the paper's range)."""
    return F.mse_loss(out * scale, target * scale)


@loss("reconstruction", "alignment")
def l1(out: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return F.l1_loss(out, target)


@loss("reconstruction")
def ms_ssim(out: Tensor, target: Tensor) -> Tensor:
    """1 - MS-SSIM (Wang, Simoncelli & Bovik 2003): five scales, Gaussian 11/1.5; needs sides of 176 or more.

    Smaller images use the scales that fit, their weights normalized. Terms are mapped to (t + 1) / 2, as in
    Li & Wu's release, so that none is negative; their release also raises the last scale's luminance term
    to the fourth power by mistake, which is not repeated here.
    """
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    fitting = [w for i, w in enumerate(weights) if min(out.shape[-2:]) // 2**i >= 11]
    product = out.new_ones(())
    for i, weight in enumerate(fitting):
        luminance, structure = _ssim_terms(out, target)
        term = structure.mean() if i < len(fitting) - 1 else (luminance * structure).mean()
        product = product * ((term + 1) / 2) ** (weight / sum(fitting))
        out, target = F.avg_pool2d(out, 2), F.avg_pool2d(target, 2)
    return 1 - product


@loss("reconstruction")
def dssim(out: Tensor, target: Tensor) -> Tensor:
    """(1 - SSIM) / 2 (Wang et al. 2004), Gaussian 11/1.5, as in stage 1 of Shi et al. 2025."""
    luminance, structure = _ssim_terms(out, target)
    return (1 - (luminance * structure).mean()) / 2


@loss("reconstruction")
def gradient(out: Tensor, target: Tensor) -> Tensor:
    """L1 between the components of normalized Sobel gradients (Shi et al. 2025, stage 1)."""
    return F.l1_loss(_sobel(out) / 8, _sobel(target) / 8)


# ------------------------------------------------------------------ masking


@loss("mask")
def hidden_mse(guess: Tensor, truth: Tensor, hidden: Tensor, *, normalize: float = 1) -> Tensor:
    """MSE over hidden patches alone (He et al. 2022, section 3).

    Args:
        guess, truth: values of patches, (B, T, C).
        hidden: (B, T), 1 where a patch was hidden.
        normalize: the truth of each patch less its mean and over its deviation, which makes for better codes
            than plain values (0).
    """
    if normalize:
        variance, mean = torch.var_mean(truth, dim=-1, keepdim=True)
        truth = (truth - mean) / (variance + 1e-6).sqrt()
    error = (guess - truth).square().mean(-1)
    return (error * hidden).sum() / hidden.sum().clamp(min=1)


# ------------------------------------------------------------------ bands


@loss("bands")
def decomposition(bands: Bands) -> Tensor:
    """Low bands should agree, high bands should not: cc(high)^2 / (1.01 + cc(low)) (Zhao et al. 2023, eq. 8).

    cc is the correlation over the pixels, channel by channel, averaged over channels and batch.
    """
    low_ir, high_ir, low_vi, high_vi = (x.float().flatten(0, 1)[:, None] for x in bands)
    low, high = _pearson(low_ir, low_vi).mean(), _pearson(high_ir, high_vi).mean()
    return high**2 / (1.01 + low)


# ------------------------------------------------------------------ fusion: the papers'


@loss("fusion")
def intensity_mask(fused: Tensor, ir: Tensor, vi: Tensor, *, scale: float = 1.0) -> Tensor:
    """MSE to the source whose 11x11 mean is the larger (Li & Wu 2024, eq. 9)."""
    warm = _box(ir, 11) > _box(vi, 11)
    return F.mse_loss(fused * scale, torch.where(warm, ir, vi) * scale)


@loss("fusion")
def gradient_laplacian(fused: Tensor, ir: Tensor, vi: Tensor, *, scale: float = 1.0) -> Tensor:
    """MSE between positive Laplacians, the sources' by maximum (Li & Wu 2024, eq. 12)."""
    kernel = fused.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    f, a, b = (F.conv2d(x, kernel, padding=1).clamp(min=0) for x in (fused, ir, vi))
    return F.mse_loss(f * scale, torch.maximum(a, b) * scale)


@loss("fusion")
def intensity_max(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """L1 to the pixel maximum of the sources (SeAFusion, Tang et al. 2022)."""
    return F.l1_loss(fused, torch.maximum(ir, vi))


@loss("fusion")
def intensity_shift(
    fused: Tensor,
    ir: Tensor,
    vi: Tensor,
    *,
    light: float = 1.0,
    dark: float = 0.8,
    low: float = 0.0,
    sigma: float = 3.0,
) -> Tensor:
    """L1 to the visible moved by the thermal: towards white above its mean, darker below.

    Never darker than the thermal itself, so warm targets keep their level. Unlike the pixel maximum it uses
    the thermal of bright scenes too: a cold sky or road darkens what would else be white everywhere.
    ``light`` and ``dark`` say how far; 0 for both is the pixel maximum.

    ``low`` weighs the same distance after a Gaussian of ``sigma`` pixels: with it, losses that ask for the
    stronger edge may change the edge, but not the level of what lies beside it (halos, blotches).
    """
    above = ir - ir.mean((2, 3), keepdim=True)
    moved = vi + light * F.relu(above) * (1 - vi) - dark * F.relu(-above)
    off = fused - torch.maximum(ir, moved)
    total = off.abs().mean()
    if low:
        total = total + low * _gaussian(off, 2 * round(3 * sigma) + 1, sigma).abs().mean()
    return total


@loss("fusion")
def gradient_max(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """L1 between Sobel magnitudes |x| + |y|, the sources' by maximum (SeAFusion, Tang et al. 2022)."""
    f, a, b = (_sobel(x).abs().sum(1, keepdim=True) for x in (fused, ir, vi))
    return F.l1_loss(f, torch.maximum(a, b))


@loss("fusion")
def laplacian_max(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """L1 between Laplacians of eight neighbors, the sources' by signed maximum, as MaeFuse's release has it.

    The maximum of signed values keeps lines darker than their surroundings and drops brighter ones. The
    release weighs it 2, beside ``gradient_max`` with 1 and no term of intensity.
    """
    kernel = fused.new_tensor([[1, 1, 1], [1, -8, 1], [1, 1, 1]])[None, None]
    f, a, b = (F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel) for x in (fused, ir, vi))
    return F.l1_loss(f, torch.maximum(a, b))


@loss("fusion")
def gradient_signed(fused: Tensor, ir: Tensor, vi: Tensor, *, gain: float = 1.0) -> Tensor:
    """L1 between Sobel components, the sources' from whichever has the larger magnitude, sign kept.

    ``gain`` above 1 asks for edges stronger than the source's, which makes up for what L1 smooths away.
    """
    f, a, b = _sobel(fused), _sobel(ir), _sobel(vi)
    stronger = a.square().sum(1, keepdim=True) > b.square().sum(1, keepdim=True)
    return F.l1_loss(f, gain * torch.where(stronger, a, b))


# ------------------------------------------------------------------ fusion: measures of quality


@loss("fusion")
def ssim(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """1 - the mean SSIM with both sources (Wang et al. 2004), Gaussian 11/1.5."""
    values = [(lum * structure).mean() for lum, structure in (_ssim_terms(fused, x) for x in (ir, vi))]
    return 1 - (values[0] + values[1]) / 2


@loss("fusion")
def edges(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """1 - a smooth form of Qabf (Xydeas & Petrovic 2000).

    The angle between gradients is wrapped and softened near zero gradients, so that it can be differentiated.
    """
    (gf, f), (ga, a), (gb, b) = (_polar(x) for x in (fused, ir, vi))
    kept = _edge_kept(gf, f, ga, a) * ga + _edge_kept(gf, f, gb, b) * gb
    return 1 - (kept.sum((1, 2, 3)) / ((ga + gb).sum((1, 2, 3)) + 1e-6)).mean()


@loss("fusion")
def information(fused: Tensor, ir: Tensor, vi: Tensor, *, scales: float = 4) -> Tensor:
    """1 - half the sum of both VIFs (Sheikh & Bovik 2006, pixel domain), noise variance 2 of 0..255."""
    return 1 - _vif(torch.cat((ir, vi)), torch.cat((fused, fused)), int(scales))


@loss("fusion")
def differences(fused: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
    """1 - half the sum of the correlations of differences, SCD (Aslantas & Bendes 2015)."""
    return 1 - (_pearson(fused - vi, ir) + _pearson(fused - ir, vi)).mean() / 2


@loss("fusion")
def contrast(fused: Tensor, ir: Tensor, vi: Tensor, *, gain: float = 1.0) -> Tensor:
    """How far the standard deviation stays below ``gain`` times the larger of the sources'."""
    f, a, b = (x.flatten(1).std(1) for x in (fused, ir, vi))
    return F.relu(gain * torch.maximum(a, b) - f).mean()


# ------------------------------------------------------------------ fusion: a teacher


@loss("teacher")
def imitation(fused: Tensor, taught: Tensor, *, gradient: float = 1.0, low: float = 0.0) -> Tensor:
    """L1 to what another network makes of the pair, and ``gradient`` times that between Sobel components.

    ``low`` weighs the distance after a Gaussian of 3 pixels, as in :func:`intensity_shift`.
    """
    off = fused - taught
    total = off.abs().mean() + gradient * (_sobel(off) / 4).abs().mean()
    if low:
        total = total + low * _gaussian(off, 19, 3.0).abs().mean()
    return total


# ------------------------------------------------------------------ parts


def gaussian_taps(length: int, sigma: float) -> Tensor:
    """A Gaussian of an odd length in pixels, (length,) float64 with sum 1."""
    t = torch.arange(length, dtype=torch.float64) - (length - 1) / 2
    taps = torch.exp(-(t**2) / (2 * sigma**2))
    return taps / taps.sum()


@lru_cache(maxsize=128)
def _window_matrix(size: int, length: int, sigma: float, step: int, device: torch.device) -> Tensor:
    """(size, outputs): a valid Gaussian filter and subsampling by ``step`` as a matrix; fast anywhere."""
    taps = gaussian_taps(length, sigma).float()
    starts = range(0, size - length + 1, step)
    matrix = torch.zeros(size, len(starts))
    for column, start in enumerate(starts):
        matrix[start : start + length, column] = taps
    return matrix.to(device)


def _gaussian(x: Tensor, length: int, sigma: float, step: int = 1) -> Tensor:
    rows, columns = (_window_matrix(side, length, sigma, step, x.device) for side in x.shape[-2:])
    return rows.T @ (x @ columns)


def _moments(x: Tensor, y: Tensor, length: int, sigma: float) -> tuple[Tensor, ...]:
    """Local means, variances and covariance."""
    mx, my, xx, yy, xy = _gaussian(torch.stack((x, y, x * x, y * y, x * y)), length, sigma).unbind()
    return mx, my, xx - mx * mx, yy - my * my, xy - mx * my


def _ssim_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure maps."""
    c1, c2 = 0.01**2, 0.03**2
    mx, my, vx, vy, cov = _moments(x, y, 11, 1.5)
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * cov + c2) / (vx + vy + c2)


def _vif(reference: Tensor, distorted: Tensor, scales: int) -> Tensor:
    noise, eps = 2 / 255**2, 1e-10
    numerator = denominator = reference.new_zeros(reference.shape[0])
    for scale in range(1, scales + 1):
        length = 2 ** (5 - scale) + 1
        if scale > 1:
            pair = torch.stack((reference, distorted))
            reference, distorted = _gaussian(pair, length, length / 5, step=2).unbind()
        if min(reference.shape[-2:]) < length:
            break
        _, _, vr, vd, cov = _moments(reference, distorted, length, length / 5)
        vr, vd = vr.clamp(min=0), vd.clamp(min=0)
        gain = (cov / (vr + eps)).clamp(min=0)
        rest = (vd - gain * cov).clamp(min=eps)
        numerator = numerator + torch.log10(1 + gain**2 * vr / (rest + noise)).sum((1, 2, 3))
        denominator = denominator + torch.log10(1 + vr / noise).sum((1, 2, 3))
    return ((numerator + 1e-6) / (denominator + 1e-6)).mean()


def _sobel(x: Tensor) -> Tensor:
    """(B, 2, H, W): horizontal and vertical Sobel responses, replicated border."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), _sobel_kernels(x.device).to(x.dtype))


@lru_cache(maxsize=8)
def _sobel_kernels(device: torch.device) -> Tensor:
    kx = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=device)
    return torch.stack((kx, kx.T))[:, None]


def _polar(x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient magnitude (B, 1, H, W) and components (B, 2, H, W)."""
    g = _sobel(x)
    return (g.square().sum(1, keepdim=True) + 1e-8).sqrt(), g


def _edge_kept(gf: Tensor, f: Tensor, gs: Tensor, s: Tensor) -> Tensor:
    ratio = torch.minimum(gf, gs) / torch.maximum(gf, gs)
    cross = (s[:, :1] * f[:, 1:] - s[:, 1:] * f[:, :1]).abs()
    dot = (s * f).sum(1, keepdim=True).abs()
    aligned = 1 - torch.atan2(cross, dot + 1e-8) / (torch.pi / 2)
    strength = 0.9994 * torch.sigmoid(15 * (ratio - 0.5))
    return strength * 0.9879 * torch.sigmoid(22 * (aligned - 0.8))


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    """(B,): correlation over all pixels."""
    x, y = x.flatten(1), y.flatten(1)
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    # The small term keeps the gradient finite where a difference vanishes.
    return (x * y).sum(1) / ((x.square().sum(1) + 1e-4) * (y.square().sum(1) + 1e-4)).sqrt()


def _box(x: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(x, size, stride=1, padding=size // 2)
