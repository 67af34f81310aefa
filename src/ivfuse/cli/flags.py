"""How the command line spells the fields that errors are about."""

from __future__ import annotations

# Fields whose flag is not their name: positional arguments, and options named for the person who types them.
_SPECIAL = {
    "ir": "IR",
    "vi": "VI",
    "out": "--out",
    "depth": "--bits",
    "repository": "REPO",
    "method_options": "--option",
    "parallax": "--no-parallax",
}


def flag_of(field: str) -> str:
    """The flag of a field: ``--ir-window`` for ``ir_window``."""
    return _SPECIAL.get(field) or "--" + field.replace("_", "-")
