"""What a stage of training does: which parts learn, by which loss, optimiser and schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ivfuse.errors import UnknownNameError
from ivfuse.learning.losses import FUSION_LOSSES, RECONSTRUCTION_LOSSES, combine
from ivfuse.learning.nets import build_net
from ivfuse.learning.recipe import Optimizer, Recipe, StageRecipe


def check_recipe(recipe: Recipe) -> None:
    """Find out before the first step, not hours later, whether every stage of a recipe can run.

    Raises:
        UnknownNameError: no such network, variant, part of the network or loss.
        UsageError: an option that the network or a loss does not have.
        ShapeError: crops that the network cannot take.
    """
    with torch.device("meta"):
        net = build_net(recipe.method, recipe.variant, **recipe.net)
        for index, stage in enumerate(recipe.stages):
            set_learning(net, stage.learn)
            StageLoss(stage, (recipe.seed, index))
            crop = torch.empty(1, 1, stage.crop, stage.crop)
            net(crop, crop) if stage.task == "fuse" else getattr(net, "reconstruct")(crop, crop)  # noqa: B009


def set_learning(net: nn.Module, parts: list[str]) -> list[nn.Parameter]:
    """Let only ``parts`` of ``net`` learn; the rest is frozen and in eval mode.

    Returns:
        The parameters that learn.

    Raises:
        UnknownNameError: a part that the network does not have.
    """
    children = dict(net.named_children())
    for part in parts:
        if part not in children:
            raise UnknownNameError("part of the network", part, children)
    net.eval()
    net.requires_grad_(False)
    for part in parts:
        children[part].train()
        children[part].requires_grad_(True)
    return [p for part in parts for p in children[part].parameters()]


def make_optimizer(parameters: list[nn.Parameter], how: Optimizer) -> torch.optim.Optimizer:
    """The optimiser of a stage; weight decay acts on matrices and kernels, not on biases and norms."""
    kind = torch.optim.AdamW if how.name == "adamw" else torch.optim.Adam
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": how.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return kind([g for g in groups if g["params"]], lr=how.lr, betas=how.betas)


def learning_rate(how: Optimizer, step: int, steps: int) -> float:
    """The rate at ``step`` of ``steps``: linear warm-up, then constant, cosine to 1 %, or drop to a tenth."""
    warm = min(1.0, (step + 1) / how.warmup) if how.warmup else 1.0
    if how.schedule == "cosine":
        done = min(1.0, max(0, step - how.warmup) / max(1, steps - how.warmup))
        warm *= 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
    elif how.schedule == "drop" and step >= how.drop_at * steps:
        warm *= 0.1
    return how.lr * warm


class StageLoss:
    """The loss of one stage, from a network and a batch."""

    def __init__(
        self,
        stage: StageRecipe,
        seed: tuple[int, int],
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """Look the losses up.

        Args:
            stage: names them.
            seed: for the choice of ``deep_only`` steps.
            autocast: the precision in which ``net.reconstruct`` runs; losses are always in float32. (Fabric
                casts ``forward`` by itself, but other methods only where it wraps the network.)
        """
        self.stage, self.seed, self.autocast = stage, seed, autocast
        table = RECONSTRUCTION_LOSSES if stage.task == "reconstruct" else FUSION_LOSSES
        self.total = combine([(t.name, t.weight, t.options) for t in stage.loss], table)

    def __call__(self, net: Any, ir: Tensor, vi: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its unweighted parts."""
        if self.stage.task == "fuse":
            fused = net(ir, vi).float()
            return self.total(fused, ir, vi)
        rng = np.random.default_rng((*self.seed, step))
        with self.autocast():
            outs = net.reconstruct(ir, vi, deep_only=bool(rng.random() < self.stage.deep_only))
        losses = [self.total(out.float(), target) for out, target in zip(outs, (ir, vi), strict=True)]
        parts: dict[str, Tensor] = {}
        for modality, (_, values) in zip(("ir", "vi"), losses, strict=True):
            parts |= {f"{name}_{modality}": value for name, value in values.items()}
        return losses[0][0] + losses[1][0], parts


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
