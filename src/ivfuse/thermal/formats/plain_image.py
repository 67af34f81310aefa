"""Plain image files without calibration as thermal images: 8-bit images, 16-bit counts or float values.

Counts may be a whole frame of a USB camera, of which the thermal image is taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ivfuse.errors import InputError
from ivfuse.image.read import StoredValues, read_values
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.radiometry import Overrides

if TYPE_CHECKING:
    from ivfuse.thermal.camera_frames import CameraFrame


@thermal_format("image")
class PlainImage:
    """Reader of plain image files; see :class:`ThermalReader`."""

    name = "image"
    calibrated = False

    def recognize(self, file: BinaryIO) -> bool:
        """Accept every file that no other format recognizes; reading determines whether it is an image."""
        return True

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        from ivfuse.thermal.formats.facts import value_range

        stored = read_values(path)
        facts = describe_values(path, stored) | {"kind": self.name}
        frame = _camera_frame(stored)
        if frame is not None:
            del facts["values"]
            facts |= {
                "width": frame.values.shape[1],
                "height": frame.values.shape[0],
                "celsius" if frame.degrees else "values": value_range(frame.values),
                "notes": [*facts.pop("notes"), *frame.notes],
            }
        return facts

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the stored values; a plain image never contains a photo."""
        if photo:
            raise InputError(
                f"{path}: found no radiometric data of a camera",
                expected="a camera file with a photo, or a visible image as the second file",
            )
        stored = read_values(path)
        notes: tuple[str, ...] = (stored.note,) if stored.note else ()
        frame = _camera_frame(stored)
        if frame is not None:
            notes += frame.notes
            return RawThermal(frame.values, frame.degrees, notes=notes, metadata=stored.metadata)
        return RawThermal(
            stored.values,
            notes=notes,
            valid=stored.valid,
            colored=stored.colored,
            metadata=stored.metadata,
        )

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``."""
        return False


def _camera_frame(stored: StoredValues) -> CameraFrame | None:
    """The frame of a USB camera, if the file holds one."""
    if stored.valid is not None or stored.values.dtype != np.uint16:
        return None
    from ivfuse.thermal.camera_frames import read_image

    return read_image(stored.values)


def describe_values(path: Path, stored: StoredValues) -> dict[str, Any]:
    """Describe any image by its size and the type and range of its values."""
    from ivfuse.thermal.formats.facts import value_range

    values = stored.values
    return {
        "file": str(path),
        "kind": "image",
        "width": values.shape[1],
        "height": values.shape[0],
        "type": str(values.dtype),
        "values": value_range(values if stored.valid is None else values[stored.valid]),
        "notes": [stored.note] if stored.note else [],
    }
