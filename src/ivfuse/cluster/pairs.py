"""The table of pairs that runs work on: its columns, and the validation of each cell."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from ivfuse.cluster.locations import absolute
from ivfuse.errors import InputError, IvfuseError, escape_controls
from ivfuse.thermal.tone_mapping import parse_window

REQUIRED = ("id", "ir", "vi")
LONGEST = 4096  # characters of a cell
_ID_PART = 180  # bytes of a part of an id, which names files of at most 255 bytes with a suffix
_NO_NAME = re.compile(r"[\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class PairRow:
    """A pair of files in the table of a run.

    Attributes:
        id: its unique name, which also names its outputs; may contain slashes.
        ir: location of the thermal file.
        vi: location of the visible file; equal to ``ir`` for a camera file that contains both.
        rig: location of a registration file for this pair; empty for the one of the run.
        window: thermal window of this pair, such as ``10C..45C``; empty for the one of the run.
        labels: location of its labels, which are passed on.
        fused: location of its fused image, for scores.
    """

    id: str
    ir: str
    vi: str
    rig: str = ""
    window: str = ""
    labels: str = ""
    fused: str = ""


COLUMNS = tuple(field.name for field in fields(PairRow))
_LOCATIONS = ("ir", "vi", "rig", "labels", "fused")
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])


def check_row(cells: Mapping[str, Any], where: str, base: str, needed: tuple[str, ...]) -> PairRow:
    """Validate one row and make its locations absolute.

    Args:
        cells: column -> text, or ``None`` for an empty cell; other columns are ignored.
        where: the file and the row, for messages.
        base: folder that relative locations start from; empty for the present one.
        needed: columns that must not be empty.

    Raises:
        InputError: naming the row and the column.
    """
    values = {}
    for name in COLUMNS:
        value = cells.get(name)
        value = "" if value is None else value
        if not isinstance(value, str):
            raise _wrong(where, name, repr(value), "text")
        if name in needed and not value.strip():
            raise _wrong(where, name, "an empty cell", "a unique name" if name == "id" else "a path or URL")
        if len(value) > LONGEST:
            raise _wrong(where, name, f"{len(value)} characters", f"at most {LONGEST}")
        values[name] = absolute(value, base) if value and name in _LOCATIONS else value
    if fault := _fault_of_id(values["id"]):
        raise _wrong(where, "id", fault, "a name that can name a file, such as flight1/0001")
    if values["window"]:
        try:
            parse_window(values["window"])
        except IvfuseError as error:
            raise _wrong(where, "window", repr(values["window"]), error.expected or "a window") from error
    return PairRow(**values)


def _wrong(where: str, column: str, found: str, expected: str) -> InputError:
    return InputError(f"{where}, column {column}: found {found}", expected=expected)


def _fault_of_id(name: str) -> str:
    """Say why a name cannot name a file; empty if it can."""
    parts = name.split("/")
    if _NO_NAME.search(name) or any(part in ("", ".", "..") for part in parts) or name.strip() != name:
        return f"{escape_controls(name)[:80]!r}"
    if parts[0].startswith("."):
        return f"{name!r}, which names a hidden file"
    longest = max(len(part.encode("utf-8", "replace")) for part in parts)
    return f"a part of {longest} bytes" if longest > _ID_PART else ""


class UniqueIds:
    """Remembers ids in 8 bytes each and finds those that occur twice, whatever their number."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._seen = array("Q")

    def add(self, name: str) -> None:
        """Remember one id."""
        self._seen.append(_short_hash(name))

    def twice(self) -> set[int]:
        """Return the hashes that occur more than once."""
        import numpy as np

        if not self._seen:
            return set()
        values, counts = np.unique(np.frombuffer(self._seen, np.uint64), return_counts=True)
        return {int(value) for value in values[counts > 1]}


def first_twice(names: Iterator[str], hashes: set[int]) -> str | None:
    """Return the first name that occurs twice among those with one of the hashes."""
    seen: set[str] = set()
    for name in names:
        if _short_hash(name) in hashes:
            if name in seen:
                return name
            seen.add(name)
    return None


def _short_hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def to_table(rows: list[PairRow]) -> pa.Table:
    """Convert rows to a table."""
    columns = list(zip(*(astuple(row) for row in rows), strict=True)) if rows else [()] * len(COLUMNS)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=SCHEMA)


def to_rows(table: pa.Table) -> list[PairRow]:
    """Convert a table with the columns of :data:`SCHEMA` to rows."""
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    return [PairRow(*cells) for cells in zip(*columns, strict=True)]
