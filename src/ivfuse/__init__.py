"""ivfuse: infrared and visible image fusion.

The face of the package; nothing is imported before it is used.
"""

from __future__ import annotations

import os
from importlib import import_module

# Since 1.32 ONNX Runtime tells its maker of every process that imports it; "0" leaves that to it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False  # as type checkers know it; `typing` itself would double the time to the first line
if TYPE_CHECKING:
    from typing import Any

    from ivfuse import metrics
    from ivfuse.errors import (
        InputError,
        IvfuseError,
        MissingExtraError,
        OutputError,
        RegistrationError,
        ShapeError,
        UnknownNameError,
        UsageError,
    )
    from ivfuse.fusion.options import FuseOptions
    from ivfuse.fusion.pipeline import Fuser, fuse
    from ivfuse.fusion.register import register
    from ivfuse.fusion.registry import list_methods
    from ivfuse.metrics import list_metrics
    from ivfuse.metrics.folder import evaluate
    from ivfuse.registration.transform import Registration, load_rig
    from ivfuse.thermal.read import Thermal, ThermalOptions, read_thermal
    from ivfuse.thermal.render import RenderOptions

    __version__: str

_HOMES = {
    **dict.fromkeys(
        (
            "InputError",
            "IvfuseError",
            "MissingExtraError",
            "OutputError",
            "RegistrationError",
            "ShapeError",
            "UnknownNameError",
            "UsageError",
        ),
        "ivfuse.errors",
    ),
    "FuseOptions": "ivfuse.fusion.options",
    "Fuser": "ivfuse.fusion.pipeline",
    "Registration": "ivfuse.registration.transform",
    "RenderOptions": "ivfuse.thermal.render",
    "Thermal": "ivfuse.thermal.read",
    "ThermalOptions": "ivfuse.thermal.read",
    "evaluate": "ivfuse.metrics.folder",
    "fuse": "ivfuse.fusion.pipeline",
    "list_methods": "ivfuse.fusion.registry",
    "list_metrics": "ivfuse.metrics",
    "load_rig": "ivfuse.registration.transform",
    "metrics": "ivfuse.metrics:",
    "read_thermal": "ivfuse.thermal.read",
    "register": "ivfuse.fusion.register",
}

__all__ = [  # noqa: RUF022  (errors together)
    "FuseOptions",
    "Fuser",
    "Registration",
    "RenderOptions",
    "Thermal",
    "ThermalOptions",
    "__version__",
    "evaluate",
    "fuse",
    "list_methods",
    "list_metrics",
    "load_rig",
    "metrics",
    "read_thermal",
    "register",
    "InputError",
    "IvfuseError",
    "MissingExtraError",
    "OutputError",
    "RegistrationError",
    "ShapeError",
    "UnknownNameError",
    "UsageError",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("ivfuse")
    elif name in _HOMES:
        module, separator, attribute = _HOMES[name].partition(":")
        value = import_module(module)
        if attribute or not separator:
            value = getattr(value, attribute or name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names alone."""
    return sorted(__all__)
