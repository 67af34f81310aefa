"""The errors that ivfuse raises on purpose, each of which a user can mend.

An error says what was found, what was expected, and which *field* it is about: a parameter of the API. It
knows no command line and no web form; each spells fields its own way through :meth:`IvfuseError.render`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

Spell = Callable[[str], str]

_LONG_WORD = re.compile(r"[^\s/\\]{300,}")  # longer than the name of any file
_FIELD = re.compile(r"\{([a-z][a-z_]*)\}")


def in_python(field: str) -> str:
    """A field as Python users write it."""
    return field


def escape_controls(text: str) -> str:
    """Escape control characters, with which the name of a file could move the cursor or forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _one_line(text: str) -> str:
    """A text as one line, in which words that a damaged file repeats without end are shortened."""
    return escape_controls(_LONG_WORD.sub(lambda word: f"{word[0][:60]}...", " ".join(text.split())))


def fill_fields(template: str, spell: Spell = in_python) -> str:
    """Spell the fields of a text, which stand in braces: ``give {scale}``."""
    return _FIELD.sub(lambda match: spell(match[1]), template)


class IvfuseError(Exception):
    """Base of all errors that a user can mend.

    Args:
        message: the whole sentence, where ``found`` and ``expected`` do not say it.
        field: the parameter that the error is about, by its name in the API, or the file.
        found: what was given; a string is quoted as it is.
        expected: what can be given instead. May name other fields in braces, as in ``a file, or {scale}``.
        hint: what may help; may name fields in braces.

    Example:
        >>> error = UsageError(field="ir_window", found="3 to 1", expected="LO below HI")
        >>> str(error)
        'ir_window: found 3 to 1, expected LO below HI'
        >>> error.render(lambda field: "--" + field.replace("_", "-"))
        '--ir-window: found 3 to 1, expected LO below HI'
    """

    def __init__(
        self,
        message: str = "",
        *,
        field: str | None = None,
        found: object = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        """See above."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.found = found
        self.expected = expected
        self.hint = hint

    def render(self, spell: Spell = in_python) -> str:
        """The error as one line, its fields spelled as the caller's users know them."""
        parts = [self.message] if self.message else []
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.expected is not None:
            parts.append(f"expected {fill_fields(self.expected, spell)}")
        text = ", ".join(parts)
        if self.field is not None:
            text = f"{spell(self.field) if self.field.isidentifier() else self.field}: {text}"
        if self.hint is not None:
            text += f"; {fill_fields(self.hint, spell)}"
        return _one_line(text)

    def __str__(self) -> str:
        """The line for users of the Python API."""
        return self.render()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state: subclasses have constructors of their own, and worker processes send errors."""
        return _restore, (type(self), self.args), self.__dict__


def _restore(kind: type[IvfuseError], args: tuple[Any, ...]) -> IvfuseError:
    error = kind.__new__(kind)
    error.args = args
    return error


class InputError(IvfuseError):
    """A file, folder or array that was given cannot be used."""


class OutputError(IvfuseError):
    """A result could not be written."""


class ShapeError(IvfuseError, ValueError):
    """Arrays whose shapes do not fit together or are not those of an image."""


class UsageError(IvfuseError, ValueError):
    """An option or a combination of options that has no meaning."""


def check_type(field: str, value: object, kinds: tuple[type, ...], expected: str) -> None:
    """Raise UsageError unless a value is of one of some types; True and False are no numbers.

    Args:
        field: the parameter.
        value: what was given.
        kinds: the types.
        expected: what can be given, in words.
    """
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise UsageError(field=field, found=f"{value!r:.60}", expected=expected)


class UnknownNameError(IvfuseError, ValueError):
    """A name that is in no registry."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, field: str | None = None) -> None:
        """Say which names are near ``name``, or list all of them if none is."""
        names = sorted(known)
        near = get_close_matches(str(name), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}", field=field, hint=hint)
        self.name = name
        self.known = names


class RegistrationError(IvfuseError):
    """No transform between two images could be accepted with confidence."""


class MissingExtraError(IvfuseError, ImportError):
    """A feature needs packages that are installed with an extra."""

    def __init__(self, feature: str, extra: str) -> None:
        """Name the feature and the command that installs what it needs."""
        super().__init__(f"{feature} needs more packages: {install_command(extra)}")
        self.extra = extra


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation, which may come from a folder or a file.

    Args:
        extra: name of the extra, such as ``train``.

    Source: PEP 610, which defines ``direct_url.json``.
    """
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit

    try:
        origin = json.loads(distribution("ivfuse").read_text("direct_url.json") or "{}")
        url = urlsplit(origin.get("url", ""))
    except (PackageNotFoundError, ValueError):
        return f"pip install 'ivfuse[{extra}]'"
    if url.scheme == "file":
        editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
        return f"pip install {editable}'{unquote(url.path)}[{extra}]'"
    if url.scheme:
        kind = origin.get("vcs_info", {}).get("vcs", "")
        return f"pip install 'ivfuse[{extra}] @ {kind and kind + '+'}{origin['url']}'"
    return f"pip install 'ivfuse[{extra}]'"


def reason_of(error: Exception, spell: Spell = in_python) -> str:
    """An error as one line: an expected one rendered, the kind and first line of any other."""
    if isinstance(error, IvfuseError):
        return error.render(spell)
    text = _one_line(str(error))
    return f"unexpected {type(error).__name__}: {text}" if text else f"unexpected {type(error).__name__}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for errors of other libraries; its kind if it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def fault_of(error: BaseException) -> str:
    """What went wrong, in one line: of a system call without its number and file name."""
    return str(getattr(error, "strerror", None) or first_line(error))
