"""All methods by name: the classical ones register here, the trained ones come from the weights' manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ivfuse.errors import UnknownNameError
from ivfuse.fusion.method import Method, MethodInfo
from ivfuse.imaging.image import Gray

Classical = Callable[..., Gray]
CLASSICAL: dict[str, tuple[MethodInfo, Classical]] = {}


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
    """A registered function as a :class:`Method`."""

    info: MethodInfo
    function: Classical

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`Method.fuse`."""
        return self.function(ir, vi)
