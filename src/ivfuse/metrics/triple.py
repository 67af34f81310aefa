"""What a metric looks at: 8-bit gray images, pairs and triples of them.

Each remembers what was computed from it, so that metrics share histograms, gradients and filtered moments.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError

Gray = NDArray[np.float64]
Levels = NDArray[np.uint8]


class Remembers(Protocol):
    """Anything with a memory for :func:`shared`."""

    memory: dict[Hashable, Any]


S = TypeVar("S", bound=Remembers)
P = ParamSpec("P")
R = TypeVar("R")


def shared(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Compute ``function(subject, *options)`` once per subject and options; treat the result as read-only."""

    def remembering(subject: S, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (function, args, tuple(kwargs.items()))
        if key not in subject.memory:
            subject.memory[key] = function(subject, *args, **kwargs)
        result: R = subject.memory[key]
        return result

    return wraps(function)(remembering)  # type: ignore[return-value]


class CachedImage:
    """One gray image.

    Args:
        gray: (H, W) array of whole numbers 0..255, H, W >= 1; other numbers are rounded and clipped to that.

    Attributes:
        levels: the image as uint8, read-only. Whole numbers are exact and cheaper to move than floats.
        memory: what has been computed from it.
    """

    def __init__(self, gray: NDArray[Any]) -> None:
        """Keep a copy of the image in 8 bit."""
        if gray.ndim != 2 or gray.size == 0:
            raise ShapeError(f"a gray image has shape (H, W) with H, W >= 1; got {gray.shape}")
        if gray.dtype != np.uint8:
            gray = np.clip(np.rint(gray), 0, 255).astype(np.uint8)
        self.levels: Levels = np.array(gray, order="C")
        self.levels.flags.writeable = False
        self.memory: dict[Hashable, Any] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.levels.shape
        return height, width

    @property
    def values(self) -> Gray:
        """The image as float64, (H, W), 0..255; a new array each time."""
        return self.levels.astype(np.float64)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.levels.size

    @property
    def size(self) -> str:
        """Width and height as a text for messages."""
        height, width = self.levels.shape
        return f"{width}x{height}"

    @property
    def constant(self) -> bool:
        """Whether all pixels are equal."""
        return bool(self.levels.min() == self.levels.max())


class ImagePair:
    """Two images of one shape whose common statistics are asked for."""

    def __init__(self, first: CachedImage, second: CachedImage) -> None:
        """Keep the images."""
        self.first = first
        self.second = second
        self.memory: dict[Hashable, Any] = {}


class Sources:
    """The infrared and the visible image; keep it to score several fused images of one pair.

    Raises:
        ShapeError: the images differ in size.
    """

    def __init__(self, ir: NDArray[Any], vi: NDArray[Any], color: Levels | None = None) -> None:
        """Take two (H, W) arrays with whole numbers 0..255, and the visible in color if it has one."""
        self.ir = CachedImage(ir)
        self.vi = CachedImage(vi)
        if self.ir.shape != self.vi.shape:
            raise ShapeError(f"sources differ in size: ir {self.ir.size}, vi {self.vi.size}")
        self.color = color  # (H, W, 3) RGB
        self.pair = ImagePair(self.ir, self.vi)
        self.memory: dict[Hashable, Any] = {}


class Triple:
    """A pair of sources and one fused image of it: the argument of every metric.

    Raises:
        ShapeError: the fused image is not of the sources' size.
    """

    def __init__(self, sources: Sources, fused: NDArray[Any], color: Levels | None = None) -> None:
        """Take the sources, an (H, W) array with whole numbers 0..255, and it in color if it has one."""
        self.sources = sources
        self.ir = sources.ir
        self.vi = sources.vi
        self.fused = CachedImage(fused)
        if self.fused.shape != self.ir.shape:
            raise ShapeError(f"fused is {self.fused.size}, its sources are {self.ir.size}")
        self.color = color  # (H, W, 3) RGB
        self.ir_fused = ImagePair(self.ir, self.fused)
        self.vi_fused = ImagePair(self.vi, self.fused)
        self.memory: dict[Hashable, Any] = {}

    @property
    def images(self) -> tuple[CachedImage, CachedImage, CachedImage]:
        """Infrared, visible, fused."""
        return self.ir, self.vi, self.fused

    @property
    def pairs(self) -> tuple[ImagePair, ImagePair]:
        """Each source (first) with the fused image (second)."""
        return self.ir_fused, self.vi_fused
