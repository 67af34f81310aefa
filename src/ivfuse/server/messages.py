"""Messages for clients: form fields instead of the library's parameters, and no path of the server.

Workers import this module, so it imports nothing of the web framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ivfuse.errors import IvfuseError, MissingExtraError, fill_fields, install_command
from ivfuse.image.decode import DAMAGE_HINT, SIZE_HINT

IMAGE_NAMES: Mapping[str, str] = {"ir": "infrared", "vi": "visible", "fused": "fused"}  # by form field
FUSED_FILES: Mapping[str, str] = {"png": "fused.png", "jpeg": "fused.jpg"}  # by encoding
CAMERA_FILES = frozenset({"ir"})  # form fields that accept the files of thermal cameras, too
TOO_SLOW = "The request arrived too slowly; please try again on a faster connection."
TOO_MUCH_MEMORY = "Processing these images needs more memory than the server allows."
UNEXPECTED = "The server encountered an unexpected error; see its log for details."

# Parameters of the library whose form field has another name.
_FORM_FIELDS: Mapping[str, str] = {
    "ir_window": "window",
    "out": "format",
    "depth": "bits",
    "rig": "register",
    "registration": "register",
}

# Hints that only concern users who run the library themselves.
_LOCAL_HINTS = (SIZE_HINT, DAMAGE_HINT)


def form_field_of(field: str) -> str:
    """The form field for a parameter of the library: ``window`` for ``ir_window``."""
    return _FORM_FIELDS.get(field, field)


def error_message(error: IvfuseError, folder: Path) -> str:
    """An error as a sentence for the client.

    Args:
        error: what the library raised.
        folder: folder of the request, whose paths become "infrared image" and the like.
    """
    if error.hint in _LOCAL_HINTS:
        error.hint = None
    text = error.render(form_field_of)
    if isinstance(error, MissingExtraError):  # the command concerns the server and may name its folders
        text = text.replace(f": {install_command(error.extra)}", f", which this server lacks ({error.extra})")
    for field, name in IMAGE_NAMES.items():
        text = text.replace(str(folder / field), f"{name} image")
    text = text.replace(str(folder), "the request").rstrip(".")
    return text if text.endswith("?") else f"{text}."


def note(text: str) -> str:
    """A note of the library for the client."""
    return fill_fields(" ".join(text.split()), form_field_of)
