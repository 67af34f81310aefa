"""How good a network is while it trains: the eight metrics, ranked softly against classical methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from ivfuse.fusion.registry import create_method
from ivfuse.image.arrays import Gray
from ivfuse.image.write import write_image
from ivfuse.metrics.evaluate import DEFAULT_METRICS, evaluate_arrays
from ivfuse.training.nets import takes_level
from ivfuse.training.pairs import PairImages, load_set
from ivfuse.training.recipe import Data

RIVALS = ("average", "maximum", "laplacian", "guided-filter")
SOFTNESS = 0.01  # a metric 1 % better than a rival's counts as about three quarters of a rank

Fuse = Callable[[Gray, Gray], Gray]
Means = dict[str, dict[str, float]]  # set -> metric -> mean over its pairs


@dataclass(frozen=True)
class Score:
    """The outcome of one validation.

    Attributes:
        rank: mean over sets and metrics of the soft rank among :data:`RIVALS`; 1 is best, lower is better.
        means: the metrics.
    """

    rank: float
    means: Means


class Validator:
    """Scores networks on fixed pairs; the rivals are scored once."""

    def __init__(self, root: Path, data: Data) -> None:
        """Read the sets that ``data`` names below ``root`` and score the rivals on them."""
        self.sets = {spec.path: load_set(root, spec) for spec in data.val}
        self.rivals = [self._means(create_method(name).fuse) for name in RIVALS]

    def __call__(self, net: nn.Module, device: torch.device) -> Score:
        """Score ``net`` (left in the mode it was in)."""
        means = self._means(lambda ir, vi: run(net, ir, vi, device))
        ranks = [
            1 + sum(_above(rival[s][m], value) for rival in self.rivals)
            for s, row in means.items()
            for m, value in row.items()
        ]
        return Score(float(np.mean(ranks)), means)

    def samples(self, net: nn.Module, device: torch.device, path: Path) -> None:
        """Write one image: infrared, visible and fused of the first pair of each set, a row each."""
        rows = []
        for pairs in self.sets.values():
            ir, vi = pairs[0].as_float()
            row = np.hstack((ir, vi, run(net, ir, vi, device)))
            rows.append(cv2.resize(row, (1440, round(480 * row.shape[0] / (row.shape[1] / 3)))))
        if rows:
            write_image(path, np.clip(np.vstack(rows), 0, 1))

    def _means(self, fuse: Fuse) -> Means:
        return {name: _mean([_score(fuse, pair) for pair in pairs]) for name, pairs in self.sets.items()}


@torch.no_grad()
def run(
    net: nn.Module, ir: Gray, vi: Gray, device: torch.device | str = "cpu", level: float | None = None
) -> Gray:
    """Fuse one pair of (H, W) arrays with a torch network, in float32.

    ``level`` is the mean of the infrared image that a tile is of; only networks that take it see it.
    """
    # A stage trains some parts and freezes others: each module goes back to the mode that it was in.
    learning = [module for module in net.modules() if module.training]
    net.eval()
    a, b = (torch.from_numpy(np.ascontiguousarray(x))[None, None].to(device) for x in (ir, vi))
    inputs = [a, b]
    if level is not None and takes_level(net):
        inputs.append(torch.full((1, 1, 1, 1), level, device=device))
    out: Gray = net(*inputs)[0, 0].float().clamp(0, 1).cpu().numpy()
    for module in learning:
        module.training = True
    return out


def _score(fuse: Fuse, pair: PairImages) -> dict[str, float]:
    ir, vi = pair.as_float()
    return evaluate_arrays(fuse(ir, vi), pair.ir, pair.vi, DEFAULT_METRICS)


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over the pairs where a metric has a value; NaN where it has none at all."""
    values = {m: [row[m] for row in rows if np.isfinite(row[m])] for m in DEFAULT_METRICS}
    return {m: float(np.mean(v)) if v else float("nan") for m, v in values.items()}


def _above(rival: float, value: float) -> float:
    """How far a rival ranks above a value: 0 clearly below, 1 clearly above; one without a value loses."""
    if not np.isfinite(rival):
        return 0.0
    if not np.isfinite(value):
        return 1.0
    scale = SOFTNESS * max(abs(value), 1e-6)
    return float(1 / (1 + np.exp(-np.clip((rival - value) / scale, -50, 50))))
