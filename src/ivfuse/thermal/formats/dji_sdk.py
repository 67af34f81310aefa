"""Temperatures of DJI R-JPEG files by the user's own copy of DJI's Thermal SDK, in a process of its own.

The SDK is proprietary and not part of this project. The environment variable ``DJI_THERMAL_SDK`` states the
folder that contains its library, directly or below. The library parses untrusted files in native code, in a
process that may crash or hang without harm (``dji_sdk_process.py``).

Source: the interface documented in the header ``dirp_api.h`` of the SDK, versions 1.0 to 1.8.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.thermal.radiometry import Overrides

VARIABLE = "DJI_THERMAL_SDK"
SECONDS = 60.0  # after which a call is considered hung; an image takes less than a second
LIBRARY = "libdirp.dll" if sys.platform == "win32" else "libdirp.so"

_PROCESS = Path(__file__).with_name("dji_sdk_process.py")
_MAX_DEPTH = 5  # folders below the given one, such as tsdk-core/lib/linux/release_x64
_MAX_FOLDERS = 500
_MAX_SIDE = 4096  # pixels
_UNITS = {"humidity": 100.0}  # the SDK expects percent
# The conditions as the SDK names them; newer versions have the temperature of the air, too.
_NAMES = {
    "emissivity": "emissivity",
    "distance": "distance",
    "reflected": "reflection",
    "humidity": "humidity",
    "atmospheric": "ambient",
}


@dataclass(frozen=True)
class Measured:
    """What the SDK computed.

    Attributes:
        celsius: temperatures, (H, W) float32 in degC, in the orientation of the sensor.
        conditions: the conditions that were used, by the names of :class:`Overrides`, humidity in percent.
        notes: remarks for the user.
    """

    celsius: NDArray[np.float32]
    conditions: dict[str, float]
    notes: tuple[str, ...] = ()


def wanted() -> bool:
    """Whether the SDK is to be used, because its folder is stated."""
    return bool(os.environ.get(VARIABLE))


def use_sdk(folder: str | os.PathLike[str]) -> None:
    """Use the SDK in a folder, in this process and in those that it starts.

    Raises:
        InputError: if the folder does not contain the library.
    """
    os.environ[VARIABLE] = str(find_library(Path(folder)).parent)


def find_library(folder: Path) -> Path:
    """Find the library of the SDK for this system and word size in a folder or below.

    Raises:
        InputError: if there is none.
    """
    bits = "x64" if sys.maxsize > 2**32 else "x86"
    found: list[Path] = []
    base = len(folder.parts)
    for number, (name, folders, files) in enumerate(os.walk(folder)):
        folders.sort()
        if LIBRARY in files:
            found.append(Path(name) / LIBRARY)
        if number >= _MAX_FOLDERS or len(Path(name).parts) - base >= _MAX_DEPTH:
            folders.clear()
    fitting = [path for path in found if path.parent == folder or bits in path.parent.name]
    if not found:
        raise InputError(
            f"{folder}: found no {LIBRARY}, expected the folder of DJI's Thermal SDK for this system"
        )
    return (fitting or found)[0].resolve()


def measure(data: bytes, conditions: Overrides, name: str) -> Measured:
    """Compute the temperatures of an R-JPEG file.

    Args:
        data: the whole file.
        conditions: the conditions that replace those of the file.
        name: name of the file in error messages.

    Raises:
        InputError: if the SDK is missing, fails, crashes or takes longer than :data:`SECONDS`.
    """
    library = find_library(Path(os.environ.get(VARIABLE, "")))
    given = {_NAMES[key]: value * _UNITS.get(key, 1.0) for key, value in conditions.given().items()}
    answer, raster = _call(library, given, data, name)
    if reason := answer.get("error"):
        raise InputError(f"{name}: DJI's Thermal SDK failed: {reason}")
    width, height = answer.get("width"), answer.get("height")
    if not (isinstance(width, int) and isinstance(height, int)):
        raise _failed(name, "it gave no size")
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and len(raster) == 4 * width * height):
        raise _failed(name, f"it gave {len(raster)} bytes for {width}x{height} temperatures")
    celsius = np.frombuffer(raster, "<f4").reshape(height, width).astype(np.float32)
    if not np.isfinite(celsius).all():
        raise _failed(name, "its temperatures contain NaN or infinity")
    used = answer.get("conditions", {})
    return Measured(celsius, {key: float(used[of]) for key, of in _NAMES.items() if of in used})


def _call(library: Path, given: dict[str, float], data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """Run the process; returns its answer and the raster."""
    folder = str(library.parent)
    environment = dict(os.environ)
    if sys.platform != "win32":  # the library loads others beside it
        paths = [folder, *filter(None, [environment.get("LD_LIBRARY_PATH")])]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(paths)
    command = [sys.executable, "-I", str(_PROCESS), str(library), json.dumps(given)]
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=SECONDS,
            cwd=folder,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(name, f"no answer within {SECONDS:g} s") from error
    except OSError as error:
        raise _failed(name, f"its process cannot be started ({error.strerror})") from error
    head, _, raster = done.stdout.partition(b"\n")
    if done.returncode < 0 or not head:
        raise _failed(name, f"its process crashed (exit code {done.returncode})")
    try:
        answer = json.loads(head)
    except ValueError as error:
        raise _failed(name, "its answer cannot be read") from error
    if not isinstance(answer, dict):
        raise _failed(name, "its answer cannot be read")
    return answer, raster


def _failed(name: str, reason: str) -> InputError:
    return InputError(f"{name}: DJI's Thermal SDK failed: {reason}")
