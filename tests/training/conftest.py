"""What tests of the learning room share: one thread, pairs on disk, the smoke recipe, small networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SMALL = {"shallow": 4, "middle": 8, "deep": 8, "growth": 4, "heads": 2, "window": 4}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums over threads depend on their number; one thread is the fastest for such small networks too."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training pairs and two of validation; one thermal image is smaller than its visible one."""
    root = tmp_path_factory.mktemp("data")
    for folder, count in (("train", 4), ("val", 2)):
        for index in range(count):
            size = (40, 48) if (folder, index) == ("train", 0) else (60, 72)
            _write(root / folder / "ir" / f"{index}.png", _image(*size, seed=index))
            _write(root / folder / "vi" / f"{index}.png", _image(60, 72, seed=50 + index))
    return root


@pytest.fixture
def smoke() -> dict[str, Any]:
    """The content of crossfuse-cam's smoke recipe, to be changed at will."""
    return _smoke("crossfuse-cam")


@pytest.fixture
def topk_smoke() -> dict[str, Any]:
    """The content of crossfuse-topk's smoke recipe, to be changed at will."""
    return _smoke("crossfuse-topk")


@pytest.fixture
def mae_smoke() -> dict[str, Any]:
    """The content of maefuse's smoke recipe, to be changed at will."""
    return _smoke("maefuse")


@pytest.fixture
def smoke_of() -> Callable[[str], dict[str, Any]]:
    """Any method's smoke recipe."""
    return _smoke


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train by the content of a recipe, in a folder of the test; returns the weights."""
    from ivfuse.training import trainer
    from ivfuse.training.recipe import Recipe

    def train(content: dict[str, Any], out: str = "run", **options: Any) -> Path:
        recipe = Recipe.model_validate(content)
        return trainer.train(recipe, data, tmp_path / out, accelerator="cpu", **options)

    return train


@pytest.fixture
def small_net() -> Any:
    """A small network of the fixed variant with lively weights."""
    return lively()


def lively(seed: int = 0, **widths: int) -> Any:
    """A small crossfuse-cam whose biases and temperatures are not at their start: all parts matter."""
    import torch

    from ivfuse.training.nets.crossfuse_cam import CrossFuseCam

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = CrossFuseCam(**(SMALL | widths))
        for name, value in net.named_parameters():
            if name.endswith(("table", "log_temperature")):
                torch.nn.init.normal_(value, std=0.5)
    return net.eval()


def _smoke(method: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    content: dict[str, Any] = yaml.safe_load((RECIPES / method / "smoke.yaml").read_text("utf-8"))
    return content


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def _image(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.random((height, width), dtype=np.float32), (0, 0), 1.5)
    soft[height // 3 :, : width // 2] += 0.3
    low, high = soft.min(), soft.max()
    return np.asarray(np.rint(20 + 215 * (soft - low) / (high - low))).astype(np.uint8)
