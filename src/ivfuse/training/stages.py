"""What a stage of training asks for: which parts of the network learn, and by which losses."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.training import losses, losses_seeing, losses_views  # noqa: F401 (they register their losses)
from ivfuse.training.loss_registry import find_loss
from ivfuse.training.nets import build_net, outputs_of, takes_level
from ivfuse.training.recipe import Loss, Recipe, StageRecipe
from ivfuse.training.seeing import Views

# What a network may offer besides ``forward``: reconstructions, both modalities' bands with either, fusion by
# some of its modules, codes to be aligned, guesses of hidden patches.
OFFERED = (
    "reconstruct",
    "forward_bands",
    "reconstruct_bands",
    "forward_through",
    "align_codes",
    "reconstruct_masked",
)
# These set the random numbers of views and of masks apart from those of the batch's crops.
VIEWS = 2**31
MASKS = 2**31 + 1


def check_recipe(recipe: Recipe) -> None:
    """Find out before the first step, not hours later, whether every stage of a recipe can run.

    Raises:
        UnknownNameError: no such network, variant, part of the network or loss.
        UsageError: an option that the network or a loss does not have, or a stage that needs what the network
            does not offer.
        ShapeError: crops that the network cannot take.
    """
    with torch.device("meta"):
        net = build_net(recipe.method, recipe.variant, **recipe.net)
        for index, stage in enumerate(recipe.stages):
            set_learning(net, stage.learn)
            if ("fused" in outputs_of(net)) == (stage.task == "match"):
                raise UsageError(f"stage {stage.name}: {type(net).__name__} cannot learn to {stage.task}")
            if stage.task == "match":
                continue
            loss = StageLoss(stage, (recipe.seed, index))
            crop = torch.empty(1, 1, stage.crop, stage.crop)
            _offered(net, stage, loss.method)
            loss.outputs(net, crop, crop, 0)


def _offered(net: nn.Module, stage: StageRecipe, method: str) -> Callable[..., Any]:
    """The method of the network that a stage calls; raises UsageError if there is none."""
    found: Callable[..., Any] | None = getattr(net, method, None)
    if found is None:
        raise UsageError(f"stage {stage.name}: {type(net).__name__} has no {method}, which its losses need")
    if stage.deep_only and "deep_only" not in inspect.signature(found).parameters:
        raise UsageError(f"stage {stage.name}: {type(net).__name__} has no skips, expected deep_only: 0")
    return found


def set_learning(net: nn.Module, parts: list[str]) -> dict[str, list[nn.Parameter]]:
    """Let only ``parts`` of ``net`` learn; the rest is frozen and in eval mode.

    Returns:
        The parameters that learn, by part.

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
    return {part: list(children[part].parameters()) for part in parts}


class Through(nn.Module):
    """A network up to one of its fusion modules, as a network: what a stage with ``through`` is judged by."""

    def __init__(self, net: nn.Module, through: str) -> None:
        """``net`` offers ``forward_through``."""
        super().__init__()
        self.net, self.through = net, through
        self.takes_level = takes_level(net)

    def forward(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> Tensor:
        """As the network's own."""
        options = {} if level is None else {"level": level}
        out: Tensor = self.net.forward_through(ir, vi, self.through, **options)  # type: ignore[operator]
        return out


def loss_weight(term: Loss, step: int, steps: int) -> float:
    """The weight of a term at ``step`` of ``steps``."""
    falling = (1 + math.cos(math.pi * step / steps)) / 2 if term.schedule == "cosine" else 1.0
    return term.weight * falling


class StageLoss:
    """The loss of one stage, from a network and a batch."""

    def __init__(
        self,
        stage: StageRecipe,
        seed: tuple[int, int],
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        teacher: nn.Module | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """Look the losses up.

        Args:
            stage: names them.
            seed: for the choice of ``deep_only`` steps and for random views.
            autocast: the precision in which methods of the network other than ``forward`` run; losses are
                always in float32. (Fabric casts ``forward`` by itself, but other methods only where it wraps
                the network.)
            teacher: the network of ``stage.teacher``, in eval mode.
            share: rank and number of the processes that share a batch; rank r of n has images r, r + n, ...

        Raises:
            UnknownNameError, UsageError: a loss or an option of it that is not known; a teacher without a
                loss that follows it, or such a loss without a teacher.
        """
        self.stage, self.seed, self.autocast, self.teacher = stage, seed, autocast, teacher
        self.share = share
        self.losses = {term.name: find_loss(stage.task, term.name, term.options) for term in stage.loss}
        kinds = {kind for kind, _ in self.losses.values()}
        self.bands = "bands" in kinds
        for wrong, reason in (
            (bool(stage.teacher) != ("teacher" in kinds), "a teacher and the loss imitation go together"),
            (stage.see is None and "seeing" in kinds, "a loss of seeing needs the key see"),
            (
                any(term.only and self.losses[term.name][0] == "bands" for term in stage.loss),
                "a loss of bands is of both modalities, expected no 'only'",
            ),
            (
                self.bands and stage.through is not None,
                "a loss of bands is of the whole network, expected no through",
            ),
        ):
            if wrong:
                raise UsageError(f"stage {stage.name}: {reason}")
        self.method = {
            "mask": "reconstruct_masked",
            "reconstruct": "reconstruct_bands" if self.bands else "reconstruct",
            "align": "align_codes",
            "fuse": "forward_bands" if self.bands else "forward_through" if stage.through else "forward",
        }[stage.task]

    def __call__(
        self, net: Any, ir: Tensor, vi: Tensor, step: int, views: Views | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its unweighted parts; with ``views``, about their clean sources."""
        found = self.outputs(net, ir, vi, step)
        if self.stage.task == "fuse":
            if views is not None:
                ir, vi = views.clean_ir, views.clean_vi
            values = self._fuse(net, found, ir, vi, step, views)
        elif self.stage.task == "reconstruct":
            values = self._reconstruct(found, ir, vi)
        else:
            tensors = [x.float() for x in found]
            values = [(name, "", function(*tensors)) for name, (_, function) in self.losses.items()]
        weights = {term.name: loss_weight(term, step, self.stage.steps) for term in self.stage.loss}
        first, *rest = (weights[name] * value for name, _, value in values)
        for term in rest:
            first = first + term
        return first, {name + end: value for name, end, value in values}

    def of_views(self, net: Any, views: Views, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a stage with the key ``see``: the network is shown what the losses are not about."""
        return self(net, views.ir, views.vi, step, views)

    def outputs(self, net: Any, ir: Tensor, vi: Tensor, step: int) -> Any:
        """What the stage's method of the network gives for a batch."""
        rng = np.random.default_rng((*self.seed, step))
        options: dict[str, Any] = {}
        if self.stage.task == "reconstruct" and rng.random() < self.stage.deep_only:
            options["deep_only"] = True
        if self.stage.through:
            options["through"] = self.stage.through
        if self.method == "forward":
            return net(ir, vi)
        with self.autocast():
            if self.stage.task == "mask":
                return net.reconstruct_masked(*self._masked(net, ir, vi, step), self.stage.mask)
            return getattr(net, self.method)(ir, vi, **options)

    def _masked(self, net: Any, ir: Tensor, vi: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """One image of each pair (a photograph is paired with itself), and noise to choose patches by."""
        rng = np.random.default_rng((*self.seed, step, MASKS))
        rank, world = self.share
        # Drawn for the whole batch, so that processes do not repeat each other's masks.
        own = slice(rank, None, world)
        warm = torch.from_numpy(rng.random((world * len(ir), 1, 1, 1))[own] < 0.5).to(ir.device)
        patches = (ir.shape[-2] // net.patch) * (ir.shape[-1] // net.patch)
        noise = rng.random((world * len(ir), patches), dtype=np.float32)[own]
        return torch.where(warm, ir, vi), torch.from_numpy(noise).to(ir.device)

    def _fuse(
        self, net: Any, found: Any, ir: Tensor, vi: Tensor, step: int, views: Views | None
    ) -> list[tuple[str, str, Tensor]]:
        fused, bands = found if self.bands else (found, None)
        fused = fused.float()
        again = self._through(net) if self.stage.through else net
        rng = np.random.default_rng((*self.seed, step, VIEWS))
        values = []
        for name, (kind, function) in self.losses.items():
            if kind == "bands":
                value = function(bands)
            elif kind == "views":
                value = function(again, fused, ir, vi, rng)
            elif kind == "teacher":
                value = function(fused, self._taught(ir, vi))
            elif kind == "seeing":
                value = function(fused, views)
            else:
                value = function(fused, ir, vi)
            values.append((name, "", value))
        return values

    @torch.no_grad()
    def _taught(self, ir: Tensor, vi: Tensor) -> Tensor:
        if self.teacher is None:
            raise UsageError(f"stage {self.stage.name}: its teacher has not been loaded")
        with self.autocast():
            taught: Tensor = self.teacher(ir, vi)
        return taught.float()

    def _through(self, net: Any) -> Callable[[Tensor, Tensor], Tensor]:
        def fuse(ir: Tensor, vi: Tensor) -> Tensor:
            with self.autocast():
                out: Tensor = net.forward_through(ir, vi, through=self.stage.through)
            return out

        return fuse

    def _reconstruct(self, found: Any, ir: Tensor, vi: Tensor) -> list[tuple[str, str, Tensor]]:
        outs, bands = found if self.bands else (found, None)
        images = dict(zip(("ir", "vi"), zip(outs, (ir, vi), strict=True), strict=True))
        values = []
        for term in self.stage.loss:
            kind, function = self.losses[term.name]
            if kind == "bands":
                values.append((term.name, "", function(bands)))
                continue
            for modality in (term.only,) if term.only else ("ir", "vi"):
                out, target = images[modality]
                values.append((term.name, f"_{modality}", function(out.float(), target)))
        return values
