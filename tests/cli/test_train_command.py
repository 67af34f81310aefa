"""``ivfuse train``: the options that change a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def test_the_encoder_s_weights_can_be_named(ivfuse_cli: Callable[..., Any], tmp_path: Path) -> None:
    recipe, out = RECIPES / "maefuse" / "smoke.yaml", tmp_path / "run"
    options = ("--data", tmp_path, "-o", out, "--encoder-weights")
    said = ivfuse_cli("train", recipe, *options, tmp_path / "none.pth")
    assert (said.code, said.err.count("\n"), out.exists()) == (1, 1, False)
    assert "none.pth: no such file, expected a released checkpoint" in said.err
    torch.save({"model": {"patch_embed.proj.weight": torch.ones(2, 3, 16, 16)}}, tmp_path / "half.pth")
    said = ivfuse_cli("train", recipe, *options, tmp_path / "half.pth")
    assert (said.code, "half.pth: 1 missing keys for the encoder of maefuse" in said.err) == (1, True)
    recipe = RECIPES / "crossfuse-cam" / "smoke.yaml"
    said = ivfuse_cli("train", recipe, *options, tmp_path / "half.pth")
    assert (said.code, "has no transformer encoder" in said.err) == (2, True)
