"""ivfuse: infrared and visible image fusion.

The face of the package; nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ivfuse.fusion.pipeline import Fuser, fuse
    from ivfuse.fusion.register import register
    from ivfuse.fusion.registry import list_methods
    from ivfuse.metrics import evaluate_arrays as evaluate
    from ivfuse.metrics import list_metrics
    from ivfuse.registration.transform import Registration, load_rig

    __version__: str

__all__ = [
    "Fuser",
    "Registration",
    "__version__",
    "evaluate",
    "fuse",
    "list_methods",
    "list_metrics",
    "load_rig",
    "register",
]

_HOMES = {
    "Fuser": "ivfuse.fusion.pipeline:Fuser",
    "Registration": "ivfuse.registration.transform:Registration",
    "evaluate": "ivfuse.metrics:evaluate_arrays",
    "fuse": "ivfuse.fusion.pipeline:fuse",
    "list_methods": "ivfuse.fusion.registry:list_methods",
    "list_metrics": "ivfuse.metrics:list_metrics",
    "load_rig": "ivfuse.registration.transform:load_rig",
    "register": "ivfuse.fusion.register:register",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("ivfuse")
    elif name in _HOMES:
        module, attribute = _HOMES[name].split(":")
        value = getattr(import_module(module), attribute)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
