"""From a pair of files or arrays to a fused image, around any method.

The reading, sizes, luma, tiles, color and writing are done here, once, so that a method only sees two lumas.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import OutputError, ShapeError, UsageError
from ivfuse.fusion.align import Placer, faded
from ivfuse.fusion.method import Method, fuse_of_parts
from ivfuse.fusion.registry import create_method
from ivfuse.image.color import luma, one_channel, recolor
from ivfuse.image.read import (
    Gray,
    Visible,
    Window,
    check_window,
    read_thermal,
    read_visible,
    thermal_window,
    to_image_array,
    write_image,
)
from ivfuse.image.tiling import run_tiled
from ivfuse.image.write import ALPHA_SUFFIXES, check_output
from ivfuse.thermal.formats.jpeg_segments import maker_of

if TYPE_CHECKING:
    from ivfuse.fusion.onnx_method import Precision, Runtime
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.transform import Registration
    from ivfuse.thermal.read import Thermal, ThermalOptions
    from ivfuse.thermal.render import Look

Source = str | os.PathLike[str] | NDArray[Any]
MARGIN = 64  # overlap of tiles, in pixels, for a method of unbounded reach


@dataclass(frozen=True)
class FuseResult:
    """What became of one pair of files.

    Attributes:
        out: the written file.
        height: of the fused image, in pixels.
        width: of the fused image, in pixels.
        seconds: from reading to the written file.
        notes: what a user should know: the thermal window, a change of size, an ignored page.
        temperature: the written raster of temperatures, if one was asked for.
    """

    out: Path
    height: int
    width: int
    seconds: float
    notes: tuple[str, ...] = ()
    temperature: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """A pair in memory: thermal and visible on one grid.

    Attributes:
        ir: thermal, (H, W) float32 in [0, 1].
        vi: the visible; its array may be overwritten unless ``borrowed``.
        borrowed: the visible's array belongs to the caller.
        notes: what was done to the inputs.
        heat: what else is known of the thermal, its temperatures above all; ``None`` for a plain image.
        coverage: how much the thermal counts, (H, W) float32 in [0, 1]; ``None`` for everywhere.
    """

    ir: Gray
    vi: Visible
    borrowed: bool = False
    notes: tuple[str, ...] = ()
    heat: Thermal | None = None
    coverage: Gray | None = None


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
        thermal: ThermalOptions | None = None,
        look: Look | None = None,
        rig: Registration | Correspondences | str | os.PathLike[str] | None = None,
        crop: bool = False,
        **options: Any,
    ) -> None:
        """Choose the method and how the images are treated.

        Args:
            method: a name of ``list_methods()``, a method object, or ``None`` for the default method.
            runtime: of a trained method: ``auto``, ``openvino`` or ``onnxruntime``.
            precision: of a trained method: ``auto``, ``fp32`` or ``bf16``.
            threads: CPU threads of a trained method; ``None`` leaves it to the runtime.
            gray: give the fused luma instead of color.
            ir_window: thermal values (counts or degC) that become black and white; ``None`` takes the 1st and
                99th percentile of 16-bit and float thermal files.
            tile: largest side, in pixels, that is fused in one piece; ``None`` for the method's own.
            thermal: how thermal files are read: window, scale, conditions; takes the place of ``ir_window``.
            look: a palette or hot areas to paint; ``None`` for the visible's colors.
            rig: where thermal images lie on visible ones: a registration, its file, points, or ``"auto"``
                to register each pair; ``None`` stretches them over the visible.
            crop: with a rig, keep only the part of the visible that the thermal covers.
            options: of a classical method.

        Raises:
            UnknownNameError: if there is no such method.
            UsageError: if an option does not fit the method, the window is empty or given twice, or the
                tile is not positive.
            InputError: if the weights of the method are missing or damaged, or the rig's file is.
        """
        if ir_window is not None:
            check_window(ir_window)
        if ir_window is not None and thermal is not None:
            raise UsageError("ir_window: it is part of the thermal options; give one of the two")
        if tile is not None and tile < 1:
            raise UsageError(f"tile: found {tile}, expected 1 or more pixels")
        if method is None or isinstance(method, str):
            method = create_method(method, runtime=runtime, precision=precision, threads=threads, **options)
        elif options or threads is not None or runtime != "auto" or precision != "auto":
            raise UsageError("options of the method cannot be given together with a method object")
        self.method: Method = method
        self.gray = gray
        self.ir_window = ir_window
        self.thermal = thermal
        self.look = look
        self.tile = tile
        self.placer = Placer(rig, crop)

    def fuse(self, ir: Source, vi: Source | None = None) -> NDArray[np.float32]:
        """Fuse one pair.

        Args:
            ir: thermal: a path, or an array (H, W) or (H, W, 3); integers of 16 bit are mapped by the window,
                floats are in [0, 1] unless a window was given.
            vi: visible: a path, or an array (H, W) or (H, W, 3) in R, G, B order; uint8, uint16 or float in
                [0, 1]. An array is left as it is. ``None`` if ``ir`` is a camera's file that holds both.

        Returns:
            The fused image, float32 in [0, 1], of the visible's height and width: (H, W, 3) if the visible
            has color and ``gray`` is not set, else (H, W); a look may change that.

        Raises:
            InputError, ShapeError: if an input cannot be used.
        """
        return self.combine(self.load(ir, vi))

    def fuse_files(
        self,
        ir_path: str | os.PathLike[str],
        vi_path: str | os.PathLike[str] | None,
        out_path: str | os.PathLike[str],
        depth: int = 8,
        temperature: str | os.PathLike[str] | None = None,
    ) -> FuseResult:
        """Fuse one pair of files into a file, which is written whole or not at all.

        Args:
            ir_path: the thermal image.
            vi_path: the visible image; its alpha is kept where the format of the output can hold it.
                ``None`` if ``ir_path`` holds both.
            out_path: the suffix chooses the format; an existing file is replaced.
            depth: bits per channel of the output, 8 or 16.
            temperature: where to write the temperatures, a float TIFF of the same size; ``None`` for nowhere.

        Raises:
            InputError, ShapeError: if an input cannot be used.
            UsageError: if the output's suffix is unknown or does not hold the depth.
            OutputError: if the output cannot be written, or is one of the inputs.
        """
        started = time.perf_counter()
        out = Path(out_path)
        check_output(out, depth)
        refuse_input_as_output(out, Path(ir_path), *([] if vi_path is None else [Path(vi_path)]))
        loaded = self.load(ir_path, vi_path)
        fused = self.combine(loaded)
        return write_fused(
            out, fused, loaded, depth, started, None if temperature is None else Path(temperature)
        )

    def load(self, ir: Source, vi: Source | None = None) -> Loaded:
        """Read a pair and bring the thermal onto the visible's grid.

        A path given twice, or without a visible, is a camera's file that holds both.
        """
        if not isinstance(ir, np.ndarray) and _holds_both(ir, vi):
            from ivfuse.thermal.read import read_both

            heat, visible = read_both(ir, self._thermal_options())
            said = heat.notes
            if not self.placer.stretches:
                said += ("placed by the camera's own parameters, not by the rig",)
            return Loaded(heat.pixels, visible, False, _named("thermal", said), heat)
        if vi is None:
            raise UsageError("vi: found none beside an array, expected the visible image")
        visible, borrowed = _load_visible(vi)
        gray, said, heat_or_none = self._load_thermal(ir)
        notes = (*_named("thermal", said), *_named("visible", [visible.note]))
        name = "thermal" if isinstance(ir, np.ndarray) else str(ir)
        placed = self.placer.place(gray, heat_or_none, visible, name)
        borrowed = borrowed and not placed.copied
        return Loaded(placed.ir, placed.vi, borrowed, (*notes, *placed.notes), placed.heat, placed.coverage)

    def _load_thermal(self, ir: Source) -> tuple[Gray, tuple[str, ...], Thermal | None]:
        """The thermal in [0, 1], what was done to it, and what else is known of it, if it is read at all."""
        if self.thermal is None and (isinstance(ir, np.ndarray) or maker_of(ir) is None):
            plain = _plain_thermal(ir, self.ir_window)
            return luma(plain.pixels), (plain.note,), None
        from ivfuse.thermal.read import from_values, read

        options = self._thermal_options()
        heat = from_values(one_channel(ir), options) if isinstance(ir, np.ndarray) else read(ir, options)
        return heat.pixels, heat.notes, heat

    def _thermal_options(self) -> ThermalOptions:
        """How thermal files are read, imported only where there are some."""
        from ivfuse.thermal.read import ThermalOptions

        if self.ir_window is not None:
            return ThermalOptions().with_window(self.ir_window)
        return self.thermal or ThermalOptions()

    def combine(self, pair: Loaded) -> NDArray[np.float32]:
        """Fuse a loaded pair; the visible's array is used for the result unless it is borrowed."""
        pixels, look = pair.vi.pixels, self.look
        fused = self.fuse_covered(
            1 - pair.ir if look and look.inverted else pair.ir, luma(pixels), pair.coverage
        )
        if not (self.gray or pixels.ndim == 2 or (look and look.gray)):
            fused = recolor(pixels, fused, out=None if pair.borrowed else pixels)
        if look is None:
            return fused
        from ivfuse.thermal.read import Thermal
        from ivfuse.thermal.render import show

        return show(look, fused, pair.heat or Thermal(pair.ir), pair.coverage)

    def fuse_covered(self, ir: Gray, vi: Gray, coverage: Gray | None) -> Gray:
        """Fuse two lumas where the thermal counts; elsewhere the visible stays as it is.

        Args:
            ir: thermal, (H, W) float32 in [0, 1].
            vi: luma of the visible, the same shape and range.
            coverage: how much the thermal counts, the same shape, 0..1; ``None`` for everywhere.
        """
        if coverage is None:
            return self.fuse_luma(ir, vi)
        # The method sees the visible where there is no thermal: no border that it could take for an edge.
        # What it is to know of the whole thermal is of the thermal alone; some of its pixels tell that.
        some = (slice(None, None, 1 + max(ir.shape) // 2000),) * 2
        seen = ir[some][coverage[some] > 0.5]
        fused = self.fuse_luma(faded(ir, vi, coverage), vi, seen[np.newaxis] if seen.size else None)
        return faded(fused, vi, coverage)

    def fuse_luma(self, ir: Gray, vi: Gray, whole: Gray | None = None) -> Gray:
        """Fuse two lumas: run the method, in tiles if they are large, and make its result safe to write.

        Args:
            ir: thermal, (H, W) float32 in [0, 1].
            vi: luma of the visible, the same shape and range.
            whole: the values that the thermal's level is taken from, (h, w); ``None`` for ``ir``.

        Returns:
            (H, W) float32 in [0, 1], an array of its own.

        Raises:
            ShapeError: if the shapes differ, or the method does not keep them.
        """
        info = self.method.info
        tile = self.tile or info.tile
        fused = run_tiled(
            fuse_of_parts(self.method, ir if whole is None else whole, vi),
            ir,
            vi,
            tile=tile,
            margin=MARGIN if info.reach is None else info.reach,
            align=info.align,
            # Tiles that look at all of themselves differ in their levels: the wider, the less it shows.
            fade=tile // 8 if info.reach is None else None,
        )
        if fused.shape != vi.shape:
            raise ShapeError(f"the method {info.name!r} gave {fused.shape}, expected {vi.shape}")
        if np.may_share_memory(fused, vi) or np.may_share_memory(fused, ir):
            fused = fused.copy()
        if np.isnan(fused.min()):
            np.nan_to_num(fused, copy=False)
        return np.clip(fused, 0.0, 1.0, out=fused)


def fuse(
    ir: Source, vi: Source | None = None, method: str | Method | None = None, **choices: Any
) -> NDArray[np.float32]:
    """Fuse one pair; for many pairs make a :class:`Fuser` once.

    Args:
        ir: thermal, a path or an array.
        vi: visible, a path or an array; ``None`` if ``ir`` is a camera's file that holds both.
        method: a name of ``list_methods()``, a method object, or ``None`` for the default method.
        choices: keyword arguments of :class:`Fuser`.

    Returns:
        The fused image, float32 in [0, 1]; see :meth:`Fuser.fuse`.
    """
    return Fuser(method, **choices).fuse(ir, vi)


def write_fused(
    out: Path,
    fused: NDArray[np.float32],
    pair: Loaded,
    depth: int,
    started: float,
    temperature: Path | None = None,
) -> FuseResult:
    """Write a fused image with the alpha of its visible, and its temperatures if they are asked for.

    Args:
        out: the suffix chooses the format.
        fused: (H, W) or (H, W, 3) float32 in [0, 1].
        pair: what it was made from.
        depth: bits per channel, 8 or 16.
        started: the time of ``time.perf_counter()`` from which the seconds of the result count.
        temperature: where the temperatures go, a TIFF file; ``None`` for nowhere.

    Raises:
        InputError: if temperatures are to be written and are not known; nothing is written then.
    """
    notes = pair.notes
    if temperature is not None:
        from ivfuse.thermal.raster import write_celsius

        write_celsius(temperature, pair.heat.celsius if pair.heat else None)
    if pair.vi.alpha is not None and out.suffix.lower() not in ALPHA_SUFFIXES:
        notes += (f"visible: its alpha is dropped, {out.suffix} has none",)
    write_image(out, fused, depth=depth, alpha=pair.vi.alpha)
    return FuseResult(out, fused.shape[0], fused.shape[1], time.perf_counter() - started, notes, temperature)


def refuse_input_as_output(out: Path, *inputs: Path) -> None:
    """Raise OutputError if a file to be written is one of the files to be read."""
    for path in inputs:
        if out.resolve() == path.resolve():
            raise OutputError(f"{out}: the output is one of the inputs; choose another name")


def _holds_both(ir: str | os.PathLike[str], vi: Source | None) -> bool:
    """Whether one file of a camera is to give both images."""
    if vi is None or isinstance(vi, np.ndarray):
        return vi is None
    return Path(ir) == Path(vi) and maker_of(ir) is not None


def _load_visible(vi: Source) -> tuple[Visible, bool]:
    """The visible and whether its array is the caller's own."""
    if not isinstance(vi, np.ndarray):
        return read_visible(Path(vi)), False
    pixels = to_image_array(vi)
    depth = 16 if vi.dtype == np.uint16 else 8
    return Visible(pixels, None, depth, ""), np.may_share_memory(pixels, vi)


def _plain_thermal(ir: Source, window: Window | None) -> Visible:
    """The thermal of an image or an array, mapped to [0, 1]."""
    if not isinstance(ir, np.ndarray):
        return read_thermal(Path(ir), window)
    if window is None and ir.dtype != np.uint16:
        return Visible(to_image_array(ir), None, 8, "")
    pixels, note = thermal_window(one_channel(ir), window)
    return Visible(pixels, None, 16, note)


def _named(name: str, notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {note}" for note in notes if note)
