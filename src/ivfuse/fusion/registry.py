"""Registry of all methods by name: classical methods from modules, learned methods from the manifest."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.fusion.manifest import Manifest, load_manifest
from ivfuse.fusion.method import CLASSICAL, ClassicalFunction, ClassicalMethod, Method, MethodInfo
from ivfuse.runtime.devices import Device, Precision, Runtime, choose
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.processor import int8_is_faster

WITHOUT_WEIGHTS = "guided-filter"  # the default method if the manifest has no learned method

# Modules that register classical methods.
_CLASSICAL_MODULES = ("baseline", "pyramid", "wavelet", "guided", "saliency")


def list_methods() -> list[str]:
    """List the names of all methods: the learned methods, then the classical ones in alphabetical order."""
    learned = load_manifest().models
    return [*learned, *(name for name in sorted(_classical()) if name not in learned)]


def default_method() -> str:
    """Return the name of the default method."""
    return load_manifest().default or WITHOUT_WEIGHTS


def method_info(name: str) -> MethodInfo:
    """Return the properties of a method.

    Raises:
        UnknownNameError: if there is no such method; the error lists similar names.
    """
    manifest = load_manifest()
    if entry := manifest.models.get(name):
        return entry.info
    return _find_classical(name, manifest)[0]


def create_method(
    method: str | os.PathLike[str] | Method | None = None,
    *,
    method_options: Mapping[str, Any] | None = None,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    device: Device = "auto",
) -> Method:
    """Create a method.

    Args:
        method: one of :func:`list_methods`, an ``.onnx`` file, ``hf://owner/name[@revision]`` for a model of
            the Hugging Face Hub, or ``None`` for the default method; a method object is returned unchanged.
        method_options: keyword arguments of the function of a classical method.
        runtime: runtime of a learned method: ``auto``, ``openvino`` or ``onnxruntime``.
        precision: compute precision of a learned method: ``auto``, ``fp32``, ``bf16`` or ``int8``.
        threads: number of CPU threads of a learned method; ``None`` lets the runtime choose.
        device: device of a learned method: ``auto``, ``cpu``, ``cuda``, ``tensorrt``, ``openvino-gpu``,
            ``coreml`` or ``directml``.

    Raises:
        UnknownNameError: if there is no such method.
        UsageError: if the method does not support an option, or the threads are not 1 to 1024.
        InputError: if the weights are missing, cannot be fetched, or differ from those of the manifest.
        MissingExtraError: if a model of the Hub is given and huggingface_hub is not installed.
    """
    check_threads(threads)
    options = dict(method_options or {})
    how = _Run(runtime, precision, threads, device)
    if method is not None and not isinstance(method, str | os.PathLike):
        if options or threads is not None or how.is_chosen or device != "auto":
            raise UsageError("options of the method cannot be given together with a method object")
        return method
    if method is not None and (_is_of_hub(method) or Path(method).suffix.lower() == ".onnx"):
        return _graph_of_others(method, options, how)
    manifest = load_manifest()
    name = os.fspath(method) if method else manifest.default or WITHOUT_WEIGHTS
    entry = manifest.models.get(name)
    if entry is not None:
        _check_options(name, options, [])
        return _onnx(entry.info, entry.path(int8=precision == "int8"), how)
    info, function = _find_classical(name, manifest)
    if how.is_chosen or device not in ("auto", "cpu"):
        raise UsageError(
            f"the method {name!r} is classical and does not support runtime, precision and device"
        )
    _check_options(name, options, list(inspect.signature(function).parameters)[2:])
    return ClassicalMethod(info, function, options)


def _graph_of_others(method: str | os.PathLike[str], options: dict[str, Any], how: _Run) -> Method:
    """A graph that is in no manifest of this package: a model of the Hub or an ONNX file."""
    if how.precision == "int8":
        raise UsageError(
            field="precision", found=f"int8 with {method}", expected="a name, or the graph in int8"
        )
    if _is_of_hub(method):
        from ivfuse.fusion.hub import find_model
        from ivfuse.fusion.hub_config import GRAPH

        model = find_model(str(method))
        _check_options(str(method), options, [])
        return _onnx(model.config.entry.info, model.fetch(GRAPH), how)
    _check_options(Path(method).name, options, [])
    return _onnx(file_info(Path(method)), Path(method), how)


def is_learned(method: str | None) -> bool:
    """Whether a method, as given to :func:`create_method`, is a graph; nothing is fetched or opened.

    Raises:
        UnknownNameError: if there is no such method.
    """
    name = method or default_method()
    return _is_of_hub(name) or name.lower().endswith(".onnx") or method_info(name).kind == "learned"


def _is_of_hub(method: object) -> bool:
    if not isinstance(method, str) or ":" not in method:
        return False  # without an import of the Hub's module
    from ivfuse.fusion.hub import is_reference

    return is_reference(method)


def quick_precision(method: str | None, device: Device = "auto") -> Precision:
    """The precision for many images of a video: ``int8`` if the method has it and this processor is faster.

    Args:
        method, device: as in :func:`create_method`.

    Raises:
        UsageError: see :func:`ivfuse.runtime.devices.choose`, as for the following.
        MissingExtraError: see there.
        IvfuseError: see there.
    """
    entry = load_manifest().models.get(method or default_method())
    if entry is None or not entry.int8 or not int8_is_faster():
        return "auto"
    return "int8" if choose("auto", "auto", device).device == "cpu" else "auto"


def file_info(path: Path) -> MethodInfo:
    """Return the properties of a graph that is in no manifest, of which only the name is known."""
    summary = f"the graph {path.name}"
    return MethodInfo(path.stem, "learned", summary, "unknown", reach=None, version=str(_modified(path)))


class _Run(NamedTuple):
    """How a graph is run."""

    runtime: Runtime
    precision: Precision
    threads: int | None
    device: Device

    @property
    def is_chosen(self) -> bool:
        """Whether a runtime or precision was asked for."""
        return self.runtime != "auto" or self.precision != "auto"


def _onnx(info: MethodInfo, path: Path, how: _Run) -> Method:
    from ivfuse.fusion.onnx_method import OnnxMethod

    return OnnxMethod(info, path, **how._asdict())


def _modified(path: Path) -> int:
    """Return the modification time of a file in ns; 0 if it is missing, which is reported on opening it."""
    return path.stat().st_mtime_ns if path.is_file() else 0


def _classical() -> dict[str, tuple[MethodInfo, ClassicalFunction]]:
    """Return the table of classical methods, filled at the first use."""
    for name in _CLASSICAL_MODULES:
        import_module(f"ivfuse.fusion.classical.{name}")
    return CLASSICAL


def _find_classical(name: str, manifest: Manifest) -> tuple[MethodInfo, ClassicalFunction]:
    """Look up a classical method; the error lists learned methods too."""
    table = _classical()
    if name not in table:
        raise UnknownNameError("method", name, {*table, *manifest.models}, field="method")
    return table[name]


def _check_options(name: str, options: Mapping[str, Any], accepted: list[str]) -> None:
    for key in options:
        if key not in accepted:
            raise UsageError(
                f"the method {name!r} has no option {key!r}",
                field="method_options",
                hint=f"accepted: {', '.join(accepted)}" if accepted else "it has no options",
            )
