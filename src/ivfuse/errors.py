"""The errors that ivfuse raises on purpose; the command line prints each as one line.

Every message names what was given and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class IvfuseError(Exception):
    """Base of all errors that a user can mend."""


class InputError(IvfuseError):
    """A file, folder or array that was given cannot be used."""


class OutputError(IvfuseError):
    """A result could not be written."""


class ShapeError(IvfuseError, ValueError):
    """Arrays whose shapes do not fit together or are not those of an image."""


class UsageError(IvfuseError, ValueError):
    """An option or a combination of options that has no meaning."""


class UnknownNameError(IvfuseError, ValueError):
    """A name that is in no registry."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Say which names are near ``name``, or list all of them if none is."""
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class RegistrationError(IvfuseError):
    """Two images could not be lined up with confidence."""


class MissingExtraError(IvfuseError, ImportError):
    """A feature needs packages that are installed with an extra."""

    def __init__(self, feature: str, extra: str) -> None:
        """Name the feature and the command that installs what it needs."""
        super().__init__(f"{feature} needs more packages: pip install 'ivfuse[{extra}]'")


def reason_of(error: Exception) -> str:
    """An error as one line: the message of an expected one, the kind and first line of any other."""
    text = " ".join(str(error).split())
    if isinstance(error, IvfuseError):
        return text
    return f"unexpected {type(error).__name__}: {text}" if text else f"unexpected {type(error).__name__}"
