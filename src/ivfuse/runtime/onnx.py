"""Inference of ONNX graphs with ONNX Runtime or OpenVINO, on the CPU or an accelerator.

Each runtime is imported only when a graph is opened with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.runtime.devices import (
    ACCELERATORS,
    Choice,
    Precision,
    cache_folder,
    check_provider,
    import_openvino,
    prepare_provider,
    provider_options,
)
from ivfuse.runtime.files import sha256_of
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.processor import bf16_is_faster

Arrays = Mapping[str, NDArray[np.float32]]


class Graph(NamedTuple):
    """A compiled graph; several threads may run it at the same time.

    Attributes:
        inputs: names of the inputs.
        outputs: names of the outputs.
        run: function that takes a mapping from input names to arrays and the name of an output, and returns
            that output.
    """

    inputs: frozenset[str]
    outputs: frozenset[str]
    run: Callable[[Arrays, str], NDArray[np.float32]]


def open_graph(
    path: Path,
    choice: Choice,
    precision: Precision,
    threads: int | None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """Load and compile a graph.

    Args:
        path: the ONNX file.
        choice: runtime and device, see :func:`ivfuse.runtime.devices.choose`.
        precision: compute precision; ``auto`` selects bfloat16 in OpenVINO on processors that are faster with
            it, TensorFloat-32 on NVIDIA GPUs that have it, and float32 on all others.
        threads: number of CPU threads; ``None`` lets the runtime choose.
        shapes: of the inputs, by name, if the graph is for these alone, which OpenVINO runs faster; ONNX
            Runtime does not, and accepts any.

    Raises:
        IvfuseError: if the device does not work.
        Exception: an exception of the runtime, if it cannot load the graph.
    """
    if choice.runtime == "openvino":
        return _open_openvino(path, choice.device, precision, threads, shapes)
    session = open_session(path, threads, choice.device, precision)
    inputs = frozenset(each.name for each in session.get_inputs())
    outputs = frozenset(each.name for each in session.get_outputs())
    if choice.device in ("cuda", "tensorrt"):
        return Graph(inputs, outputs, bound_run(session, "cuda"))

    def run(arrays: Arrays, output: str) -> NDArray[np.float32]:
        return np.asarray(session.run([output], dict(arrays))[0], dtype=np.float32)

    return Graph(inputs, outputs, run)


def open_session(
    path: Path, threads: int | None = None, device: str = "cpu", precision: Precision = "auto"
) -> Any:
    """Open an ONNX Runtime session.

    Args:
        path: the ONNX file.
        threads: number of CPU threads; ``None`` lets the runtime choose.
        device: the device, one of ONNX Runtime.
        precision: see :func:`open_graph`.

    Raises:
        UsageError: if the threads are not 1 to 1024.
        IvfuseError: if the device does not work.
        Exception: an exception of ONNX Runtime, if it cannot load the graph.
    """
    check_threads(threads)
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3 if device == "cpu" else 4
    # Input sizes vary, and a memory plan is kept for each size, so memory use would grow. The arena stays
    # enabled: it halves the time and does not grow.
    options.enable_mem_pattern = False
    # Threads that spin between runs take the cores of decoding and encoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    folder = None
    if device != "cpu":
        prepare_provider(device)
        if device in ("tensorrt", "coreml"):
            folder = cache_folder("onnxruntime", ort.__version__, device, sha256_of(path))
    session = ort.InferenceSession(
        str(path),
        sess_options=options,
        providers=provider_options(device, precision, folder),
        enable_fallback=0,  # it would print, and try the same provider again
    )
    check_provider(session, device)
    return session


def bound_run(session: Any, memory: str) -> Callable[[Arrays, str], NDArray[np.float32]]:
    """A function as :attr:`Graph.run` whose inputs stay in buffers of the device while their shapes repeat.

    Args:
        session: a session of ONNX Runtime.
        memory: where the buffers are: ``cuda`` or ``cpu``.
    """
    import onnxruntime as ort

    local = threading.local()  # a thread must not overwrite the inputs of another one's run

    def run(arrays: Arrays, output: str) -> NDArray[np.float32]:
        key = (output, *((name, array.shape) for name, array in arrays.items()))
        if getattr(local, "key", None) != key:
            local.key, local.values, local.binding = None, {}, session.io_binding()
            for name, array in arrays.items():
                local.values[name] = ort.OrtValue.ortvalue_from_shape_and_type(
                    array.shape, np.float32, memory
                )
                local.binding.bind_ortvalue_input(name, local.values[name])
            local.key = key
        for name, array in arrays.items():
            local.values[name].update_inplace(array)
        local.binding.clear_binding_outputs()
        local.binding.bind_output(output, memory)
        session.run_with_iobinding(local.binding)
        return np.asarray(local.binding.copy_outputs_to_cpu()[0], dtype=np.float32)

    return run


def _open_openvino(
    path: Path,
    device: str,
    precision: Precision,
    threads: int | None,
    shapes: Mapping[str, Sequence[int]] | None,
) -> Graph:
    openvino = import_openvino()
    core = openvino.Core()
    if device == "cpu":
        target, options = "CPU", _cpu_options(core, precision, threads)
    else:
        target = ACCELERATORS[device].provider
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        folder = cache_folder("openvino", openvino.__version__, device, sha256_of(path))
        if folder is not None:
            options["CACHE_DIR"] = str(folder)
    model = core.read_model(str(path))
    inputs, outputs = (
        frozenset(name for port in side for name in port.get_names())
        for side in (model.inputs, model.outputs)
    )
    if shapes is not None:
        model.reshape({name: list(shape) for name, shape in shapes.items() if name in inputs})
    compiled = core.compile_model(model, target, options)
    local = threading.local()  # an infer request is not reentrant: each thread gets its own

    def run(arrays: Arrays, output: str) -> NDArray[np.float32]:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        result = local.request.infer(dict(arrays), share_inputs=True)
        # A copy, because OpenVINO reuses the output buffer.
        return np.array(result[compiled.output(output)], dtype=np.float32)

    return Graph(inputs, outputs, run)


def _cpu_options(core: Any, precision: Precision, threads: int | None) -> dict[str, Any]:
    """The options of OpenVINO on the CPU."""
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if _computes_bf16(core, precision) else "f32",
        # Every process would pin its threads to the same first cores, and leave the others idle.
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    return options


def _computes_bf16(core: Any, precision: Precision) -> bool:
    """Whether to compute in bfloat16: on request, or if the processor can, and is not slower with it."""
    if precision == "auto":
        return bf16_is_faster() is not False and "BF16" in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        )
    return precision == "bf16"
