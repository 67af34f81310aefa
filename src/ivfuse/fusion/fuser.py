"""From a pair of files or arrays to a fused picture, around any method.

The reading, sizes, luma, tiles, colour and writing are done here, once, so that a method only sees two lumas.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import OutputError, ShapeError, UsageError
from ivfuse.fusion.method import Method, fuse_of_parts
from ivfuse.fusion.registry import create_method
from ivfuse.imaging.colour import luma, recolour, resize_to
from ivfuse.imaging.encode import ALPHA_SUFFIXES, check_output
from ivfuse.imaging.image import (
    Gray,
    Picture,
    Window,
    read_thermal,
    read_visible,
    thermal_window,
    to_picture_array,
    write_image,
)
from ivfuse.imaging.tiles import run_tiled

if TYPE_CHECKING:
    from ivfuse.fusion.onnx_method import Precision, Runtime

Source = str | os.PathLike[str] | NDArray[Any]
MARGIN = 64  # overlap of tiles, in pixels, for a method of unbounded reach


@dataclass(frozen=True)
class FuseResult:
    """What became of one pair of files.

    Attributes:
        out: the written file.
        height: of the fused picture, in pixels.
        width: of the fused picture, in pixels.
        seconds: from reading to the written file.
        notes: what a user should know: the thermal window, a change of size, an ignored page.
    """

    out: Path
    height: int
    width: int
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """A pair in memory: thermal and visible on one grid.

    Attributes:
        ir: thermal, (H, W) float32 in [0, 1].
        vi: the visible; its array may be overwritten unless ``borrowed``.
        borrowed: the visible's array belongs to the caller.
        notes: what was done to the inputs.
    """

    ir: Gray
    vi: Picture
    borrowed: bool = False
    notes: tuple[str, ...] = ()


class Fuser:
    """Fuses pairs with one method and one set of choices.

    Example:
        >>> fuser = Fuser("guided-filter", gray=True)
        >>> fused = fuser.fuse("night-ir.png", "night-vi.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        method: str | Method | None = None,
        *,
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        gray: bool = False,
        ir_window: Window | None = None,
        tile: int | None = None,
        **options: Any,
    ) -> None:
        """Choose the method and how the pictures are treated.

        Args:
            method: a name of ``list_methods()``, a method object, or ``None`` for the default method.
            runtime: of a trained method: ``auto``, ``openvino`` or ``onnxruntime``.
            precision: of a trained method: ``auto``, ``fp32`` or ``bf16``.
            threads: CPU threads of a trained method; ``None`` leaves it to the runtime.
            gray: give the fused luma instead of colour.
            ir_window: thermal values (counts or degC) that become black and white; ``None`` takes the 1st and
                99th percentile of 16-bit and float thermal files.
            tile: largest side, in pixels, that is fused in one piece; ``None`` for the method's own.
            options: of a classical method.

        Raises:
            UnknownNameError: if there is no such method.
            UsageError: if an option does not fit the method, the window is empty or the tile is not positive.
            InputError: if the weights of the method are missing or damaged.
        """
        if ir_window is not None and not (np.isfinite(ir_window).all() and ir_window[0] < ir_window[1]):
            raise UsageError(f"ir_window: found {ir_window[0]:g} {ir_window[1]:g}, expected LO below HI")
        if tile is not None and tile < 1:
            raise UsageError(f"tile: found {tile}, expected 1 or more pixels")
        if method is None or isinstance(method, str):
            method = create_method(method, runtime=runtime, precision=precision, threads=threads, **options)
        elif options or threads is not None or runtime != "auto" or precision != "auto":
            raise UsageError("options of the method cannot be given together with a method object")
        self.method: Method = method
        self.gray = gray
        self.ir_window = ir_window
        self.tile = tile

    def fuse(self, ir: Source, vi: Source) -> NDArray[np.float32]:
        """Fuse one pair.

        Args:
            ir: thermal: a path, or an array (H, W) or (H, W, 3); integers of 16 bit are mapped by the window,
                floats are in [0, 1] unless a window was given.
            vi: visible: a path, or an array (H, W) or (H, W, 3) in R, G, B order; uint8, uint16 or float in
                [0, 1]. An array is left as it is.

        Returns:
            The fused picture, float32 in [0, 1], of the visible's height and width: (H, W, 3) if the visible
            has colour and ``gray`` is not set, else (H, W).

        Raises:
            InputError, ShapeError: if an input cannot be used.
        """
        return self.combine(self.load(ir, vi))

    def fuse_files(
        self,
        ir_path: str | os.PathLike[str],
        vi_path: str | os.PathLike[str],
        out_path: str | os.PathLike[str],
        depth: int = 8,
    ) -> FuseResult:
        """Fuse one pair of files into a file, which is written whole or not at all.

        Args:
            ir_path: the thermal picture.
            vi_path: the visible picture; its alpha is kept where the format of the output can hold it.
            out_path: the suffix chooses the format; an existing file is replaced.
            depth: bits per channel of the output, 8 or 16.

        Raises:
            InputError, ShapeError: if an input cannot be used.
            UsageError: if the output's suffix is unknown or does not hold the depth.
            OutputError: if the output cannot be written, or is one of the inputs.
        """
        started = time.perf_counter()
        out = Path(out_path)
        check_output(out, depth)
        refuse_input_as_output(out, Path(ir_path), Path(vi_path))
        loaded = self.load(ir_path, vi_path)
        fused = self.combine(loaded)
        return write_fused(out, fused, loaded, depth, started)

    def load(self, ir: Source, vi: Source) -> Loaded:
        """Read a pair and bring the thermal onto the visible's grid."""
        visible, borrowed = _load_visible(vi)
        thermal = _load_thermal(ir, self.ir_window)
        notes = [f"{name}: {x.note}" for name, x in (("thermal", thermal), ("visible", visible)) if x.note]
        grid = (visible.height, visible.width)
        gray = luma(thermal.pixels)
        if gray.shape != grid:
            notes.append(f"thermal resampled from {thermal.width}x{thermal.height} to {grid[1]}x{grid[0]}")
            gray = resize_to(gray, *grid)
        return Loaded(gray, visible, borrowed, tuple(notes))

    def combine(self, pair: Loaded) -> NDArray[np.float32]:
        """Fuse a loaded pair; the visible's array is used for the result unless it is borrowed."""
        pixels = pair.vi.pixels
        fused = self.fuse_luma(pair.ir, luma(pixels))
        if self.gray or pixels.ndim == 2:
            return fused
        return recolour(pixels, fused, out=None if pair.borrowed else pixels)

    def fuse_luma(self, ir: Gray, vi: Gray) -> Gray:
        """Fuse two lumas: run the method, in tiles if they are large, and make its result safe to write.

        Args:
            ir: thermal, (H, W) float32 in [0, 1].
            vi: luma of the visible, the same shape and range.

        Returns:
            (H, W) float32 in [0, 1], an array of its own.

        Raises:
            ShapeError: if the shapes differ, or the method does not keep them.
        """
        info = self.method.info
        fused = run_tiled(
            fuse_of_parts(self.method, ir, vi),
            ir,
            vi,
            tile=self.tile or info.tile,
            margin=MARGIN if info.reach is None else info.reach,
            align=info.align,
        )
        if fused.shape != vi.shape:
            raise ShapeError(f"the method {info.name!r} gave {fused.shape}, expected {vi.shape}")
        if np.may_share_memory(fused, vi) or np.may_share_memory(fused, ir):
            fused = fused.copy()
        if np.isnan(fused.min()):
            np.nan_to_num(fused, copy=False)
        return np.clip(fused, 0.0, 1.0, out=fused)


def fuse(ir: Source, vi: Source, method: str | Method | None = None, **choices: Any) -> NDArray[np.float32]:
    """Fuse one pair; for many pairs make a :class:`Fuser` once.

    Args:
        ir: thermal, a path or an array.
        vi: visible, a path or an array.
        method: a name of ``list_methods()``, a method object, or ``None`` for the default method.
        choices: keyword arguments of :class:`Fuser`.

    Returns:
        The fused picture, float32 in [0, 1]; see :meth:`Fuser.fuse`.
    """
    return Fuser(method, **choices).fuse(ir, vi)


def write_fused(
    out: Path, fused: NDArray[np.float32], pair: Loaded, depth: int, started: float
) -> FuseResult:
    """Write a fused picture with the alpha of its visible.

    Args:
        out: the suffix chooses the format.
        fused: (H, W) or (H, W, 3) float32 in [0, 1].
        pair: what it was made from.
        depth: bits per channel, 8 or 16.
        started: the time of ``time.perf_counter()`` from which the seconds of the result count.
    """
    notes = pair.notes
    if pair.vi.alpha is not None and out.suffix.lower() not in ALPHA_SUFFIXES:
        notes += (f"visible: its alpha is dropped, {out.suffix} has none",)
    write_image(out, fused, depth=depth, alpha=pair.vi.alpha)
    return FuseResult(out, fused.shape[0], fused.shape[1], time.perf_counter() - started, notes)


def refuse_input_as_output(out: Path, *inputs: Path) -> None:
    """Raise OutputError if a file to be written is one of the files to be read."""
    for path in inputs:
        if out.resolve() == path.resolve():
            raise OutputError(f"{out}: the output is one of the inputs; choose another name")


def _load_visible(vi: Source) -> tuple[Picture, bool]:
    """The visible and whether its array is the caller's own."""
    if not isinstance(vi, np.ndarray):
        return read_visible(Path(vi)), False
    pixels = to_picture_array(vi)
    depth = 16 if vi.dtype == np.uint16 else 8
    return Picture(pixels, None, depth, ""), np.may_share_memory(pixels, vi)


def _load_thermal(ir: Source, window: Window | None) -> Picture:
    """The thermal, mapped to [0, 1]."""
    if not isinstance(ir, np.ndarray):
        return read_thermal(Path(ir), window)
    if window is None and ir.dtype != np.uint16:
        return Picture(to_picture_array(ir), None, 8, "")
    if ir.ndim == 3:
        ir = ir[..., 0] if ir.shape[2] == 1 else luma(ir.astype(np.float32))
    pixels, note = thermal_window(ir, window)
    return Picture(pixels, None, 16, note)
