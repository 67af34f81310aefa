"""The authors' checkpoints of maefuse, made into weights of the paper variant here.

A file holds the auto-encoder (``model1.``), the fusion layer (``model2.``) or both; their trainer wraps the
state dict in ``model`` and its keys in ``module.`` once or more. Widths and depths are read off the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.training.checkpoint import save_model
from ivfuse.training.mae_weights import check_codes, plain_names
from ivfuse.training.nets.maefuse_paper import MaeFusePaper
from ivfuse.training.release import Weights, check_keys, check_shapes, load_paper, read_release, to_float

METHOD = "maefuse"
FIXED = {"model1.pos_embed": 0, "model1.decoder_pos_embed": 1, "model2.pos_embed": 0}
UNUSED = ("model1.cls_token", "model1.mask_token")
HEADS = 16  # everywhere in the release; heads leave no trace in the shapes of weights

# Ours -> the release's, on whole names.
_PLACES = (
    (r"^encoder\.", "model1."),
    (r"^decoder\.", "model1."),
    (r"^cfm\.", "model2.cross_model."),
    (r"^mfm\.attention\.", "model2.merge_model."),
    (r"^mfm\.", "model2."),
)
_FUSION_LAYER = ("cross_model.", "merge_model.", "fc1.", "fc2.", "ln.")


def convert_maefuse(
    files: Sequence[Path],
    *,
    heads: int | None = None,
    decoder_heads: int | None = None,
    fusion_heads: int | None = None,
) -> tuple[Weights, dict[str, Any]]:
    """Weights and constructor options of :class:`MaeFusePaper` from the released files.

    Args:
        files: one with everything, or one with the auto-encoder and one with the fusion layer.
        heads, decoder_heads, fusion_heads: attention heads; None: 16, as released.

    Raises:
        InputError: a file that is missing or is not a state dict, an unknown or a missing key, a key in two
            files, position codes that are no sines; the message names the file and up to three keys.
        UsageError: heads that do not divide a width.
    """
    released: Weights = {}
    for file in files:
        found = _read(file)
        if twice := sorted(found.keys() & released.keys()):
            raise InputError(f"{file}: {len(twice)} keys were in another file already: {twice[0]}")
        released |= found
    source = files[-1]
    options = _options(source, released)
    chosen = {"heads": heads, "decoder_heads": decoder_heads, "fusion_heads": fusion_heads}
    options |= {name: count or HEADS for name, count in chosen.items()}
    with torch.device("meta"):
        expected = MaeFusePaper(**options).state_dict()
    names = {ours: released_name(ours) for ours in expected}
    check_keys(source, METHOD, released, names.values(), (*FIXED, *UNUSED))
    for key, decoder in FIXED.items():
        if key in released:
            check_codes(source, key, released[key], options["decoder_dim" if decoder else "dim"])
    weights = {ours: to_float(released[theirs]) for ours, theirs in names.items()}
    check_shapes(weights, expected, {ours: (source, theirs) for ours, theirs in names.items()})
    return weights, options


def save_maefuse(path: Path, weights: Mapping[str, Tensor], options: Mapping[str, Any]) -> None:
    """Write what :func:`convert_maefuse` returned as safetensors that say what they are."""
    about = {"method": METHOD, "variant": "paper", "net": dict(options)}
    save_model(path, weights, about | {"origin": "the authors' checkpoint files"})


def load_maefuse_paper(path: Path) -> MaeFusePaper:
    """The network of a file that :func:`save_maefuse` wrote, in eval mode.

    Raises:
        InputError: missing, not such a file, or weights of another network.
    """
    return load_paper(path, MaeFusePaper, METHOD)


def released_name(ours: str) -> str:
    """The release's name of one of our weights."""
    for pattern, replacement in _PLACES:
        name, count = re.subn(pattern, replacement, ours)
        if count:
            return name
    return ours


def release_state_dict(weights: Mapping[str, Tensor]) -> Weights:
    """The way back: one state dict, without position codes."""
    return {released_name(ours): value for ours, value in weights.items()}


def _read(file: Path) -> Weights:
    """One file's tensors under ``model1.`` and ``model2.``."""
    named = plain_names(file, read_release(file))
    out: Weights = {}
    for key, value in named.items():
        if not key.startswith(("model1.", "model2.")):
            key = ("model2." if key.startswith(_FUSION_LAYER) else "model1.") + key
        out[key] = value
    return out


def _options(file: Path, released: Mapping[str, Tensor]) -> dict[str, Any]:
    """Widths and depths, off shapes and the numbers in names."""
    embed, decoder = "model1.patch_embed.proj.weight", "model1.decoder_embed.weight"
    check_keys(file, METHOD, released.keys() & {embed, decoder}, (embed, decoder))
    return {
        "dim": released[embed].shape[0],
        "depth": _count(released, r"model1\.blocks"),
        "decoder_dim": released[decoder].shape[0],
        "decoder_depth": _count(released, r"model1\.decoder_blocks"),
        "feed_forward": "model2.fc1.weight" in released,
    }


def _count(names: Iterable[str], prefix: str) -> int:
    """How many blocks of this name there are."""
    return len({match[1] for key in names if (match := re.match(rf"{prefix}\.(\d+)\.", key))})
