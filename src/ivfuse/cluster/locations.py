"""Files by their location: a local path, an fsspec URL, or a member of an uncompressed tar archive at either.

A member is written as ``ARCHIVE.tar#OFFSET+SIZE#NAME``, so that it is read without the rest of the archive.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from ivfuse.errors import InputError, IvfuseError, OutputError, fault_of
from ivfuse.runtime.files import check_regular, write_atomic

MAX_FILE = 2**30  # bytes of one image file that are fetched
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_MEMBER = re.compile(
    r"(?P<archive>.+\.tar)#(?P<offset>\d{1,15})\+(?P<size>\d{1,15})#(?P<name>[^#/\\]+)", re.DOTALL
)


@dataclass(frozen=True)
class Member:
    """A file in an uncompressed tar archive.

    Attributes:
        archive: location of the archive.
        offset: position of its first byte.
        size: its size in bytes.
        name: its name without folders.
    """

    archive: str
    offset: int
    size: int
    name: str

    def __str__(self) -> str:
        """The location of the member."""
        return f"{self.archive}#{self.offset}+{self.size}#{self.name}"


def is_url(location: str) -> bool:
    """Whether a location is a URL and not a path; ``file:///data`` is one."""
    return _URL.match(location) is not None


def member_of(location: str) -> Member | None:
    """Parse the location of a member of an archive; ``None`` for any other location."""
    found = _MEMBER.fullmatch(location)
    return (
        Member(found["archive"], int(found["offset"]), int(found["size"]), found["name"]) if found else None
    )


def local_path(location: str) -> Path | None:
    """The path of a local location, which may be written as ``file://``; ``None`` for other URLs."""
    if not is_url(location):
        return Path(location)
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme in ("file", "local") else None


def absolute(location: str, base: str = "") -> str:
    """Resolve a relative path against a folder, which may be a URL; the present folder if it is empty."""
    if is_url(location) or location.startswith("/") or os.path.isabs(location):
        return location
    return join(base, location) if base else os.path.abspath(location)


def join(folder: str, *names: str) -> str:
    """The location of a file in a folder."""
    return "/".join((folder.rstrip("/"), *names))


def parent(location: str) -> str:
    """The folder of a file; empty for a name without one."""
    return location.rpartition("/")[0]


def name_of(location: str) -> str:
    """The file name of a location, without folders."""
    member = member_of(location)
    return member.name if member else location.rstrip("/").rpartition("/")[2]


def filesystem(location: str) -> tuple[Any, str]:
    """Return the fsspec file system of a location and the path in it.

    Raises:
        InputError: if the protocol is unknown, or its package is missing.
    """
    try:
        fs, path = fsspec.core.url_to_fs(location)
    except ImportError as error:
        raise InputError(f"{location}: cannot be opened: {fault_of(error)}") from error
    except Exception as error:  # each file system has errors of its own
        expected = f"a path or a URL of a file system that fsspec knows, such as {', '.join(_SHOWN)}"
        raise InputError(f"{location}: {fault_of(error)}", expected=expected) from error
    return fs, path


_SHOWN = ("s3://", "gs://", "https://", "file://")


@contextmanager
def reading(location: str) -> Iterator[None]:
    """Turn any error of a file system into one line that names the location.

    Raises:
        InputError: instead of any error that is not an :class:`IvfuseError`.
    """
    try:
        yield
    except IvfuseError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{location}: no such file or folder") from error
    except Exception as error:  # credentials, permissions, networks: each file system has errors of its own
        raise InputError(f"{location}: cannot be read: {fault_of(error)}") from error


def exists(location: str) -> bool:
    """Whether a file or folder is there; raises as :func:`reading`."""
    if path := local_path(location):
        return path.exists()
    fs, inner = filesystem(location)
    with reading(location):
        return bool(fs.exists(inner))


def is_folder(location: str) -> bool:
    """Whether a location is a folder; raises as :func:`reading`."""
    if path := local_path(location):
        return path.is_dir()
    fs, inner = filesystem(location)
    with reading(location):
        return bool(fs.isdir(inner))


def check_access(location: str) -> None:
    """Check that the file system of a location can be used, before work starts.

    Raises:
        InputError: if its protocol is unknown, its package is missing, or it refuses access.
    """
    if is_url(location) and local_path(location) is None:
        fs, inner = filesystem(location)
        with reading(location):
            fs.exists(inner)


def list_files(folder: str) -> list[tuple[str, int]]:
    """List the names of all files below a folder, relative to it and sorted, with their sizes in bytes.

    Hidden files and those in hidden folders are left out. Raises as :func:`reading`.
    """
    fs, inner = filesystem(folder)
    with reading(folder):
        found = fs.find(inner, detail=True)
    root = inner.rstrip("/") + "/"
    names = sorted((path.removeprefix(root), int(facts.get("size") or 0)) for path, facts in found.items())
    return [(name, size) for name, size in names if not any(part.startswith(".") for part in name.split("/"))]


def list_names(folder: str) -> list[str]:
    """List the names of the files directly in a folder; none if it does not exist."""
    if path := local_path(folder):
        return sorted(os.listdir(path)) if path.is_dir() else []
    fs, inner = filesystem(folder)
    with reading(folder):
        fs.invalidate_cache()
        try:
            return sorted(name_of(str(each)) for each in fs.ls(inner, detail=False))
        except FileNotFoundError:
            return []


def open_binary(location: str) -> Any:
    """Open a file for reading, with random access; raises as :func:`reading`."""
    if path := local_path(location):
        check_regular(path)
    fs, inner = filesystem(location)
    with reading(location):
        return fs.open(inner, "rb")


def read_bytes(location: str, most: int = MAX_FILE) -> bytes:
    """Read a whole file or member.

    Raises:
        InputError: if it cannot be read, is truncated, or has more than ``most`` bytes.
    """
    member = member_of(location)
    start, size = (member.offset, member.size) if member else (0, most + 1)
    where = member.archive if member else location
    if path := local_path(where):
        check_regular(path)
    if member and size > most:
        raise InputError(f"{location}: found {size} bytes, expected at most {most}")
    fs, inner = filesystem(where)
    with reading(location):
        data = bytes(fs.cat_file(inner, start=start, end=start + size))
    if member and len(data) != size:
        raise InputError(f"{location}: the archive ends before the file, found {len(data)} of {size} bytes")
    if len(data) > most:
        raise InputError(f"{location}: found more than {most} bytes, the most that is fetched")
    return data


def fetch(location: str, folder: Path, stem: str) -> Path:
    """Return a local file with the content of a location: the file itself where it is local.

    Args:
        location: a path, a URL or a member of an archive.
        folder: an existing folder for a copy.
        stem: name of a copy, to which the suffix of the file is appended.

    Raises:
        InputError: as :func:`read_bytes`.
    """
    path = local_path(location)
    if path is not None and member_of(location) is None:
        return path
    suffix = PurePosixPath(name_of(location)).suffix
    copy = folder / f"{stem}{re.sub(r'[^.A-Za-z0-9]', '', suffix)[:12]}"
    copy.write_bytes(read_bytes(location))
    return copy


def write_whole(location: str, data: bytes) -> None:
    """Write a file at once: by a temporary name on a disk, as one object in a store.

    Raises:
        OutputError: if it cannot be written.
    """
    if path := local_path(location):
        write_atomic(path, data)
        return
    fs, inner = filesystem(location)
    with writing(location):
        fs.pipe_file(inner, data)


def remove(location: str) -> None:
    """Remove a file or folder, if it is there.

    Raises:
        OutputError: if it cannot be removed.
    """
    with writing(location):
        if path := local_path(location):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return
        fs, inner = filesystem(location)
        if fs.exists(inner):
            fs.rm(inner, recursive=True)


@contextmanager
def writing(location: str) -> Iterator[None]:
    """As :func:`reading`, for outputs.

    Raises:
        OutputError: instead of any error that is not an :class:`IvfuseError`.
    """
    try:
        yield
    except IvfuseError:
        raise
    except Exception as error:  # as in reading
        raise OutputError(f"{location}: cannot be written: {fault_of(error)}") from error
