"""What a file says about its pixels: color profile, significant bits, EXIF and XMP.

The data is passed on as bytes with a limit on its size; the content of directories is never expanded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ivfuse.image.directories import ICC_PROFILE, MAX_BLOCK, MAX_EXIF_ENTRIES, XMP
from ivfuse.image.png import chunks

MAX_PROFILE = 4 << 20  # bytes
EXIF_MARK, XMP_MARK, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
PNG_XMP_MARK = b"XML:com.adobe.xmp\0"
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}  # bytes per value by field type
_TIFF_MAX_VALUE = 281


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image file.

    Attributes:
        profile: the ICC color profile, or ``None``.
        bits: significant bits per sample as stated by the file; 0 if it does not say.
        exif: the EXIF block, which begins with the header of a TIFF file, or ``None``.
        xmp: the XMP packet, or ``None``.
    """

    profile: bytes | None = None
    bits: int = 0
    exif: bytes | None = None
    xmp: bytes | None = None


NO_METADATA = Metadata()


def read_metadata(kind: str, data: bytes) -> Metadata:
    """Read the metadata of a file whose pixels have been decoded; damaged metadata is ignored.

    Args:
        kind: name of the format, as returned by :func:`ivfuse.image.formats.sniff`.
        data: the whole file.
    """
    readers = {"JPEG": _jpeg, "PNG": _png, "TIFF": _tiff, "WebP": _webp}
    try:
        found = readers[kind](data) if kind in readers else Metadata()
    except (struct.error, IndexError, zlib.error):
        return Metadata()
    exif, xmp = found.exif, found.xmp
    if exif is not None and (len(exif) > MAX_BLOCK or exif[:4] not in (b"II*\0", b"MM\0*")):
        exif = None
    return Metadata(found.profile, found.bits, exif, None if xmp and len(xmp) > MAX_BLOCK else xmp)


def _jpeg(data: bytes) -> Metadata:
    """Read APP1 and APP2; the parts of a profile are numbered from 1."""
    exif = xmp = None
    parts: dict[int, bytes] = {}
    for marker, content in _segments(data):
        if marker == 0xE1 and content.startswith(EXIF_MARK):
            exif = exif or content[len(EXIF_MARK) :]
        elif marker == 0xE1 and content.startswith(XMP_MARK):
            xmp = xmp or content[len(XMP_MARK) :]
        elif marker == 0xE2 and content.startswith(_ICC) and len(content) > len(_ICC) + 2:
            parts[content[len(_ICC)]] = content[len(_ICC) + 2 :]
    profile = b"".join(parts[number] for number in sorted(parts)) or None
    return Metadata(profile, 0, exif, xmp)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """List marker and content of the segments before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # fill byte
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + length


def _png(data: bytes) -> Metadata:
    profile = exif = xmp = None
    bits = 0
    for name, start, length in chunks(data):
        content = data[start : start + length] if name in (b"iCCP", b"sBIT", b"eXIf", b"iTXt") else b""
        if name == b"iCCP":
            profile = _inflated(content[content.index(b"\0") + 2 :] if b"\0" in content else b"")
        elif name == b"sBIT":
            bits = max(content, default=0)
        elif name == b"eXIf":
            exif = content.removeprefix(EXIF_MARK)
        elif name == b"iTXt" and content.startswith(PNG_XMP_MARK) and content[len(PNG_XMP_MARK)] == 0:
            xmp = content[len(PNG_XMP_MARK) + 2 :].split(b"\0", 2)[-1]
    return Metadata(profile, bits, exif, xmp)


def _inflated(content: bytes) -> bytes | None:
    inflater = zlib.decompressobj()
    found = inflater.decompress(content, MAX_PROFILE)
    return found if inflater.eof else None


def _webp(data: bytes) -> Metadata:
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name in (b"ICCP", b"EXIF", b"XMP "):
            found[name] = data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    exif = found.get(b"EXIF")
    return Metadata(found.get(b"ICCP"), 0, exif.removeprefix(EXIF_MARK) if exif else None, found.get(b"XMP "))


def _tiff(data: bytes) -> Metadata:
    """Read the first directory of a classic TIFF file."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return Metadata()
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    found: dict[int, bytes] = {}
    for entry in range(at + 2, at + 2 + 12 * min(count, MAX_EXIF_ENTRIES), 12):
        tag, kind, length, where = struct.unpack_from(order + "HHII", data, entry)
        if tag not in (XMP, ICC_PROFILE, _TIFF_MAX_VALUE) or kind not in _TIFF_SIZES:
            continue
        size = _TIFF_SIZES[kind] * length
        where = where if size > 4 else entry + 8
        if size <= MAX_PROFILE:
            found[tag] = data[where : where + size]
    values = found.get(_TIFF_MAX_VALUE, b"")
    most = max(struct.unpack(f"{order}{len(values) // 2}H", values[: len(values) // 2 * 2]), default=0)
    bits = int(most).bit_length() if most & (most + 1) == 0 else 0  # only 2^n - 1 is believed
    from ivfuse.image.exif_tiff import exif_of_tiff

    return Metadata(found.get(ICC_PROFILE), bits, exif_of_tiff(data, MAX_BLOCK), found.get(XMP))
