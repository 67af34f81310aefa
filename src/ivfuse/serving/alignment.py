"""The one door to registration: whether it is there, and a pair brought into line by it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ivfuse.errors import UsageError
from ivfuse.fusion.fuser import Loaded

MISSING = "Registration is not available in this version of ivfuse."


def available() -> bool:
    """Whether pictures can be registered."""
    return find_spec("ivfuse.imaging.registration") is not None


def require() -> None:
    """Raise UsageError if pictures cannot be registered."""
    if not available():
        raise UsageError(MISSING)


def align(pair: Loaded) -> tuple[Loaded, dict[str, Any]]:
    """Lay the thermal picture of a pair onto its visible one."""
    raise UsageError(MISSING)
