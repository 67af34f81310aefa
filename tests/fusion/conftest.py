"""Small ONNX graphs and a manifest that names one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def max_graph(tmp_path: Path) -> Path:
    """A graph that takes the larger of the two images."""
    return _save_graph(tmp_path / "max.onnx", "Max")


@pytest.fixture
def make_graph(tmp_path: Path) -> Callable[[str, tuple[str, str]], Path]:
    """Make a graph of one operator and given input names."""

    def make(operator: str, inputs: tuple[str, str]) -> Path:
        return _save_graph(tmp_path / f"{operator}.onnx", operator, inputs)

    return make


@pytest.fixture
def level_graph(tmp_path: Path) -> Path:
    """A graph that gives the visible less the level: it needs something of the whole image."""
    onnx = pytest.importorskip("onnx")
    kind = onnx.TensorProto.FLOAT
    level = onnx.helper.make_tensor_value_info("level", kind, ["batch", 1, 1, 1])
    nodes = [
        onnx.helper.make_node("Sub", ["vi", "level"], ["difference"]),
        onnx.helper.make_node("Mul", ["ir", "zero"], ["nothing"]),
        onnx.helper.make_node("Add", ["difference", "nothing"], ["fused"]),
    ]
    zero = onnx.helper.make_tensor("zero", kind, [1], [0.0])
    return _save_graph(tmp_path / "level.onnx", "level", more=[level], nodes=nodes, constants=[zero])


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
        'license = "Apache-2.0"\n'
        'version = "1"\n'
        'card = "larger.md"\n'
        "reach = 0\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("IVFUSE_WEIGHTS", str(folder))
    return graph


def _save_graph(
    path: Path,
    operator: str,
    inputs: tuple[str, str] = ("ir", "vi"),
    *,
    nodes: list[Any] | None = None,
    more: Sequence[Any] = (),
    constants: Sequence[Any] = (),
) -> Path:
    """Save a graph of one operator, or of ``nodes`` with ``more`` inputs and ``constants``."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = ["batch", 1, "height", "width"]
    graph = helper.make_graph(
        nodes or [helper.make_node(operator, list(inputs), ["fused"])],
        operator,
        [*(helper.make_tensor_value_info(name, kind, shape) for name in inputs), *more],
        [helper.make_tensor_value_info("fused", kind, shape)],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path
