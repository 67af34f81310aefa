"""All methods by name: the classical ones register here, the trained ones come from the weights' manifest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.fusion.manifest import Manifest, load_manifest
from ivfuse.fusion.method import Method, MethodInfo
from ivfuse.image.read import Gray

if TYPE_CHECKING:
    from ivfuse.fusion.onnx_method import Precision, Runtime

Classical = Callable[..., Gray]
CLASSICAL: dict[str, tuple[MethodInfo, Classical]] = {}

WITHOUT_WEIGHTS = "guided-filter"  # the default method while the manifest has no trained one


def register(name: str, *, summary: str, paper: str, **facts: Any) -> Callable[[Classical], Classical]:
    """Register a function ``(ir, vi, **options) -> fused`` as the classical method ``name``.

    Args:
        name: lower case with hyphens.
        summary: one line.
        paper: the source.
        facts: further fields of :class:`MethodInfo` (``align``, ``reach``, ``tile``).
    """

    def add(function: Classical) -> Classical:
        CLASSICAL[name] = (MethodInfo(name, "classical", summary, paper, **facts), function)
        return function

    return add


@dataclass(frozen=True)
class ClassicalMethod:
    """A registered function as a :class:`Method`, with the options it is called with."""

    info: MethodInfo
    function: Classical
    options: Mapping[str, Any] = field(default_factory=dict)

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`Method.fuse`."""
        return self.function(ir, vi, **self.options)


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
    name: str | None = None,
    *,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    **options: Any,
) -> Method:
    """Make a method ready to fuse.

    Args:
        name: one of :func:`list_methods`; ``None`` for the default one.
        runtime: for trained methods: ``auto``, ``openvino`` or ``onnxruntime``.
        precision: for trained methods: ``auto``, ``fp32`` or ``bf16``.
        threads: for trained methods: CPU threads; ``None`` leaves it to the runtime.
        options: for classical methods: keyword arguments of their function.

    Raises:
        UnknownNameError: if there is no such method.
        UsageError: if the method does not know an option.
        InputError: if the weights are missing or are not those of the manifest.
    """
    manifest = load_manifest()
    name = name or manifest.default or WITHOUT_WEIGHTS
    entry = manifest.models.get(name)
    if entry is None:
        info, function = _find_classical(name, manifest)
        if runtime != "auto" or precision != "auto":
            raise UsageError(f"the method {name!r} is classical: runtime and precision mean nothing to it")
        _check_options(name, options, _accepted(function))
        return ClassicalMethod(info, function, options)
    _check_options(name, options, [])
    from ivfuse.fusion.onnx_method import OnnxMethod

    return OnnxMethod(entry.info, entry.path(), runtime=runtime, precision=precision, threads=threads)


def _classical() -> dict[str, tuple[MethodInfo, Classical]]:
    """The table of classical methods, filled at the first use."""
    import_module("ivfuse.fusion.classical")
    return CLASSICAL


def _find_classical(name: str, manifest: Manifest) -> tuple[MethodInfo, Classical]:
    """Look a classical method up; the error names trained methods too."""
    table = _classical()
    if name not in table:
        raise UnknownNameError("method", name, {*table, *manifest.models})
    return table[name]


def _accepted(function: Classical) -> list[str]:
    """Names of the options of a classical method: its parameters after the two images."""
    return list(inspect.signature(function).parameters)[2:]


def _check_options(name: str, options: Mapping[str, Any], accepted: list[str]) -> None:
    if unknown := [key for key in options if key not in accepted]:
        known = f"accepted: {', '.join(accepted)}" if accepted else "it has no options"
        raise UsageError(f"the method {name!r} does not know the option {unknown[0]!r}; {known}")
