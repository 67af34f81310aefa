"""The folder of a run, on a disk or in an object store: its plan, its finished shards, and what they wrote.

A shard is finished if and only if its file of rows exists. That file is written whole and last.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ivfuse.cluster.locations import (
    Member,
    filesystem,
    join,
    list_names,
    local_path,
    open_binary,
    read_bytes,
    reading,
    remove,
    write_whole,
    writing,
)
from ivfuse.cluster.pairs import PairRow, to_rows
from ivfuse.cluster.sources import ROWS, RUN_FILE
from ivfuse.errors import InputError, fault_of
from ivfuse.runtime.files import make_folder, part_of, remove_stale_parts

FILES = "files"  # folder of the images of the shards, or of their tar archives
PLAN = "plan"  # folder of the pairs of the shards
ATTEMPTS = "attempts"  # folder of marks of shards that are being worked on
COMMON_METADATA = "_common_metadata"  # beside the rows: the name that data sets of Parquet have for it
SHARDS_PER_PART = 256  # shards in a file of the plan


@dataclass(frozen=True)
class RunFacts:
    """What ``run.json`` states, which is written when the plan is complete.

    Attributes:
        run: identifier of the run, 12 hexadecimal digits.
        work: what is done with the pairs: ``fuse``, ``score``, ``compare`` or ``window``.
        pairs: number of pairs.
        shard_size: pairs in a shard.
        tar: whether images are written to tar archives.
        code: version of the code.
        settings: the options that determine the results.
    """

    run: str
    work: str
    pairs: int
    shard_size: int
    tar: bool
    code: str
    settings: dict[str, Any]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.pairs // self.shard_size)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run.

    Attributes:
        location: a path or URL.
    """

    location: str

    def facts(self) -> RunFacts | None:
        """Read what the run is; ``None`` if its plan is not complete.

        Raises:
            InputError: if the file is damaged.
        """
        where = join(self.location, RUN_FILE)
        if RUN_FILE not in list_names(self.location):
            return None
        try:
            return RunFacts(**json.loads(read_bytes(where, 2**24)))
        except (ValueError, TypeError) as error:
            raise InputError(f"{where}: damaged: {fault_of(error)}", hint="delete the folder") from error

    def publish(self, facts: RunFacts, parts: Path) -> None:
        """Write the plan and then the facts, unless the run is known already.

        Args:
            facts: what the run is.
            parts: folder with the files of the plan.

        Raises:
            OutputError: if something cannot be written.
        """
        if path := local_path(self.location):
            make_folder(path)
        for part in sorted(parts.iterdir()):
            write_whole(join(self.location, PLAN, part.name), part.read_bytes())
        write_whole(join(self.location, RUN_FILE), (json.dumps(asdict(facts), indent=1) + "\n").encode())

    def finished(self) -> set[int]:
        """List the numbers of the finished shards."""
        names = (name.partition(".") for name in list_names(join(self.location, ROWS)))
        return {int(stem) for stem, _, suffix in names if suffix == "parquet" and stem.isdigit()}

    def pairs_of(self, number: int) -> list[PairRow]:
        """Read the pairs of a shard from the plan.

        Raises:
            InputError: if the plan is missing or damaged.
        """
        part, group = divmod(number, SHARDS_PER_PART)
        where = join(self.location, PLAN, f"{part:05d}.parquet")
        with open_binary(where) as file:
            try:
                return to_rows(pq.ParquetFile(file).read_row_group(group))
            except (pa.ArrowException, OSError, IndexError) as error:
                raise InputError(f"{where}: damaged plan: {fault_of(error)}") from error

    def files_of(self, number: int, tar: bool) -> str:
        """The location of the images of a shard: a folder or an archive."""
        return join(self.location, FILES, f"{number:07d}" + (".tar" if tar else ""))

    @contextmanager
    def scratch(self, number: int) -> Iterator[Path]:
        """Provide an empty folder for the images of a shard; on the disk of the run, if it is on one."""
        path = local_path(self.location)
        if path is None:
            with TemporaryDirectory(prefix="ivfuse-shard-") as folder:
                yield Path(folder)
            return
        make_folder(path / FILES)
        part = part_of(path / FILES / f"{number:07d}")
        part.mkdir()
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def finish(self, number: int, scratch: Path, rows: pa.Table, tar: bool) -> None:
        """Move the images of a shard to their place, then write its rows.

        Args:
            number: the shard.
            scratch: folder with its images, which is moved away.
            rows: a row per pair; the column ``fused`` names images in that folder.
            tar: whether to write the images to an archive.

        Raises:
            OutputError: if something cannot be written.
        """
        if names := _names(scratch):
            place = self.files_of(number, tar)
            base = place.removeprefix(self.location.rstrip("/") + "/")
            if tar:
                data, places = _archive(scratch, base)
                write_whole(place, data)
            else:
                places = {name: f"{base}/{name}" for name in names}
                self._place(scratch, place)
            rows = _relocated(rows, places)
        buffer = io.BytesIO()
        pq.write_table(rows, buffer)
        write_whole(join(self.location, ROWS, f"{number:07d}.parquet"), buffer.getvalue())

    def _place(self, scratch: Path, place: str) -> None:
        path = local_path(place)
        with writing(place):
            if path is None:
                fs, inner = filesystem(place)
                for name in _names(scratch):
                    fs.pipe_file(f"{inner}/{name}", (scratch / name).read_bytes())
                return
            if path.exists():  # of an attempt that ended before its rows were written
                old = part_of(path)
                os.rename(path, old)
                shutil.rmtree(old, ignore_errors=True)
            os.rename(scratch, path)

    def clean(self) -> None:
        """Remove what killed workers of this machine left unfinished; nothing of it is in the rows."""
        path = local_path(self.location)
        if path is not None:
            for name in (FILES, ROWS):
                remove_stale_parts(path / name)

    def rows(self) -> ds.Dataset:
        """Open the rows of all finished shards.

        Raises:
            InputError: if they cannot be read.
        """
        where = join(self.location, ROWS)
        fs, inner = filesystem(where)
        with reading(where):
            paths = [f"{inner.rstrip('/')}/{name}" for name in list_names(where) if name.endswith(".parquet")]
            return ds.dataset(paths, filesystem=fs, format="parquet")

    def state(self, facts: Mapping[str, str]) -> None:
        """Write facts on all rows into the metadata of their schema, ``rows/_common_metadata``.

        Raises:
            InputError: if the rows cannot be read.
            OutputError: if it cannot be written.
        """
        buffer = io.BytesIO()
        pq.write_metadata(self.rows().schema.with_metadata(dict(facts)), buffer)
        write_whole(join(self.location, ROWS, COMMON_METADATA), buffer.getvalue())

    def begin_attempt(self, number: int) -> int:
        """Mark a shard as being worked on; returns how many earlier attempts ended without a trace."""
        folder = join(self.location, ATTEMPTS, f"{number:07d}")
        earlier = len(list_names(folder))
        write_whole(join(folder, os.urandom(4).hex()), b"")
        return earlier

    def end_attempts(self, number: int) -> None:
        """Remove the marks of a shard."""
        remove(join(self.location, ATTEMPTS, f"{number:07d}"))


def _names(folder: Path) -> list[str]:
    """The files below a folder, in a fixed order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _archive(folder: Path, place: str) -> tuple[bytes, dict[str, str]]:
    """Pack the files of a folder into a tar archive without times and owners, and locate its members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in _names(folder):
            info = tarfile.TarInfo(name)
            info.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                tar.addfile(info, file)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer, mode="r:") as tar:
        members = {
            each.name: str(Member(place, each.offset_data, each.size, Path(each.name).name)) for each in tar
        }
    return buffer.getvalue(), members


def _relocated(rows: pa.Table, places: dict[str, str]) -> pa.Table:
    """Replace names of images by their locations relative to the run."""
    fused = pa.array([places.get(name, name) for name in rows["fused"].to_pylist()], pa.string())
    return rows.set_column(rows.column_names.index("fused"), "fused", fused)
