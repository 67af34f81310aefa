"""Devices: which one is chosen of what a machine has, what its session is told, and what a missing one says.

No machine of the tests has an accelerator: the lists of providers are made up, and sessions are recorded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from ivfuse.errors import IvfuseError, MissingExtraError, UsageError
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.onnx_method import OnnxMethod
from ivfuse.fusion.registry import create_method
from ivfuse.runtime import devices
from ivfuse.runtime.devices import Choice, available_devices, cache_folder, choose
from ivfuse.runtime.onnx import bound_run, open_graph, open_session

INFO = MethodInfo("larger", "learned", "the larger value", "none")
ALL = [each.provider for each in devices.ACCELERATORS.values() if each.runtime == "onnxruntime"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A machine with these providers, devices of OpenVINO (``None``: not installed) and NVIDIA GPUs."""

    def make(providers: list[str] | None = None, openvino: list[str] | None = None, gpus: int = 0) -> None:
        monkeypatch.setattr(devices, "_providers", lambda: [*(providers or []), "CPUExecutionProvider"])
        monkeypatch.setattr(devices, "_has_openvino", lambda: openvino is not None)
        monkeypatch.setattr(devices, "_openvino_devices", lambda: openvino or [])
        monkeypatch.setattr(devices, "_count_nvidia_gpus", lambda: gpus)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make()
    return make


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ONNX Runtime is told; a session uses all the providers that it is given, but runs on the CPU."""
    made: list[dict[str, Any]] = []
    real = onnxruntime.InferenceSession

    def make(path: str, sess_options: Any, providers: list[tuple[str, Any]], **rest: Any) -> Any:
        made.append({"options": sess_options, "providers": providers})
        session = real(path, sess_options=sess_options, providers=["CPUExecutionProvider"], **rest)
        session.get_providers = lambda: [name for name, _ in providers]
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", make)
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", lambda level: None)
    return made


def test_auto_is_a_gpu_that_driver_and_runtime_have_and_else_the_cpu(machine: Callable[..., None]) -> None:
    assert choose("auto", "auto", "auto") == Choice("onnxruntime", "cpu")
    machine(["CUDAExecutionProvider"], gpus=0)
    assert choose("auto", "auto", "auto") == Choice("onnxruntime", "cpu")
    machine([], ["CPU", "GPU"], gpus=1)
    assert choose("auto", "auto", "auto") == Choice("openvino", "cpu")
    machine(["TensorrtExecutionProvider", "CUDAExecutionProvider"], ["CPU", "GPU"], gpus=1)
    assert choose("auto", "auto", "auto") == Choice("onnxruntime", "cuda")
    assert choose("onnxruntime", "fp32", "auto") == Choice("onnxruntime", "cuda")
    assert choose("openvino", "auto", "auto") == Choice("openvino", "cpu")
    assert choose("auto", "bf16", "auto") == Choice("openvino", "cpu")
    assert choose("auto", "auto", "cpu") == Choice("openvino", "cpu")


def test_each_device_brings_its_runtime(machine: Callable[..., None]) -> None:
    machine(ALL, ["CPU", "GPU"])
    assert available_devices() == ["cpu", *devices.ACCELERATORS]
    for name, needed in devices.ACCELERATORS.items():
        assert choose("auto", "auto", name) == Choice(needed.runtime, name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda", ["CUDAExecutionProvider", "[cuda]'", "--no-deps onnxruntime-gpu"]),
        ("tensorrt", ["TensorrtExecutionProvider", "[tensorrt]'"]),
        ("directml", ["[directml]'", "onnxruntime-directml"]),
        ("openvino-gpu", ["[fast]'"]),
        ("coreml", ["macOS"]),
    ],
)
def test_a_missing_device_is_one_line_with_the_way_to_install_it(
    machine: Callable[..., None], device: Any, words: list[str]
) -> None:
    with pytest.raises(IvfuseError) as caught:
        choose("auto", "auto", device)
    assert isinstance(caught.value, MissingExtraError) == (device != "coreml")
    line = str(caught.value)
    assert all(word in line for word in [device, *words])
    assert "\n" not in line


def test_openvino_without_a_gpu_is_not_told_to_be_installed(machine: Callable[..., None]) -> None:
    machine([], ["CPU"])
    with pytest.raises(IvfuseError, match="OpenVINO finds no GPU"):
        choose("auto", "auto", "openvino-gpu")


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (("auto", "auto", "tpu"), "found 'tpu'"),
        (("openvino", "auto", "cuda"), "runtime openvino"),
        (("onnxruntime", "auto", "openvino-gpu"), "runtime onnxruntime"),
        (("auto", "bf16", "cuda"), "bf16"),
    ],
)
def test_what_does_not_go_together_is_refused(
    machine: Callable[..., None], choices: tuple[Any, Any, Any], expected: str
) -> None:
    machine(ALL, ["CPU", "GPU"], gpus=1)
    with pytest.raises(UsageError, match=expected):
        choose(*choices)


def test_a_classical_method_refuses_an_accelerator() -> None:
    assert create_method("average", device="cpu").info.name == "average"
    with pytest.raises(UsageError, match="classical"):
        create_method("average", device="cuda")


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("cpu", "auto", [("CPUExecutionProvider", {})]),
        ("cuda", "auto", [("CUDAExecutionProvider", {"use_tf32": "1"}), ("CPUExecutionProvider", {})]),
        ("cuda", "fp32", [("CUDAExecutionProvider", {"use_tf32": "0"}), ("CPUExecutionProvider", {})]),
        ("directml", "auto", [("DmlExecutionProvider", {}), ("CPUExecutionProvider", {})]),
        (
            "coreml",
            "auto",
            [("CoreMLExecutionProvider", {"ModelFormat": "MLProgram"}), ("CPUExecutionProvider", {})],
        ),
        (
            "tensorrt",
            "fp32",
            [
                ("TensorrtExecutionProvider", {"trt_engine_cache_enable": "True"}),
                ("CUDAExecutionProvider", {"use_tf32": "0"}),
                ("CPUExecutionProvider", {}),
            ],
        ),
    ],
)
def test_a_session_is_told_providers_and_options(
    machine: Callable[..., None],
    sessions: list[dict[str, Any]],
    max_graph: Path,
    device: str,
    precision: Any,
    expected: list[tuple[str, dict[str, str]]],
) -> None:
    open_session(max_graph, 3, device, precision)
    found = sessions[0]["providers"]
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, options), (_, wanted) in zip(found, expected, strict=True):
        assert wanted.items() <= options.items()
    assert sessions[0]["options"].intra_op_num_threads == 3
    assert not sessions[0]["options"].enable_mem_pattern


@pytest.mark.parametrize(
    ("device", "option"), [("tensorrt", "trt_engine_cache_path"), ("coreml", "ModelCacheDirectory")]
)
def test_compiled_graphs_are_kept_by_version_and_content(
    machine: Callable[..., None],
    sessions: list[dict[str, Any]],
    max_graph: Path,
    tmp_path: Path,
    device: str,
    option: str,
) -> None:
    open_session(max_graph, 1, device)
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(max_graph.read_bytes() + b"\x72\x00")  # an empty name of the maker's model
    open_session(changed, 1, device)
    one, two = (Path(each["providers"][0][1][option]) for each in sessions)
    assert one != two
    assert one.is_dir()
    assert one.is_relative_to(tmp_path / "cache" / "ivfuse")
    assert onnxruntime.__version__ in one.name
    assert device in one.name
    assert one.stat().st_mode & 0o077 == 0


def test_without_a_folder_for_them_compiled_graphs_are_not_kept(
    machine: Callable[..., None],
    sessions: list[dict[str, Any]],
    max_graph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder("openvino", "1/2", "openvino-gpu", "0" * 64) is None
    open_session(max_graph, 1, "tensorrt")
    assert sessions[0]["providers"][0] == ("TensorrtExecutionProvider", {})


def test_a_device_that_fails_is_an_error_and_with_auto_the_cpu(
    machine: Callable[..., None],
    sessions: list[dict[str, Any]],
    max_graph: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(["CUDAExecutionProvider"], gpus=1)
    recorded = onnxruntime.InferenceSession

    def fail(*args: Any, **kwargs: Any) -> Any:
        session = recorded(*args, **kwargs)
        session.get_providers = lambda: ["CPUExecutionProvider"]  # as ONNX Runtime does without cuDNN
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    image = np.full((4, 6), 0.5, np.float32)
    with pytest.raises(IvfuseError, match="the device cuda cannot be used, expected a GPU with its driver"):
        OnnxMethod(INFO, max_graph, device="cuda").fuse(image, image)
    assert np.array_equal(OnnxMethod(INFO, max_graph).fuse(image, image), image)
    assert [each["providers"][0][0] for each in sessions] == [
        "CUDAExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]


def test_bound_buffers_give_what_a_plain_run_gives(max_graph: Path) -> None:
    session = open_session(max_graph, 1)
    run = bound_run(session, "cpu")
    rng = np.random.default_rng(7)

    def images(*shape: int) -> dict[str, np.ndarray]:
        return {name: rng.random(shape, dtype=np.float32) for name in ("ir", "vi")}

    kept = []
    for shape in [(1, 1, 8, 9), (1, 1, 8, 9), (2, 1, 5, 5), (1, 1, 8, 9)]:
        arrays = images(*shape)
        kept.append((run(arrays, "fused"), np.maximum(arrays["ir"], arrays["vi"])))
    assert all(np.array_equal(found, expected) for found, expected in kept)

    wrong: list[int] = []

    def repeat(seed: int) -> None:
        arrays = {name: np.full((1, 1, 64, 64), seed, np.float32) for name in ("ir", "vi")}
        wrong.extend(seed for _ in range(50) if not (run(arrays, "fused") == seed).all())

    threads = [threading.Thread(target=repeat, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_nvidia_gpus_run_with_bound_buffers(
    machine: Callable[..., None],
    sessions: list[dict[str, Any]],
    max_graph: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("ivfuse.runtime.onnx.bound_run", lambda session, memory: asked.append(memory))
    for device in ("cpu", "cuda", "tensorrt", "directml"):
        open_graph(max_graph, Choice("onnxruntime", device), "auto", 1)
    assert asked == ["cuda", "cuda"]


@pytest.mark.skipif(not find_spec("openvino"), reason="no openvino")
def test_openvino_is_told_device_precision_and_cache(
    machine: Callable[..., None], max_graph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import openvino

    told: list[tuple[str, dict[str, Any]]] = []
    port = SimpleNamespace(get_names=lambda: {"fused"})

    class Core:
        def read_model(self, path: str) -> Any:
            return SimpleNamespace(inputs=[port], outputs=[port])

        def compile_model(self, model: Any, target: str, options: dict[str, Any]) -> None:
            told.append((target, options))

    monkeypatch.setattr(openvino, "Core", Core)
    open_graph(max_graph, Choice("openvino", "openvino-gpu"), "auto", None)
    open_graph(max_graph, Choice("openvino", "cpu"), "fp32", 2)
    (target, options), (cpu, cpu_options) = told
    assert target == "GPU"
    assert options["INFERENCE_PRECISION_HINT"] == "f32"
    assert Path(options["CACHE_DIR"]).is_relative_to(tmp_path / "cache")
    assert cpu == "CPU"
    assert cpu_options["INFERENCE_NUM_THREADS"] == 2
    assert "CACHE_DIR" not in cpu_options


def test_bench_lists_devices_and_times_learned_methods_on_each(
    machine: Callable[..., None],
    own_weights: Path,
    ivfuse_cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ivfuse.benchmark import latency
    from ivfuse.runtime.processes import Reply

    machine(["CUDAExecutionProvider"], ["CPU", "GPU"], gpus=1)
    monkeypatch.setattr(
        latency.Worker,
        "ask",
        lambda self, job: Reply(latency.Latency(job.cell, 1.0, 2.0, 3.0, 1.0, 50.0, 5)),
    )
    arguments = ["bench", "--methods", "larger,average", "--sizes", "64x48", "--runs", "5"]
    said = ivfuse_cli(*arguments)
    assert said.code == 0, said.err
    assert "devices of this machine: cpu, cuda, openvino-gpu (ONNX Runtime " in said.out
    rows = json.loads(ivfuse_cli(*arguments, "--json").out)
    assert [(row["method"], row["device"]) for row in rows] == [
        ("larger", "cpu"),
        ("larger", "cuda"),
        ("larger", "openvino-gpu"),
        ("average", "cpu"),
    ]
    rows = json.loads(ivfuse_cli(*arguments, "--runtime", "openvino", "--json").out)
    assert [row["device"] for row in rows] == ["cpu", "openvino-gpu", "cpu"]
    rows = json.loads(ivfuse_cli(*arguments, "--device", "cuda,auto", "--json").out)
    assert [row["device"] for row in rows] == ["cuda", "cpu"]


@pytest.mark.parametrize(
    "verb",
    [
        ["fuse", "IR", "VI", "-o", "OUT"],
        ["bench"],
        ["serve"],
        ["benchmark", "--data", "FOLDER", "-o", "OUT"],
        ["video", "IR", "VI", "-o", "OUT"],
    ],
)
def test_verbs_refuse_a_missing_device_in_one_line(
    machine: Callable[..., None],
    ivfuse_cli: Callable[..., Any],
    make_pair: Callable[..., tuple[Path, Path]],
    tmp_path: Path,
    verb: list[str],
) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    words = {"IR": str(ir), "VI": str(vi), "OUT": str(tmp_path / "out.png"), "FOLDER": str(tmp_path)}
    said = ivfuse_cli(*(words.get(word, word) for word in verb), "--device", "cuda")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "[cuda]'" in said.err
    assert not (tmp_path / "out.png").exists()


def test_weights_of_a_training_run_on_devices_of_pytorch(
    ivfuse_cli: Callable[..., Any], make_pair: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    weights = ["--weights", str(tmp_path / "model.safetensors"), "--device", "tensorrt"]
    said = ivfuse_cli("fuse", str(ir), str(vi), "-o", str(tmp_path / "out.png"), *weights)
    assert said.code == 2
    assert "--device: found tensorrt, expected auto or cpu" in said.err
    assert "ivfuse export" in said.err
