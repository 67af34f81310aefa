"""A thermal image from whatever file holds one, with its temperatures where they are known.

Radiometric JPEG files, plain images with or without a scale, arrays: all become one kind of thing here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.decode import turn
from ivfuse.image.read import (
    Gray,
    Visible,
    Window,
    check_window,
    read_thermal,
    read_values,
    read_visible,
)
from ivfuse.thermal.formats.jpeg_segments import Maker, maker_of, refuse_dji
from ivfuse.thermal.radiometry import Overrides
from ivfuse.thermal.tone_mapping import ONLY_COUNTS, PERCENTILE, WindowRule, parse_window, to_gray
from ivfuse.thermal.units import Scale, Span, parse_scale

NONE_GIVEN = Overrides()
_DJI = "DJI's own raw temperatures are not read, the image that the camera drew is taken"


@dataclass(frozen=True)
class ThermalOptions:
    """How thermal files are read.

    Attributes:
        window: which values become black and white.
        scale: how counts of plain files become degrees; ``None`` if that is unknown.
        overrides: conditions that replace those of a radiometric file.
        parallax: shift the thermal image of a camera file by what its own parameters leave over.
    """

    window: WindowRule = PERCENTILE
    scale: Scale | None = None
    overrides: Overrides = NONE_GIVEN
    parallax: bool = True

    def with_window(self, window: Window) -> ThermalOptions:
        """The same with a fixed range in the units of the file.

        Raises:
            UsageError: if the range is empty.
        """
        check_window(window)
        return replace(self, window=WindowRule("range", Span(*window, False)))


def parse_options(
    window: str | None, scale: str | None, overrides: Overrides, parallax: bool
) -> ThermalOptions:
    """Options from the words of a user; ``None`` for what was left out.

    Raises:
        UsageError: if a word makes no sense.
    """
    return ThermalOptions(
        PERCENTILE if window is None else parse_window(window),
        None if scale is None else parse_scale(scale),
        overrides,
        parallax,
    )


@dataclass(frozen=True)
class Thermal:
    """A thermal image.

    Attributes:
        pixels: (H, W) float32 in [0, 1].
        celsius: (H, W) float32 in degC, or ``None`` if the temperatures are not known.
        notes: what a user should know.
        colors: the camera's own palette, (N, 3) uint8, or ``None``.
        ends: the temperatures that became black and white; ``None`` if unknown or not evenly spread.
    """

    pixels: Gray
    celsius: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()
    colors: NDArray[np.uint8] | None = None
    ends: tuple[float, float] | None = None


def read(path: str | os.PathLike[str], options: ThermalOptions) -> Thermal:
    """Read a thermal file of any kind.

    Args:
        path: a radiometric JPEG, or an image.
        options: how.

    Raises:
        InputError: if it cannot be used.
    """
    path = Path(path)
    maker = maker_of(path)
    if maker == "flir":
        from ivfuse.thermal.formats.flir_jpeg import read_flir

        file = read_flir(path)
        celsius = np.ascontiguousarray(turn(file.celsius(options.overrides), file.orientation))
        thermal = of_degrees(celsius, options.window, str(path))
        colors = file.palette.colors if file.palette else None
        return replace(thermal, colors=colors, notes=(*thermal.notes, *_unused(options, scale=True)))
    notes = _unused(options, scale=False) + ((_DJI,) if maker == "dji" else ())
    if options.scale is None and options.window.kind in ("percentile", "range"):
        image = _plain(path, options.window.span)
        return Thermal(image.pixels, None, (*((image.note,) if image.note else ()), *notes))
    values, note = read_values(path)
    shown = from_values(values, options, str(path))
    return replace(shown, notes=(*shown.notes, *((note,) if note else ()), *notes))


def read_gray(path: str | os.PathLike[str], window: Window | None = None) -> Visible:
    """Read a thermal file of any kind as one channel, for whoever needs no temperatures.

    Args:
        path: a radiometric JPEG (its own temperatures, not the image that the camera drew), or an image.
        window: the values that become 0 and 1, degC for a radiometric JPEG; ``None`` for the 1st and 99th
            percentile, and for 8-bit images as they are.

    Returns:
        (H, W); see :func:`ivfuse.image.read.read_thermal`.

    Raises:
        InputError: if it cannot be used.
        UsageError: if the window is empty.
    """
    path = Path(path)
    if maker_of(path) is None:
        return read_thermal(path, window)
    options = ThermalOptions()
    thermal = read(path, options.with_window(window) if window else options)
    return Visible(thermal.pixels, None, 16, "; ".join(thermal.notes))


def read_colored(path: str | os.PathLike[str], window: Window | None = None) -> Visible:
    """As :func:`read_gray`, but an 8-bit image without a window keeps its color, (H, W, 3).

    Metrics need that: conventions differ in how color becomes gray.
    """
    if window is None and maker_of(path) is None:
        image = read_visible(path)
        if image.depth == 8:
            return image
    return read_gray(path, window)


def from_values(values: NDArray[Any], options: ThermalOptions, name: str = "thermal") -> Thermal:
    """A thermal image from an array of counts, or of whatever the scale makes degrees of."""
    if options.scale is not None:
        return of_degrees(options.scale.celsius(values), options.window, name)
    mapped = to_gray(values, options.window, name, degrees=False)
    return Thermal(mapped.gray, notes=(mapped.note,))


def of_degrees(celsius: NDArray[np.float32], window: WindowRule, name: str) -> Thermal:
    """A thermal image from temperatures, (H, W) in degC."""
    mapped = to_gray(celsius, window, name, degrees=True)
    ends = (mapped.low, mapped.high) if mapped.even and mapped.low < mapped.high else None
    return Thermal(mapped.gray, celsius, (mapped.note,), ends=ends)


def read_both(path: str | os.PathLike[str], options: ThermalOptions) -> tuple[Thermal, Visible]:
    """Read thermal image and photo of one camera file, on the grid that they share.

    Raises:
        InputError: if the file holds no raw thermal image or no photo, or is damaged.
    """
    from ivfuse.image.headers import BadFileError
    from ivfuse.thermal.both import both_of
    from ivfuse.thermal.formats.flir_jpeg import read_flir

    path = Path(path)
    refuse_single(path, maker_of(path))
    file = read_flir(path)
    photo = file.photo
    if photo is None:
        height, width = file.raster.counts.shape
        raise InputError(
            f"{path}: found a thermal image of {width}x{height} without a photo, expected both; give a"
            f" visible image as the second file, or see `ivfuse info {path.name}`"
        )
    try:
        return both_of(file, photo, options, _unused(options, scale=True))
    except BadFileError as error:
        raise InputError(f"{path}: found {error}; give a visible image as the second file") from error


def refuse_single(path: Path, maker: Maker | None) -> None:
    """Raise InputError unless a file can hold a thermal image and a photo."""
    if maker == "dji":
        raise refuse_dji(path)
    if maker is None:
        raise InputError(
            f"{path}: found no radiometric data of a camera, expected a FLIR radiometric JPEG, or a visible"
            " image as the second file"
        )


def values_of(path: str | os.PathLike[str], options: ThermalOptions) -> tuple[NDArray[Any], bool]:
    """The thermal values of a file of any kind, upright, and whether they are degC.

    Raises:
        InputError: if the file cannot be used.
    """
    if maker_of(path) == "flir":
        from ivfuse.thermal.formats.flir_jpeg import read_flir

        file = read_flir(path)
        return np.ascontiguousarray(turn(file.celsius(options.overrides), file.orientation)), True
    values, _ = read_values(path)
    if options.scale is not None:
        return options.scale.celsius(values), True
    return values, False


def _plain(path: Path, span: Span | None) -> Visible:
    """An image without temperatures."""
    if span is not None and span.degrees:
        raise InputError(f"{path}: {ONLY_COUNTS}")
    return read_thermal(path, (span.low, span.high) if span else None)


def _unused(options: ThermalOptions, *, scale: bool) -> tuple[str, ...]:
    """Options that say nothing about a file of this kind."""
    if scale and options.scale is not None:
        return ("--scale is not used, the file has its own calibration",)
    if not scale and options.overrides.given():
        given = ", ".join(f"--{name}" for name in options.overrides.given())
        return (f"{given} not used, the file is not radiometric",)
    return ()
