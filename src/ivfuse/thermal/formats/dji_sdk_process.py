"""The process that calls DJI's Thermal SDK: R-JPEG on standard input, temperatures on standard output.

It is run as a file and imports the standard library only, so that it starts in a few milliseconds. The answer
is one line of JSON (width, height and conditions, or an error), followed by float32 values in degC.

Source: functions, structures and return codes as documented in the header ``dirp_api.h`` of the SDK.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from array import array
from typing import Any

_MAX_SIDE = 4096  # pixels
_UNSUPPORTED = (-12, -13)  # the function does not exist for this camera, or is not ready
_CODES = {
    -1: "out of memory",
    -2: "a null pointer",
    -3: "parameters out of range",
    -4: "invalid raw data in the file",
    -5: "an invalid header in the file",
    -6: "an invalid curve in the file",
    -7: "the file cannot be parsed",
    -8: "a wrong size",
    -9: "an invalid handle",
    -10: "a wrong input format",
    -11: "a wrong output format",
    -12: "not supported for this camera",
    -13: "not ready",
    -14: "the SDK is not activated",
    -15: "an invalid configuration of the SDK",
    -16: "a library of the SDK is missing",
}
# The members of the structure of conditions. Older versions lack the last one; the buffer is longer,
# since newer ones may have more.
_CONDITIONS = ("distance", "humidity", "emissivity", "reflection", "ambient")
_LIMITS = (
    "out of range: distances are 1 to 25 m, humidities 20 to 100 %, emissivities 0.1 to 1 and reflected"
    " temperatures -40 to 500 C"
)
_Parameters = ctypes.c_float * 64
_Handle = ctypes.c_void_p


class _Resolution(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("width", ctypes.c_int32), ("height", ctypes.c_int32))


class CallError(Exception):
    """A call of the SDK failed; the message says which and why."""


class Sdk:
    """The functions of the library that are used."""

    def __init__(self, path: str) -> None:
        """Load the library.

        Raises:
            CallError: if it cannot be loaded.
        """
        if sys.platform == "win32":
            os.add_dll_directory(os.path.dirname(path))
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise CallError(f"the library cannot be loaded ({error})") from error

    def code(self, name: str, *arguments: Any) -> int:
        """Call a function and return its code.

        Raises:
            CallError: if the library has no such function.
        """
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise CallError(f"the library has no function {name}") from error
        function.restype = ctypes.c_int32
        return int(function(*arguments))

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function.

        Raises:
            CallError: if it is missing or returns an error code.
        """
        if code := self.code(name, *arguments):
            raise CallError(f"{name} returned {code} ({_CODES.get(code, 'unknown')})")


def measure(path: str, data: bytes, given: dict[str, float]) -> tuple[dict[str, Any], bytes]:
    """Compute the temperatures of a file.

    Args:
        path: the library.
        data: the R-JPEG file.
        given: conditions that replace those of the file, by the names of the SDK.

    Raises:
        CallError: if a call fails.
    """
    sdk = Sdk(path)
    buffer = ctypes.create_string_buffer(data, len(data))  # must stay valid while the handle is used
    handle = _Handle()
    sdk.call("dirp_create_from_rjpeg", buffer, ctypes.c_int32(len(data)), ctypes.byref(handle))
    size = _Resolution()
    sdk.call("dirp_get_rjpeg_resolution", handle, ctypes.byref(size))
    if not (0 < size.width <= _MAX_SIDE and 0 < size.height <= _MAX_SIDE):
        raise CallError(f"a size of {size.width}x{size.height}")
    conditions = _with_conditions(sdk, handle, given)
    raster = _temperatures(sdk, handle, size.width * size.height)
    sdk.code("dirp_destroy", handle)
    return {"width": size.width, "height": size.height, "conditions": conditions}, raster


def _with_conditions(sdk: Sdk, handle: _Handle, given: dict[str, float]) -> dict[str, float]:
    """Replace conditions, and return those that are used; cameras without any have none to replace."""
    parameters = _Parameters(*[float("nan")] * 64)
    code = sdk.code("dirp_get_measurement_params", handle, ctypes.byref(parameters))
    if code in _UNSUPPORTED and not given:
        return {}
    if code:
        raise CallError(f"dirp_get_measurement_params returned {code} ({_CODES.get(code, 'unknown')})")
    known = [name for name, value in zip(_CONDITIONS, parameters, strict=False) if value == value]
    for name, value in given.items():
        if name not in known:
            raise CallError("this version knows no temperature of the air, leave it out")
        parameters[_CONDITIONS.index(name)] = value
    if given:
        code = sdk.code("dirp_set_measurement_params", handle, ctypes.byref(parameters))
        if code:
            reason = _LIMITS if code == -3 else _CODES.get(code, "unknown")
            raise CallError(f"dirp_set_measurement_params returned {code} ({reason})")
    return {name: float(parameters[_CONDITIONS.index(name)]) for name in known}


def _temperatures(sdk: Sdk, handle: _Handle, count: int) -> bytes:
    """Temperatures as float32, or as tenths of degrees where the library has no others."""
    values = (ctypes.c_float * count)()
    try:
        code = sdk.code("dirp_measure_ex", handle, ctypes.byref(values), ctypes.c_int32(4 * count))
    except CallError:
        code = _UNSUPPORTED[0]
    if code == 0:
        return bytes(values)
    if code not in _UNSUPPORTED:
        raise CallError(f"dirp_measure_ex returned {code} ({_CODES.get(code, 'unknown')})")
    tenths = (ctypes.c_int16 * count)()
    sdk.call("dirp_measure", handle, ctypes.byref(tenths), ctypes.c_int32(2 * count))
    return array("f", (value / 10 for value in tenths)).tobytes()


def main() -> None:
    """Answer one request; whatever the library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    raster = b""
    try:
        answer, raster = measure(sys.argv[1], sys.stdin.buffer.read(), json.loads(sys.argv[2]))
    except CallError as error:
        answer = {"error": str(error)}
    out.write(json.dumps(answer).encode() + b"\n" + raster)
    out.flush()
    os._exit(0)  # the library may crash when it is unloaded


if __name__ == "__main__":
    main()
