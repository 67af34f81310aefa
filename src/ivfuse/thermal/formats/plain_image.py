"""Plain image files without calibration as thermal images: 8-bit images, 16-bit counts or float values."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from ivfuse.errors import InputError
from ivfuse.image.read import StoredValues, read_values
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.radiometry import Overrides


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
        return describe_values(path, read_values(path)) | {"kind": self.name}

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the stored values; a plain image never contains a photo."""
        if photo:
            raise InputError(
                f"{path}: found no radiometric data of a camera",
                expected="a FLIR radiometric JPEG, or a visible image as the second file",
            )
        stored = read_values(path)
        notes = (stored.note,) if stored.note else ()
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
