"""Seeded mutations: changes of bytes, and changes that follow the structure of a format.

:func:`structure_of` finds the fields and blocks of a file. Fields are numbers, which become extreme; blocks
are chunks, segments or boxes, which are removed, repeated, exchanged, or filled with noise.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Change = Callable[["Draft"], None]

_EXTREMES = (0, 1, 2, 3, 7, 8, 16, 100, 255, 1000, 4095, 2**15 - 1, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31)
_EXTREMES += (2**32 - 1, 2**32 - 8, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_TEXTS = (".json", ".yaml", ".toml", ".csv", ".xml", ".txt")
_MAGIC = (b"FFF\0", b"Exif\0\0", b"II*\0", b"MM\0*", b"stsd", b"avih", b"strf", b"trun", b"ivfuse", b"PK\1\2")
_AUXILIARY = (b"eXIf", b"iCCP", b"tRNS", b"PLTE", b"gAMA", b"sBIT", b"acTL", b"cHRM", b"zTXt", b"iTXt")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TOKENS = (
    b"1e999", b"-1e308", b"nan", b".inf", b"-0", b"0", b"-1", b"1e-320", b"true", b"null", b'""', b'"x"',
    b"[]", b"{}", b"99999999999999999999", b"9" * 5000, b"[" * 3000, b'{"a":' * 2000, b"\xff\xfe", b"\0",
    b"\x1b[2J", b"\xe2\x80\xae", b"0x10", b"1_000", b"1:30", b"2024-01-01", b"!!python/object:os.system",
    b"&a [*a]", b"2**40",
)  # fmt: skip


@dataclass(frozen=True)
class Structure:
    """Fields as (offset, bytes, byte order) and blocks as (start, end)."""

    fields: list[tuple[int, int, str]] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Draft:
    """A file that is being changed, and the source of chance."""

    name: str
    data: bytearray
    rng: random.Random
    others: list[bytes]

    @property
    def structure(self) -> Structure:
        return structure_of(self.name, bytes(self.data))

    def at(self) -> int:
        """A position, which is near the beginning more often than not."""
        size = max(1, len(self.data))
        return self.rng.randrange(min(size, 300)) if self.rng.random() < 0.4 else self.rng.randrange(size)


def mutate(name: str, data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Change a file in one to four ways.

    Args:
        name: of the file; its suffix states the structure.
        data: a valid file.
        rng: the source of chance; the same state gives the same file.
        others: files that parts are taken from.
    """
    draft = Draft(name, bytearray(data), rng, others)
    changes = _TEXT if name.endswith(_TEXTS) else _BINARY
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        rng.choice(changes)(draft)
    if name.endswith(".png") and rng.random() < 0.9:
        return with_checksums(bytes(draft.data))
    return bytes(draft.data)


def structure_of(name: str, data: bytes) -> Structure:
    """Find the fields and blocks of a file; what cannot be parsed is left out."""
    finders = {".png": _png, ".jpg": _jpeg, ".tif": _tiff, ".mp4": _boxes, ".mov": _boxes}
    finders |= {".avi": _riff, ".webp": _riff}
    suffix = name[name.rfind(".") :]
    found = finders.get(suffix, lambda _: Structure())(data)
    for mark in _MAGIC:  # structures inside others, and those of formats without a finder
        for match in re.finditer(re.escape(mark), data):
            start = match.start()
            found.fields.extend(
                (at, 4, "<>"[at // 4 % 2]) for at in range(start, min(start + 320, len(data) - 4), 2)
            )
    if not found.fields:
        found.fields.extend((at, 4, "<") for at in range(0, min(200, len(data) - 4)))
    if not found.blocks:
        found.blocks.extend((at, at + 64) for at in range(0, len(data), 64))
    return found


def _png(data: bytes) -> Structure:
    found, at = Structure(), 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        end = min(at + 12 + size, len(data))
        found.blocks.append((at, end))
        if data[at + 4 : at + 8] != b"IDAT":
            found.fields.append((at, 4, ">"))
            found.fields.extend(
                (each, 4 if each + 4 <= end else 1, ">") for each in range(at + 8, min(end - 4, at + 72))
            )
        at = end
    return found


def _jpeg(data: bytes) -> Structure:
    found, at = Structure(), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        end = min(at + 2 + size, len(data))
        found.blocks.append((at, end))
        found.fields.append((at + 2, 2, ">"))
        found.fields.extend((each, 1 + each % 2, ">") for each in range(at + 4, min(end - 1, at + 40)))
        if data[at + 1] == 0xDA:
            break
        at = end
    return found


def _tiff(data: bytes) -> Structure:
    """The entries of all directories; the pointers between them are fields too."""
    order, big = ("<" if data[:2] == b"II" else ">"), data[2:4] in (b"+\0", b"\0+")
    word, step, head = (8, 20, 8) if big else (4, 12, 2)
    found, link, seen = Structure(), (8 if big else 4), set()
    while link + word <= len(data) and link not in seen:
        seen.add(link)
        found.fields.append((link, word, order))
        at = struct.unpack_from(order + ("Q" if big else "I"), data, link)[0]
        if not 0 < at < len(data) - head:
            break
        count = int.from_bytes(data[at : at + head], "little" if order == "<" else "big")
        found.fields.append((at, head, order))
        for entry in range(at + head, min(at + head + count * step, len(data) - step), step):
            value = entry + step - word
            tag_and_type = ((entry, 2, order), (entry + 2, 2, order))
            found.fields.extend(
                (*tag_and_type, (entry + 4, word, order), (value, word, order), (value, 2, order))
            )
            found.blocks.append((entry, entry + step))
        link = at + head + count * step
    return found


_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"moof", b"traf", b"mvex", b"dinf")


def _boxes(data: bytes, start: int = 0, end: int | None = None) -> Structure:
    """ISO base media files (ISO/IEC 14496-12): a box is its size, its type and its content."""
    found, at, end = Structure(), start, len(data) if end is None else end
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        kind, stop = data[at + 4 : at + 8], min(at + max(size, 8), end)
        found.blocks.append((at, stop))
        found.fields.append((at, 4, ">"))
        if kind in _PARENTS:
            inner = _boxes(data, at + 8, stop)
            found.fields.extend(inner.fields)
            found.blocks.extend(inner.blocks)
        elif kind != b"mdat":
            found.fields.extend((each, 4, ">") for each in range(at + 8, min(stop - 4, at + 120), 2))
        at = stop
    return found


def _riff(data: bytes, start: int = 12, end: int | None = None) -> Structure:
    """AVI and WebP: a chunk is its type, its size and its content; lists hold chunks."""
    found, at, end = Structure([(4, 4, "<")]), start, len(data) if end is None else end
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        stop = min(at + 8 + size + size % 2, end)
        found.blocks.append((at, stop))
        found.fields.append((at + 4, 4, "<"))
        if data[at : at + 4] == b"LIST" and data[at + 8 : at + 12] != b"movi":
            inner = _riff(data, at + 12, stop)
            found.fields.extend(inner.fields)
            found.blocks.extend(inner.blocks)
        else:
            found.fields.extend((each, 4, "<") for each in range(at + 8, min(stop - 4, at + 64), 2))
        at = stop
    return found


def with_checksums(data: bytes) -> bytes:
    """A PNG file whose checksums fit, so that what was changed reaches the decoder."""
    parts = [data[:8]]
    for start, end in _png(data).blocks:
        parts += [data[start : end - 4], struct.pack(">I", zlib.crc32(data[start + 4 : end - 4]))]
    return b"".join(parts)


def _bits(draft: Draft) -> None:
    for _ in range(draft.rng.choice((1, 1, 2, 8, 32)) if draft.data else 0):
        draft.data[draft.at() % len(draft.data)] ^= 1 << draft.rng.randrange(8)


def _bytes(draft: Draft) -> None:
    at, size = draft.at(), draft.rng.choice((1, 2, 4, 16, 64))
    fill = draft.rng.choice((bytes(size), b"\xff" * size, draft.rng.randbytes(size)))
    draft.data[at : at + size] = fill[: len(draft.data) - at]


def _cut(draft: Draft) -> None:
    del draft.data[draft.rng.choice((draft.at(), draft.rng.randrange(len(draft.data) + 1))) :]


def _remove(draft: Draft) -> None:
    at = draft.at()
    del draft.data[at : at + draft.rng.choice((1, 2, 7, 64, 500))]


def _insert(draft: Draft) -> None:
    block = draft.rng.choice((draft.rng.randbytes(draft.rng.randrange(1, 80)), bytes(40), b"\xff" * 5000))
    at = draft.at()
    draft.data[at:at] = block


def _splice(draft: Draft) -> None:
    """The beginning of this file, and the end of another one."""
    other, at = draft.rng.choice(draft.others), draft.rng.randrange(len(draft.data) + 1)
    draft.data[at:] = other[draft.rng.choice((at, draft.rng.randrange(len(other)))) :]


def _field(draft: Draft) -> None:
    fields = draft.structure.fields
    if not fields:
        return
    at, size, order = draft.rng.choice(fields)
    old = int.from_bytes(draft.data[at : at + size], "little" if order == "<" else "big")
    near = old + draft.rng.choice((-2, -1, 1, 2, old, 1 << draft.rng.randrange(8 * size)))
    value = draft.rng.choice((*_EXTREMES, near, near, near, near)) % (1 << 8 * size)
    draft.data[at : at + size] = value.to_bytes(size, "little" if order == "<" else "big")


def _drop_block(draft: Draft) -> None:
    if draft.structure.blocks:
        start, end = draft.rng.choice(draft.structure.blocks)
        del draft.data[start:end]


def _repeat_block(draft: Draft) -> None:
    if draft.structure.blocks:
        start, end = draft.rng.choice(draft.structure.blocks)
        times = draft.rng.choice((1, 1, 2, 50, 2000)) if end - start < 400 else 1
        draft.data[end:end] = bytes(draft.data[start:end]) * times


def _swap_blocks(draft: Draft) -> None:
    blocks = draft.structure.blocks
    if len(blocks) > 1:
        (a, b), (c, d) = sorted(draft.rng.sample(blocks, 2))
        if b <= c:
            draft.data[a:d] = draft.data[c:d] + draft.data[b:c] + draft.data[a:b]


def _noise_in_block(draft: Draft) -> None:
    if draft.structure.blocks:
        start, end = draft.rng.choice(draft.structure.blocks)
        at = min(start + draft.rng.randrange(4, 24), end)
        size = min(end - at, draft.rng.choice((4, 16, 400)))
        draft.data[at : at + size] = draft.rng.randbytes(size)


def _foreign_block(draft: Draft) -> None:
    """A block of another file, such as a color profile or a directory, at a place where blocks begin."""
    other = draft.rng.choice(draft.others)
    there, here = structure_of(draft.name, other).blocks, draft.structure.blocks
    if there and here:
        (start, end), (at, _) = draft.rng.choice(there), draft.rng.choice(here)
        draft.data[at:at] = other[start:end]


def _chunk(draft: Draft) -> None:
    """PNG: an auxiliary chunk with odd content before the pixels, or pixels that are deflated anew."""
    if not draft.name.endswith(".png"):
        return _field(draft)
    data = bytes(draft.data)
    pixels = [(a, b) for a, b in _png(data).blocks if data[a + 4 : a + 8] == b"IDAT"]
    if not pixels:
        return None
    start, end = pixels[0][0], pixels[-1][1]
    if draft.rng.random() < 0.5:
        name = draft.rng.choice(_AUXILIARY)
        draft.data[start:start] = _whole(name, draft.rng.randbytes(draft.rng.choice((0, 1, 4, 8, 32, 700))))
        return None
    try:
        raw = bytearray(zlib.decompress(b"".join(data[a + 8 : b - 4] for a, b in pixels)))
    except zlib.error:
        return None
    raw[draft.rng.randrange(len(raw) + 1) :] = draft.rng.choice((b"", bytes(9), draft.rng.randbytes(5000)))
    draft.data[start:end] = _whole(b"IDAT", zlib.compress(bytes(raw)))
    return None


def _whole(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content), name) + content + struct.pack(">I", zlib.crc32(name + content))


def _number(draft: Draft) -> None:
    found = list(_NUMBER.finditer(bytes(draft.data)))
    if found:
        match = draft.rng.choice(found)
        draft.data[match.start() : match.end()] = draft.rng.choice(_TOKENS)


def _words(draft: Draft) -> Iterator[re.Match[bytes]]:
    return re.finditer(rb"[A-Za-z_]+|[^A-Za-z_\s]", bytes(draft.data))


def _word(draft: Draft) -> None:
    """Replace, remove or exchange a word or sign."""
    found = list(_words(draft))
    if len(found) > 1:
        match, other = draft.rng.sample(found, 2)
        draft.data[match.start() : match.end()] = draft.rng.choice((b"", other[0], draft.rng.choice(_TOKENS)))


def _line(draft: Draft) -> None:
    """Repeat, remove or move a line."""
    lines = bytes(draft.data).splitlines(keepends=True)
    if lines:
        line = lines.pop(draft.rng.randrange(len(lines)))
        for _ in range(draft.rng.choice((0, 1, 2, 3, 1000))):
            lines.insert(draft.rng.randrange(len(lines) + 1), line)
        draft.data[:] = b"".join(lines)


_BINARY: tuple[Change, ...] = (
    _bits, _bytes, _cut, _remove, _insert, _splice, _field, _field, _field, _field, _drop_block,
    _repeat_block, _swap_blocks, _noise_in_block, _foreign_block, _chunk,
)  # fmt: skip
_TEXT: tuple[Change, ...] = (_number, _number, _number, _word, _word, _line, _bits, _cut, _insert, _splice)
