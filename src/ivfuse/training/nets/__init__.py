"""The networks, pure torch: ``forward(ir, vi)`` on (B, 1, H, W) in [0, 1] gives the same shape and range.

The matcher alone gives features of both instead of a fused image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.training.nets.crossfuse_cam import CrossFuseCam
from ivfuse.training.nets.crossfuse_cam_paper import CrossFuseCamPaper
from ivfuse.training.nets.crossfuse_topk import CrossFuseTopk
from ivfuse.training.nets.crossfuse_topk_paper import CrossFuseTopkPaper
from ivfuse.training.nets.maefuse import MaeFuse
from ivfuse.training.nets.maefuse_paper import MaeFusePaper
from ivfuse.training.nets.matcher import Matcher
from ivfuse.training.nets.swift import Swift

# method -> variant -> constructor; a new network is added here.
NETS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "crossfuse-cam": {"fixed": CrossFuseCam, "paper": CrossFuseCamPaper},
    "crossfuse-topk": {"fixed": CrossFuseTopk, "paper": CrossFuseTopkPaper},
    "maefuse": {"fixed": MaeFuse, "paper": MaeFusePaper},
    "swift": {"fixed": Swift},
    "matcher": {"fixed": Matcher},
}


def build_net(method: str, variant: str = "fixed", **options: Any) -> nn.Module:
    """A fresh network.

    Args:
        method: a key of :data:`NETS`.
        variant: ``fixed`` or ``paper``.
        options: widths and depths, as the constructor takes them.

    Raises:
        UnknownNameError: no such method or variant.
        UsageError: an option that the network does not have.
    """
    if method not in NETS:
        raise UnknownNameError("network", method, NETS)
    if variant not in NETS[method]:
        raise UnknownNameError(f"variant of {method}", variant, NETS[method])
    try:
        return NETS[method][variant](**options)
    except TypeError as error:
        raise UsageError(f"{method} ({variant}): {error}") from None


def outputs_of(net: nn.Module) -> tuple[str, ...]:
    """The names of what a network gives: ``fused``, unless the network says otherwise."""
    return tuple(getattr(net, "outputs", ("fused",)))


def takes_level(net: nn.Module) -> bool:
    """Whether a network has a third input, the mean of the whole infrared image, (B, 1, 1, 1)."""
    return bool(getattr(net, "takes_level", False))
