"""Torch networks as fusion methods, to evaluate a checkpoint without exporting it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ivfuse.errors import IvfuseError
from ivfuse.fusion.method import MethodInfo
from ivfuse.image.arrays import Gray
from ivfuse.image.tiling import FuseGray
from ivfuse.training.checkpoint import load_fusing
from ivfuse.training.validation import run


@dataclass(frozen=True)
class TorchMethod:
    """A torch network with the interface of :class:`ivfuse.fusion.method.Method`."""

    net: nn.Module
    info: MethodInfo
    device: str = "cpu"

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`Method.fuse`."""
        return _finite(run(self.net, ir, vi, self.device), self.info.name)

    def for_image(self, ir: Gray, vi: Gray) -> FuseGray:
        """See :meth:`ivfuse.fusion.method.WholeImageMethod.for_image`."""
        level = float(ir.mean())

        def fuse(ir: Gray, vi: Gray) -> Gray:
            return _finite(run(self.net, ir, vi, self.device, level), self.info.name)

        return fuse


def _finite(fused: Gray, name: str) -> Gray:
    """Check a result, which would be black where it is NaN.

    Raises:
        IvfuseError: if it is not finite.
    """
    if not np.isfinite(fused).all():
        raise IvfuseError(f"{name}: the network returned NaN or infinite values; its weights are damaged")
    return fused


def load_torch_method(path: Path, device: str | None = None) -> TorchMethod:
    """Load the network of a weights file as a method.

    Args:
        path: a safetensors file written by ``ivfuse train`` or ``ivfuse convert``.
        device: ``cpu``, ``cuda``, ...; ``None`` selects a GPU if there is one.

    Raises:
        InputError: if the file is missing, has another format, or the network does not fuse.
    """
    net, about = load_fusing(path)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    info = MethodInfo(
        name=about["method"],
        kind="learned",
        summary=f"{about['method']} ({about.get('variant', 'fixed')}) from {path.name}",
        paper="",
        align=getattr(net, "align", 1),
        reach=None,
        reducible=getattr(net, "reducible", False),
        emphasis=getattr(net, "emphasis", "none"),
        parameters=sum(p.numel() for p in net.parameters()),
    )
    return TorchMethod(net.to(device), info, device)
