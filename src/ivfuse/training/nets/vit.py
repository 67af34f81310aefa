"""Vision transformer in plain torch, with the parameter names of the MAE release (He et al. 2022).

The names are those of ``mae_pretrain_vit_*.pth``: ``patch_embed.proj``, ``cls_token``, ``blocks.N.norm1``,
``attn.qkv``, ``attn.proj``, ``norm2``, ``mlp.fc1``, ``mlp.fc2``, ``norm`` in :class:`Encoder`;
``decoder_embed``, ``mask_token``, ``decoder_blocks``, ``decoder_norm``, ``decoder_pred`` in :class:`Decoder`.
``pos_embed`` and ``decoder_pos_embed`` are fixed sines that are computed for the grid of each image and not
stored. The code is written from the formulas, not from the release.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import ShapeError, UnknownNameError, UsageError

PATCH = 16  # height and width of a patch, in pixels
EPS = 1e-6  # epsilon of the layer norms


@dataclass(frozen=True)
class Size:
    """Size of a transformer.

    Attributes:
        dim: values per token.
        depth: number of blocks.
        heads: number of attention heads.
    """

    dim: int
    depth: int
    heads: int


SIZES = {
    "tiny": Size(192, 12, 3),
    "small": Size(384, 12, 6),
    "base": Size(768, 12, 12),
    "large": Size(1024, 24, 16),
}


def find_size(
    name: str, *, dim: int | None = None, depth: int | None = None, heads: int | None = None
) -> Size:
    """Look up a size by name, and replace parts of it.

    Raises:
        UnknownNameError: if there is no such size.
        UsageError: if ``dim`` is not a multiple of ``heads`` and of 4.
    """
    if name not in SIZES:
        raise UnknownNameError("size", name, SIZES)
    base = SIZES[name]
    found = Size(dim or base.dim, depth or base.depth, heads or base.heads)
    check_width("dim", found.dim, found.heads)
    return found


def check_width(name: str, dim: int, heads: int) -> None:
    """Raise UsageError unless ``dim`` is a multiple of ``heads``, and of 4 for the position codes."""
    if heads < 1 or dim % heads:
        raise UsageError(f"heads={heads}, expected a divisor of {name}={dim}")
    if dim % 4:
        raise UsageError(f"{name}={dim}, expected a multiple of 4")


def position_codes(
    rows: int, columns: int, dim: int, *, grid: int = 0, device: torch.device | None = None
) -> Tensor:
    """Compute fixed 2-D sine-cosine position codes of a grid of patches, row by row.

    The first half of the channels encodes the column, the second half the row; in each half sines precede
    cosines, at wavelengths from 2 pi to 20,000 pi patches.

    Args:
        rows: number of rows of the grid.
        columns: number of columns of the grid.
        dim: number of channels, a multiple of 4.
        grid: largest number of coordinates per axis, to which longer axes are scaled down, so that a large
            image stays within the range of the pre-training (14 for MAE's 224 pixels); 0 for no scaling.
        device: device of the codes.

    Returns:
        (rows * columns, dim) float32.

    Source: He et al. 2022, appendix A.1; Vaswani et al. 2017, section 3.5.
    """
    quarter = dim // 4
    rates = torch.from_numpy(10000.0 ** -(np.arange(quarter) / quarter)).float().to(device)

    def axis(length: int) -> Tensor:
        # Tensor arithmetic throughout, because the length is not a constant in a traced graph.
        place = torch.arange(length, device=device).float()
        if grid:
            place = place * (grid / (place[-1:] + 1)).clamp(max=1)
        angle = place[:, None] * rates
        return torch.cat((angle.sin(), angle.cos()), 1)

    across, down = axis(columns)[None].expand(rows, -1, -1), axis(rows)[:, None].expand(-1, columns, -1)
    return torch.cat((across, down), 2).flatten(0, 1)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head scaled dot-product attention: queries (B, T, C), keys and values (B, S, C) -> (B, T, C)."""

    def split(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)

    return F.scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Self attention between all tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        """``heads`` must divide ``dim``."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        q, k, v = self.qkv(x).chunk(3, -1)
        out: Tensor = self.proj(attend(q, k, v, self.heads))
        return out


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int) -> None:
        """The hidden layer has four times ``dim`` values."""
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pre-norm attention and MLP, each with a residual."""

    def __init__(self, dim: int, heads: int) -> None:
        """``heads`` must divide ``dim``."""
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PatchEmbed(nn.Module):
    """Linear embedding of patches as tokens."""

    def __init__(self, channels: int, dim: int) -> None:
        """Create the embedding for images with ``channels`` channels."""
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, PATCH, stride=PATCH)
        nn.init.xavier_uniform_(self.proj.weight.data.view(dim, -1))  # initialized like a linear layer

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, dim, H / 16, W / 16)."""
        out: Tensor = self.proj(x)
        return out


class Encoder(nn.Module):
    """Encoder from images to codes.

    Args:
        size: size of the transformer.
        channels: number of channels of the images.
        class_token: whether to include MAE's class token, which MaeFuse omits.
        grid: limit of the position codes, see :func:`position_codes`.
    """

    cls_token: nn.Parameter | None

    def __init__(self, size: Size, channels: int, *, class_token: bool = False, grid: int = 0) -> None:
        """See above."""
        super().__init__()
        self.dim, self.grid = size.dim, grid
        self.patch_embed = PatchEmbed(channels, size.dim)
        self.register_parameter(
            "cls_token", nn.Parameter(torch.zeros(1, 1, size.dim)) if class_token else None
        )
        self.blocks = nn.ModuleList(Block(size.dim, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.dim, eps=EPS)
        initialize(self)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Encode the patches of (B, C, H, W), H and W multiples of 16.

        Args:
            x: normalized images.
            keep: (B, K) indices of the patches to encode; ``None`` for all T = H * W / 256, row by row.

        Returns:
            (B, K or T, dim), without the class token.
        """
        x = self.patch_embed(x)
        codes = position_codes(x.shape[2], x.shape[3], self.dim, grid=self.grid, device=x.device)
        x = x.flatten(2).transpose(1, 2) + codes
        if keep is not None:
            x = x.gather(1, keep[..., None].expand(-1, -1, self.dim))
        if self.cls_token is not None:  # its position code is zero; len(x) would be constant when traced
            x = torch.cat((self.cls_token.to(x).expand(x.shape[0], -1, -1), x), 1)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out if self.cls_token is None else out[:, 1:]


class Decoder(nn.Module):
    """Decoder from codes to the values of patches.

    Args:
        dim: values per code.
        width: values per token of the transformer.
        depth: number of blocks of the transformer.
        heads: number of attention heads of the transformer.
        outputs: values per patch; 0 to return the normalized tokens.
        masked: whether to learn a token that represents patches that were not encoded.
        grid: limit of the position codes, see :func:`position_codes`.
    """

    mask_token: nn.Parameter | None

    def __init__(
        self,
        dim: int,
        width: int,
        depth: int,
        heads: int,
        outputs: int,
        *,
        masked: bool = False,
        grid: int = 0,
    ) -> None:
        """See above; raises UsageError if ``width`` is not a multiple of ``heads`` and of 4."""
        super().__init__()
        check_width("decoder_dim", width, heads)
        self.width, self.grid = width, grid
        self.decoder_embed = nn.Linear(dim, width)
        self.register_parameter("mask_token", nn.Parameter(torch.zeros(1, 1, width)) if masked else None)
        self.decoder_blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.decoder_norm = nn.LayerNorm(width, eps=EPS)
        self.decoder_pred = nn.Linear(width, outputs) if outputs else nn.Identity()
        initialize(self)

    def forward(self, codes: Tensor, rows: int, columns: int, keep: Tensor | None = None) -> Tensor:
        """Decode the codes of a grid of patches.

        Args:
            codes: (B, T, dim) codes of all T = rows * columns patches, or (B, K, dim) of those in ``keep``.
            rows: number of rows of the grid.
            columns: number of columns of the grid.
            keep: (B, K) indices of the encoded patches; the mask token replaces all others, which requires
                ``masked``.

        Returns:
            (B, T, outputs), or (B, T, width) without outputs.
        """
        x = self.decoder_embed(codes)
        if keep is not None:
            if self.mask_token is None:
                raise UsageError("a decoder without a mask token, expected one with masked=True")
            full = self.mask_token.to(x).expand(x.shape[0], rows * columns, -1)
            x = full.scatter(1, keep[..., None].expand(-1, -1, self.width), x)
        x = x + position_codes(rows, columns, self.width, grid=self.grid, device=x.device)
        for block in self.decoder_blocks:
            x = block(x)
        out: Tensor = self.decoder_pred(self.decoder_norm(x))
        return out


def initialize(net: nn.Module) -> None:
    """Initialize like MAE: Xavier and zero bias for linear layers, a deviation of 0.02 for single tokens."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    for name, parameter in net.named_parameters(recurse=False):
        if name in ("cls_token", "mask_token"):
            nn.init.normal_(parameter, std=0.02)


def choose_patches(noise: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Select the patches that a masked auto-encoder receives.

    Args:
        noise: (B, T) random numbers; the patches with the smallest numbers are kept.
        ratio: fraction of hidden patches, in [0, 1]; at least one patch is kept.

    Returns:
        The indices of the kept patches (B, K), and a mask (B, T) that is 1 where a patch is hidden.
    """
    count = max(1, int(noise.shape[1] * (1 - ratio)))
    keep = noise.argsort(dim=1, stable=True)[:, :count]
    hidden = torch.ones_like(noise).scatter(1, keep, 0.0)
    return keep, hidden


def patchify(x: Tensor) -> Tensor:
    """Divide images into patches: (B, C, H, W) -> (B, T, 256 * C), row by row with channels last."""
    b, c, h, w = x.shape
    if h % PATCH or w % PATCH:
        raise ShapeError(f"images of {h}x{w}, expected sides that are multiples of {PATCH}")
    x = x.reshape(b, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatchify(x: Tensor, rows: int, columns: int) -> Tensor:
    """Invert :func:`patchify` for a grid of ``rows`` x ``columns``."""
    x = x.reshape(x.shape[0], rows, columns, PATCH, PATCH, x.shape[2] // PATCH**2)
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
