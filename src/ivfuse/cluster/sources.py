"""Sources of pairs: manifests (Parquet or CSV), folders, tar shards and finished runs, on disk or at URLs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ivfuse.cluster.folders import pair_listing, pair_shards
from ivfuse.cluster.locations import (
    absolute,
    exists,
    is_folder,
    join,
    list_files,
    list_names,
    local_path,
    name_of,
    open_binary,
    parent,
    write_whole,
)
from ivfuse.cluster.pairs import COLUMNS, REQUIRED, PairRow, UniqueIds, check_row, first_twice, to_table
from ivfuse.errors import InputError, UsageError, fault_of
from ivfuse.image.pairing import Pairing, pair_folder, pair_folders
from ivfuse.image.pairing_tree import pair_tree
from ivfuse.thermal.formats.registry import holds_photo

RUN_FILE = "run.json"  # marks the folder of a run
ROWS = "rows"  # its folder of Parquet files, one per finished shard
_BATCH = 4096  # rows that are in memory at a time


@dataclass(frozen=True)
class Source:
    """Pairs that can be iterated over, whatever their number.

    Attributes:
        name: for messages.
        rows: function that iterates over the pairs; may be called again.
        orphans: images without a counterpart.
        ambiguous: one line for each name that matches several files.
        notes: remarks on how the pairs were found.
    """

    name: str
    rows: Callable[[], Iterator[PairRow]]
    orphans: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def checked(self) -> Iterator[PairRow]:
        """Iterate over the pairs; at the end, check that there are pairs and that no id occurs twice.

        Raises:
            InputError: naming the id, row or column; also while iterating.
        """
        ids = UniqueIds()
        count = 0
        for row in self.rows():
            ids.add(row.id)
            count += 1
            yield row
        if not count:
            raise InputError(f"{self.name}: no pairs found", expected="one or more")
        if hashes := ids.twice():
            name = first_twice((row.id for row in self.rows()), hashes)
            if name is not None:
                raise InputError(f"{self.name}, column id: found {name!r} twice", expected="unique names")


def open_source(
    location: str,
    vi: str | None = None,
    *,
    recursive: bool = False,
    needed: tuple[str, ...] = REQUIRED,
    leave_out: str | None = None,
) -> Source:
    """Open a source of pairs, whose kind is told by its name and content.

    Args:
        location: a manifest (.parquet, .csv), the folder of a finished run, a tar shard or a pattern of such
            (``s3://bucket/shard-*.tar``), or a folder of images or of tar shards.
        vi: folder of visible images, if ``location`` is a folder of thermal images alone.
        recursive: whether to pair the subfolders of folders too.
        needed: columns of a manifest that must not be empty.
        leave_out: folder that is not searched, such as that of the outputs.

    Raises:
        InputError: if it cannot be read or has no pairs; a manifest's rows are checked when they are read.
    """
    suffix = PurePosixPath(location).suffix.lower()
    if vi is None and suffix in (".parquet", ".csv") and not is_folder(location):
        return _manifest(location, suffix, needed)
    if vi is None and suffix == ".tar":
        return _of_shards(location, location)
    if not exists(location):
        raise InputError(f"{location}: no such file or folder")
    if not is_folder(location):
        raise InputError(
            f"{location}: found a file", expected="a manifest (.parquet, .csv), tar shards or a folder"
        )
    if vi is not None:
        return _of_two_folders(location, vi, recursive)
    names = list_names(location)
    if RUN_FILE in names:
        return _run(location, needed)
    if any(name.endswith(".tar") for name in names):
        return _of_shards(location, join(location, "*.tar"))
    return _of_folder(location, recursive, leave_out)


def _of_folder(location: str, recursive: bool, leave_out: str | None) -> Source:
    path = local_path(location)
    if path is None:
        names = [name for name, _ in list_files(location)]
        found = pair_listing(names, recursive=recursive)
        return _of_pairing(location, found, lambda each: join(location, each.as_posix()))
    found = pair_tree(path, None, holds_photo, leave_out) if recursive else pair_folder(path, holds_photo)
    return _of_pairing(location, found, str)


def _of_two_folders(location: str, vi: str, recursive: bool) -> Source:
    paths = local_path(location), local_path(vi)
    if paths[0] is None or paths[1] is None:
        raise InputError(f"{location}: two folders at URLs cannot be paired", expected="their common folder")
    found = pair_tree(paths[0], paths[1]) if recursive else pair_folders(paths[0], paths[1])
    return _of_pairing(f"{location} and {vi}", found, str)


def _of_shards(name: str, pattern: str) -> Source:
    pairing, places = pair_shards(pattern)
    return _of_pairing(name, pairing, lambda path: places[path])


def _of_pairing(name: str, pairing: Pairing, locate: Callable[[Path], str]) -> Source:
    if not pairing.pairs:
        near = "; ".join((*pairing.notes, *pairing.ambiguous[:3])) or None
        expected = "files of equal names (or like ir_1.png and vi_1.png)"
        raise InputError(f"{name}: no pairs found", expected=expected, hint=near)

    def rows() -> Iterator[PairRow]:
        for number, pair in enumerate(pairing.pairs, 1):
            cells = {"id": pair.name, "ir": locate(pair.ir), "vi": locate(pair.vi)}
            yield check_row(cells, f"{name}: pair {number}", "", REQUIRED)

    return Source(
        name, rows, tuple(locate(path) for path in pairing.orphans), pairing.ambiguous, pairing.notes
    )


def _manifest(location: str, suffix: str, needed: tuple[str, ...]) -> Source:
    base = parent(absolute(location))
    read = _parquet_rows if suffix == ".parquet" else _csv_rows
    return Source(location, lambda: read(location, base, needed))


def _run(location: str, needed: tuple[str, ...]) -> Source:
    """The pairs of a finished run that were fused, in the order of its shards."""
    base = absolute(location)

    def rows() -> Iterator[PairRow]:
        for name in list_names(join(base, ROWS)):
            if name.endswith(".parquet"):
                yield from _parquet_rows(join(base, ROWS, name), base, needed)

    return Source(location, rows)


def _parquet_rows(location: str, base: str, needed: tuple[str, ...]) -> Iterator[PairRow]:
    with open_binary(location) as file:
        try:
            table = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{location}: not a Parquet file: {fault_of(error)}") from error
        _check_columns(location, table.schema_arrow.names, needed)
        for name in COLUMNS:
            kind = table.schema_arrow.field(name).type if name in table.schema_arrow.names else pa.string()
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
                raise InputError(f"{location}, column {name}: found the type {kind}", expected="text")
        yield from _checked_batches(location, table, base, needed)


def _checked_batches(
    location: str, table: pq.ParquetFile, base: str, needed: tuple[str, ...]
) -> Iterator[PairRow]:
    columns = [name for name in (*COLUMNS, "status") if name in table.schema_arrow.names]
    number = 0
    try:
        for batch in table.iter_batches(batch_size=_BATCH, columns=columns):
            for cells in batch.to_pylist():
                number += 1
                if cells.get("status", "done") == "done":
                    yield check_row(cells, f"{location}: row {number}", base, needed)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{location}: damaged after row {number}: {fault_of(error)}") from error


def _csv_rows(location: str, base: str, needed: tuple[str, ...]) -> Iterator[PairRow]:
    with open_binary(location) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        table = csv.DictReader(text)
        try:
            _check_columns(location, list(table.fieldnames or ()), needed)
            for cells in table:
                where = f"{location}: row {table.line_num}"
                if None in cells:
                    found = f"{len(table.fieldnames or ()) + len(cells[None])} cells"
                    raise InputError(f"{where}: found {found}", expected=f"{len(table.fieldnames or ())}")
                yield check_row(cells, where, base, needed)
        except UnicodeDecodeError as error:
            raise InputError(f"{location}: not UTF-8 text after row {table.line_num}") from error
        except csv.Error as error:
            raise InputError(f"{location}: row {table.line_num}: {error}") from error


def _check_columns(location: str, found: list[Any], needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in found:
            shown = ", ".join(str(each)[:40] for each in found[:12]) or "no columns"
            raise InputError(f"{location}: no column {name}: found {shown}", expected=", ".join(needed))


def with_fused(source: Source, folder: str) -> Source:
    """Add the fused images of a folder to pairs: files below it that are named by the ids.

    Pairs without one get an empty location, which fails in their turn.

    Raises:
        InputError: if the folder cannot be listed or holds no file.
    """
    root = absolute(folder)
    files = {str(PurePosixPath(name).with_suffix("")): name for name, _ in list_files(root)}
    if not files:
        raise InputError(f"{folder}: no files found", expected="fused images, named like their pairs")

    def rows() -> Iterator[PairRow]:
        for row in source.rows():
            name = files.get(row.id)
            yield replace(row, fused=join(root, name) if name else "")

    return replace(source, rows=rows)


def relative_to(row: PairRow, base: str) -> PairRow:
    """Return a row whose locations are relative to a folder where they are below it."""
    root = base.rstrip("/") + "/"
    return replace(
        row,
        **{name: getattr(row, name).removeprefix(root) for name in ("ir", "vi", "rig", "labels", "fused")},
    )


def write_manifest(source: Source, out: str) -> int:
    """Write the pairs of a source as a manifest, Parquet or CSV by its suffix; returns their number.

    Locations below the folder of the manifest are written relative to it.

    Raises:
        InputError: if a pair cannot be read, or none is found.
        OutputError: if the file cannot be written.
        UsageError: if the suffix is neither .parquet nor .csv.
    """
    suffix = PurePosixPath(name_of(out)).suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise UsageError(field="out", found=out, expected="a file .parquet or .csv")
    base = parent(absolute(out))
    rows = [relative_to(row, base) for row in source.checked()]
    table = to_table(rows)
    table = table.drop_columns([n for n in COLUMNS if n not in REQUIRED and not any(table[n].to_pylist())])
    if suffix == ".parquet":
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        write_whole(out, buffer.getvalue())
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
        write_whole(out, text.getvalue().encode())
    return len(rows)
