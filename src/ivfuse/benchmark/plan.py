"""What a benchmark is to do: sets, methods, metrics and conventions, checked before any work."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivfuse.benchmark.datasets import DataSet, open_sets
from ivfuse.errors import InputError, UsageError
from ivfuse.fusion.manifest import load_manifest
from ivfuse.fusion.registry import list_methods, method_info
from ivfuse.image.pairing import match_fused
from ivfuse.metrics import DEFAULT_METRICS, SEEING, expand_names, get_convention
from ivfuse.thermal.tone_mapping import Window

_NAME = re.compile(r"\w[\w.+ -]*")


@dataclass(frozen=True)
class Entry:
    """A method of the benchmark.

    Attributes:
        name: for tables and folders.
        version: of what fuses; empty for images that were brought.
        brought: set name -> pair name -> fused file, for results of another program; else ``None``.
        unmatched: set name -> what is missing, left over or ambiguous among brought files, a line each.
        method: what the Fuser is given, where that is not the name: the path of an ``.onnx`` file.
    """

    name: str
    version: str = ""
    brought: Mapping[str, Mapping[str, Path]] | None = None
    unmatched: Mapping[str, tuple[str, ...]] | None = None
    method: str | None = None


@dataclass(frozen=True)
class Plan:
    """All that a run needs.

    Attributes:
        sets: the data, with pairs.
        entries: the methods, our own first.
        metrics: their names.
        conventions: their names; the first leads the report.
        out: the folder of the report.
        ir_window: thermal values that become black and white.
        threads: of a method; ``None`` leaves it to its runtime.
        seed: of the bootstrap.
        seeing: measures of targets and naturalness, under the first convention; they are not ranked.
    """

    sets: tuple[DataSet, ...]
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]
    conventions: tuple[str, ...]
    out: Path
    ir_window: Window | None = None
    threads: int | None = None
    seed: int = 0
    seeing: tuple[str, ...] = SEEING

    def measured(self, convention: str) -> list[str]:
        """All metrics that are measured under a convention, ranked or not."""
        also = self.seeing if convention == self.conventions[0] else ()
        return list(dict.fromkeys((*self.metrics, *also)))

    @property
    def tasks(self) -> int:
        """How many images there are to fuse and to score."""
        own = sum(entry.brought is None for entry in self.entries)
        return sum(len(data.pairs) for data in self.sets) * (own + 1)


def make_plan(
    roots: Sequence[Path],
    out: Path,
    methods: str = "all",
    fused: Sequence[str] = (),
    metrics: str | None = None,
    conventions: Sequence[str] = (),
    degrade: Sequence[str] = (),
    **choices: Any,
) -> Plan:
    """Check what was asked for.

    Args:
        roots: folders of pairs.
        out: where the report goes.
        methods: ``all``, ``none``, or names with commas between.
        fused: results of other programs, ``NAME=DIR`` each. With several sets DIR holds a folder for each.
        metrics: ``all``, families or names with commas between; the eight of the common tables if not given.
        conventions: names; ``default`` if none is given.
        degrade: degradations of the pairs, each of which makes further sets below ``out``; see
            :func:`ivfuse.benchmark.degraded.degraded_sets`.
        choices: further fields of :class:`Plan`.

    Raises:
        InputError: a folder cannot be used.
        UnknownNameError: no such method, metric or convention.
        UsageError: nothing to do, or names that clash.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: found a file, expected a folder for the report")
    sets = tuple(open_sets(roots))
    if degrade:
        from ivfuse.benchmark.degraded import degraded_sets

        window, seed = choices.get("ir_window"), choices.get("seed", 0)
        sets = tuple(degraded_sets(sets, degrade, out, seed, window))
    entries = method_entries(methods)
    entries += [_brought(text, sets) for text in fused]
    if not entries:
        raise UsageError("no method: name some in --methods, or bring results with --fused NAME=DIR")
    names = [entry.name.casefold() for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"two methods are named {sorted(twice)[0]!r}; give one another name")
    return Plan(
        sets,
        tuple(entries),
        tuple(_metric_names(metrics)),
        tuple(dict.fromkeys(get_convention(name).name for name in conventions or ("default",))),
        out,
        **choices,
    )


def method_entries(text: str) -> list[Entry]:
    """The methods that a text names: as :func:`method_names`, or ``.onnx`` files, which are named by their
    stems.

    Raises:
        InputError: if a file is missing.
        UnknownNameError: if there is no such method.
    """
    entries = []
    for part in (part.strip() for part in text.split(",")):
        if part.lower().endswith(".onnx"):
            graph = Path(part)
            if not graph.is_file():
                raise InputError(f"{graph}: no such file, expected an ONNX graph")
            digest = hashlib.sha256(graph.read_bytes()).hexdigest()
            entries.append(Entry(graph.stem, digest, method=str(graph)))
        elif part:
            entries += [Entry(name, _version(name)) for name in method_names(part)]
    return entries


def method_names(text: str) -> list[str]:
    """What ``--methods`` names: names with commas between, ``all``, or ``none``.

    Raises:
        UnknownNameError: if there is no such method.
    """
    if text.strip().casefold() == "all":
        return list_methods()
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["none"]:
        return []
    return [method_info(name).name for name in dict.fromkeys(names)]


def _metric_names(text: str | None) -> list[str]:
    if text is None:
        return list(DEFAULT_METRICS)
    names = expand_names(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UsageError(f"--metrics {text!r} names no metric; `ivfuse metrics` lists them")
    return names


def _version(name: str) -> str:
    """What changes when the method's output changes: its version, and the weights of a trained one."""
    entry = load_manifest().models.get(name)
    return method_info(name).version + (f" {entry.sha256}" if entry else "")


def _brought(text: str, sets: Sequence[DataSet]) -> Entry:
    """The images that another program made."""
    name, equals, folder = text.partition("=")
    if not equals or not folder or not _NAME.fullmatch(name):
        raise UsageError(f"--fused {text!r}: expected NAME=DIR, a name of letters, digits, space and . + - _")
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder, expected the fused images of {name}")
    apart = any((root / data.name).is_dir() for data in sets)
    brought: dict[str, dict[str, Path]] = {}
    unmatched: dict[str, tuple[str, ...]] = {}
    for data in sets:
        place = root / data.name if apart else root
        if apart and not place.is_dir():
            brought[data.name] = {}
            unmatched[data.name] = (f"no folder {data.name}/ in {root.name}/",)
            continue
        triples = match_fused(data.pairing, place)
        brought[data.name] = {triple.name: triple.fused for triple in triples.triples}
        left = [path for path in triples.orphans if path not in data.pairing.orphans]
        if not apart and len(sets) > 1:
            left = []  # they may belong to another set
        unmatched[data.name] = (
            *(f"belongs to no pair: {path.name}" for path in left),
            *(f"ambiguous: {line}" for line in triples.ambiguous if line not in data.pairing.ambiguous),
        )
    if not any(brought.values()):
        raise InputError(f"{root}: no fused image of any pair, expected files with the pairs' names")
    return Entry(name, "", brought, unmatched)


def digest(*parts: bytes | str) -> str:
    """SHA-256 of the parts, told apart by their lengths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()
