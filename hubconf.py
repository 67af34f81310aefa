"""Networks for ``torch.hub``, with the weights of this checkout.

``ir`` and ``vi`` are (B, 1, H, W) float32 in [0, 1], ``level`` is the mean of ``ir``, (B, 1, 1, 1):

net = torch.hub.load("path/to/the/checkout", "swift", source="local")
fused = net(ir, vi, ir.mean((2, 3), keepdim=True))
"""

import sys
from pathlib import Path

dependencies = ["torch", "safetensors", "numpy"]

_ROOT = Path(__file__).resolve().parent
if str(_ROOT / "src") not in sys.path:
    sys.path.insert(0, str(_ROOT / "src"))  # the networks of this checkout, not of an installed release


def _load(name, pretrained):
    from ivfuse.training.checkpoint import load_fusing, read_model
    from ivfuse.training.nets import build_net

    weights = _ROOT / "weights" / f"{name}.safetensors"
    if pretrained:
        return load_fusing(weights)[0]
    _, about = read_model(weights)
    return build_net(name, about["variant"], **about["net"])


def swift(pretrained=True):
    """The default method, a small network for real time; inputs ``ir``, ``vi`` and ``level``."""
    return _load("swift", pretrained)


def crossfuse_cam(pretrained=True):
    """Attention to what the modalities do not share (Li & Wu 2024); inputs ``ir``, ``vi``, ``level``."""
    return _load("crossfuse-cam", pretrained)


def crossfuse_topk(pretrained=True):
    """Two bands fused one by one (Shi et al. 2025); inputs ``ir``, ``vi``, ``level``."""
    return _load("crossfuse-topk", pretrained)


def maefuse(pretrained=True):
    """Codes of a masked autoencoder and a path for detail (Li et al. 2025); the same inputs."""
    return _load("maefuse", pretrained)
