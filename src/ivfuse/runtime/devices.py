"""Devices that run ONNX graphs: which runtime and provider each needs, and which this machine has.

Sources of names and options: onnxruntime.ai/docs/execution-providers and docs.openvino.ai (GPU device).
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from ivfuse.errors import IvfuseError, MissingExtraError, UsageError

Device = Literal["auto", "cpu", "cuda", "tensorrt", "openvino-gpu", "coreml", "directml"]
Runtime = Literal["auto", "openvino", "onnxruntime"]
Precision = Literal["auto", "fp32", "bf16", "int8"]  # int8: another file, chosen by the manifest of weights
ChosenRuntime = Literal["openvino", "onnxruntime"]


class Accelerator(NamedTuple):
    """What a device other than the CPU needs.

    Attributes:
        runtime: the runtime that knows it.
        provider: name of the execution provider of ONNX Runtime, or of the device of OpenVINO.
        extra: the extra with the packages; "" if the standard packages hold it on the systems that have it.
        package: the build of ONNX Runtime with the provider, if it is not the standard one.
    """

    runtime: ChosenRuntime
    provider: str
    extra: str = ""
    package: str = ""


ACCELERATORS: dict[str, Accelerator] = {
    "cuda": Accelerator("onnxruntime", "CUDAExecutionProvider", "cuda", "onnxruntime-gpu"),
    "tensorrt": Accelerator("onnxruntime", "TensorrtExecutionProvider", "tensorrt", "onnxruntime-gpu"),
    "openvino-gpu": Accelerator("openvino", "GPU", "fast"),
    "coreml": Accelerator("onnxruntime", "CoreMLExecutionProvider"),
    "directml": Accelerator("onnxruntime", "DmlExecutionProvider", "directml", "onnxruntime-directml"),
}


class Choice(NamedTuple):
    """A runtime and the device that it uses; ``device`` is never ``auto``."""

    runtime: ChosenRuntime
    device: str


def choose(runtime: Runtime, precision: Precision, device: Device) -> Choice:
    """Resolve ``auto``; no runtime is imported unless an accelerator may be there.

    ``auto`` selects ``cuda`` if ONNX Runtime supports it and a driver finds a GPU, and the CPU otherwise; the
    other accelerators, which compile for long or compute with other precision, are used on request only.

    Raises:
        UsageError: if a name is unknown, or the runtime, precision and device do not go together.
        MissingExtraError: if packages for the runtime or device are missing.
        IvfuseError: if the machine does not have the device.
    """
    for field, value, known in (
        ("runtime", runtime, get_args(Runtime)),
        ("precision", precision, get_args(Precision)),
        ("device", device, get_args(Device)),
    ):
        if value not in known:
            raise UsageError(field=field, found=repr(value), expected=f"one of {', '.join(known)}")
    if runtime == "openvino" and not _has_openvino():
        raise MissingExtraError("the runtime openvino", "fast")
    if device == "auto" and runtime != "openvino" and precision != "bf16" and _has_cuda():
        device = "cuda"
    if device not in ("auto", "cpu"):
        return _accelerated(runtime, precision, device)
    if runtime == "auto":
        runtime = "openvino" if _has_openvino() else "onnxruntime"
    if runtime == "onnxruntime" and precision == "bf16":
        raise UsageError("precision bf16 needs the runtime openvino; onnxruntime computes in fp32")
    return Choice(runtime, "cpu")


def _accelerated(runtime: Runtime, precision: Precision, device: str) -> Choice:
    """The choice of an accelerator; see :func:`choose`."""
    needed = ACCELERATORS[device]
    if runtime not in ("auto", needed.runtime):
        raise UsageError(
            field="device",
            found=device,
            expected=f"cpu or a device of the runtime {runtime}, or another runtime",
        )
    if precision == "bf16":
        raise UsageError(f"precision bf16 is computed on the CPU only, not by the device {device}")
    if device not in available_devices():
        raise _missing(device, needed)
    return Choice(needed.runtime, device)


def available_devices() -> list[str]:
    """List the devices that the installed runtimes offer on this machine, the CPU first.

    A provider of ONNX Runtime is offered if its package contains it; whether driver and libraries work shows
    when a graph is opened.
    """
    providers, plugins = _providers(), _openvino_devices()
    offered = {"onnxruntime": providers, "openvino": plugins}
    found = [name for name, each in ACCELERATORS.items() if each.provider in offered[each.runtime]]
    return ["cpu", *found]


def describe_runtimes() -> str:
    """The installed runtimes with their versions, such as ``ONNX Runtime 1.20.0, OpenVINO 2025.0.0``."""
    from importlib.metadata import PackageNotFoundError, version

    import onnxruntime

    parts = [f"ONNX Runtime {onnxruntime.__version__}"]
    with suppress(PackageNotFoundError):
        parts.append(f"OpenVINO {version('openvino')}")
    return ", ".join(parts)


def provider_options(
    device: str, precision: Precision, folder: Path | None
) -> list[tuple[str, dict[str, str]]]:
    """The providers of an ONNX Runtime session with their options; the CPU runs what a device cannot.

    Args:
        device: the device.
        precision: ``fp32`` forbids TensorFloat-32, which NVIDIA GPUs otherwise use in convolutions.
        folder: where compiled graphs are kept; ``None`` for nowhere.
    """
    cpu: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
    if device == "cpu":
        return [cpu]
    tf32 = "0" if precision == "fp32" else "1"
    cuda = (ACCELERATORS["cuda"].provider, {"use_tf32": tf32, "cudnn_conv_algo_search": "HEURISTIC"})
    name = ACCELERATORS[device].provider
    if device == "cuda":
        return [cuda, cpu]
    if device == "tensorrt":
        kept = (
            {}
            if folder is None
            else {
                "trt_engine_cache_enable": "True",
                "trt_engine_cache_path": str(folder),
                "trt_timing_cache_enable": "True",
                "trt_timing_cache_path": str(folder),
            }
        )
        return [(name, kept), cuda, cpu]
    if device == "coreml":
        kept = {} if folder is None else {"ModelCacheDirectory": str(folder)}
        return [(name, {"ModelFormat": "MLProgram", **kept}), cpu]
    return [(name, {}), cpu]


def prepare_provider(device: str) -> None:
    """Load the libraries of a device from the packages of its extra, and keep ONNX Runtime from printing."""
    import onnxruntime as ort

    ort.set_default_logger_severity(4)  # a provider that fails is reported as an exception, in one line
    if device in ("cuda", "tensorrt") and hasattr(ort, "preload_dlls"):  # from 1.21 on
        with suppress(Exception):  # libraries of the system may do as well
            ort.preload_dlls()
    if device == "tensorrt":
        with suppress(ImportError):
            __import__("tensorrt")  # loads its libraries


def check_provider(session: Any, device: str) -> None:
    """Check that a session uses its device, since ONNX Runtime goes on without a provider that fails.

    Raises:
        IvfuseError: if it does not.
    """
    if device != "cpu" and ACCELERATORS[device].provider not in session.get_providers():
        raise IvfuseError(
            f"the device {device} cannot be used",
            expected="a GPU with its driver, and libraries of the versions that ONNX Runtime was built for",
        )


def cache_folder(runtime: str, version: str, device: str, digest: str) -> Path | None:
    """Make the folder for graphs compiled for a device; ``None`` if it cannot be made.

    Args:
        runtime: name of the runtime.
        version: its version; a compiled graph serves no other.
        device: the device.
        digest: of the graph file.

    Returns:
        A folder that only this user can write, in the cache folder of the system (``XDG_CACHE_HOME``,
        ``~/Library/Caches`` or ``%LOCALAPPDATA%``).
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = re.sub(r"[^\w.-]", "-", f"{runtime}-{version}-{device}-{digest[:16]}")
    folder = Path(base) / "ivfuse" / "graphs" / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _missing(device: str, needed: Accelerator) -> IvfuseError:
    """The error for a device that no installed runtime offers."""
    if device == "openvino-gpu" and _has_openvino():
        return IvfuseError(
            "OpenVINO finds no GPU for the device openvino-gpu",
            expected="an Intel GPU with its OpenCL driver",
        )
    if device == "coreml":
        return IvfuseError("the device coreml is missing", expected="macOS")
    feature = f"the device {device} ({needed.provider})"
    error = MissingExtraError(feature, needed.extra)
    if needed.package:  # its files are those of the package onnxruntime, which may have been installed later
        error.message += f", then pip install --force-reinstall --no-deps {needed.package}"
    return error


def _has_openvino() -> bool:
    return find_spec("openvino") is not None


def import_openvino() -> Any:
    """Return the module of OpenVINO without its telemetry, which leaves an identifier in the home folder."""
    name = "openvino_telemetry"
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import openvino
    finally:
        if hidden:
            sys.modules.pop(name, None)
    return openvino


def _has_cuda() -> bool:
    """Whether a driver finds an NVIDIA GPU and ONNX Runtime can use it; the driver is asked first."""
    return _count_nvidia_gpus() > 0 and ACCELERATORS["cuda"].provider in _providers()


@cache
def _count_nvidia_gpus() -> int:
    """Number of GPUs that the CUDA driver offers; 0 without a driver."""
    import ctypes

    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def _providers() -> list[str]:
    import onnxruntime as ort

    return list(ort.get_available_providers())


def _openvino_devices() -> list[str]:
    """The devices of OpenVINO; ``GPU.0`` and ``GPU.1`` count as ``GPU``."""
    if not _has_openvino():
        return []
    return [name.partition(".")[0] for name in import_openvino().Core().available_devices]
