"""Small ONNX graphs and a manifest that names one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def max_graph(tmp_path: Path) -> Path:
    """A graph that takes the larger of the two pictures."""
    return _save_graph(tmp_path / "max.onnx", "Max")


@pytest.fixture
def make_graph(tmp_path: Path) -> Callable[[str, tuple[str, str]], Path]:
    """Make a graph of one operator and given input names."""

    def make(operator: str, inputs: tuple[str, str]) -> Path:
        return _save_graph(tmp_path / f"{operator}.onnx", operator, inputs)

    return make


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in $IVFUSE_WEIGHTS whose manifest adds the method ``larger``; returns the graph."""
    folder = tmp_path / "own"
    folder.mkdir()
    graph = _save_graph(folder / "larger.onnx", "Max")
    (folder / "larger.md").write_text("# larger\n\nTakes the larger value.\n", encoding="utf-8")
    (folder / "manifest.toml").write_text(
        "[models.larger]\n"
        'file = "larger.onnx"\n'
        f'sha256 = "{hashlib.sha256(graph.read_bytes()).hexdigest()}"\n'
        f"size = {graph.stat().st_size}\n"
        'summary = "the larger value"\n'
        'paper = "none"\n'
        "parameters = 0\n"
        'variant = "fixed"\n'
        'licence = "Apache-2.0"\n'
        'version = "1"\n'
        'card = "larger.md"\n'
        "reach = 0\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("IVFUSE_WEIGHTS", str(folder))
    return graph


def _save_graph(path: Path, operator: str, inputs: tuple[str, str] = ("ir", "vi")) -> Path:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = ["batch", 1, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node(operator, list(inputs), ["fused"])],
        operator,
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info("fused", kind, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path
