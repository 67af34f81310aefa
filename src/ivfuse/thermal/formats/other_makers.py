"""Files of makers that cannot be read: they are recognized, and the error says what to export instead.

Sources of the marks: jonathanschilling/irb for IRB; weisskopfjens/goconvertis2 and fluke_thermal_reader for
the newer IS2, a ZIP archive, and the names in it; cburgmer/bmt for BMT, which begins with two BMP images.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ivfuse.errors import InputError
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.radiometry import Overrides

_ENDS = 65536  # bytes at both ends of an archive, which hold names of its files
_IS2_NAMES = (b"Images/Main/IR.data", b"CalTempDataRex.gpbenc", b"CameraInfo.gpbenc")
_BMP_HEADER = 54
_BMP_GAP = 1024  # bytes in which the second image of a BMT file must begin


class _Unreadable:
    """A format that is recognized and refused; see :class:`ThermalReader`."""

    calibrated = False

    def __init__(self, name: str, program: str, found_in: Callable[[BinaryIO], bool]) -> None:
        """Name the format, the program that exports its files, and the test for it."""
        self.name = name
        self._program = program
        self._found_in = found_in

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by the mark of the format."""
        file.seek(0)
        return self._found_in(file)

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """Refuse the file."""
        self._refuse(path)

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Refuse the file."""
        self._refuse(path)

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``."""
        return False

    def _refuse(self, path: Path) -> NoReturn:
        raise InputError(
            f"{path}: found a {self.name} file, whose format is not public",
            expected="a file that can be read",
            hint=f"export thermal image and photo as TIFF, PNG or JPEG with {self._program}",
        )


def _is_is2(file: BinaryIO) -> bool:
    if file.read(4) != b"PK\x03\x04":
        return False
    head = file.read(_ENDS)
    file.seek(max(0, os.fstat(file.fileno()).st_size - _ENDS))
    return any(name in part for part in (head, file.read(_ENDS)) for name in _IS2_NAMES)


def _is_irb(file: BinaryIO) -> bool:
    return file.read(5) == b"\xffIRB\0"


def _is_bmt(file: BinaryIO) -> bool:
    """Whether a second BMP image begins shortly after the pixels of the first one."""
    head = file.read(_BMP_HEADER)
    if len(head) < _BMP_HEADER or not _is_bmp(head, 0):
        return False
    width, height, _, bits = struct.unpack_from("<iiHH", head, 18)
    file.seek(_BMP_HEADER + abs(width * height) * bits // 8)
    after = file.read(_BMP_GAP)
    at = after.find(b"BM")
    while at >= 0:
        if _is_bmp(after, at):
            return True
        at = after.find(b"BM", at + 1)
    return False


def _is_bmp(data: bytes, at: int) -> bool:
    """Whether a BMP header with the usual 40 bytes of information begins here."""
    return data[at : at + 2] == b"BM" and data[at + 14 : at + 18] == b"\x28\0\0\0"


@thermal_format("fluke-is2")
def _fluke() -> _Unreadable:
    return _Unreadable("Fluke IS2", "Fluke's SmartView or Connect", _is_is2)


@thermal_format("testo-bmt")
def _testo() -> _Unreadable:
    return _Unreadable("Testo BMT", "Testo's IRSoft", _is_bmt)


@thermal_format("infratec-irb")
def _infratec() -> _Unreadable:
    return _Unreadable("InfraTec IRB", "InfraTec's IRBIS", _is_irb)
