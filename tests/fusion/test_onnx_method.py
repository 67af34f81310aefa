"""A graph as a method, with both runtimes; a manifest entry makes it a named one."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ivfuse.errors import InputError, IvfuseError, MissingExtraError, ShapeError, UsageError
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.onnx_method import OnnxMethod
from ivfuse.fusion.pipeline import Fuser
from ivfuse.runtime import devices, onnx

INFO = MethodInfo("larger", "learned", "the larger value", "none")
RUNTIMES = [
    "onnxruntime",
    pytest.param("openvino", marks=pytest.mark.skipif(not find_spec("openvino"), reason="no openvino")),
]


def images(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.random(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_is_run_on_any_size_in_turn(max_graph: Path, runtime: str) -> None:
    method = OnnxMethod(INFO, max_graph, runtime=runtime, precision="fp32", threads=1)
    for size in [(1, 1), (1, 7), (33, 17), (64, 48)]:
        ir, vi = images(*size)
        assert np.array_equal(method.fuse(ir, vi), np.maximum(ir, vi))


def test_threads_of_a_graph_rest_after_a_run(max_graph: Path) -> None:
    method = OnnxMethod(INFO, max_graph, runtime="onnxruntime", threads=2)
    ir, vi = images(480, 640)
    method.fuse(ir, vi)
    idle = 0.0
    for _ in range(10):
        method.fuse(ir, vi)
        before = time.process_time()
        time.sleep(0.05)
        idle += time.process_time() - before
    assert idle < 0.02  # measured: 0.001 s, and 0.08 s with threads that spin


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_batch_equals_its_pairs_one_by_one(max_graph: Path, runtime: str) -> None:
    method = OnnxMethod(INFO, max_graph, runtime=runtime, precision="fp32", threads=1)
    ir, vi = images(3, 9, 11)
    batch = method.fuse_batch(ir, vi)
    assert batch.shape == (3, 9, 11)
    assert np.array_equal(batch[1], method.fuse(ir[1], vi[1]))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_is_told_the_mean_of_the_whole_image(level_graph: Path, runtime: str) -> None:
    method = OnnxMethod(INFO, level_graph, runtime=runtime, precision="fp32", threads=1)
    ir, vi = images(2, 24, 40)
    assert method.fuse(ir[0], vi[0]) == pytest.approx(vi[0] - ir[0].mean(), abs=1e-6)
    assert method.fuse_batch(ir, vi) == pytest.approx(vi - ir.mean((1, 2), keepdims=True), abs=1e-6)
    part = method.for_image(ir[0], vi[0])(ir[0, :8, :8], vi[0, :8, :8])
    assert part == pytest.approx(vi[0, :8, :8] - ir[0].mean(), abs=1e-6)


def test_the_tiles_of_a_image_are_fused_as_parts_of_it(level_graph: Path) -> None:
    method = OnnxMethod(INFO, level_graph, runtime="onnxruntime", threads=1)
    ir, vi = images(70, 300)
    ir[:, 150:] *= 0.3  # each tile has a mean of its own
    whole, tiled = (Fuser(method, tile=tile).fuse(ir, vi) for tile in (1000, 64))
    assert np.abs(whole - tiled).max() < 1e-6


def test_the_level_is_of_the_thermal_alone_where_it_covers_a_part(level_graph: Path) -> None:
    fuser = Fuser(OnnxMethod(INFO, level_graph, runtime="onnxruntime", threads=1))
    ir, vi = images(40, 60)
    ir, vi = 0.3 * ir, 0.5 + 0.5 * vi  # nothing is clipped, and the visible is much brighter
    coverage = np.zeros((40, 60), np.float32)
    coverage[10:30, 20:50] = 1
    fused = fuser.fuse_covered(ir, vi, coverage)
    inside = coverage == 1
    assert fused[inside] == pytest.approx(vi[inside] - ir[inside].mean(), abs=1e-6)
    assert np.array_equal(fused[~inside], vi[~inside])
    nowhere = fuser.fuse_covered(ir, vi, np.zeros_like(coverage))
    assert np.array_equal(nowhere, vi)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_result_is_not_changed_by_the_next_run(max_graph: Path, runtime: str) -> None:
    method = OnnxMethod(INFO, max_graph, runtime=runtime, precision="fp32", threads=1)
    ir, vi = images(8, 8)
    first = method.fuse(ir, vi)
    kept = first.copy()
    method.fuse(1 - ir, 1 - vi)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_arrays_that_are_not_contiguous_are_taken(max_graph: Path, runtime: str) -> None:
    method = OnnxMethod(INFO, max_graph, runtime=runtime, precision="fp32", threads=1)
    ir, vi = images(12, 20)
    assert np.array_equal(method.fuse(ir[::2, ::3], vi[::2, ::3]), np.maximum(ir, vi)[::2, ::3])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_with_other_inputs_is_refused(make_graph: Callable[..., Path], runtime: str) -> None:
    method = OnnxMethod(INFO, make_graph("Add", ("a", "b")), runtime=runtime, precision="fp32")
    with pytest.raises(InputError, match=r"inputs \['a', 'b'\].*expected \['ir', 'vi'\]"):
        method.fuse(*images(4, 4))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_is_no_graph_is_one_line(tmp_path: Path, runtime: str) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(IvfuseError, match=r"broken\.onnx: .* cannot load the graph") as caught:
        OnnxMethod(INFO, path, runtime=runtime).fuse(*images(4, 4))
    assert "\n" not in str(caught.value)


def test_a_missing_graph_is_named_at_the_first_pair(tmp_path: Path) -> None:
    method = OnnxMethod(INFO, tmp_path / "absent.onnx", runtime="onnxruntime")
    with pytest.raises(InputError, match=r"absent\.onnx: no such file"):
        method.fuse(*images(4, 4))


def test_shapes_that_differ_are_refused(max_graph: Path) -> None:
    with pytest.raises(ShapeError, match="expected the same"):
        OnnxMethod(INFO, max_graph).fuse(images(4, 4)[0], images(4, 5)[1])


def test_onnxruntime_does_not_promise_bfloat16(max_graph: Path) -> None:
    with pytest.raises(UsageError, match="bf16 needs the runtime openvino"):
        OnnxMethod(INFO, max_graph, runtime="onnxruntime", precision="bf16")


@pytest.mark.parametrize(
    "choice",
    [{"runtime": "tensorrt"}, {"precision": "fp8"}, {"threads": 0}],
    ids=lambda choice: next(iter(choice)),
)
def test_an_unknown_choice_is_refused_by_name(max_graph: Path, choice: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(choice))):
        OnnxMethod(INFO, max_graph, **choice)


def test_openvino_asked_for_but_not_installed_names_the_extra(
    max_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[fast\]"):
        OnnxMethod(INFO, max_graph, runtime="openvino")
    assert OnnxMethod(INFO, max_graph, runtime="auto").runtime == "onnxruntime"


@pytest.mark.skipif(not find_spec("openvino"), reason="no openvino")
def test_openvino_is_taken_by_itself_where_installed(max_graph: Path) -> None:
    assert OnnxMethod(INFO, max_graph).runtime == "openvino"


@pytest.mark.skipif(not find_spec("openvino"), reason="no openvino")
def test_automatic_precision_stays_near_float32(max_graph: Path) -> None:
    ir, vi = images(32, 32)
    fused = OnnxMethod(INFO, max_graph, threads=1).fuse(ir, vi)
    # bfloat16 keeps 8 bits of the mantissa: half a unit of the last place is 2**-9 of the value
    assert np.abs(fused - np.maximum(ir, vi)).max() <= 2**-8


def test_a_graph_whose_result_is_not_finite_is_an_error_not_a_black_image(
    monkeypatch: pytest.MonkeyPatch, max_graph: Path
) -> None:
    method = OnnxMethod(INFO, max_graph, runtime="onnxruntime", threads=1)
    graph = onnx.Graph(
        frozenset({"ir", "vi"}), frozenset({"fused"}), lambda x, _: x["ir"] * np.float32("nan")
    )
    monkeypatch.setattr(method, "_open", lambda shape: graph)
    with pytest.raises(IvfuseError, match=r"returned NaN or infinite values; its weights are damaged"):
        method.fuse(*images(8, 8))
