"""The plan of a run: which pairs, in which shards, under which identifier; and which shards are missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from ivfuse.cluster.locations import absolute, check_access, join
from ivfuse.cluster.pairs import SCHEMA, PairRow, to_table
from ivfuse.cluster.run_folder import SHARDS_PER_PART, RunFacts, RunFolder
from ivfuse.cluster.sources import Source
from ivfuse.cluster.work import Work, code_version, digest_of
from ivfuse.errors import UsageError

SHARD_SIZE = 256  # pairs in a shard by default


@dataclass(frozen=True)
class RunPlan:
    """A run that can be carried out.

    Attributes:
        work: what is done with the pairs.
        folder: where.
        facts: identifier and counts.
        missing: numbers of the shards that are not finished, in order.
    """

    work: Work
    folder: RunFolder
    facts: RunFacts
    missing: tuple[int, ...]


def make_plan(
    work: Work, source: Source, out: str, shard_size: int = SHARD_SIZE, tar: bool = False
) -> RunPlan:
    """Validate all pairs, and find or create the folder of the run.

    The identifier is a digest of the work with all its options, the versions of method and code, and the
    pairs in their order; if any of these changes, it is another run in another folder. The content of the
    images is not part of it.

    Args:
        work: what to do.
        source: the pairs.
        out: folder, a path or URL, in which the run has a folder of its own, ``run-IDENTIFIER``.
        shard_size: pairs in a shard, 1 or more; the unit that is repeated if a worker is lost.
        tar: whether to write images to tar archives.

    Raises:
        InputError: if a row of the source is invalid, or a place cannot be accessed.
        OutputError: if the folder cannot be written.
        UsageError: if the size of shards is out of range.
    """
    if not 1 <= shard_size <= 100_000:
        raise UsageError(field="shard", found=shard_size, expected="1 to 100000 pairs")
    work.check()
    out = absolute(out)
    check_access(out)
    with TemporaryDirectory(prefix="ivfuse-plan-") as folder:
        pairs, digest = _write_parts(source, Path(folder), shard_size)
        settings = work.settings()
        identity = digest_of(work.name, settings, code_version(), digest, shard_size, tar)[:12]
        facts = RunFacts(identity, work.name, pairs, shard_size, tar, code_version(), settings)
        run = RunFolder(join(out, f"run-{identity}"))
        if run.facts() is None:
            run.publish(facts, Path(folder))
    finished = run.finished()
    return RunPlan(work, run, facts, tuple(n for n in range(facts.shards) if n not in finished))


def _write_parts(source: Source, folder: Path, shard_size: int) -> tuple[int, str]:
    """Write the pairs to Parquet files with a row group per shard; returns their number and digest."""
    total, count = hashlib.sha256(), 0
    shards = _in_shards(source.checked(), shard_size)
    part = 0
    while some := list(islice(shards, 1)):
        with pq.ParquetWriter(folder / f"{part:05d}.parquet", SCHEMA) as writer:
            for number, shard in enumerate(_chain(some, shards), 1):
                for row in shard:
                    _check_place(row)
                    total.update("\0".join(astuple(row)).encode("utf-8", "surrogatepass") + b"\n")
                count += len(shard)
                writer.write_table(to_table(shard), row_group_size=len(shard))
                if number == SHARDS_PER_PART:
                    break
        part += 1
    return count, total.hexdigest()


_accessible: set[str] = set()


def _check_place(row: PairRow) -> None:
    """Check once that each file system that pairs are on can be used."""
    for location in (row.ir, row.vi):
        scheme, separator, _ = location.partition("://")
        if separator and scheme not in _accessible:
            check_access(location)
            _accessible.add(scheme)


def _in_shards(rows: Iterator[PairRow], size: int) -> Iterator[list[PairRow]]:
    while shard := list(islice(rows, size)):
        yield shard


def _chain(first: list[list[PairRow]], rest: Iterator[list[PairRow]]) -> Iterator[list[PairRow]]:
    yield from first
    yield from rest
