"""Interface of fusion methods, which take and return luma, and the properties needed to run them.

A classical method is a function registered by the decorator :func:`classical_method`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ivfuse.errors import UnknownNameError, check_type
from ivfuse.fusion.emphasis import EMPHASES, EmphasisName
from ivfuse.image.arrays import Gray
from ivfuse.image.tiling import FuseGray


@dataclass(frozen=True)
class MethodInfo:
    """Properties of a method.

    Attributes:
        name: name in the registry, lower case with hyphens.
        kind: ``classical`` (without training) or ``learned``.
        summary: one line for a table of methods.
        paper: authors, title or venue, year.
        align: grid of the tile corners in pixels, so that pyramids and attention windows have the same
            position in every tile.
        reach: radius of the receptive field in pixels, by which tiles overlap on each side. ``None`` if it is
            unbounded: tiles then overlap by a default and are blended.
        tile: largest side in pixels that is fused in one piece.
        reducible: whether it fuses at half the resolution of the thermal image, from which the result is
            carried up to that of the visible image.
        emphasis: what is brought out if the user does not choose, see :mod:`ivfuse.fusion.emphasis`.
        parameters: number of trained parameters.
        version: version of the output; changes whenever the output of the method changes.

    Raises:
        UnknownNameError: if there is no such emphasis; the error lists similar names, or all.
        UsageError: if the emphasis is no name.
    """

    name: str
    kind: Literal["classical", "learned"]
    summary: str
    paper: str
    align: int = 1
    reach: int | None = 0
    tile: int = 1024
    reducible: bool = False
    emphasis: EmphasisName = "none"
    parameters: int = 0
    version: str = "1"

    def __post_init__(self) -> None:
        """Validate the emphasis, which is looked up only when a pair has been fused."""
        where = f"emphasis of the method {self.name!r}"
        check_type(where, self.emphasis, (str,), "a name")
        if self.emphasis not in EMPHASES:
            raise UnknownNameError("name", self.emphasis, EMPHASES, field=where)


class Method(Protocol):
    """A method that fuses a pair of luma images."""

    @property
    def info(self) -> MethodInfo:
        """Properties of the method."""
        ...

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """Fuse one pair.

        Args:
            ir: thermal image, (H, W) float32 in [0, 1], H, W >= 1.
            vi: luma of the visible image, of the same shape and range.

        Returns:
            The fused luma, (H, W) float32 in [0, 1].
        """
        ...


@runtime_checkable
class WholeImageMethod(Method, Protocol):
    """A method whose output depends on a statistic of the whole image, such as its mean."""

    def for_image(self, ir: Gray, vi: Gray) -> FuseGray:
        """Return a function that fuses tiles of this pair with the statistics of the whole image.

        Args:
            ir: the whole thermal image as for :meth:`Method.fuse`, or the subset of its values that the
                statistics are computed from, (h, w).
            vi: the whole visible image as for :meth:`Method.fuse`.
        """
        ...


@runtime_checkable
class PreloadedMethod(Method, Protocol):
    """A method that loads something for its first pair, such as a graph, and can do so beforehand."""

    def preload(self) -> None:
        """Load it now; nothing happens after the first time.

        Raises:
            IvfuseError: if it cannot be loaded.
        """
        ...


@runtime_checkable
class SizedMethod(Method, Protocol):
    """A method that fuses pairs of one shape faster if it knows the shape beforehand."""

    def expect(self, shape: tuple[int, int]) -> None:
        """Prepare for pairs of this shape, as of a video; those of others are fused as before.

        Args:
            shape: height and width in pixels.
        """
        ...


def tile_function(method: Method, ir: Gray, vi: Gray) -> FuseGray:
    """Return the function that fuses tiles of a pair, with statistics of the whole image if required."""
    return method.for_image(ir, vi) if isinstance(method, WholeImageMethod) else method.fuse


ClassicalFunction = Callable[..., Gray]
CLASSICAL: dict[str, tuple[MethodInfo, ClassicalFunction]] = {}


def classical_method(
    name: str, *, summary: str, paper: str, **facts: Any
) -> Callable[[ClassicalFunction], ClassicalFunction]:
    """Register a function ``(ir, vi, **options) -> fused`` as the classical method ``name``.

    The properties must hold for all options, so that tiled results are exact.

    Args:
        name: name in the registry, lower case with hyphens.
        summary: one line for a table of methods.
        paper: authors, title or venue, year.
        facts: further fields of :class:`MethodInfo` (``align``, ``reach``, ``tile``).
    """

    def add(function: ClassicalFunction) -> ClassicalFunction:
        CLASSICAL[name] = (MethodInfo(name, "classical", summary, paper, **facts), function)
        return function

    return add


@dataclass(frozen=True)
class ClassicalMethod:
    """A registered function as a :class:`Method`, together with its options."""

    info: MethodInfo
    function: ClassicalFunction
    options: Mapping[str, Any] = field(default_factory=dict)

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`Method.fuse`."""
        return self.function(ir, vi, **self.options)
