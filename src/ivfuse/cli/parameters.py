"""Values of the command line that need no conversion, taken without pydantic.

Typer converts each value with pydantic, defaults included, whose import alone takes longer than the fusion of
a small pair. Values that are plainly valid are taken here; Typer converts the others and words all errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

_NUMBERS = {
    int: re.compile(r"-?[0-9]{1,18}"),  # +4 is a number to some releases of pydantic only
    float: re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?"),
}


class _NotPlain(Exception):
    """The value is for Typer to convert."""


class PlainFirst:
    """A command whose parameters take plain values themselves: text, switches, numbers and readable paths."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, the option of the help included."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if hasattr(param, "get_runtime_param"):  # a Typer that converts with pydantic
                param.get_runtime_param = _Conversion(param).itself
        return params


class _Conversion:
    """How a parameter converts values, in the place of Typer's own."""

    def __init__(self, parameter: Any) -> None:
        self._described = parameter.type_descriptor
        self._typers: Callable[[], Any] = type(parameter).get_runtime_param.__get__(parameter)

    def itself(self) -> _Conversion:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Convert one value or, if that is for Typer to judge, let Typer convert it."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        try:
            if self._described.parameter_info.parser is None:
                return _plain(self._described.annotation, self._described.parameter_info, value)
        except _NotPlain:
            pass
        return self._typers().coerce(value, param=param, ctx=ctx)


def _plain(annotation: Any, limits: Any, value: Any) -> Any:
    """The value as the verb receives it.

    Raises:
        _NotPlain: if it may not be valid.
    """
    if annotation in (str, bool) and type(value) is annotation:
        return value
    if annotation in _NUMBERS:
        return _number(annotation, limits, value)
    if annotation is Path and isinstance(value, str) and _is_unrestricted(limits):
        if not os.path.lexists(value) or os.access(value, os.R_OK):
            return Path(value)
    elif get_origin(annotation) is tuple and isinstance(value, tuple | list):
        kinds = get_args(annotation)
        if len(kinds) == len(value):
            return tuple(_plain(kind, limits, each) for kind, each in zip(kinds, value, strict=True))
    elif get_origin(annotation) is list and isinstance(value, tuple | list):
        return [_plain(get_args(annotation)[0], limits, each) for each in value]
    raise _NotPlain


def _number(kind: type[int] | type[float], limits: Any, value: Any) -> int | float:
    """A number within the limits of its parameter; see :func:`_plain`."""
    if isinstance(value, str) and _NUMBERS[kind].fullmatch(value):
        value = kind(value)
    if type(value) in (kind, int) and not limits.clamp:
        low, high = (value if limit is None else limit for limit in (limits.min, limits.max))
        if low <= value <= high:
            return kind(value)
    raise _NotPlain


def _is_unrestricted(limits: Any) -> bool:
    """Whether any path is valid that can be read if it exists."""
    asked = limits.exists or limits.writable or limits.resolve_path or limits.allow_dash
    return not asked and limits.file_okay and limits.dir_okay and limits.path_type in (None, Path)
