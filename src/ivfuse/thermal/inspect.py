"""Inspection of thermal files: a description as plain values, and extraction of temperatures and photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.decode import turn
from ivfuse.image.formats import check_output
from ivfuse.image.write import write_image
from ivfuse.thermal.formats.base import RawThermal
from ivfuse.thermal.formats.facts import value_range
from ivfuse.thermal.formats.registry import format_of, is_plain
from ivfuse.thermal.raster import check_raster, write_celsius
from ivfuse.thermal.read import ThermalOptions, no_temperatures, read_raw


def describe_file(path: Path, options: ThermalOptions) -> dict[str, Any]:
    """Describe a thermal file.

    Args:
        path: a thermal file of any supported format.
        options: scale and conditions that replace those of the file.

    Returns:
        A dictionary of strings, numbers, lists and dictionaries; temperatures in degC, distances in m,
        humidity in percent.

    Raises:
        InputError: if the file cannot be read.
    """
    reader = format_of(path)
    facts = reader.describe(path, options.overrides)
    if reader.calibrated:
        return facts
    if options.scale is not None:
        notes = facts.pop("notes")
        facts |= {"celsius": value_range(_with_data(read_raw(path, options))), "notes": notes}
    elif is_plain(path) and "celsius" not in facts:
        facts["notes"].append("not radiometric; a scale converts counts to degrees")
    return facts


def _with_data(raw: RawThermal) -> NDArray[Any]:
    return raw.values if raw.valid is None else raw.values[raw.valid]


def write_parts(path: Path, options: ThermalOptions, temperature: Path | None, photo: Path | None) -> None:
    """Write the temperatures at the resolution of the sensor, and the embedded photo.

    Args:
        path: the thermal file.
        options: scale and conditions that replace those of the file.
        temperature: the .tif or .tiff file for the temperatures, or ``None``.
        photo: the image file for the photo, or ``None``.

    Raises:
        InputError: if the file has no temperatures or no photo.
        UsageError: if an output has an unsupported suffix.
        OutputError: if an output cannot be written.
    """
    if temperature is not None:
        check_raster(temperature)
    if photo is not None:
        check_output(photo)
        _write_photo(path, options, photo)
    if temperature is not None:
        raw = read_raw(path, options)
        if not raw.degrees:
            raise raw.unknown or no_temperatures(str(path))
        write_celsius(temperature, raw.values, raw.metadata)


def _write_photo(path: Path, options: ThermalOptions, out: Path) -> None:
    raw = format_of(path).read(path, options.overrides, photo=True)
    if raw.photo is None:
        raise InputError(f"{path}: found no embedded photo, expected a camera file that contains one")
    pixels = turn(raw.photo.pixels, raw.orientation)
    write_image(out, np.ascontiguousarray(pixels, np.float32) / np.float32(255))
