"""Variant ``paper`` of maefuse: an exact equivalent of the release of Li et al. (2025).

It loads the authors' weights and reproduces their images. The following properties of the release are kept
deliberately, including its mistakes:

- attention is computed over the *batch*: the modules expect (sequence, batch, channels) but receive (batch,
  patches, channels). For one pair every weight is 1, so that CFM is a linear map of each patch and MFM does
  not depend on the output of CFM; in training, unrelated images are mixed at equal positions;
- the position codes cover 0..39, beyond the 0..13 of the pre-training of the encoder;
- they are added again to the codes before the fusion, but not to the mean that the alignment aims at;
- there is no residual and no norm before attention; every image is resized to 640x640.

Omitted are the clipping to 8-bit levels and the resizing of the visible colors, which keep their resolution.

Source: J. Li et al., "MaeFuse", IEEE TIP 34 (2025), arXiv 2404.11016, and a description of the release.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.training.nets.vit import (
    PATCH,
    Decoder,
    Encoder,
    Size,
    attend,
    check_width,
    position_codes,
    unpatchify,
)

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # statistics of R, G, B in ImageNet
GRAY = (0.2989, 0.587, 0.114)  # luma weights of R, G, B


@dataclass(frozen=True)
class Features:
    """Intermediate results and output of the network.

    Attributes:
        ir: code of the thermal image without the second position code, (B, T, dim).
        vi: code of the visible image without the second position code, (B, T, dim).
        cross: output of CFM, (B, T, dim).
        fused: output of MFM, (B, T, dim).
        decoded: decoded image with three channels in normalized units, (B, 3, H, W).
    """

    ir: Tensor
    vi: Tensor
    cross: Tensor
    fused: Tensor
    decoded: Tensor


class BatchAttention(nn.Module):
    """Multi-head attention over the first axis, with the weight names of ``nn.MultiheadAttention``."""

    def __init__(self, dim: int, heads: int) -> None:
        """``heads`` must divide ``dim``."""
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, other: Tensor) -> Tensor:
        """Compute attention over B, with keys and values from ``other``; both inputs are (B, T, C)."""
        parts = zip(self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        q, k, v = (
            F.linear(x, weight, bias).transpose(0, 1)
            for x, (weight, bias) in zip((query, other, other), parts, strict=True)
        )
        out: Tensor = self.out_proj(attend(q, k, v, self.heads).transpose(0, 1))
        return out


class Merge(nn.Module):
    """MFM: attention from the guide to both codes; the journal version adds a feed-forward and a norm."""

    def __init__(self, dim: int, heads: int, feed_forward: bool) -> None:
        """``feed_forward`` selects the journal version instead of the first version."""
        super().__init__()
        self.attention = BatchAttention(dim, heads)
        self.feed_forward = feed_forward
        if feed_forward:
            self.fc1 = nn.Linear(dim, 4 * dim)
            self.fc2 = nn.Linear(4 * dim, dim)
            self.ln = nn.LayerNorm(dim)

    def forward(self, guide: Tensor, ir: Tensor, vi: Tensor) -> Tensor:
        """(B, T, C) each -> (B, T, C)."""
        merged: Tensor = self.attention(guide, vi) + self.attention(guide, ir)
        if self.feed_forward:
            merged = self.ln(merged + self.fc2(F.gelu(self.fc1(merged))))
        return merged


class MaeFusePaper(nn.Module):
    """The complete network, variant ``paper``; the defaults are the sizes of the release.

    Args:
        dim: values per token of the encoder (ViT-L).
        depth: number of blocks of the encoder.
        heads: number of attention heads of the encoder.
        decoder_dim: values per token of the decoder.
        decoder_depth: number of blocks of the decoder.
        decoder_heads: number of attention heads of the decoder.
        fusion_heads: number of attention heads of CFM and MFM.
        feed_forward: whether MFM is that of the journal version instead of the first version.
        side: height and width to which images are resized, a multiple of 16.
    """

    variant = "paper"
    align = 1
    patch = PATCH

    def __init__(
        self,
        dim: int = 1024,
        depth: int = 24,
        heads: int = 16,
        decoder_dim: int = 512,
        decoder_depth: int = 4,
        decoder_heads: int = 16,
        fusion_heads: int = 16,
        feed_forward: bool = True,
        side: int = 640,
    ) -> None:
        """See above."""
        super().__init__()
        if side < PATCH or side % PATCH:
            raise UsageError(f"side={side}, expected a multiple of {PATCH}")
        for count in (heads, fusion_heads):
            check_width("dim", dim, count)
        self.side = side
        self.encoder = Encoder(Size(dim, depth, heads), 3)
        self.cfm = BatchAttention(dim, fusion_heads)
        self.mfm = Merge(dim, fusion_heads, feed_forward)
        self.decoder = Decoder(dim, decoder_dim, decoder_depth, decoder_heads, 3 * PATCH**2)

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse two images (B, 1, H, W) in [0, 1] into one of that shape, resized to ``side`` internally."""
        return self.forward_through(ir, vi, "mfm")

    def forward_through(self, ir: Tensor, vi: Tensor, through: str) -> Tensor:
        """Fuse like :meth:`forward`; ``through="cfm"`` decodes the output of CFM and skips MFM."""
        small = [self._normalized(x) for x in (ir, vi)]
        code = self._fused(self.encoder(small[0]), self.encoder(small[1]), through)
        image = self._resized(self._gray(self._decoded(code, *small[0].shape[-2:])), *ir.shape[-2:])
        bounded = image.clamp(0, 1)
        # In training the gradient passes the clipping; values outside the range could not return otherwise.
        return image + (bounded - image).detach() if image.requires_grad else bounded

    def forward_features(self, ir: Tensor, vi: Tensor) -> Features:
        """Compute all results from normalized square images (B, 3, S, S), S a multiple of 16."""
        a, b = self.encoder(ir), self.encoder(vi)
        cross, fused = (self._fused(a, b, through) for through in ("cfm", "mfm"))
        return Features(a, b, cross, fused, self._decoded(fused, *ir.shape[-2:]))

    def align_codes(self, ir: Tensor, vi: Tensor, through: str = "mfm") -> tuple[Tensor, Tensor]:
        """Return the code after a fusion module, and its target in the alignment: the mean of both codes."""
        a, b = (self.encoder(self._normalized(x)) for x in (ir, vi))
        return self._fused(a, b, through), (a + b) / 2

    def reconstruct(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct each image from its own code, (B, 1, H, W) each, unbounded."""
        out = []
        for x in (ir, vi):
            small = self._normalized(x)
            decoded = self._decoded(self.encoder(small), *small.shape[-2:])
            out.append(self._resized(self._gray(decoded), *x.shape[-2:]))
        return out[0], out[1]

    def _fused(self, ir: Tensor, vi: Tensor, through: str) -> Tensor:
        if through not in ("cfm", "mfm"):
            raise UnknownNameError("fusion module", through, ("cfm", "mfm"))
        side = int(ir.shape[1] ** 0.5)  # the release supports square grids only
        codes = position_codes(side, side, ir.shape[2], device=ir.device)
        ir, vi = ir + codes, vi + codes
        cross: Tensor = self.cfm(ir, vi) + self.cfm(vi, ir)
        return cross if through == "cfm" else self.mfm(cross, ir, vi)

    def _decoded(self, code: Tensor, height: int, width: int) -> Tensor:
        rows, columns = height // PATCH, width // PATCH
        return unpatchify(self.decoder(code, rows, columns), rows, columns)

    def _normalized(self, x: Tensor) -> Tensor:
        """Convert to three equal channels of ``side`` x ``side`` pixels with ImageNet's normalization."""
        if tuple(x.shape[-2:]) != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        return (x - x.new_tensor(MEAN)[:, None, None]) / x.new_tensor(DEVIATION)[:, None, None]

    def _gray(self, x: Tensor) -> Tensor:
        """Convert normalized R, G, B to one channel in [0, 1]."""
        x = x.float() * x.new_tensor(DEVIATION)[:, None, None] + x.new_tensor(MEAN)[:, None, None]
        return (x * x.new_tensor(GRAY)[:, None, None]).sum(1, keepdim=True)

    def _resized(self, x: Tensor, height: int, width: int) -> Tensor:
        if tuple(x.shape[-2:]) == (height, width):
            return x
        return F.interpolate(x, (height, width), mode="bicubic", align_corners=False)
