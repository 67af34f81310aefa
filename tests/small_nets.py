"""What tests of networks share: random inputs, networks of one seed, weights that are the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ivfuse.training.nets import build_net


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0, 1]."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pair(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Two different inputs, (B, 1, H, W)."""
    return noise(batch, 1, height, width), noise(batch, 1, height, width, seed=1)


def seeded(method: str, **options: Any) -> Any:
    """A network of the fixed variant with the weights of seed 0, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_net(method, **options).eval()


def set_sines(net: nn.Module, near_one: tuple[str, ...]) -> None:
    """Set weights from sines, the same on every machine and in every version of torch.

    Args:
        net: whose weights are set.
        near_one: ends of the names of weights that multiply, such as those of norms.
    """
    for i, (name, value) in enumerate(sorted(net.state_dict().items())):
        wave = np.sin(0.9 * np.arange(value.numel()) ** 1.1 + i + 1).reshape(value.shape)
        if name.endswith(near_one):
            wave = 1 + 0.2 * wave
        elif value.ndim > 1:
            wave *= 0.7 / np.sqrt(np.prod(value.shape[1:]))
        else:
            wave *= 0.1
        value.copy_(torch.from_numpy(wave))
