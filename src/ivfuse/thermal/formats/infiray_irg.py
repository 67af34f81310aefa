"""IRG files of InfiRay cameras and of brands that sell the same electronics (HTI, Vevor, Topdon, ...).

Little-endian. A header of 128 bytes: mark, size of the header, then for each of three images a size, height
and width (at 4, 13 and 22), emissivity, reflected and air temperature in K, and distance, each times 10000
(from 30), and AC CA at the end. After it an 8-bit image, the same with 16-bit temperatures, and a JPEG photo.
The mark decides the unit of the temperatures. Makers fill the second and third size in differently, so that
only the first one counts, and the photo reaches to the end of the file.

Source: the files themselves; jaseg/infiray_irg (MIT) for the marks and units, and for the files of Autel
drones and the P200; povlhp/irgdump and crroush/heatseeker for the conditions.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.decode import decode_bytes
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.runtime.files import check_regular
from ivfuse.thermal.formats.base import EmbeddedPhoto, RawThermal, thermal_format
from ivfuse.thermal.formats.facts import rounded, value_range
from ivfuse.thermal.radiometry import ZERO_C, Overrides

_HEADER = 128
_CONDITIONS = ("emissivity", "reflected", "atmospheric", "distance")
_MAX_PIXELS = 16_000_000  # of the thermal image; the largest known has 0.3 million
_MAX_BYTES = 256 << 20  # of a file; the largest known has 1.3 MB
_MAX_PHOTO_PIXELS = 100_000_000
_FLAT = 2.0  # standard deviation in 8-bit levels below which a photo is the filling of a camera without one
_SOI = b"\xff\xd8\xff"


@dataclass(frozen=True)
class _Family:
    """Cameras that share a mark.

    Attributes:
        name: of the cameras.
        steps: counts per kelvin.
        zero: degC at 0 counts.
    """

    name: str
    steps: float
    zero: float = -ZERO_C


_AUTEL = _Family("Autel EVO II Dual", 64, -25.0)
_FAMILIES = {
    b"\xca\xac": _Family("InfiRay C200 series", 16),
    b"\xba\xab": _Family("HTI, Vevor and relatives of InfiRay", 10),
    b"\xb0\x0b": _Family("Topdon TC004 and relatives of InfiRay", 10),
    b"\x04\xa0": _Family("InfiRay P200 series", 10, -273.2),
}


@dataclass(frozen=True)
class IrgFile:
    """An IRG file.

    Attributes:
        path: the file.
        camera: the cameras that write this variant.
        counts: (H, W) uint16, proportional to the temperature.
        celsius: (H, W) float32, in degC.
        steps: counts per kelvin.
        conditions: emissivity, reflected and atmospheric temperature in degC, distance in m, for which the
            camera computed the temperatures.
        photo_data: the photo as JPEG; empty if there is none.
    """

    path: Path
    camera: str
    counts: NDArray[np.uint16]
    celsius: NDArray[np.float32]
    steps: float
    conditions: dict[str, float]
    photo_data: bytes

    def photo(self) -> NDArray[np.uint8] | None:
        """Decode the photo, (H, W) or (H, W, 3) uint8 in R, G, B order; ``None`` without or with a blank one.

        Raises:
            InputError: if the photo is damaged or cut off.
        """
        if not self.photo_data:
            return None
        try:
            header = read_header("JPEG", self.photo_data)
            if header.width * header.height > _MAX_PHOTO_PIXELS:
                raise BadFileError(f"a photo of {header.width}x{header.height} in it")
            decoded = decode_bytes("JPEG", self.photo_data, upright=False)
        except BadFileError as error:
            raise InputError(f"{self.path}: the photo in the IRG file is damaged: found {error}") from error
        pixels = decoded.pixels[..., ::-1] if decoded.bgr and decoded.pixels.ndim == 3 else decoded.pixels
        if pixels.reshape(-1, *pixels.shape[2:]).std(axis=0).max() < _FLAT:
            return None
        return np.ascontiguousarray(pixels)


@thermal_format("infiray-irg")
class InfirayIrg:
    """Reader of IRG files; see :class:`ThermalReader`."""

    name = "InfiRay IRG"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by its mark and the size of its header."""
        file.seek(0)
        head = file.read(4)
        return head[:2] in _FAMILIES and head[2:] == _HEADER.to_bytes(2, "little")

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        file = read_irg(path)
        photo = file.photo()
        missing = ["no photo in the file; fusion requires a visible image"] if photo is None else []
        return {
            "file": str(path),
            "kind": self.name,
            "camera": file.camera,
            "width": file.counts.shape[1],
            "height": file.counts.shape[0],
            "payload": f"16 bit, 1/{file.steps:g} K",
            "counts": value_range(file.counts),
            "celsius": value_range(file.celsius),
            "conditions": {name: rounded(value) for name, value in file.conditions.items()},
            "photo": None if photo is None else {"width": photo.shape[1], "height": photo.shape[0]},
            "notes": [*missing, *_unused(conditions)],
        }

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """See :class:`ThermalReader`; both images show nearly the same field, which no file states."""
        file = read_irg(path)
        pixels = file.photo() if photo else None
        return RawThermal(
            file.celsius,
            True,
            notes=_unused(conditions),
            photo=None if pixels is None else EmbeddedPhoto(pixels, None),
        )

    def holds_photo(self, path: Path) -> bool:
        """Return whether a JPEG follows the thermal image."""
        try:
            with path.open("rb") as file:
                height, width = struct.unpack_from("<HH", file.read(12), 8)
                file.seek(_HEADER + 3 * height * width)
                return file.read(len(_SOI)) == _SOI
        except (OSError, struct.error):
            return False


def read_irg(path: Path) -> IrgFile:
    """Read an IRG file.

    Args:
        path: a file that :class:`InfirayIrg` recognizes.

    Raises:
        InputError: if the file is missing, damaged or cut off.
    """
    data = _load(path)
    family = _FAMILIES.get(data[:2])
    if family is None or len(data) < _HEADER:
        raise InputError(f"{path}: found a truncated header", expected="a complete IRG file")
    size, height, width = struct.unpack_from("<IHH", data, 4)
    if not 0 < height * width <= _MAX_PIXELS or size != height * width:
        raise InputError(
            f"{path}: found a damaged header, which states {width}x{height} pixels in {size} bytes",
            expected="a complete IRG file",
        )
    end = _HEADER + 3 * size
    if len(data) < end:
        raise InputError(f"{path}: found {len(data)} bytes", expected=f"{end} for {width}x{height} pixels")
    if family.steps == 16 and data[12] == 1:
        family = _AUTEL
    counts = np.frombuffer(data, "<u2", size, _HEADER + size).reshape(height, width).astype(np.uint16)
    celsius = (counts / family.steps + family.zero).astype(np.float32)
    values = [each / 10_000 for each in struct.unpack_from("<4I", data, 30)]
    values[1:3] = [each - ZERO_C for each in values[1:3]]
    rest = data[end:]
    return IrgFile(
        path,
        family.name,
        counts,
        celsius,
        family.steps,
        dict(zip(_CONDITIONS, values, strict=True)),
        rest if rest.startswith(_SOI) else b"",
    )


def _load(path: Path) -> bytes:
    check_regular(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= _MAX_BYTES:
                return file.read(size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", expected="an IRG file") from error
    raise InputError(
        f"{path}: found {size >> 20} MiB", expected=f"an IRG file of at most {_MAX_BYTES >> 20} MiB"
    )


def _unused(conditions: Overrides) -> tuple[str, ...]:
    """Note the conditions that cannot be replaced, since the camera stores temperatures and no radiation."""
    given = ", ".join(conditions.given())
    return (f"{given} not used, the file holds temperatures without a calibration",) if given else ()
