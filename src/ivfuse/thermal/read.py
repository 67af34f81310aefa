"""Reading of thermal data: converts any supported file or array to a :class:`Thermal`."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError, check_type
from ivfuse.image.arrays import Gray, as_array, scale_to_unit, to_float
from ivfuse.image.color import extended, is_colored, luma, to_single_channel
from ivfuse.image.decode import turn
from ivfuse.image.metadata import NO_METADATA, Metadata
from ivfuse.thermal.formats.base import EmbeddedPhoto, RawThermal, ThermalReader
from ivfuse.thermal.formats.registry import format_of
from ivfuse.thermal.radiometry import Overrides
from ivfuse.thermal.tone_mapping import (
    PERCENTILE,
    Window,
    WindowRule,
    check_window,
    parse_window,
    to_gray,
)
from ivfuse.thermal.units import Scale, Span, parse_scale

FROM_FILE = Overrides()  # keeps all conditions of the file


@dataclass(frozen=True)
class ThermalOptions:
    """Options for reading thermal images.

    Attributes:
        window: the values that become black and white, as a rule, a text such as ``10C..45C``, or a pair of
            numbers in the units of the file (degC if it has temperatures). Counts in which dark is warm
            (black-hot) have a window from high to low, such as ``(255, 0)``.
        scale: conversion of the counts of uncalibrated files to degrees, or a text such as ``0.01K``;
            ``None`` if unknown.
        overrides: conditions (emissivity, distance, ...) that replace those of a radiometric file.
        parallax: whether to correct the parallax that remains after the camera's own alignment of thermal
            image and photo.

    Raises:
        UsageError: if a window is empty or a text cannot be parsed.
    """

    window: WindowRule | Window | str = PERCENTILE
    scale: Scale | str | None = None
    overrides: Overrides = FROM_FILE
    parallax: bool = True

    def __post_init__(self) -> None:
        """Parse window and scale if they are given as text or numbers."""
        check_type("scale", self.scale, (Scale, str, type(None)), "a scale, a text like 0.01K, or None")
        check_type("overrides", self.overrides, (Overrides,), "Overrides")
        if isinstance(self.scale, str):
            object.__setattr__(self, "scale", parse_scale(self.scale))
        if not isinstance(self.window, WindowRule):
            object.__setattr__(self, "window", _window_rule(self.window))

    @property
    def rule(self) -> WindowRule:
        """The window as a rule."""
        assert isinstance(self.window, WindowRule)
        return self.window

    def celsius(self, values: NDArray[Any]) -> NDArray[np.float32] | None:
        """Convert counts to temperatures with the scale; ``None`` without a scale."""
        return self.scale.celsius(values) if isinstance(self.scale, Scale) else None

    @property
    def as_stored(self) -> bool:
        """Whether 8-bit images and floats in [0, 1] are kept, because neither window nor scale is given."""
        return self.scale is None and self.rule.kind == "percentile"


DEFAULT = ThermalOptions()


def _window_rule(window: Window | str) -> WindowRule:
    if isinstance(window, str):
        return parse_window(window)
    try:
        low, high = (float(end) for end in window)
    except (TypeError, ValueError) as error:
        expected = "a rule, a text like 10C..45C, or two numbers"
        raise UsageError(field="window", found=f"{window!r:.60}", expected=expected) from error
    check_window((low, high))
    return WindowRule("range", Span(low, high, False))


@dataclass(frozen=True)
class Thermal:
    """A thermal image; a plain image is a thermal image without temperatures.

    Attributes:
        pixels: tone-mapped values, (H, W) float32 in [0, 1].
        celsius: temperatures, (H, W) float32 in degC, or ``None`` if unknown.
        notes: remarks for the user, such as the window.
        colormap: colormap of the camera, (N, 3) uint8 from cold to hot, or ``None``.
        ends: the temperatures that became black and white; ``None`` if unknown or if the mapping between them
            is not linear.
        valid: (H, W) bool, false where there is no data: ``pixels`` is extended there from the nearest data,
            ``celsius`` is NaN, and the weight in a fusion is 0. ``None`` if all pixels are valid.
        framed: whether the pixels without data are a black frame from an earlier warp, in which the weight
            falls to 0 smoothly.
        unknown: the error to raise where temperatures are required but unknown; ``None`` for the general one.
        colored: whether the values are the luma of a color image.
        metadata: EXIF and XMP of the file.
        equivalent_focal_length: focal length in mm that gives the same diagonal field of view on 35 mm film;
            ``None`` if it is not known for certain.
        window: the counts, or temperatures in degC, that became black and white; ``None`` for none.
    """

    pixels: Gray
    celsius: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()
    colormap: NDArray[np.uint8] | None = None
    ends: tuple[float, float] | None = None
    unknown: InputError | None = None
    valid: NDArray[np.bool_] | None = None
    framed: bool = False
    colored: bool = False
    metadata: Metadata = NO_METADATA
    equivalent_focal_length: float | None = None
    window: Window | None = None

    def temperatures(self) -> NDArray[np.float32]:
        """Return the temperatures, (H, W) float32 in degC.

        Raises:
            InputError: if they are unknown.
        """
        if self.celsius is None:
            raise self.unknown or no_temperatures()
        return self.celsius


def no_temperatures(name: str = "thermal") -> InputError:
    """Create the error for an image without temperatures where they are required."""
    return InputError(
        f"{name}: the temperatures are unknown",
        expected="a radiometric file, or {scale} for other files",
    )


class CameraFile(NamedTuple):
    """Thermal image and visible photo of one file, in the orientation of the sensors.

    Attributes:
        thermal: the thermal image on the grid of its sensor.
        photo: the photo on the grid of its sensor.
        orientation: EXIF orientation of both, 1 to 8, which is not yet applied.
    """

    thermal: Thermal
    photo: EmbeddedPhoto
    orientation: int


def read_thermal(
    source: str | os.PathLike[str] | Any, options: ThermalOptions = DEFAULT, name: str = "thermal"
) -> Thermal:
    """Read a thermal image from a file of any supported format, or from an array.

    8-bit images and floats in [0, 1] are kept (color becomes luma) unless a window or a scale is given.
    16-bit counts, 32-bit integers, other floats of files and temperatures are mapped to [0, 1] by the window,
    by default the 1st to 99th percentile; the notes state the window.

    Args:
        source: a path, or an array (H, W), (H, W, 1) or (H, W, 3).
        options: window, scale and conditions.
        name: name of an array in error messages.

    Raises:
        InputError: if the source cannot be used.
        ShapeError: if an array has another shape.

    Example:
        >>> thermal = read_thermal("flir.jpg", ThermalOptions(window="10C..45C"))  # doctest: +SKIP
        >>> thermal.celsius.max()  # doctest: +SKIP
    """
    check_type("options", options, (ThermalOptions,), "ThermalOptions")
    if not isinstance(source, str | os.PathLike):
        return _from_array(source, options, name)
    path = Path(source)
    reader = format_of(path)
    raw = _masked(_without_frame(reader.read(path, options.overrides), options))
    return _upright(_tone_mapped(raw, options, reader, str(path)), raw.orientation)


def read_camera_file(path: str | os.PathLike[str], options: ThermalOptions = DEFAULT) -> CameraFile:
    """Read the thermal image and the photo of one file.

    Raises:
        InputError: if the file contains no thermal image or no photo, or is damaged.
    """
    path = Path(path)
    reader = format_of(path)
    raw = _masked(reader.read(path, options.overrides, photo=True))
    if raw.photo is None:
        height, width = raw.values.shape
        raise InputError(
            f"{path}: found a thermal image of {width}x{height} without a photo",
            expected="both",
            hint="give a visible image as the second file",
        )
    return CameraFile(_tone_mapped(raw, options, reader, str(path)), raw.photo, raw.orientation)


def read_raw(path: str | os.PathLike[str], options: ThermalOptions = DEFAULT) -> RawThermal:
    """Read the thermal values of a file without tone mapping, in upright orientation.

    The values are in degC if the file is radiometric or a scale is given.

    Raises:
        InputError: if the file cannot be used.
    """
    path = Path(path)
    return upright_raw(_without_frame(format_of(path).read(path, options.overrides), options), options)


def upright_raw(raw: RawThermal, options: ThermalOptions = DEFAULT) -> RawThermal:
    """Apply the scale and the orientation to raw values; 0 or NaN where there is no data."""
    raw = _masked(raw)
    if not raw.degrees and (celsius := options.celsius(raw.values)) is not None:
        raw = replace(raw, values=celsius, degrees=True)
    values, valid = raw.values, raw.valid
    if valid is not None:
        values = np.where(valid, values, np.nan if raw.degrees else 0).astype(values.dtype)
        valid = np.ascontiguousarray(turn(valid, raw.orientation))
    values = np.ascontiguousarray(turn(values, raw.orientation))
    return replace(raw, values=values, valid=valid, orientation=1)


def _masked(raw: RawThermal) -> RawThermal:
    """Mark pixels without a temperature as pixels without data."""
    if not raw.degrees or raw.valid is not None:
        return raw
    known = ~np.isnan(raw.values)
    return raw if known.all() else replace(raw, valid=known)


def _without_frame(raw: RawThermal, options: ThermalOptions) -> RawThermal:
    """Mark the black frame of counts that were warped before as pixels without data, which no window counts.

    8-bit images that are kept as they are stored keep their frame.
    """
    from ivfuse.image.black_frame import find_black_frame

    if raw.degrees or raw.valid is not None or (options.as_stored and raw.values.dtype == np.uint8):
        return raw
    frame = find_black_frame(raw.values, white=float(raw.values.max(initial=0)))
    if frame is None:
        return raw
    return replace(raw, valid=frame.inside, framed=True, notes=(*raw.notes, frame.note))


def _from_array(source: Any, options: ThermalOptions, name: str) -> Thermal:
    """Convert an array; a window applies only to counts."""
    array = as_array(source, name)
    if options.as_stored and array.dtype not in (np.uint16, np.int32, np.uint32):
        return Thermal(luma(to_float(array, name)), colored=is_colored(array))
    return _mapped(_without_frame(RawThermal(to_single_channel(array)), options), options, name)


def _tone_mapped(raw: RawThermal, options: ThermalOptions, reader: ThermalReader, name: str) -> Thermal:
    """Tone-map raw values in the orientation of the sensor; options that do not apply are noted."""
    if raw.degrees or raw.valid is not None or not (options.as_stored and raw.values.dtype == np.uint8):
        thermal = _mapped(raw, options, name)
    else:
        thermal = Thermal(scale_to_unit(raw.values, 0, 255))
    return replace(
        thermal,
        colormap=raw.colormap,
        notes=(*thermal.notes, *raw.notes, *_unused(options, reader, raw.degrees)),
        unknown=raw.unknown or no_temperatures(name),
        colored=raw.colored,
        metadata=raw.metadata,
        equivalent_focal_length=raw.equivalent_focal_length,
    )


def _mapped(raw: RawThermal, options: ThermalOptions, name: str) -> Thermal:
    """Apply scale and window."""
    if raw.valid is not None:
        return _mapped_where_valid(raw, raw.valid, options, name)
    celsius = raw.values if raw.degrees else options.celsius(raw.values)
    if celsius is None:
        mapped = to_gray(raw.values, options.rule, name, degrees=False)
        return Thermal(mapped.gray, notes=(mapped.note,), window=(mapped.low, mapped.high))
    mapped = to_gray(celsius, options.rule, name, degrees=True)
    ends = (mapped.low, mapped.high) if mapped.even and mapped.low < mapped.high else None
    window = (mapped.low, mapped.high)
    return Thermal(mapped.gray, celsius, (mapped.note,), ends=ends, window=window)


def _mapped_where_valid(
    raw: RawThermal, valid: NDArray[np.bool_], options: ThermalOptions, name: str
) -> Thermal:
    """Apply scale and window to the pixels with data."""
    if not valid.any():
        raise InputError(f"{name}: found no pixel with data", expected="a thermal image")
    part = _mapped(replace(raw, values=raw.values[valid][np.newaxis], valid=None), options, name)
    pixels = np.zeros(valid.shape, np.float32)
    pixels[valid] = part.pixels[0]
    celsius = None
    if part.celsius is not None:
        celsius = np.full(valid.shape, np.nan, np.float32)
        celsius[valid] = part.celsius[0]
    missing = int(valid.size - np.count_nonzero(valid))
    note = f"no data in {missing} pixels ({missing / valid.size:.1%}), where the visible image is kept"
    return replace(
        part,
        pixels=extended(pixels, valid),
        celsius=celsius,
        notes=part.notes if raw.framed else (*part.notes, note),
        valid=valid,
        framed=raw.framed,
    )


def _upright(thermal: Thermal, orientation: int) -> Thermal:
    if orientation == 1:
        return thermal
    celsius, valid = thermal.celsius, thermal.valid
    return replace(
        thermal,
        pixels=np.ascontiguousarray(turn(thermal.pixels, orientation)),
        celsius=None if celsius is None else np.ascontiguousarray(turn(celsius, orientation)),
        valid=None if valid is None else np.ascontiguousarray(turn(valid, orientation)),
    )


def _unused(options: ThermalOptions, reader: ThermalReader, degrees: bool) -> tuple[str, ...]:
    """List the options that have no effect for a file of this format, or for one that holds temperatures."""
    if (reader.calibrated or degrees) and options.scale is not None:
        return ("scale is not used, the file has its own calibration",)
    if not reader.calibrated and options.overrides.given():
        return (f"{', '.join(options.overrides.given())} not used, the file is not radiometric",)
    return ()
