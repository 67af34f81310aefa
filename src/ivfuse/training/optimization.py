"""How a stage's weights move: optimizer, course of the learning rate, clipping, moving average."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from ivfuse.training.recipe import Optimizer


def make_optimizer(parts: Mapping[str, list[nn.Parameter]], how: Optimizer) -> torch.optim.Optimizer:
    """The optimizer of a stage; weight decay acts on matrices and kernels, not on biases and norms.

    Each group of parameters holds its ``factor`` of the learning rate.
    """
    kind = torch.optim.AdamW if how.name == "adamw" else torch.optim.Adam
    factors = {part: how.rates.get(part, 1.0) for part in parts}
    groups = []
    for factor in dict.fromkeys(factors.values()):
        mine = [p for part, parameters in parts.items() if factors[part] == factor for p in parameters]
        decays = ([p for p in mine if p.ndim > 1], how.weight_decay), ([p for p in mine if p.ndim <= 1], 0.0)
        groups += [{"params": p, "weight_decay": decay, "factor": factor} for p, decay in decays if p]
    return kind(groups, lr=how.lr, betas=how.betas)


def learning_rate(how: Optimizer, step: int, steps: int, factor: float = 1.0) -> float:
    """The rate at ``step`` of ``steps`` of a part with this factor: linear warm-up, then the schedule."""
    warm = min(1.0, (step + 1) / how.warmup) if how.warmup else 1.0
    course = factor
    if how.schedule == "cosine":
        done = min(1.0, max(0, step - how.warmup) / max(1, steps - how.warmup))
        course *= 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
    elif how.schedule == "drop" and step >= how.drop_at * steps:
        course *= 0.1
    elif how.schedule == "step":
        course *= 0.5 ** (step // how.halve_every)
    return max(how.floor, how.lr * course) * warm


def clip_parts(parts: Mapping[str, list[nn.Parameter]], norm: float) -> None:
    """Shorten the gradients of each part by themselves to ``norm`` or less."""
    for parameters in parts.values():
        torch.nn.utils.clip_grad_norm_(parameters, norm)


class Average:
    """Exponential moving average of a network's parameters: steadier than the last step's."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        """Begin with the present parameters."""
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move towards the present parameters."""
        for name, value in net.state_dict().items():
            kept = self.values[name]
            if kept.is_floating_point():
                kept.lerp_(value, 1 - self.decay)
            else:
                kept.copy_(value)
