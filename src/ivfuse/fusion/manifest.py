"""The manifest of learned methods: name, graph file and digest of each, and the verification of files.

A learned method is added as an entry of ``weights/manifest.toml``; no code refers to methods by name.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ivfuse.errors import InputError, UsageError
from ivfuse.fusion.emphasis import EMPHASES
from ivfuse.fusion.method import MethodInfo
from ivfuse.runtime.files import sha256_of, write_atomic

PACKAGE = Path(__file__).resolve().parents[1]
ENVIRONMENT = "IVFUSE_WEIGHTS"

_NEEDED: dict[str, type] = {
    "file": str,
    "sha256": str,
    "size": int,
    "summary": str,
    "paper": str,
    "parameters": int,
    "variant": str,
    "license": str,
    "version": str,
}
_OPTIONAL: dict[str, type] = {
    "card": str,
    "align": int,
    "reach": int,
    "tile": int,
    "reducible": bool,
    "emphasis": str,
    "int8": str,
    "int8_sha256": str,
}


class ModelEntry(NamedTuple):
    """One learned method of a manifest.

    Attributes:
        info: properties of the method.
        file: file name of the ONNX graph.
        sha256: digest of the file, 64 lower-case hexadecimal digits.
        size: size of the file in bytes.
        variant: ``paper`` or ``fixed``.
        license: license of the weights.
        card: file name of the model card (Markdown), or ``None``.
        home: folder of the manifest that contains the entry.
        int8: file name and digest of the same graph in 8-bit integers; ``None`` if there is none.
    """

    info: MethodInfo
    file: str
    sha256: str
    size: int
    variant: str
    license: str
    card: str | None
    home: Path
    int8: tuple[str, str] | None = None

    def path(self, *, int8: bool = False) -> Path:
        """Find and verify the graph file.

        Args:
            int8: the graph in 8-bit integers.

        Raises:
            InputError: if the file is in none of the folders, or its digest differs from the manifest.
            UsageError: if there is no graph in 8-bit integers.
        """
        file, sha256 = self.file, self.sha256
        if int8:
            if self.int8 is None:
                raise UsageError(
                    field="precision",
                    found=f"int8 with the method {self.info.name!r}",
                    expected="fp32 or bf16",
                )
            file, sha256 = self.int8
        path = self._find(file)
        if path is None:
            folders = ", ".join(str(folder) for folder in self._folders())
            raise InputError(
                f"weights {file} of the method {self.info.name!r} not found in {folders}; "
                f"put the file there or set {ENVIRONMENT} to its folder"
            )
        verify(path, sha256)
        return path

    def card_text(self) -> str:
        """Read the model card as Markdown; empty if the entry has none or it is not installed."""
        path = self._find(self.card) if self.card else None
        return path.read_text(encoding="utf-8") if path else ""

    def _folders(self) -> list[Path]:
        folders = [self.home, *weight_folders()]
        return list(dict.fromkeys(folders))

    def _find(self, name: str) -> Path | None:
        return next((folder / name for folder in self._folders() if (folder / name).is_file()), None)


class Manifest(NamedTuple):
    """Learned methods by name, and the name of the default method (``None`` if there is none)."""

    default: str | None
    models: Mapping[str, ModelEntry]


def weight_folders() -> list[Path]:
    """Folders that are searched for weights: the package, ``weights/`` of a checkout, ``$IVFUSE_WEIGHTS``."""
    folders = [PACKAGE / "weights"]
    checkout = PACKAGE.parents[1]
    if (checkout / "pyproject.toml").is_file():
        folders.append(checkout / "weights")
    if own := os.environ.get(ENVIRONMENT):
        folders.append(Path(own).expanduser())
    return folders


def load_manifest() -> Manifest:
    """Load the manifest of the package, updated with that of ``$IVFUSE_WEIGHTS`` if it exists.

    Raises:
        InputError: if a manifest cannot be read or an entry is malformed.
    """
    manifest = read_manifest(PACKAGE / "weights" / "manifest.toml")
    own = os.environ.get(ENVIRONMENT)
    path = Path(own).expanduser() / "manifest.toml" if own else None
    if path is None or not path.is_file():
        return manifest
    added = read_manifest(path)
    return Manifest(added.default or manifest.default, {**manifest.models, **added.models})


def read_manifest(path: Path) -> Manifest:
    """Read one manifest file.

    Args:
        path: a TOML file in the format described at the top of ``weights/manifest.toml``.

    Raises:
        InputError: if the file cannot be read, is not TOML, or has an unknown, missing or mistyped key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the manifest of weights: {error}") from error
    return _parse_manifest(text, path)


def _parse_manifest(text: str, path: Path) -> Manifest:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also an integer of too many digits
        raise InputError(f"{path}: cannot read the manifest of weights: {error}") from error
    entries, default = table.pop("models", {}), table.pop("default", None)
    if not isinstance(entries, dict):
        raise InputError(f"{path}: found models = {entries!r}, expected a table per model")
    models = {name: parse_entry(name, facts, path) for name, facts in entries.items()}
    if table:
        raise InputError(f"{path}: unknown key {sorted(table)[0]!r}; expected 'default' and 'models'")
    if default is not None and default not in list(models):
        raise InputError(f"{path}: found default = {default!r}, expected one of the models {sorted(models)}")
    return Manifest(default, models)


def parse_entry(name: str, facts: Any, path: Path) -> ModelEntry:
    """Validate one table of facts and convert it to an entry.

    Args:
        name: name of the method.
        facts: keys and values, as described at the top of ``weights/manifest.toml``.
        path: the file that contains them.

    Raises:
        InputError: if a key is unknown or missing, or a value has another type.
    """
    where = f"{path}: models.{name}"
    if not isinstance(facts, dict):
        raise InputError(f"{where}: found {facts!r}, expected a table of facts")
    for key, value in facts.items():
        kind = {**_NEEDED, **_OPTIONAL}.get(key)
        if kind is None:
            raise InputError(f"{where}: unknown key {key!r}; known: {', '.join([*_NEEDED, *_OPTIONAL])}")
        if type(value) is not kind:
            raise InputError(f"{where}: {key} = {value!r}, expected a value of type {kind.__name__}")
    if missing := [key for key in _NEEDED if key not in facts]:
        raise InputError(f"{where}: missing {', '.join(missing)}")
    if (emphasis := facts.get("emphasis", "none")) not in EMPHASES:
        raise InputError(f"{where}: emphasis = {emphasis!r}, expected one of {', '.join(EMPHASES)}")
    if ("int8" in facts) != ("int8_sha256" in facts):
        raise InputError(f"{where}: expected both int8 and int8_sha256, or neither")
    info = MethodInfo(
        name=name,
        kind="learned",
        summary=facts["summary"],
        paper=facts["paper"],
        align=facts.get("align", 1),
        reach=facts.get("reach"),
        tile=facts.get("tile", 1024),
        reducible=facts.get("reducible", False),
        emphasis=facts.get("emphasis", "none"),
        parameters=facts["parameters"],
        version=facts["version"],
    )
    return ModelEntry(
        info=info,
        file=facts["file"],
        sha256=facts["sha256"].lower(),
        size=facts["size"],
        variant=facts["variant"],
        license=facts["license"],
        card=facts.get("card"),
        home=path.parent,
        int8=(facts["int8"], facts["int8_sha256"].lower()) if "int8" in facts else None,
    )


def verify(path: Path, sha256: str) -> None:
    """Verify the digest of a file.

    Raises:
        InputError: if the file cannot be read or has another digest (damaged, truncated, another version).
    """
    found = sha256_of(path)
    if found != sha256:
        raise InputError(f"{path}: the weights have SHA-256 {found}, expected {sha256}; fetch the file again")


def update_entry(path: Path, name: str, facts: Mapping[str, str | int]) -> None:
    """Add a learned method to a manifest or update its entry; all other lines are kept.

    Args:
        path: the manifest; created if it does not exist.
        name: name of the method.
        facts: keys and values of the entry; other keys of an existing entry are kept, but for those of a
            graph in 8-bit integers, which is one of the graph before.

    Raises:
        InputError: if the manifest cannot be read, or the entry would be malformed.
        OutputError: if the manifest cannot be written.
    """
    import json

    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    _parse_manifest(text, path)
    before = tomllib.loads(text).get("models", {}).get(name, {})
    if facts.get("sha256", before.get("sha256")) != before.get("sha256"):
        before = {key: value for key, value in before.items() if not key.startswith("int8")}
    merged = {**before, **facts}
    parse_entry(name, merged, path)
    lines = [f"[models.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in merged.items())]
    table = re.compile(rf"^\[models\.{re.escape(name)}\]\n(?:(?!\[|\n\[).*\n?)*", re.MULTILINE)
    block = "\n".join(lines) + "\n"
    if table.search(text):
        text = re.sub(r"\n{3,}", "\n\n", table.sub(lambda _: block + "\n", text, count=1)).rstrip() + "\n"
    else:
        text = f"{text.rstrip()}\n\n{block}".lstrip()
    write_atomic(path, text)


def add_method(path: Path, name: str, facts: Mapping[str, str | int], summary: str) -> str:
    """Enter an exported graph in a manifest; missing facts of a new entry are set to ``unknown``.

    Args:
        path: the manifest.
        name: name of the method.
        facts: file, digest, size, parameters, variant, alignment.
        summary: summary for a new entry.

    Returns:
        One line that describes the change.

    Raises:
        InputError: see :func:`update_entry`.
        OutputError: see :func:`update_entry`.
    """
    known = read_manifest(path).models if path.is_file() else {}
    if name in known:
        update_entry(path, name, facts)
        return f"updated the entry {name}"
    unknown = {"summary": summary, "paper": "unknown", "license": "unknown", "version": "1"}
    update_entry(path, name, {**unknown, **facts})
    return f"added the entry {name}; please fill in paper and license"
