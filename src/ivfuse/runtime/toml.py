"""Reading of TOML; files of plain lines without ``tomllib``, whose import compiles patterns for 10 ms.

Source of the format: toml.io/en/v1.0.0.
"""

from __future__ import annotations

import re
from typing import Any

# A comment, the header of a table in a table, or a key with a text without escapes, a switch or a number.
_LINE = re.compile(
    r"""(?:\#[^\x00-\x08\x0b-\x1f\x7f]*)?
    | \[ (?P<outer>[A-Za-z0-9_-]+) \. (?P<inner>[A-Za-z0-9_-]+) \]
    | (?P<key>[A-Za-z0-9_-]+) [ ] = [ ]
      (?: "(?P<text>[^"\\\x00-\x1f\x7f]*)" | (?P<switch>true|false) | (?P<number>0|[1-9][0-9]{0,17}) )""",
    re.VERBOSE,
)


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML document.

    Returns:
        The tables and values, equal to those of ``tomllib.loads``.

    Raises:
        ValueError: if it is not TOML, or a number has too many digits.
        RecursionError: if it is nested too deeply.
    """
    plain = _parse_plain(text)
    if plain is not None:
        return plain
    import tomllib

    return tomllib.loads(text)


def _parse_plain(text: str) -> dict[str, Any] | None:
    """Parse a document of plain lines; ``None`` for any other, faulty ones included."""
    root: dict[str, Any] = {}
    table = root
    for line in text.split("\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        if found["outer"]:
            tables = root.setdefault(found["outer"], {})
            if not isinstance(tables, dict) or found["inner"] in tables:
                return None
            table = tables[found["inner"]] = {}
        elif key := found["key"]:
            if key in table:
                return None
            number, switch = found["number"], found["switch"]
            table[key] = int(number) if number else switch == "true" if switch else found["text"]
    return root
