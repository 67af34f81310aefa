"""All methods by name: the classical ones register here, the trained ones come from the weights' manifest."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.fusion.manifest import Manifest, load_manifest
from ivfuse.fusion.method import CLASSICAL, ClassicalFunction, ClassicalMethod, Method, MethodInfo
from ivfuse.runtime.onnx import Precision, Runtime

WITHOUT_WEIGHTS = "guided-filter"  # the default method while the manifest has no trained one

# Modules that register classical methods.
_CLASSICAL_MODULES = ("baseline", "pyramid", "wavelet", "guided", "saliency")


def list_methods() -> list[str]:
    """Names of all methods: the trained ones, then the classical ones in alphabetical order."""
    learned = load_manifest().models
    return [*learned, *(name for name in sorted(_classical()) if name not in learned)]


def default_method() -> str:
    """Name of the method that is used when none is named."""
    return load_manifest().default or WITHOUT_WEIGHTS


def method_info(name: str) -> MethodInfo:
    """Facts about a method.

    Raises:
        UnknownNameError: if there is no such method; the message names the nearest ones.
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
) -> Method:
    """Make a method ready to fuse.

    Args:
        method: one of :func:`list_methods`, an ``.onnx`` file, or ``None`` for the default one; a method
            object is given back.
        method_options: for classical methods: keyword arguments of their function.
        runtime: for learned methods: ``auto``, ``openvino`` or ``onnxruntime``.
        precision: for learned methods: ``auto``, ``fp32`` or ``bf16``.
        threads: for learned methods: CPU threads; ``None`` leaves it to the runtime.

    Raises:
        UnknownNameError: if there is no such method.
        UsageError: if the method does not know an option.
        InputError: if the weights are missing or are not those of the manifest.
    """
    options = dict(method_options or {})
    if method is not None and not isinstance(method, str | os.PathLike):
        if options or threads is not None or runtime != "auto" or precision != "auto":
            raise UsageError("options of the method cannot be given together with a method object")
        return method
    if method is not None and Path(method).suffix.lower() == ".onnx":
        _check_options(Path(method).name, options, [])
        return _onnx(file_info(Path(method)), Path(method), runtime, precision, threads)
    manifest = load_manifest()
    name = os.fspath(method) if method else manifest.default or WITHOUT_WEIGHTS
    entry = manifest.models.get(name)
    if entry is not None:
        _check_options(name, options, [])
        return _onnx(entry.info, entry.path(), runtime, precision, threads)
    info, function = _find_classical(name, manifest)
    if runtime != "auto" or precision != "auto":
        raise UsageError(f"the method {name!r} is classical: runtime and precision mean nothing to it")
    _check_options(name, options, list(inspect.signature(function).parameters)[2:])
    return ClassicalMethod(info, function, options)


def file_info(path: Path) -> MethodInfo:
    """Facts about a graph that is in no manifest: nothing is known but its name."""
    summary = f"the graph {path.name}"
    return MethodInfo(path.stem, "learned", summary, "unknown", reach=None, version=str(_modified(path)))


def _onnx(
    info: MethodInfo, path: Path, runtime: Runtime, precision: Precision, threads: int | None
) -> Method:
    from ivfuse.fusion.onnx_method import OnnxMethod

    return OnnxMethod(info, path, runtime=runtime, precision=precision, threads=threads)


def _modified(path: Path) -> int:
    """A number that changes with the file; 0 if it is missing, which is found out when it is opened."""
    return path.stat().st_mtime_ns if path.is_file() else 0


def _classical() -> dict[str, tuple[MethodInfo, ClassicalFunction]]:
    """The table of classical methods, filled at the first use."""
    for name in _CLASSICAL_MODULES:
        import_module(f"ivfuse.fusion.classical.{name}")
    return CLASSICAL


def _find_classical(name: str, manifest: Manifest) -> tuple[MethodInfo, ClassicalFunction]:
    """Look a classical method up; the error names trained methods too."""
    table = _classical()
    if name not in table:
        raise UnknownNameError("method", name, {*table, *manifest.models}, field="method")
    return table[name]


def _check_options(name: str, options: Mapping[str, Any], accepted: list[str]) -> None:
    for key in options:
        if key not in accepted:
            raise UsageError(
                f"the method {name!r} does not know the option {key!r}",
                field="method_options",
                hint=f"accepted: {', '.join(accepted)}" if accepted else "it has no options",
            )
