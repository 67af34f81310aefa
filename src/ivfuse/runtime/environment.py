"""What an installation consists of, for reports of bugs: versions, devices, codecs, threads; nothing private.

No paths, no names of users or machines, and no values of environment variables but numbers of threads.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Any

from ivfuse.runtime.devices import import_openvino
from ivfuse.runtime.processes import THREAD_VARIABLES, available_cpus
from ivfuse.runtime.processor import processor_name

_DEVELOPMENT = ("test", "dev")  # extras that no feature needs
_REQUIREMENT = re.compile(r"([\w.-]+)(\[[^]]*\])?[^;]*(?:;\s*(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_VIDEO_CODECS = ("libx264", "libx265", "ffv1", "png")
_IMAGE_CODECS = ("jpg", "jpg_2000", "zlib", "libtiff", "webp", "avif")  # as Pillow names them


def describe_environment() -> dict[str, Any]:
    """Describe this installation.

    Returns:
        JSON-compatible facts: texts, numbers, lists of texts, and groups of these by name. What is not
        installed is ``None``; a library that cannot be loaded is described by the kind of its error.
    """
    core, extras = _packages()
    return {
        "ivfuse": _version("ivfuse"),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": _system(),
        "processor": processor_name() or platform.processor() or platform.machine(),
        "cpus": available_cpus(),
        **({} if (memory := _memory()) is None else {"memory_gib": memory}),
        "packages": core,
        "extras": extras,
        "devices": {
            "onnxruntime": _try("onnxruntime", _onnxruntime_devices),
            "openvino": _try("openvino", _openvino_devices),
        },
        "codecs": {"image": _try("PIL", _image_codecs), "video": _try("av", _video_codecs)},
        "threads": {"opencv": _try("cv2", _opencv_threads)}
        | {name: _digits(os.environ[name]) for name in THREAD_VARIABLES if name in os.environ},
    }


def _packages() -> tuple[dict[str, str | None], dict[str, dict[str, str | None]]]:
    """Versions of the dependencies, and of those of each extra."""
    core: dict[str, str | None] = {}
    extras: dict[str, dict[str, str | None]] = {}
    try:
        lines = requires("ivfuse") or []
    except PackageNotFoundError:
        return core, extras
    for line in lines:
        if (found := _REQUIREMENT.match(line)) is None:
            continue
        name, extra = found[1], _EXTRA.search(found[3] or "")
        if extra is None:
            core[name] = _version(name)
        elif extra[1] not in _DEVELOPMENT:
            extras.setdefault(extra[1], {})[name] = _version(name)
    return core, extras


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _system() -> str:
    """System, its version without what its maker added (which can name a company), machine and C library."""
    number = re.match(r"[\d.]*", platform.release())
    words = [platform.system(), number[0].rstrip(".") if number else "", platform.machine()]
    return " ".join([*filter(None, words), *filter(None, (" ".join(platform.libc_ver()).strip(),))])


def _memory() -> float | None:
    """Memory of the machine in GiB; ``None`` on systems that do not say it this way."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _try(module: str, describe: Callable[[], Any]) -> Any:
    """What a library says; a text of its error could name folders, so that only its kind is told."""
    if find_spec(module) is None:
        return None
    try:
        return describe()
    except Exception as error:  # a broken library is what a report is for
        return f"cannot be loaded: {type(error).__name__}"


def _onnxruntime_devices() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def _openvino_devices() -> list[str]:
    core = import_openvino().Core()
    return [f"{name}: {core.get_property(name, 'FULL_DEVICE_NAME')}" for name in core.available_devices]


def _image_codecs() -> list[str]:
    from PIL import features

    supported = features.get_supported()
    found = ((name, features.version(name)) for name in _IMAGE_CODECS if name in supported)
    return [f"{name} {number}" if number else name for name, number in found]


def _video_codecs() -> list[str]:
    import av
    from av.codec import codecs_available

    number = ".".join(map(str, av.library_versions["libavcodec"]))
    return [f"libavcodec {number}", *(name for name in _VIDEO_CODECS if name in codecs_available)]


def _opencv_threads() -> int:
    import cv2

    return int(cv2.getNumThreads())


def _digits(text: str) -> str:
    """A number of threads; any other text could be private."""
    return text if text.isdecimal() else "not a number"
