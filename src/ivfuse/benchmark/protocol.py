"""What a benchmark measures of what, with a hash: tables with equal hashes can be compared.

The hash covers the content of the sources, the names of the pairs, metrics, conventions, degradations, seed,
thermal window, resizing, and the program that measures. It leaves out what changes no score: where files lie,
names of folders, the methods, threads, and the order of sets, metrics and further conventions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ivfuse
from ivfuse.benchmark.datasets import DataSet, recognize
from ivfuse.benchmark.degraded import CLEAN
from ivfuse.benchmark.digests import metrics_version
from ivfuse.errors import InputError
from ivfuse.image.pairing import FilePair, Pairing
from ivfuse.runtime.files import sha256_of
from ivfuse.synthetic.degrade import parse_degradations

FORMAT = 1
RESIZE = "thermal to the visible's size: each side by area where it shrinks, bicubic where it grows"
_NAMED = 5  # files named in the line about those that differ
UNREADABLE = ""  # instead of the SHA-256


@dataclass(frozen=True)
class Source:
    """A pair of source images.

    Attributes:
        name: of the pair.
        ir, vi: files, relative to the folder of the set, with forward slashes.
        ir_sha256, vi_sha256: of their content; empty if a file could not be read.
    """

    name: str
    ir: str
    ir_sha256: str
    vi: str
    vi_sha256: str


@dataclass(frozen=True)
class SourceSet:
    """The pairs of a data set.

    Attributes:
        name: as tables show it.
        pairs: none for a run on a cluster, where their number has no limit.
        digest: of the pairs, by :func:`digest_of_pairs`; computed if it is not given.
    """

    name: str
    pairs: tuple[Source, ...]
    digest: str = ""

    def __post_init__(self) -> None:
        """Compute the digest once: it stands under every table."""
        if not self.digest:
            pairs = sorted((pair.name, pair.ir_sha256, pair.vi_sha256) for pair in self.pairs)
            object.__setattr__(self, "digest", digest_of_pairs(pairs))


@dataclass(frozen=True)
class Protocol:
    """A benchmark without its methods.

    Attributes:
        sets: sources, before any degradation.
        metrics: names of the metrics that methods are ranked by.
        conventions: names of the conventions; the first is the primary one.
        degradations: as in ``haze:3``; ``none`` for the pairs as they are.
        seed: of the bootstrap and of degradations.
        ir_window: thermal values that become black and white, or ``None``.
        resize: how images of unequal sizes are brought to one grid.
        ivfuse: version of the program that measures.
        code: digest of the source code of its metrics.
    """

    sets: tuple[SourceSet, ...]
    metrics: tuple[str, ...]
    conventions: tuple[str, ...]
    degradations: tuple[str, ...] = (CLEAN,)
    seed: int = 0
    ir_window: tuple[float, float] | None = None
    resize: str = RESIZE
    ivfuse: str = field(default_factory=lambda: ivfuse.__version__)
    code: str = field(default_factory=lambda: metrics_version()[:12])

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with anything that a score depends on."""
        first, *others = self.conventions
        facts = {
            "format": FORMAT,
            "sets": sorted(data.digest for data in self.sets),
            "metrics": sorted(self.metrics),
            "conventions": [first, *sorted(others)],
            "degradations": sorted(set(self.degradations)),
            "seed": self.seed,
            "ir_window": self.ir_window and [float(value) for value in self.ir_window],
            "resize": self.resize,
            "ivfuse": self.ivfuse,
            "code": self.code,
        }
        return hash_of(facts)

    @property
    def metadata(self) -> dict[str, str]:
        """What the metadata of files of rows state, as the schema of Parquet has it."""
        return {"ivfuse.protocol": self.hash, "ivfuse.version": self.ivfuse}

    @property
    def line(self) -> str:
        """What stands under a table."""
        return line_of(self.hash, self.ivfuse)

    def as_measured_here(self) -> Protocol:
        """The same by the program that runs now, which may be of another version."""
        return replace(self, ivfuse=ivfuse.__version__, code=metrics_version()[:12])


def hash_of(facts: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of JSON values."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def line_of(short: str, version: str) -> str:
    """What stands under a table that was measured by a protocol of this hash."""
    return f"Protocol {short}, ivfuse {version}"


def digest_of_pairs(pairs: Iterable[tuple[str, str, str]]) -> str:
    """SHA-256 of names of pairs with the SHA-256 of their infrared and visible files, sorted by name."""
    total = hashlib.sha256()
    for pair in pairs:
        total.update(json.dumps(pair, separators=(",", ":")).encode() + b"\n")
    return total.hexdigest()


def protocol_of(
    sets: Sequence[DataSet],
    metrics: Sequence[str],
    conventions: Sequence[str],
    degradations: Sequence[str] = (),
    seed: int = 0,
    ir_window: tuple[float, float] | None = None,
) -> Protocol:
    """The protocol of a benchmark of given sets, all of whose files are read.

    Raises:
        UnknownNameError, UsageError: a degradation cannot be read.
    """
    plain = tuple(dict.fromkeys(map(plain_degradation, degradations))) or (CLEAN,)
    found = tuple(_source_set(data) for data in sets)
    return Protocol(found, tuple(metrics), tuple(conventions), plain, seed, ir_window)


def protocol_of_pairs(
    pairs: Sequence[FilePair],
    metrics: Sequence[str],
    convention: str,
    ir_window: tuple[float, float] | None = None,
) -> Protocol:
    """The protocol of scores of pairs, all of whose files are read."""
    digest_of = _file_digests()
    found = sorted((pair.name, digest_of(pair.ir), digest_of(pair.vi)) for pair in pairs)
    sources = SourceSet("", (), digest_of_pairs(found))
    return Protocol((sources,), tuple(metrics), (convention,), ir_window=ir_window)


def plain_degradation(text: str) -> str:
    """A degradation as it stands in protocols: ``haze:3``, where ``haze`` alone means that.

    Raises:
        UnknownNameError, UsageError: it cannot be read.
    """
    if text.strip().casefold() == CLEAN:
        return CLEAN
    return ",".join(map(str, parse_degradations(text)))


def _file_digests() -> Callable[[Path], str]:
    """A function that reads each file once, however often it is asked for."""
    known: dict[Path, str] = {}

    def digest_of(path: Path) -> str:
        if path not in known:
            try:
                known[path] = sha256_of(path)
            except InputError:  # the run says so, and goes on with the others
                known[path] = UNREADABLE
        return known[path]

    return digest_of


def _source_set(data: DataSet) -> SourceSet:
    digest_of = _file_digests()

    def below(path: Path) -> str:
        return path.relative_to(data.root).as_posix()

    return SourceSet(
        data.name,
        tuple(
            Source(pair.name, below(pair.ir), digest_of(pair.ir), below(pair.vi), digest_of(pair.vi))
            for pair in data.pairs
        ),
    )


def sets_of(protocol: Protocol, roots: Sequence[Path]) -> list[DataSet]:
    """Find the sources of a protocol, and check that they are those.

    Args:
        protocol: as read.
        roots: a folder for each set, in the order of the protocol. Their other files are not used.

    Returns:
        The sets with the names and pairs of the protocol.

    Raises:
        InputError: another number of folders, or files that are missing or have another content.
    """
    names = ", ".join(data.name for data in protocol.sets)
    sets = protocol.sets
    if len(roots) != len(sets):
        raise InputError(
            f"{len(roots)} folders of data, expected {len(sets)}, one for each set of it: {names}"
        )
    found, differ, total = [], [], 0
    for data, root in zip(sets, roots, strict=True):
        pairs = tuple(FilePair(pair.name, root / pair.ir, root / pair.vi) for pair in data.pairs)
        digests = {root / pair.ir: pair.ir_sha256 for pair in data.pairs}
        digests |= {root / pair.vi: pair.vi_sha256 for pair in data.pairs}
        differ += [f"{path} ({why})" for path, known in digests.items() if (why := _difference(path, known))]
        total += len(digests)
        layout = f"{len(pairs)} pairs of the protocol"
        found.append(DataSet(data.name, root, Pairing(pairs, (), ()), recognize(root), layout))
    if differ:
        rest = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
        named = ", ".join(differ[:_NAMED]) + rest
        raise InputError(f"{len(differ)} of {total} files are not those of the protocol: {named}")
    return found


def _difference(path: Path, known: str) -> str:
    if not path.is_file():
        return "missing"
    return "" if sha256_of(path) == known else "another content"
