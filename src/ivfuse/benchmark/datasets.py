"""Data sets: which are known, whether a folder is one of them, and whether it holds what it should.

A folder that is none of them is as welcome; known sets differ in that published results can be shown beside.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ivfuse.errors import InputError, UnknownNameError
from ivfuse.image.decode import upright_size
from ivfuse.image.pairing import FilePair, Pairing, pair_folder, pair_folders
from ivfuse.image.pairing_tree import HoldsBoth, pair_tree
from ivfuse.thermal.formats.registry import holds_photo

_GENERIC = frozenset({"test", "val", "train", "testing", "eval", "data", "images", "input", "fusion"})


@dataclass(frozen=True)
class Split:
    """A published choice of pairs: how many, and where the list comes from."""

    pairs: int
    note: str


@dataclass(frozen=True)
class KnownSet:
    """Facts about a data set.

    Attributes:
        name: as in ``ivfuse datasets NAME``.
        title: its full name.
        aliases: beginnings of folder names, lower case, letters and digits alone.
        paper: to be cited.
        repository: owner/name on GitHub; empty if there is none.
        obtained: where it is offered.
        terms: under what terms, as far as known.
        sizes: (width, height) that all images have; empty where they differ.
        scenes: what it shows.
        layouts: (infrared, visible) folders below the root.
        splits: published test splits.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    paper: str
    repository: str
    obtained: str
    terms: str
    sizes: tuple[tuple[int, int], ...]
    scenes: str
    layouts: tuple[tuple[str, str], ...]
    splits: tuple[Split, ...]

    def split_of(self, pairs: int) -> Split | None:
        """The published split of that many pairs."""
        return next((split for split in self.splits if split.pairs == pairs), None)


@dataclass(frozen=True)
class DataSet:
    """A folder of pairs.

    Attributes:
        name: for tables and file names.
        root: the folder.
        pairing: its pairs and what was left over.
        known: the set it was recognized as, or ``None``.
        layout: how the pairs were found, for people.
    """

    name: str
    root: Path
    pairing: Pairing
    known: KnownSet | None
    layout: str

    @property
    def pairs(self) -> tuple[FilePair, ...]:
        """The pairs, sorted by name."""
        return self.pairing.pairs

    @property
    def recognized(self) -> str:
        """What it is, in a line; that a folder bears a set's name does not make it a published split."""
        if self.known is None:
            return "not one of the known sets"
        if split := self.known.split_of(len(self.pairs)):
            return f"{self.known.title}: as many pairs as a published split ({split.note})"
        counts = " or ".join(str(split.pairs) for split in self.known.splits)
        other = f"; published splits have {counts} pairs" if counts else ""
        return f"{self.known.title} by its name, {len(self.pairs)} pairs{other}"


@dataclass(frozen=True)
class Check:
    """A folder compared with what it should hold.

    Attributes:
        data: what was found.
        sizes: (width, height) of the visible images -> how many.
        problems: what is wrong, a line each; empty if nothing is.
    """

    data: DataSet
    sizes: Counter[tuple[int, int]]
    problems: tuple[str, ...]


@lru_cache
def known_sets() -> dict[str, KnownSet]:
    """All known sets by name."""
    table = tomllib.loads(Path(__file__).with_name("datasets.toml").read_text(encoding="utf-8"))
    return {name: _known(name, facts) for name, facts in table.items()}


def get_set(name: str) -> KnownSet:
    """The known set of that name, in any letter case.

    Raises:
        UnknownNameError: there is none; the message names the nearest.
    """
    try:
        return known_sets()[name.lower()]
    except KeyError:
        raise UnknownNameError("data set", name, known_sets()) from None


def open_set(
    root: Path | str,
    known: KnownSet | None = None,
    *,
    recursive: bool = False,
    leave_out: Path | None = None,
    camera_files: bool = False,
) -> DataSet:
    """Find the pairs of a folder.

    Args:
        root: a known set in its usual layout, or any folder with ``ir/`` and ``vi/`` and the like.
        known: what it is said to be; else it is recognized by the names of the folder and its parents.
        recursive: whether to pair the subfolders of folders too, except ``leave_out``.
        leave_out: folder of the report, which may lie inside.
        camera_files: whether a camera file that contains both images is a pair, for those who fuse it only.

    Raises:
        InputError: if the folder is missing or holds no pair.
    """
    root = Path(root)
    known = known or recognize(root)
    holds_both = holds_photo if camera_files else None
    pairing, layout = (
        _find_below(root, known, leave_out, holds_both) if recursive else _find(root, known, holds_both)
    )
    if not pairing.pairs:
        raise InputError(f"{root}: no pairs found, expected files of equal names in ir/ and vi/")
    return DataSet(_name(root), root, pairing, known, layout)


def open_sets(
    roots: Sequence[Path | str], *, recursive: bool = False, leave_out: Path | None = None
) -> list[DataSet]:
    """Open several folders as :func:`open_set` does; names that occur twice get a number.

    Raises:
        InputError: as :func:`open_set`, or if a folder is given twice.
    """
    found: list[DataSet] = []
    seen: Counter[str] = Counter()
    for root in roots:
        if any(Path(root).resolve() == other.root.resolve() for other in found):
            raise InputError(f"{root}: given twice as data")
        data = open_set(root, recursive=recursive, leave_out=leave_out)
        seen[data.name.casefold()] += 1
        number = seen[data.name.casefold()]
        name = data.name if number == 1 else f"{data.name}-{number}"
        found.append(DataSet(name, data.root, data.pairing, data.known, data.layout))
    return found


def recognize(root: Path) -> KnownSet | None:
    """The known set whose name a folder, or one of its two parents, begins with."""
    for part in reversed(root.resolve().parts[-3:]):
        plain = re.sub(r"[\W_]+", "", part.casefold())
        for known in known_sets().values():
            if any(plain.startswith(alias) for alias in known.aliases):
                return known
    return None


def check_set(data: DataSet) -> Check:
    """Compare a folder with what it should hold: partners, sizes that agree, the published count."""
    problems = [f"no partner: {path.name}" for path in data.pairing.orphans]
    problems += [f"ambiguous: {line}" for line in data.pairing.ambiguous]
    sizes: Counter[tuple[int, int]] = Counter()
    for pair in data.pairs:
        try:
            ir, vi = upright_size(pair.ir), upright_size(pair.vi)
        except InputError as error:
            problems.append(str(error))
            continue
        sizes[vi] += 1
        if ir != vi:
            problems.append(f"{pair.name}: infrared {ir[0]}x{ir[1]}, visible {vi[0]}x{vi[1]}")
        elif data.known and data.known.sizes and vi not in data.known.sizes:
            expected = " or ".join(f"{width}x{height}" for width, height in data.known.sizes)
            problems.append(f"{pair.name}: {vi[0]}x{vi[1]}, expected {expected}")
    if data.known and data.known.splits and not data.known.split_of(len(data.pairs)):
        counts = " or ".join(str(split.pairs) for split in data.known.splits)
        problems.append(f"{len(data.pairs)} pairs, published splits of {data.known.title} have {counts}")
    return Check(data, sizes, tuple(problems))


def _find_below(
    root: Path, known: KnownSet | None, leave_out: Path | None, holds_both: HoldsBoth | None
) -> tuple[Pairing, str]:
    for ir, vi in known.layouts if known else ():
        if (root / ir).is_dir() and (root / vi).is_dir():
            pairing = pair_tree(root / ir, root / vi, leave_out=leave_out)
            return pairing, f"{ir}/ + {vi}/ with subfolders, the usual layout of the set"
    return pair_tree(root, None, holds_both, leave_out), "a folder with subfolders"


def _find(root: Path, known: KnownSet | None, holds_both: HoldsBoth | None) -> tuple[Pairing, str]:
    for ir, vi in known.layouts if known else ():
        if (root / ir).is_dir() and (root / vi).is_dir():
            return pair_folders(root / ir, root / vi), f"{ir}/ + {vi}/, the usual layout of the set"
    pairing = pair_folder(root, holds_both)
    if not pairing.pairs:
        return pairing, ""
    ir, vi = (path.parent.name for path in (pairing.pairs[0].ir, pairing.pairs[0].vi))
    return pairing, "one folder, told apart by names" if ir == vi else f"{ir}/ + {vi}/"


def _name(root: Path) -> str:
    """The folder's name, with its parent's where it says nothing by itself."""
    parts = [part for part in root.resolve().parts if part.strip("/\\:")]
    own = parts[-2:] if len(parts) > 1 and parts[-1].casefold() in _GENERIC else parts[-1:]
    return re.sub(r"[^\w.+-]+", "_", "-".join(own)) or "data"


def _known(name: str, facts: dict[str, Any]) -> KnownSet:
    lists = {
        "aliases": tuple(facts["aliases"]),
        "sizes": tuple((width, height) for width, height in facts["sizes"]),
        "layouts": tuple((ir, vi) for ir, vi in facts["layouts"]),
        "splits": tuple(Split(**split) for split in facts["splits"]),
    }
    return KnownSet(name=name, **{**facts, **lists})
