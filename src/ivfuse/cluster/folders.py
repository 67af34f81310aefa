"""Pairing of listings by the rules for folders: folders at URLs, and tar shards as WebDataset has them."""

from __future__ import annotations

import tarfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ivfuse.cluster.locations import (
    Member,
    absolute,
    filesystem,
    is_url,
    open_binary,
    reading,
)
from ivfuse.errors import InputError, fault_of
from ivfuse.image.formats import SUFFIXES
from ivfuse.image.listing import natural_key
from ivfuse.image.modality import IR, VI
from ivfuse.image.pairing import Pairing, pair_files, pair_mixed_files

MAX_MEMBERS = 1_000_000  # files of one tar shard


def pair_listing(files: list[str], *, recursive: bool = False) -> Pairing:
    """Pair the images of a folder that is known by its listing, as ``pair_folder`` does.

    Args:
        files: names relative to the folder.
        recursive: whether to pair the subfolders too, each by its folders for each modality or file names.

    Returns:
        The pairing; its paths are relative to the folder.
    """
    folders: dict[str, list[Path]] = defaultdict(list)
    for name in files:
        if Path(name).suffix.lower() in SUFFIXES:
            folders[name.rpartition("/")[0]].append(Path(name))
    parts = [_pair_folder(folder, folders, recursive) for folder in _tops(folders, recursive)]
    return joined(parts)


def joined(parts: list[Pairing]) -> Pairing:
    """Join several pairings."""
    return Pairing(
        tuple(pair for part in parts for pair in part.pairs),
        tuple(path for part in parts for path in part.orphans),
        tuple(line for part in parts for line in part.ambiguous),
        tuple(note for part in parts for note in part.notes),
    )


def _tops(folders: dict[str, list[Path]], recursive: bool) -> list[str]:
    """The folders to pair: the root, or all that are not the folder of one modality beside the other."""
    if not recursive:
        return [""]
    every = {""} | {
        "/".join(name.split("/")[:depth]) for name in folders for depth in range(1, name.count("/") + 2)
    }
    return sorted(every, key=natural_key)


def _pair_folder(folder: str, folders: dict[str, list[Path]], recursive: bool) -> Pairing:
    """Pair the files of one folder, and those of its folders for each modality."""
    prefix = f"{folder}/" if folder else ""
    inner = [
        Path(name) for name in folders if name.startswith(prefix) and name and "/" not in name[len(prefix) :]
    ]
    inner = [each for each in inner if str(each) != folder]
    ir, vi = IR.folders(inner), VI.folders(inner)
    parts = []
    if len(ir) == len(vi) == 1:
        parts.append(pair_files(folders[str(ir[0])], folders[str(vi[0])]))
    own = folder.rpartition("/")[2]
    if not (recursive and (IR.word.search(own) or VI.word.search(own))):
        parts.append(pair_mixed_files(folders.get(folder, [])))
    found = joined(parts)
    return replace(found, pairs=tuple(replace(pair, name=prefix + pair.name) for pair in found.pairs))


def pair_shards(pattern: str) -> tuple[Pairing, dict[Path, str]]:
    """Pair the members of tar shards: ``0001.ir.png`` and ``0001.vi.jpg`` in one shard are a pair.

    Args:
        pattern: location of a shard, or a pattern such as ``s3://bucket/shard-*.tar``.

    Returns:
        The pairing, with paths ``SHARD/NAME``, and the location of the member for each path. The names
        of pairs begin with that of the shard if there are several.

    Raises:
        InputError: if there is none, or one cannot be read.
    """
    archives = _matching(pattern)
    if not archives:
        raise InputError(f"{pattern}: no such file", expected="tar shards")
    parts, places = [], {}
    for number, archive in enumerate(archives):
        shard = PurePosixPath(archive).stem
        shard = (
            shard
            if len({PurePosixPath(each).stem for each in archives}) == len(archives)
            else f"{number}-{shard}"
        )
        members = {Path(shard, member.name): str(member) for member in members_of(archive)}
        places.update(members)
        found = pair_mixed_files(list(members))
        prefix = f"{shard}/" if len(archives) > 1 else ""
        parts.append(
            replace(found, pairs=tuple(replace(pair, name=prefix + pair.name) for pair in found.pairs))
        )
    return joined(parts), places


def members_of(archive: str) -> list[Member]:
    """List the images of an uncompressed tar archive.

    Raises:
        InputError: if it cannot be read, is not one, or has too many members.
    """
    found: list[Member] = []
    with reading(archive), open_binary(archive) as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for number, info in enumerate(tar):
                    if number >= MAX_MEMBERS:
                        raise InputError(f"{archive}: found more than {MAX_MEMBERS} files in one shard")
                    name = info.name.rpartition("/")[2]
                    if not info.isreg() or Path(name).suffix.lower() not in SUFFIXES or "#" in name:
                        continue
                    if info.offset_data + info.size > size:
                        raise InputError(f"{archive}: truncated in {name}")
                    found.append(Member(archive, info.offset_data, info.size, name))
        except tarfile.TarError as error:
            raise InputError(f"{archive}: not a tar archive: {fault_of(error)}") from error
    return found


def _matching(pattern: str) -> list[str]:
    """The locations that match a pattern, in natural order."""
    pattern = absolute(pattern)
    fs, inner = filesystem(pattern)
    with reading(pattern):
        if not any(sign in pattern for sign in "*?["):
            return [pattern] if fs.exists(inner) else []
        names = sorted((str(name) for name in fs.glob(inner)), key=natural_key)
    return [str(fs.unstrip_protocol(name)) for name in names] if is_url(pattern) else names
