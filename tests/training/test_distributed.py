"""Training on several processes under torchrun: the same losses, one writer, resume after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.errors import UsageError  # noqa: E402
from ivfuse.training.launch import launch  # noqa: E402
from ivfuse.training.pairs import Sampler, Sets  # noqa: E402
from ivfuse.training.recipe import StageRecipe  # noqa: E402
from ivfuse.training.stages import StageLoss  # noqa: E402

# One that does not time out on a busy machine, and takes a free port.
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
TORCHRUN += ["--rdzv-endpoint", "localhost:0", "--max-restarts", "0"]


def content(smoke: dict[str, Any], **stage: Any) -> dict[str, Any]:
    """One stage with a line of the log per step: each step is an epoch's last."""
    data = {key: value for key, value in smoke["data"].items() if key != "val"}
    first = smoke["stages"][0] | {"batch": 8, "crop": 32, "loss": [{"name": "mse"}]} | stage
    return smoke | {"stages": [first], "data": data, "save_every": 2}


def start(recipe: Path, data: Path, out: Path, *, several: bool) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    before = TORCHRUN if several else []
    words = [
        "-m",
        "ivfuse",
        "train",
        str(recipe),
        "--data",
        str(data),
        "-o",
        str(out),
        "--accelerator",
        "cpu",
    ]
    command = [sys.executable, *before, *words]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said.decode()


def losses(out: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    assert len({line["step"] for line in lines}) == len(lines)  # one writer
    return {line["step"]: line["loss"] for line in lines}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a recipe to a file."""

    def to_file(what: dict[str, Any]) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps(what), encoding="utf-8")  # JSON is YAML
        return path

    return to_file


@pytest.mark.slow
def test_two_processes_with_half_a_batch_each_learn_as_one_and_resume_after_a_kill(
    data: Path, tmp_path: Path, smoke: dict[str, Any], write: Callable[[dict[str, Any]], Path]
) -> None:
    from ivfuse.training.checkpoint import load_state, read_model

    recipe = write(content(smoke, steps=75, steps_per_epoch=1000))
    one, two = tmp_path / "one", tmp_path / "two"
    finish(start(recipe, data, one, several=False))
    process = start(recipe, data, two, several=True)
    deadline = time.monotonic() + 300
    while process.poll() is None and not (two / "last.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)  # one of the two; torchrun ends the other
    process.communicate(timeout=300)
    assert process.returncode != 0
    assert 0 < load_state(two / "last.ckpt")["step"] < 75, "it was too fast to be killed: raise the steps"
    finish(start(recipe, data, two, several=True))
    alone, shared = losses(one), losses(two)
    assert alone.keys() == shared.keys() == {25, 50, 75}
    for step, loss in alone.items():  # sums in another order: float32 has 24 bits, and 75 steps amplify that
        assert shared[step] == pytest.approx(loss, rel=2e-3)
    weights = [read_model(out / "model.safetensors")[0] for out in (one, two)]
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=2e-3), name
    assert not list(two.rglob("*.part"))


def test_processes_share_a_batch_without_repeating_a_crop(smoke: dict[str, Any]) -> None:
    from ivfuse.training.pairs import PairImages

    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (2, 40, 48), dtype=np.uint8) for _ in range(3)]
    sets: Sets = [(1.0, [PairImages(str(i), *each) for i, each in enumerate(images)])]
    stage = StageRecipe.model_validate(smoke["stages"][0])
    sampler = Sampler(sets, crop=16, batch=8, seed=(1, 0), augment=stage.augment)
    whole = sampler.draw(5)
    parts = [sampler.draw(5, rank, 2) for rank in range(2)]
    for side in (0, 1):
        for rank in range(2):
            assert torch.equal(parts[rank][side], whole[side][rank::2])
    flat = {each.numpy().tobytes() for each in whole[0]}
    assert len(flat) == 8


def test_processes_share_the_masks_of_a_batch(mae_smoke: dict[str, Any]) -> None:
    class Net:
        patch = 8

    stage = StageRecipe.model_validate(next(x for x in mae_smoke["stages"] if x["task"] == "mask"))
    ir, vi = torch.zeros(8, 1, 32, 32), torch.ones(8, 1, 32, 32)
    whole = StageLoss(stage, (1, 0))._masked(Net(), ir, vi, 3)
    for rank in range(2):
        part = StageLoss(stage, (1, 0), share=(rank, 2))._masked(Net(), ir[:4], vi[:4], 3)
        assert all(torch.equal(mine, all_[rank::2]) for mine, all_ in zip(part, whole, strict=True))


def test_devices_that_contradict_torchrun_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("LOCAL_WORLD_SIZE", "2"), ("WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="devices: found 3, expected 2"):
        launch("cpu", 3, "32-true")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="as many on every machine"):
        launch("cpu", 2, "32-true")
