"""Weights and checkpoints of unknown origin are refused in one line, without the memory that they claim."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from ivfuse.errors import InputError, IvfuseError  # noqa: E402
from ivfuse.training.checkpoint import load_model, load_state, save_model  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.release import read_release  # noqa: E402


@pytest.mark.parametrize(
    "about",
    [
        {"method": ["swift"]},
        {"method": None},
        {"method": "swift", "variant": {}},
        {"method": "swift", "net": [1]},
        {"method": "swift", "net": {"width": 100_000}},
        {"method": "swift", "net": {"width": 4096}},
        {"method": "swift", "net": {"width": -1}},
        {"method": "swift", "net": {"width": 0}},
        {"method": "swift", "net": {"width": "wide"}},
        {"method": "swift", "net": {"width": [16]}},
        {"method": "swift", "net": {"width": 1.5}},
        {"method": "swift", "net": {"width": float("nan")}},
        {"method": "swift", "net": {"width": 10**4000}},
        {"method": "swift", "net": {"method": 1}},
        {"method": "swift", "left_out": 3},
        {"method": "swift", "left_out": [[1]]},
        100_000 * "[",
        5000 * "9",
    ],
    ids=lambda about: str(type(about)) if isinstance(about, str) else str(about)[:40],
)
def test_metadata_of_a_wrong_type_or_size_are_an_error_of_one_line(tmp_path: Path, about: Any) -> None:
    text = about if isinstance(about, str) else json.dumps(about)
    file = tmp_path / "weights.safetensors"
    safetensors_torch.save_file({"a": torch.zeros(1)}, file, metadata={"ivfuse": text})
    with pytest.raises(IvfuseError) as caught:
        load_model(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_weights_come_back_after_the_comparison_without_memory(tmp_path: Path) -> None:
    net = build_net("swift").eval()
    save_model(tmp_path / "swift.safetensors", net.state_dict(), {"method": "swift"})
    loaded, _ = load_model(tmp_path / "swift.safetensors")
    ir, vi = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).unbind()
    level = [ir.mean((2, 3), keepdim=True)] if getattr(net, "takes_level", False) else []
    assert torch.equal(loaded(ir, vi, *level), net(ir, vi, *level))


@pytest.mark.parametrize("read", [read_release, load_state])
def test_a_compressed_checkpoint_is_refused_before_it_is_unpacked(tmp_path: Path, read: Any) -> None:
    torch.save({"weights": {"a": torch.zeros(1000)}}, tmp_path / "sound.pt")
    assert "weights" in read(tmp_path / "sound.pt")
    with (
        zipfile.ZipFile(tmp_path / "sound.pt") as sound,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in sound.namelist():
            bomb.writestr(name, sound.read(name))
    with pytest.raises(InputError, match="found a compressed archive"):
        read(tmp_path / "bomb.pt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("read", [load_state, load_model])
def test_a_fifo_is_refused_instead_of_waited_for(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="found a FIFO, expected a regular file"):
        read(tmp_path / "pipe")
