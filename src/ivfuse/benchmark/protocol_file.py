"""Protocols as TOML files; see :mod:`ivfuse.benchmark.protocol`. All contents of a file are validated."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ivfuse.benchmark.protocol import (
    FORMAT,
    RESIZE,
    UNREADABLE,
    Protocol,
    Source,
    SourceSet,
    plain_degradation,
)
from ivfuse.errors import InputError, fault_of
from ivfuse.runtime.files import check_regular, write_atomic

_MOST_BYTES = 200_000_000  # of a file; a pair takes about 300


def write_protocol(protocol: Protocol, path: Path) -> None:
    """Write a protocol as TOML.

    Raises:
        InputError: a source could not be read, or has a name that is not Unicode text; or the pairs of a
            set are not listed.
        OutputError: the file cannot be written; it is written whole or not at all.
    """
    for data in protocol.sets:
        if not data.pairs:
            raise InputError(f"{data.name}: its pairs are not listed, so that no protocol can name them")
        for pair in data.pairs:
            if UNREADABLE in (pair.ir_sha256, pair.vi_sha256):
                raise InputError(f"{data.name}: {pair.name} cannot be read, so that no protocol can name it")
    try:
        content = _toml(protocol).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: a source has a name that is not Unicode, which TOML cannot hold"
        ) from error
    write_atomic(path, content)


def _toml(protocol: Protocol) -> str:
    window = [] if protocol.ir_window is None else [f"ir_window = {list(map(float, protocol.ir_window))}"]
    lines = [
        "# A protocol of ivfuse: ivfuse benchmark --protocol FILE --data DIR -o REPORT measures by it.",
        "# Whoever changes it removes the line hash; equal hashes mean that the same was measured.",
        f"format = {FORMAT}",
        f"hash = {_text(protocol.hash)}",
        f"ivfuse = {_text(protocol.ivfuse)}",
        f"code = {_text(protocol.code)}  # of the metrics",
        f"metrics = {_texts(protocol.metrics)}",
        f"conventions = {_texts(protocol.conventions)}",
        f"degradations = {_texts(protocol.degradations)}",
        f"seed = {protocol.seed}",
        *window,
        f"resize = {_text(protocol.resize)}",
    ]
    for data in protocol.sets:
        lines += ["", "[[sets]]", f"name = {_text(data.name)}", "pairs = ["]
        for pair in data.pairs:
            facts = ", ".join(f"{key} = {_text(value)}" for key, value in vars(pair).items())
            lines.append(f"    {{ {facts} }},")
        lines.append("]")
    return "\n".join([*lines, ""])


def _text(value: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON but for the one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def read_protocol(path: Path) -> Protocol:
    """Read a protocol.

    Raises:
        InputError: if it cannot be read, is not well-formed, or does not have the hash that it states.
    """
    check_regular(path)
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise InputError(f"{path}: {size} bytes, expected a protocol of at most {_MOST_BYTES}")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {fault_of(error)}") from error
    except (ValueError, RecursionError) as error:  # of the encoding, or of TOML
        raise InputError(f"{path}: no TOML file: {fault_of(error)}") from error
    protocol = _Reader(path).protocol(table)
    stated = table.get("hash")
    if stated not in (None, protocol.hash):
        raise InputError(
            f"{path}: states the hash {stated!r}, expected {protocol.hash} for its content",
            hint="if it was changed on purpose, remove the line hash",
        )
    return protocol


class _Reader:
    """Validates the tables of a protocol."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def protocol(self, table: Mapping[str, Any]) -> Protocol:
        if table.get("format") != FORMAT:
            raise InputError(f"{self.path}: format {table.get('format')!r}, expected format = {FORMAT}")
        known = {"format", "hash", *Protocol.__dataclass_fields__}
        self._check_keys(table, known - {"hash", "ir_window"}, known, "the protocol")
        if table["resize"] != RESIZE:
            raise InputError(f"{self.path}: resize = {table['resize']!r}, expected {RESIZE!r}")
        window = table.get("ir_window")
        numbers = None if window is None else self._list(window, (int, float), "ir_window")
        if numbers is not None and (len(numbers) != 2 or not abs(numbers[0] - numbers[1]) > 0):
            raise InputError(f"{self.path}: ir_window = {window!r}, expected two values that differ")
        seed = self._value(table["seed"], int, "seed")
        if seed < 0:
            raise InputError(f"{self.path}: seed = {seed}, expected 0 or more")
        names = ("metrics", "conventions", "degradations")
        texts = {key: self._list(table[key], (str,), key) for key in names}
        if empty := [key for key, values in texts.items() if not values]:
            raise InputError(f"{self.path}: {empty[0]} is empty, expected names")
        return Protocol(
            tuple(self._set(each) for each in self._list(table["sets"], (dict,), "sets")),
            tuple(texts["metrics"]),
            tuple(texts["conventions"]),
            tuple(map(plain_degradation, texts["degradations"])),
            seed,
            None if numbers is None else (float(numbers[0]), float(numbers[1])),
            RESIZE,
            self._value(table["ivfuse"], str, "ivfuse"),
            self._value(table["code"], str, "code"),
        )

    def _set(self, table: Mapping[str, Any]) -> SourceSet:
        self._check_keys(table, {"name", "pairs"}, {"name", "pairs"}, "a set")
        name = self._value(table["name"], str, "name of a set")
        if not name.strip() or Path(name).name != name or Path(name).drive:
            raise InputError(f"{self.path}: the set {name!r}, expected a name that a folder can have")
        pairs = tuple(self._pair(each) for each in self._list(table["pairs"], (dict,), f"pairs of {name}"))
        if not pairs or len({pair.name for pair in pairs}) < len(pairs):
            raise InputError(f"{self.path}: {name}: expected pairs of different names")
        return SourceSet(name, pairs)

    def _pair(self, table: Mapping[str, Any]) -> Source:
        keys = set(Source.__dataclass_fields__)
        self._check_keys(table, keys, keys, "a pair")
        pair = Source(**{key: self._value(table[key], str, key) for key in keys})
        for relative in (pair.name, pair.ir, pair.vi):
            path = Path(relative)
            if not path.parts or ".." in path.parts or path.is_absolute() or path.drive or "\0" in relative:
                raise InputError(f"{self.path}: {relative!r}, expected a path within the folder of the set")
        for digest in (pair.ir_sha256, pair.vi_sha256):
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                raise InputError(f"{self.path}: {pair.name}: SHA-256 {digest[:70]!r}, expected 64 digits")
        return pair

    def _check_keys(self, table: Mapping[str, Any], needed: set[str], known: set[str], what: str) -> None:
        if unknown := sorted(set(table) - known):
            raise InputError(f"{self.path}: unknown key {unknown[0]!r} of {what}")
        if missing := sorted(needed - set(table)):
            raise InputError(f"{self.path}: {what} lacks {', '.join(missing)}")

    def _value(self, value: Any, kind: type, key: str) -> Any:
        if type(value) is not kind:
            raise InputError(f"{self.path}: {key} = {str(value)[:60]!r}, expected a {kind.__name__}")
        return value

    def _list(self, value: Any, kinds: tuple[type, ...], key: str) -> list[Any]:
        if not isinstance(value, list) or not all(type(each) in kinds for each in value):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise InputError(f"{self.path}: {key}: expected a list of {names}")
        return value
