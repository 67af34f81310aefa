"""The plan of a benchmark: data sets, methods, metrics and conventions, validated before any work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ivfuse.benchmark.datasets import DataSet, open_sets
from ivfuse.benchmark.degraded import degraded_sets
from ivfuse.benchmark.protocol import Protocol, protocol_of, sets_of
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.fusion.emphasis import EMPHASES, EmphasisName
from ivfuse.fusion.hub import find_model, is_reference
from ivfuse.fusion.manifest import load_manifest
from ivfuse.fusion.registry import list_methods, method_info
from ivfuse.image.pairing import match_fused
from ivfuse.image.pairing_tree import match_fused_tree
from ivfuse.metrics import DEFAULT_METRICS, SEEING, expand_names, get_convention
from ivfuse.runtime.devices import Device, choose
from ivfuse.runtime.files import sha256_of
from ivfuse.runtime.limits import check_threads
from ivfuse.thermal.tone_mapping import Window

_NAME = re.compile(r"\w[\w.+ -]*")


@dataclass(frozen=True)
class Entry:
    """A method of the benchmark.

    Attributes:
        name: name in tables and folders.
        version: version of the method; empty for external results.
        external: data set -> pair -> fused file, for results of another program; else ``None``.
        unmatched: data set -> remarks on missing, unmatched or ambiguous external files.
        method: what the Fuser is given, where that is not the name: an ``.onnx`` file, a model of the Hub, or
            a method whose name here has an emphasis as well.
        emphasis: what the method is to bring out; ``None`` for its own, see :mod:`ivfuse.fusion.emphasis`.
    """

    name: str
    version: str = ""
    external: Mapping[str, Mapping[str, Path]] | None = None
    unmatched: Mapping[str, tuple[str, ...]] | None = None
    method: str | None = None
    emphasis: EmphasisName | None = None


@dataclass(frozen=True)
class Plan:
    """All settings of a run.

    Attributes:
        sets: data sets with their pairs.
        entries: methods, external results last.
        metrics: names of the metrics.
        conventions: names of the conventions; the first is the primary one of the report.
        out: folder of the report.
        ir_window: thermal values that become black and white.
        threads: CPU threads of a method; ``None`` leaves them to its runtime.
        device: device of learned methods; ``auto`` as in :class:`ivfuse.fusion.options.FuseOptions`.
        seed: seed of the bootstrap.
        seeing: measures of targets and naturalness, under the first convention; they are not ranked.
        protocol: what is measured of what; ``None`` where no one has read the sources yet, as on a cluster.
    """

    sets: tuple[DataSet, ...]
    entries: tuple[Entry, ...]
    metrics: tuple[str, ...]
    conventions: tuple[str, ...]
    out: Path
    ir_window: Window | None = None
    threads: int | None = None
    device: Device = "auto"
    seed: int = 0
    seeing: tuple[str, ...] = SEEING
    protocol: Protocol | None = None

    def __post_init__(self) -> None:
        """Raise UsageError if the threads are not 1 to 1024."""
        check_threads(self.threads)

    def measured(self, convention: str) -> list[str]:
        """All metrics that are computed under a convention, ranked or not."""
        also = self.seeing if convention == self.conventions[0] else ()
        return list(dict.fromkeys((*self.metrics, *also)))

    @property
    def tasks(self) -> int:
        """Number of images to fuse and of pairs to score."""
        own = sum(entry.external is None for entry in self.entries)
        return sum(len(data.pairs) for data in self.sets) * (own + 1)


def make_plan(
    roots: Sequence[Path],
    out: Path,
    methods: str = "all",
    fused: Sequence[str] = (),
    metrics: str | None = None,
    conventions: Sequence[str] = (),
    degrade: Sequence[str] = (),
    *,
    recursive: bool = False,
    **settings: Any,
) -> Plan:
    """Validate the settings of a benchmark.

    Args:
        roots: folders of pairs.
        out: folder of the report.
        methods: ``all``, ``none``, or names separated by commas; see :func:`method_entries`.
        fused: external results, ``NAME=DIR`` each. With several data sets, DIR holds a folder for each.
        metrics: ``all``, or families and names separated by commas; by default the eight usual ones.
        conventions: names of conventions; by default ``default``.
        degrade: degradations of the pairs, each of which makes further sets below ``out``; see
            :func:`ivfuse.benchmark.degraded.degraded_sets`.
        recursive: whether to pair the subfolders of folders too.
        settings: further fields of :class:`Plan`.

    Raises:
        InputError: a folder cannot be used.
        UnknownNameError: no such method, emphasis, metric or convention.
        UsageError: if there is no method, or two have the same name.
        IvfuseError: if the machine does not have the device.
    """
    _check(out, settings.get("device", "auto"))
    sets = open_sets(roots, recursive=recursive, leave_out=out)
    return _plan(sets, out, methods, fused, metrics, conventions, degrade, settings)


def plan_by_protocol(
    protocol: Protocol,
    roots: Sequence[Path],
    out: Path,
    methods: str = "all",
    fused: Sequence[str] = (),
    **settings: Any,
) -> Plan:
    """Validate the settings of a benchmark of which a protocol says what is measured.

    Args:
        protocol: as read; that of the plan names the program that measures now.
        roots: a folder for each set of the protocol, in its order.
        out, methods, fused: as for :func:`make_plan`.
        settings: further fields of :class:`Plan` that the protocol does not state.

    Raises:
        InputError: a source is missing or has another content, or a folder cannot be used.
        UnknownNameError: no such method, emphasis, metric or convention.
        UsageError: if there is no method, or two have the same name.
        IvfuseError: if the machine does not have the device.
    """
    _check(out, settings.get("device", "auto"))
    settings |= {"seed": protocol.seed, "ir_window": protocol.ir_window}
    names = ",".join(protocol.metrics)
    sets = sets_of(protocol, roots)
    return _plan(sets, out, methods, fused, names, protocol.conventions, protocol.degradations, settings)


def _check(out: Path, device: Device) -> None:
    choose("auto", "auto", device)
    if out.exists() and not out.is_dir():
        raise UsageError(field="out", found=f"the file {out}", expected="a folder for the report")


def _plan(
    clean: Sequence[DataSet],
    out: Path,
    methods: str,
    fused: Sequence[str],
    metrics: str | None,
    conventions: Sequence[str],
    degrade: Sequence[str],
    settings: dict[str, Any],
) -> Plan:
    """The plan of the sets, each under each degradation, with their protocol."""
    seed, window = settings.get("seed", 0), settings.get("ir_window")
    sets = degraded_sets(clean, degrade, out, seed, window) if degrade else clean
    entries = [*method_entries(methods), *(external_entry(text, sets) for text in fused)]
    plan = plan_of(sets, entries, out, metrics, conventions, **settings)
    return replace(plan, protocol=protocol_of(clean, plan.metrics, plan.conventions, degrade, seed, window))


def plan_of(
    sets: Sequence[DataSet],
    entries: Sequence[Entry],
    out: Path,
    metrics: str | None = None,
    conventions: Sequence[str] = (),
    **settings: Any,
) -> Plan:
    """Validate the methods, metrics and conventions of a benchmark of given sets; see :func:`make_plan`.

    Raises:
        UnknownNameError: no such metric or convention.
        UsageError: if there is no method, or two have the same name.
    """
    if not entries:
        raise UsageError(
            "no method to compare", hint="give {methods}, or external results as {fused} NAME=DIR"
        )
    names = [entry.name.casefold() for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"two methods are named {sorted(twice)[0]!r}, expected unique names")
    return Plan(
        tuple(sets),
        tuple(entries),
        tuple(_metric_names(metrics)),
        tuple(dict.fromkeys(get_convention(name).name for name in conventions or ("default",))),
        out,
        **settings,
    )


def method_entries(text: str) -> list[Entry]:
    """The methods that a text names, separated by commas.

    Args:
        text: names as for :func:`method_names`, ``.onnx`` files, which are named by their stems, or models of
            the Hub, named by their repositories; each may have an emphasis, as in ``swift@natural``. Of a
            model of the Hub it follows the revision: ``hf://owner/name@main@natural``.

    Raises:
        InputError: if a file is missing.
        UnknownNameError: if there is no such method or emphasis.
    """
    entries = []
    for part in (part.strip() for part in text.split(",")):
        method, emphasis = _split_emphasis(part)
        found = _entries_of(method) if method else []
        entries += [entry if emphasis is None else _emphasized(entry, emphasis) for entry in found]
    return entries


def _split_emphasis(text: str) -> tuple[str, EmphasisName | None]:
    """A method, and the emphasis after its last @."""
    method, at, emphasis = text.rpartition("@")
    is_revision = is_reference(text) and "@" not in method
    if not at or is_revision or text.lower().endswith(".onnx"):
        return text, None
    if emphasis not in EMPHASES:
        raise UnknownNameError("emphasis", emphasis, EMPHASES, field="methods")
    return method, emphasis  # type: ignore[return-value]  # it is one of the names


def _emphasized(entry: Entry, emphasis: EmphasisName) -> Entry:
    """A method with an emphasis, whose factors belong to its version."""
    factors = " ".join(f"{factor:g}" for factor in EMPHASES[emphasis])
    return replace(
        entry,
        name=f"{entry.name}@{emphasis}",
        version=f"{entry.version} {factors}",
        method=entry.method or entry.name,
        emphasis=emphasis,
    )


def _entries_of(method: str) -> list[Entry]:
    """The methods of one name, file or model; see :func:`method_entries`."""
    if is_reference(method):
        model = find_model(method)
        info, digest = model.config.entry.info, model.config.entry.sha256
        return [Entry(info.name, digest, method=str(model.reference))]
    if method.lower().endswith(".onnx"):
        graph = Path(method)
        if not graph.is_file():
            raise InputError(f"{graph}: no such file, expected an ONNX graph")
        return [Entry(graph.stem, sha256_of(graph), method=str(graph))]
    return [Entry(name, _version(name)) for name in method_names(method)]


def method_names(text: str) -> list[str]:
    """Methods by name: names separated by commas, ``all``, or ``none``.

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
        raise UsageError(field="metrics", found=repr(text), expected="names of metrics")
    return names


def _version(name: str) -> str:
    """A key that changes with the output of a method: its version, and the hash of its weights."""
    entry = load_manifest().models.get(name)
    return method_info(name).version + (f" {entry.sha256}" if entry else "")


def external_entry(text: str, sets: Sequence[DataSet]) -> Entry:
    """The fused images of another program."""
    name, equals, folder = text.partition("=")
    if not equals or not folder or not _NAME.fullmatch(name):
        raise UsageError(
            field="fused", found=repr(text), expected="NAME=DIR, a name of letters, digits, space and . + - _"
        )
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder, expected the fused images of {name}")
    has_folders = any((root / data.name).is_dir() for data in sets)
    external: dict[str, dict[str, Path]] = {}
    unmatched: dict[str, tuple[str, ...]] = {}
    for data in sets:
        folder_of_set = root / data.name if has_folders else root
        if has_folders and not folder_of_set.is_dir():
            external[data.name] = {}
            unmatched[data.name] = (f"no folder {data.name}/ in {root.name}/",)
            continue
        matching = match_fused_tree if any("/" in pair.name for pair in data.pairs) else match_fused
        triples = matching(data.pairing, folder_of_set)
        external[data.name] = {triple.name: triple.fused for triple in triples.triples}
        left = [path for path in triples.orphans if path not in data.pairing.orphans]
        if not has_folders and len(sets) > 1:
            left = []  # they may belong to another data set
        unmatched[data.name] = (
            *(f"belongs to no pair: {path.name}" for path in left),
            *(f"ambiguous: {line}" for line in triples.ambiguous if line not in data.pairing.ambiguous),
        )
    if not any(external.values()):
        raise InputError(f"{root}: no fused image of any pair, expected files with the pairs' names")
    return Entry(name, "", external, unmatched)
