"""Thermal image and photo of one camera file, lined up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.color import luma
from ivfuse.image.decode import turn
from ivfuse.image.read import Visible
from ivfuse.registration.camera import (
    CameraGeometry,
    CommonGrid,
    common_grid,
    crop_photo,
    estimate_parallax,
    warp_thermal,
)
from ivfuse.thermal.formats.flir_jpeg import FlirFile
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
    on_grid = np.clip(warp_thermal(raster.pixels, grid, smooth=True), 0, 1)
    height, width = celsius.shape
    size = f"resampled from {width}x{height} onto the photo's {grid.width}x{grid.height}"
    thermal = Thermal(
        np.ascontiguousarray(turn(on_grid, file.orientation)),
        np.ascontiguousarray(turn(warp_thermal(celsius, grid, smooth=False), file.orientation)),
        (*raster.notes, size, *more, *notes),
        file.palette.colors if file.palette else None,
        raster.ends,
    )
    visible = np.ascontiguousarray(turn(crop_photo(photo, grid), file.orientation))
    return thermal, Visible(visible, None, 8, "")


def _grid(
    file: FlirFile, photo: NDArray[np.uint8], celsius: NDArray[np.float32], parallax: bool
) -> tuple[CommonGrid, tuple[str, ...]]:
    """The common grid by the file's parameters, then moved by what the images themselves say."""
    stated = file.alignment
    geometry = (
        CameraGeometry(stated.real_to_ir, stated.offset_x, stated.offset_y, file.camera.zoom)
        if stated
        else None
    )
    grid = common_grid(photo, celsius.shape, geometry)
    if not parallax:
        return grid, grid.notes
    shift = estimate_parallax(warp_thermal(celsius, grid, smooth=False), luma(crop_photo(photo, grid)))
    if shift is None:
        return grid, (
            *grid.notes,
            "no parallax could be measured reliably; the camera's own geometry is used",
        )
    known, pixels = geometry or CameraGeometry(), grid.photo_pixels
    moved = replace(
        known, offset_x=known.offset_x + shift.x * pixels, offset_y=known.offset_y + shift.y * pixels
    )
    note = f"moved by {shift.x:+.0f}, {shift.y:+.0f} pixels for parallax; --no-parallax leaves it"
    return common_grid(photo, celsius.shape, moved), (*grid.notes, note)
