"""The registry of training losses: a decorator, and what each kind of loss is called with.

=================  =============  ===================================================================
kind               task           arguments
=================  =============  ===================================================================
``mask``           mask           guess and truth of patches, (B, T, C), and (B, T) 1 where hidden
``reconstruction`` reconstruct    reconstructed and original image
``alignment``      align          fused code and its target
``fusion``         fuse           fused, thermal and visible image
``teacher``        fuse           fused image, and the teacher's image of the pair
``views``          fuse           network, fused, thermal and visible image, a random generator
``seeing``         fuse           fused image, and :class:`~ivfuse.training.seeing.Views`
``bands``          reconstruct,   :class:`~ivfuse.training.nets.blocks.Bands` of both modalities
                   fuse
=================  =============  ===================================================================

Images are (B, 1, H, W) in [0, 1]. Keyword-only arguments are the options that a recipe may give.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

from torch import Tensor

from ivfuse.errors import UnknownNameError, UsageError

LossFunction = Callable[..., Tensor]
Kind = Literal["mask", "reconstruction", "alignment", "fusion", "teacher", "views", "seeing", "bands"]

LOSSES: dict[Kind, dict[str, LossFunction]] = {kind: {} for kind in get_args(Kind)}
KINDS_OF_TASK: dict[str, tuple[Kind, ...]] = {
    "mask": ("mask",),
    "reconstruct": ("reconstruction", "bands"),
    "align": ("alignment",),
    "fuse": ("fusion", "teacher", "views", "seeing", "bands"),
}


def loss(*kinds: Kind) -> Callable[[LossFunction], LossFunction]:
    """Register a loss, a scalar that is lowest at its best, under its function's name."""

    def register(function: LossFunction) -> LossFunction:
        for kind in kinds:
            LOSSES[kind][function.__name__] = function
        return function

    return register


def find_loss(task: str, name: str, options: Mapping[str, Any]) -> tuple[Kind, LossFunction]:
    """The kind of a loss of a task, and the loss with its options in place.

    Raises:
        UnknownNameError: no such loss; the nearest names are told.
        UsageError: an option that the loss does not have.
    """
    kinds = {known: kind for kind in KINDS_OF_TASK[task] for known in LOSSES[kind]}
    if name not in kinds:
        raise UnknownNameError("loss", name, kinds)
    function = LOSSES[kinds[name]][name]
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if unknown := [key for key in options if key not in known]:
        accepted = ", ".join(known) or "none"
        raise UsageError(f"the loss {name!r} does not know the option {unknown[0]!r}; accepted: {accepted}")
    return kinds[name], partial(function, **options)
