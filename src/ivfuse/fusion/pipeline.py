"""The fusion pipeline from a pair of files or arrays to a fused image: read, align, fuse, render, write.

The pipeline handles sizes, luma, tiles, color and data types, so that a method receives two luma images only.
Each stage returns new objects and does not modify its inputs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ivfuse.errors import ShapeError, UsageError, check_type
from ivfuse.fusion.align import Aligner, blend
from ivfuse.fusion.emphasis import EMPHASES, WHOLE, Part, covered_part, emphasize
from ivfuse.fusion.method import Method, tile_function
from ivfuse.fusion.options import FuseOptions
from ivfuse.fusion.outputs import FusedImage, Output, write_outputs
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.read import Source, read_pair
from ivfuse.fusion.reduced import Shape, fuse_reduced, reduced_shape, reduction_note
from ivfuse.fusion.registry import create_method
from ivfuse.image.arrays import Gray, to_levels
from ivfuse.image.color import luma, recolor, resize_to
from ivfuse.image.decode import allowing_damage
from ivfuse.image.extrapolation import extrapolate
from ivfuse.image.tiling import run_tiled
from ivfuse.runtime.files import refuse_input_as_output

MARGIN = 64  # overlap of tiles in pixels for methods with unbounded reach
COVERAGE_SAMPLES = 2000  # longest side in pixels of the samples for global statistics


@dataclass(frozen=True)
class FuseResult:
    """Result of fusing one pair of files.

    Attributes:
        out: the written file.
        height: height of the fused image, in pixels.
        width: width of the fused image, in pixels.
        seconds: time from reading to the written file.
        notes: remarks for the user, such as the thermal window, a change of size or an ignored page.
        extra: further written files by kind.
        inputs: the thermal and the visible file; one file if it contains both.
        name: name of the pair; that of the written file, without suffix, if two files were given.
    """

    out: Path
    height: int
    width: int
    seconds: float
    notes: tuple[str, ...] = ()
    extra: dict[str, Path] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    name: str = ""


class Fuser:
    """Fuses pairs with one method and one set of options.

    Example:
        >>> fuser = Fuser("guided-filter", gray=True)
        >>> fused = fuser.fuse("night-ir.png", "night-vi.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        method: str | os.PathLike[str] | Method | None = None,
        *,
        options: FuseOptions | None = None,
        **choices: Any,
    ) -> None:
        """Create the method and store the options.

        Args:
            method: a name of ``list_methods()``, an ``.onnx`` file, ``hf://owner/name[@revision]`` for a
                model of the Hugging Face Hub, a method object, or ``None`` for the default method.
            options: all options.
            choices: individual fields of :class:`FuseOptions`, which replace those of ``options``.

        Raises:
            UnknownNameError: if there is no such method or option.
            UsageError: if an option is out of range or not supported by the method.
            InputError: if the weights of the method or the file of the rig are missing or damaged.
            MissingExtraError: if a model of the Hub is given and huggingface_hub is not installed.
        """
        if method is not None:
            choices["method"] = method
        if options is not None:
            check_type("options", options, (FuseOptions,), "FuseOptions or None")
        self.options = (options or FuseOptions()).with_(**choices)
        self.method: Method = create_method(
            self.options.method,
            method_options=self.options.method_options,
            runtime=self.options.runtime,
            precision=self.options.precision,
            threads=self.options.threads,
            device=self.options.device,
        )
        self.aligner = Aligner(self.options.rig, self.options.crop, self.options.keep_frame)

    def fuse(self, ir: Source, vi: Source | None = None, *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Fuse one pair, or a batch of equally sized pairs.

        Args:
            ir: thermal image: a path, a PIL image, or an array (H, W) or (H, W, 3). 16-bit integers are
                mapped by the window; floats must be in [0, 1] unless a window is given. A batch is (N, H, W).
            vi: visible image: a path, a PIL image, or an array (H, W) or (H, W, 3) in R, G, B order; uint8,
                uint16 or float in [0, 1]. A batch is (N, H, W) or (N, H, W, 3). ``None`` if ``ir`` is a
                camera file that contains both images.
            dtype: data type of the result: float32 in [0, 1], uint8 or uint16.

        Returns:
            The fused image with the height and width of the visible image: (H, W, 3) if the visible image is
            in color and ``gray`` is not set, else (H, W); a colormap may change that. The result for a batch
            has N as the first dimension.

        Raises:
            InputError: if an input cannot be used.
            ShapeError: if an array has an unsupported shape.
            UsageError: if there is no visible image, or the data type is not supported.
        """
        if _is_batch(ir, vi):
            return self._fuse_batch(np.asarray(ir), np.asarray(vi), dtype)
        return self.fuse_pair(self.read(ir, vi), dtype=dtype)

    def fuse_files(
        self,
        ir_path: str | os.PathLike[str],
        vi_path: str | os.PathLike[str] | None,
        out_path: str | os.PathLike[str],
        depth: int = 8,
        extra: Sequence[Output] = (),
    ) -> FuseResult:
        """Fuse one pair of files and write the result atomically.

        Args:
            ir_path: the thermal image.
            vi_path: the visible image; its alpha is kept if the output format supports it. ``None`` if
                ``ir_path`` contains both images.
            out_path: the output file; its suffix selects the format. An existing file is replaced.
            depth: bits per sample of the output, 8 or 16.
            extra: further outputs, such as :class:`TemperatureRaster`, which are written first.

        Raises:
            InputError: if an input cannot be used.
            ShapeError: if an input has an unsupported shape.
            UsageError: if the suffix of the output is unknown or its format does not support the depth.
            OutputError: if the output cannot be written, or is one of the inputs.
        """
        started = time.perf_counter()
        for name, path in (("ir", ir_path), ("out", out_path)):
            check_type(name, path, (str, os.PathLike), "a file")
        image = FusedImage(Path(out_path), depth=depth)
        files = {output.kind: output.path_for(Path(out_path).stem, 1) for output in (*extra, image)}
        inputs = [Path(ir_path), *([] if vi_path is None else [Path(vi_path)])]
        for path in files.values():
            refuse_input_as_output(path, *inputs)
        pair = self.read(ir_path, vi_path)
        fused = self.fuse_pair(pair, dtype=image.dtype)
        notes = write_outputs([*extra, image], files, pair, fused)
        out = files.pop(image.kind)
        seconds = time.perf_counter() - started
        height, width = fused.shape[:2]
        return FuseResult(out, height, width, seconds, notes, files, tuple(inputs), out.stem)

    def read(self, ir: Source, vi: Source | None = None) -> Pair:
        """Read and align a pair, the first two stages of the pipeline.

        A path that is given twice, or without a visible image, is a camera file that contains both images.
        """
        return self.align(self.read_stored(ir, vi))

    def read_stored(self, ir: Source, vi: Source | None = None) -> Pair:
        """Read a pair as it is stored, the first stage of the pipeline; :meth:`align` is the second.

        Args:
            ir, vi: as for :meth:`fuse`.

        Raises:
            InputError: if an input cannot be used.
            ShapeError: if an array has an unsupported shape.
            UsageError: if there is no visible image.
        """
        with allowing_damage(self.options.allow_damaged):
            return read_pair(ir, vi, self.options.thermal, rig=not self.aligner.stretches)

    def align(self, pair: Pair) -> Pair:
        """Align a pair, the second stage of the pipeline, and note how it will be fused.

        Args:
            pair: the pair, as :meth:`read_stored` returns it.

        Raises:
            RegistrationError: if the pair is registered individually and no transform is accepted.
            UsageError: if the rig does not match the sizes.
            InputError: if the rig does not match the sizes.
        """
        pair = self.aligner.align(pair)
        notes = pair.notes
        if self.options.render is not None:
            from ivfuse.thermal.render import note_on_highlight

            note = note_on_highlight(self.options.render, pair.thermal)
            notes += () if note is None else (note,)
        if note := reduction_note((pair.visible.height, pair.visible.width), self._reduced_shape_of(pair)):
            notes += (note,)
        return replace(pair, notes=notes)

    def fuse_pair(self, pair: Pair, *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Fuse an aligned pair and render the result, the third and fourth stage of the pipeline.

        Args:
            pair: the pair, as :meth:`read` returns it.
            dtype: data type of the result: float32 in [0, 1], uint8 or uint16. Large images in color take a
                fraction of the memory as uint8.

        Returns:
            The fused image, see :meth:`fuse`.

        Raises:
            UsageError: if the data type is not supported.
        """
        wanted, stored, rendering = _supported(dtype), pair.visible.stored, self.options.render
        thermal = pair.thermal.pixels
        inverted = rendering is not None and rendering.inverted
        ir, shape = 1 - thermal if inverted else thermal, self._reduced_shape_of(pair)
        fused: NDArray[Any] = self.fuse_covered(ir, luma(stored), pair.coverage, shape)
        if not (self.options.gray or stored.ndim == 2 or (rendering is not None and rendering.gray)):
            fused = recolor(stored, fused, np.empty(stored.shape, np.float32 if rendering else wanted))
        if rendering is not None:
            from ivfuse.thermal.render import render

            fused = render(rendering, fused, pair.thermal, pair.coverage)
        return fused if wanted == np.float32 else to_levels(fused, 8 * wanted.itemsize)

    def reduced_shape(self, visible: Shape, thermal: Shape, covered: float = 1.0) -> Shape | None:
        """Return the shape at which the method runs if it is smaller than that of the visible image.

        Args:
            visible: height and width of the visible image.
            thermal: height and width of the thermal image before it was aligned.
            covered: fraction of the visible image that the thermal image covers.

        Returns:
            Height and width, or ``None`` if the method runs in full size; see :mod:`ivfuse.fusion.reduced`.
        """
        if self.options.full_size or not self.method.info.reducible or self.options.strength == 0:
            return None
        return reduced_shape(visible, thermal, covered)

    def _reduced_shape_of(self, pair: Pair) -> Shape | None:
        if pair.thermal_shape is None:
            return None
        covered = 1.0
        # A stretched thermal image spans the visible one, whatever parts of it have no weight.
        if not (self.aligner.stretches or pair.coverage is None):
            covered = np.count_nonzero(pair.coverage) / pair.coverage.size
        return self.reduced_shape((pair.visible.height, pair.visible.width), pair.thermal_shape, covered)

    def fuse_covered(self, ir: Gray, vi: Gray, coverage: Gray | None, shape: Shape | None = None) -> Gray:
        """Fuse two luma images, with strength and gamma, where the thermal has weight; else keep ``vi``.

        Args:
            ir: thermal image, (H, W) float32 in [0, 1].
            vi: luma of the visible image, of the same shape and range.
            coverage: weight of the thermal image, of the same shape, in [0, 1]; ``None`` for 1 everywhere.
            shape: the smaller shape at which the method runs; ``None`` for that of the images.
        """
        strength = np.float32(self.options.strength)
        if strength == 0:
            return vi.copy()
        if self.options.ir_gamma != 1:
            ir = np.power(ir, np.float32(self.options.ir_gamma))
        if coverage is None:
            fused = self._fuse_at(shape, ir, vi)
            return fused if strength == 1 else blend(fused, vi, strength)
        # Outside the coverage the thermal image is continued, so that its border does not become an edge.
        # Global statistics use subsampled covered thermal pixels only.
        sampled = (slice(None, None, 1 + max(ir.shape) // COVERAGE_SAMPLES),) * 2
        covered = ir[sampled][coverage[sampled] > 0.5]
        whole = covered[np.newaxis] if covered.size else None
        part = covered_part(coverage if shape is None else resize_to(coverage, *shape))
        fused = self._fuse_at(shape, extrapolate(ir, coverage), vi, whole, part)
        return blend(fused, vi, coverage * strength)

    def _fuse_at(
        self, shape: Shape | None, ir: Gray, vi: Gray, whole: Gray | None = None, part: Part = WHOLE
    ) -> Gray:
        """:meth:`fuse_luma` at a smaller shape, carried up; in full size for ``None``."""
        if shape is None:
            return self.fuse_luma(ir, vi, whole, part)
        return fuse_reduced(
            lambda small_ir, small_vi: self.fuse_luma(small_ir, small_vi, whole, part), ir, vi, shape
        )

    def fuse_luma(self, ir: Gray, vi: Gray, whole: Gray | None = None, part: Part = WHOLE) -> Gray:
        """Fuse two luma images by the method, in tiles if they are large, with the emphasis, and clip.

        Args:
            ir: thermal image, (H, W) float32 in [0, 1].
            vi: luma of the visible image, of the same shape and range.
            whole: thermal values for the global statistics of the method, (h, w); ``None`` for ``ir``.
            part: rows and columns that the thermal image covers, which the emphasis is for.

        Returns:
            (H, W) float32 in [0, 1]; never a view of an input.

        Raises:
            ShapeError: if the shapes differ, or the method returns another shape.
        """
        info = self.method.info
        tile = self.options.tile or info.tile
        fused = run_tiled(
            tile_function(self.method, ir if whole is None else whole, vi),
            ir,
            vi,
            tile=tile,
            margin=MARGIN if info.reach is None else info.reach,
            align=info.align,
            # With unbounded reach the brightness differs between tiles; a wider transition is less visible.
            fade=tile // 8 if info.reach is None else None,
        )
        if fused.shape != vi.shape:
            raise ShapeError(f"the method {info.name!r} returned {fused.shape}, expected {vi.shape}")
        fused = np.require(fused, np.float32, ["C", "W"])  # a method of a user may return anything
        if np.may_share_memory(fused, vi) or np.may_share_memory(fused, ir):
            fused = fused.copy()
        if np.isnan(fused.min()):
            np.nan_to_num(fused, copy=False)
        np.clip(fused, 0.0, 1.0, out=fused)
        emphasize(fused[part], vi[part], EMPHASES[self.options.emphasis or info.emphasis])
        return fused

    def _fuse_batch(self, ir: NDArray[Any], vi: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
        if len(ir) != len(vi):
            raise ShapeError(
                f"found arrays of shape {ir.shape} and {vi.shape}",
                expected="(H, W) and (H, W, 3), or batches (N, H, W) and (N, H, W, 3)",
            )
        return np.stack([self.fuse(a, b, dtype=dtype) for a, b in zip(ir, vi, strict=True)])


def fuse(
    ir: Source, vi: Source | None = None, method: str | Method | None = None, **choices: Any
) -> NDArray[np.float32]:
    """Fuse one pair; for several pairs, create a :class:`Fuser` once.

    Args:
        ir: thermal image, a path or an array.
        vi: visible image, a path or an array; ``None`` if ``ir`` is a camera file that contains both images.
        method: a name of ``list_methods()``, an ``.onnx`` file, a method object, or ``None`` for the default.
        choices: fields of :class:`FuseOptions`.

    Returns:
        The fused image, float32 in [0, 1]; see :meth:`Fuser.fuse`.
    """
    return Fuser(method, **choices).fuse(ir, vi)


def _is_batch(ir: Any, vi: Any) -> bool:
    """Whether the arrays are a batch: (N, H, W) thermal with (N, H, W) or (N, H, W, 3) visible."""
    thermal, visible = getattr(ir, "ndim", 0), getattr(vi, "ndim", 0)
    if visible == 4 or thermal == 4:
        return True
    channels = (1, 3)
    return thermal == visible == 3 and ir.shape[2] not in channels and vi.shape[2] not in channels


def _supported(dtype: DTypeLike) -> np.dtype[Any]:
    """The data type of a result; raises UsageError if no image has it."""
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted is None or wanted not in (np.float32, np.uint8, np.uint16):
        raise UsageError(field="dtype", found=wanted or f"{dtype!r:.60}", expected="float32, uint8 or uint16")
    return wanted
