"""State dicts as the authors release them, made of our weights: what ``ivfuse convert`` reads back."""

from __future__ import annotations

from typing import Any

from ivfuse.training import convert_cam, convert_maefuse, convert_topk

Weights = dict[str, Any]


def cam_release(weights: Weights) -> dict[str, Weights]:
    """The three files of crossfuse-cam, without the keys that the released network never uses."""
    names = {
        "auto_ir": convert_cam._auto_names("ir"),
        "auto_vi": convert_cam._auto_names("vi"),
        "fusion": convert_cam._fusion_names(),
    }
    return {file: {theirs: weights[ours] for ours, theirs in each.items()} for file, each in names.items()}


def topk_release(weights: Weights) -> dict[str, Weights]:
    """The four groups of the one file of crossfuse-topk."""
    groups: dict[str, Weights] = {group: {} for group in convert_topk.GROUPS}
    for ours, value in weights.items():
        group, key = convert_topk.released_name(ours).split(".", 1)
        groups[group][key] = value
    return groups


def mae_release(weights: Weights) -> Weights:
    """The state dict of maefuse, without position codes."""
    return {convert_maefuse.released_name(ours): value for ours, value in weights.items()}
