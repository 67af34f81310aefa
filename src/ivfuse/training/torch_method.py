"""A torch network as a fusion method, for trying a checkpoint without exporting it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ivfuse.fusion.method import MethodInfo
from ivfuse.image.arrays import Gray
from ivfuse.image.tiling import FuseGray
from ivfuse.training.checkpoint import load_fusing
from ivfuse.training.validation import run


@dataclass(frozen=True)
class TorchMethod:
    """Keeps the contract of :class:`ivfuse.fusion.method.Method` round a torch network."""

    net: nn.Module
    info: MethodInfo
    device: str = "cpu"

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`Method.fuse`."""
        return run(self.net, ir, vi, self.device)

    def of_image(self, ir: Gray, vi: Gray) -> FuseGray:
        """See :meth:`ivfuse.fusion.method.WholeImageMethod.of_image`."""
        return partial(run, self.net, device=self.device, level=float(ir.mean()))


def load_torch_method(path: Path, device: str | None = None) -> TorchMethod:
    """The network of a weights file as a method.

    Args:
        path: safetensors as ``ivfuse train`` and ``ivfuse convert`` write them.
        device: ``cpu``, ``cuda``...; None takes a GPU if there is one.

    Raises:
        InputError: a file that is missing, is not such a file, or is of a network that does not fuse.
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
        parameters=sum(p.numel() for p in net.parameters()),
    )
    return TorchMethod(net.to(device), info, device)
