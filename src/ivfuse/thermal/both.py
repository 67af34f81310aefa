"""Thermal image and photo of one camera file, lined up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.color import luma
from ivfuse.image.decode import turn
from ivfuse.image.read import Visible
from ivfuse.registration.camera import Overlap, cut, onto, overlap
from ivfuse.registration.parallax import find_shift
from ivfuse.thermal.formats.flir_jpeg import FlirFile
from ivfuse.thermal.formats.flir_records import Alignment
from ivfuse.thermal.read import Thermal, ThermalOptions, of_degrees


def both_of(
    file: FlirFile, photo: NDArray[np.uint8], options: ThermalOptions, notes: tuple[str, ...] = ()
) -> tuple[Thermal, Visible]:
    """Bring both onto one grid.

    Args:
        file: the camera's file.
        photo: its photo, which it has.
        options: how the thermal values are mapped.
        notes: to go on with.

    Raises:
        BadFileError: if the two do not overlap.
        InputError: if calibration or conditions make no sense.
    """
    celsius = file.celsius(options.overrides)
    grid, more = _grid(file, photo, celsius, options.parallax)
    raster = of_degrees(celsius, options.window, str(file.path))
    on_grid = np.clip(onto(raster.pixels, grid, smooth=True), 0, 1)
    height, width = celsius.shape
    size = f"resampled from {width}x{height} onto the photo's {grid.width}x{grid.height}"
    thermal = Thermal(
        np.ascontiguousarray(turn(on_grid, file.orientation)),
        np.ascontiguousarray(turn(onto(celsius, grid, smooth=False), file.orientation)),
        (*raster.notes, size, *more, *notes),
        file.palette.colors if file.palette else None,
        raster.ends,
    )
    visible = np.ascontiguousarray(turn(cut(photo, grid), file.orientation))
    return thermal, Visible(visible, None, 8, "")


def _grid(
    file: FlirFile, photo: NDArray[np.uint8], celsius: NDArray[np.float32], parallax: bool
) -> tuple[Overlap, tuple[str, ...]]:
    """The common grid by the file's parameters, then moved by what the images themselves say."""
    zoom = file.camera.zoom
    grid = overlap(photo, celsius.shape, file.alignment, zoom)
    if not parallax:
        return grid, grid.notes
    shift = find_shift(onto(celsius, grid, smooth=False), luma(cut(photo, grid)))
    if shift is None:
        return grid, (*grid.notes, "no shift by parallax is sure, the camera's own parameters stand")
    pixel = (grid.box.right - grid.box.left) / grid.width  # photo pixels a grid pixel
    known = file.alignment or Alignment(zoom, 0, 0)
    moved = replace(
        known, offset_x=known.offset_x + shift.x * pixel, offset_y=known.offset_y + shift.y * pixel
    )
    note = f"moved by {shift.x:+.0f}, {shift.y:+.0f} pixels for parallax; --no-parallax leaves it"
    return overlap(photo, celsius.shape, moved, zoom), (*grid.notes, note)
