"""The contract of a fusion method: luma in, luma out, plus the facts that a caller needs to run it.

A classical method is a function; :func:`classical_method` registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ivfuse.image.arrays import Gray
from ivfuse.image.tiling import FuseGray


@dataclass(frozen=True)
class MethodInfo:
    """Facts about a method.

    Attributes:
        name: the registry's name, lower case with hyphens.
        kind: ``classical`` (no training) or ``learned``.
        summary: one line for a table of methods.
        paper: authors, title or venue, year.
        align: large images are cut into tiles whose corners lie on multiples of this many pixels, so that
            pyramids and attention windows fall on the same grid in every tile.
        reach: how far, in pixels, an input pixel can influence the output; tiles overlap by this much on
            each side. ``None`` when it is unbounded: tiles then overlap by a default and are blended.
        tile: the largest side, in pixels, that is fused in one piece.
        parameters: number of trained parameters.
        version: changes when the method's output changes.
    """

    name: str
    kind: Literal["classical", "learned"]
    summary: str
    paper: str
    align: int = 1
    reach: int | None = 0
    tile: int = 1024
    parameters: int = 0
    version: str = "1"


class Method(Protocol):
    """Anything that fuses a pair of luma images."""

    @property
    def info(self) -> MethodInfo:
        """The method's facts."""
        ...

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """Fuse one pair.

        Args:
            ir: infrared, (H, W) float32 in [0, 1], H, W >= 1.
            vi: luma of the visible, the same shape and range.

        Returns:
            The fused luma, (H, W) float32 in [0, 1].
        """
        ...


@runtime_checkable
class WholeImageMethod(Method, Protocol):
    """A method whose output depends on something of the whole image, such as its mean."""

    def of_image(self, ir: Gray, vi: Gray) -> FuseGray:
        """Give the function that fuses tiles of this pair as parts of the whole.

        Args:
            ir: the whole thermal, as for :meth:`Method.fuse`, or those of its values that count, (h, w).
            vi: the whole visible, as for :meth:`Method.fuse`.
        """
        ...


def fuse_of_parts(method: Method, ir: Gray, vi: Gray) -> FuseGray:
    """The function that fuses tiles of a pair: each by itself, unless the method looks at the whole."""
    return method.of_image(ir, vi) if isinstance(method, WholeImageMethod) else method.fuse


ClassicalFunction = Callable[..., Gray]
CLASSICAL: dict[str, tuple[MethodInfo, ClassicalFunction]] = {}


def classical_method(
    name: str, *, summary: str, paper: str, **facts: Any
) -> Callable[[ClassicalFunction], ClassicalFunction]:
    """Register a function ``(ir, vi, **options) -> fused`` as the classical method ``name``.

    The facts hold for all options, so that large images can be cut exactly.

    Args:
        name: lower case with hyphens.
        summary: one line.
        paper: the source.
        facts: further fields of :class:`MethodInfo` (``align``, ``reach``, ``tile``).
    """

    def add(function: ClassicalFunction) -> ClassicalFunction:
        CLASSICAL[name] = (MethodInfo(name, "classical", summary, paper, **facts), function)
        return function

    return add


@dataclass(frozen=True)
class ClassicalMethod:
    """A registered function as a :class:`Method`, with the options it is called with."""

    info: MethodInfo
    function: ClassicalFunction
    options: Mapping[str, Any] = field(default_factory=dict)

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`Method.fuse`."""
        return self.function(ir, vi, **self.options)
