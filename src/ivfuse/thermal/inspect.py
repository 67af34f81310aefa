"""What a thermal file holds, as plain values for people and machines; and its parts as files of their own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.decode import turn
from ivfuse.image.read import read_values
from ivfuse.image.write import check_output, write_image
from ivfuse.thermal.formats.flir_jpeg import FlirFile, read_flir
from ivfuse.thermal.formats.jpeg_segments import maker_of, refuse_dji
from ivfuse.thermal.raster import check_raster, write_celsius
from ivfuse.thermal.read import ThermalOptions, values_of


def facts_of(path: Path, options: ThermalOptions) -> dict[str, Any]:
    """Describe a file.

    Args:
        path: a radiometric JPEG, or any image.
        options: scale and conditions that replace those of the file.

    Returns:
        Strings, numbers, lists and dictionaries; temperatures in degC, distances in m, humidity in per cent.

    Raises:
        InputError: if the file cannot be read.
    """
    maker = maker_of(path)
    if maker == "flir":
        return _flir(read_flir(path), options)
    values, note = read_values(path)
    facts: dict[str, Any] = {
        "file": str(path),
        "kind": "image",
        "width": values.shape[1],
        "height": values.shape[0],
        "type": str(values.dtype),
        "values": _range(values),
    }
    if options.scale is not None:
        facts["celsius"] = _range(options.scale.celsius(values))
    notes = [note] if note else []
    if maker == "dji":
        facts["kind"] = "DJI R-JPEG"
        notes.append(
            "its temperatures can only be read by DJI's Thermal SDK; the values are the drawn image's"
        )
    elif options.scale is None:
        notes.append("not radiometric; --scale says how counts become degrees")
    return {**facts, "notes": notes}


def write_parts(path: Path, options: ThermalOptions, temperature: Path | None, photo: Path | None) -> None:
    """Write the temperatures as the sensor has them, and the photo.

    Args:
        path: the thermal file.
        options: scale and conditions that replace those of the file.
        temperature: a .tif or .tiff file, or ``None``.
        photo: an image file, or ``None``.

    Raises:
        InputError: if the file has no temperatures or no photo.
        UsageError: if the name of an output has an unknown suffix.
        OutputError: if an output cannot be written.
    """
    if temperature is not None:
        check_raster(temperature)
    if photo is not None:
        check_output(photo)
    if temperature is not None or photo is not None:
        maker = maker_of(path)
        if maker == "dji":
            raise refuse_dji(path)
        file = read_flir(path) if maker == "flir" else None
        if photo is not None:
            _write_photo(path, file, photo)
        if temperature is not None and file is not None:
            write_celsius(temperature, turn(file.celsius(options.overrides), file.orientation))
        elif temperature is not None:
            values, degrees = values_of(path, options)
            write_celsius(temperature, values if degrees else None)


def _write_photo(path: Path, file: FlirFile | None, out: Path) -> None:
    pixels = None if file is None else file.photo
    if file is None or pixels is None:
        raise InputError(f"{path}: found no photo in it, expected a camera's file that holds one")
    write_image(out, np.ascontiguousarray(turn(pixels, file.orientation), np.float32) / np.float32(255))


def _flir(file: FlirFile, options: ThermalOptions) -> dict[str, Any]:
    """Facts of a radiometric JPEG."""
    camera, counts = file.camera, file.raster.counts
    conditions = asdict(file.conditions(options.overrides))
    conditions["humidity"] *= 100
    photo, alignment = file.photo, file.alignment
    return {
        "file": str(file.path),
        "kind": "FLIR radiometric JPEG",
        "camera": camera.model or "unknown (a FLIR core)",
        "part": camera.part,
        "serial": camera.serial,
        "lens": camera.lens,
        "taken": camera.taken.isoformat() if camera.taken else None,
        "width": counts.shape[1],
        "height": counts.shape[0],
        "payload": file.raster.payload + (", bytes swapped" if file.raster.swapped else ""),
        "counts": _range(counts),
        "celsius": _range(file.celsius(options.overrides)),
        "range_of_camera": [round(end, 2) for end in camera.range_celsius],
        "conditions": {name: _round(value) for name, value in conditions.items()},
        "calibration": {name: _round(value) for name, value in asdict(camera.planck).items()},
        "air": {name: _round(value) for name, value in asdict(camera.atmosphere).items()},
        "field_of_view": _round(camera.field_of_view),
        "focus_distance": _round(camera.focus_distance),
        "zoom": _round(camera.zoom),
        "palette": file.palette.name if file.palette else None,
        "photo": None if photo is None else {"width": photo.shape[1], "height": photo.shape[0]},
        "alignment": None
        if alignment is None
        else {
            "real_to_ir": _round(alignment.real_to_ir),
            "offset_x": alignment.offset_x,
            "offset_y": alignment.offset_y,
        },
        "notes": [] if photo is not None else ["no photo in the file; give a visible image to fuse"],
    }


def _range(values: NDArray[Any]) -> dict[str, float]:
    """Least, mean and greatest value."""
    return {
        "min": _round(values.min()),
        "mean": _round(values.mean(dtype=float)),
        "max": _round(values.max()),
    }


def _round(value: Any) -> float:
    """The digits that a float32 holds; temperatures near 0 came from K, so no more than five decimals."""
    short = float(f"{float(value):.6g}")
    return round(short, 5) if abs(short) >= 1 else short
