"""Image file formats in one table: suffixes, signatures, depths, alpha and limits of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ivfuse.errors import UsageError


@dataclass(frozen=True)
class ImageFormat:
    """Facts about a file format.

    Attributes:
        name: as in messages.
        suffixes: in lower case; the first is the usual one.
        signatures: what files begin with; ``?`` stands for any byte.
        depths: bits per sample that are written.
        alpha: opacity can be written.
        longest_side: in pixels; a limit of the format or of its encoder.
        in_browsers: web browsers show it.
    """

    name: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...]
    depths: tuple[int, ...] = (8,)
    alpha: bool = False
    longest_side: int = 1_000_000
    in_browsers: bool = True

    def announces(self, head: bytes) -> bool:
        """Whether the first bytes of a file are those of this format."""
        return any(
            len(head) >= len(mark) and all(m in (ord("?"), h) for m, h in zip(mark, head, strict=False))
            for mark in self.signatures
        )


PNG = ImageFormat("PNG", (".png",), (b"\x89PNG\r\n\x1a\n",), (8, 16), alpha=True)
JPEG = ImageFormat("JPEG", (".jpg", ".jpeg"), (b"\xff\xd8\xff",), longest_side=65500)
TIFF = ImageFormat(
    "TIFF",
    (".tif", ".tiff"),
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    (8, 16),
    alpha=True,
    in_browsers=False,
)
BMP = ImageFormat("BMP", (".bmp",), (b"BM",))
WEBP = ImageFormat("WebP", (".webp",), (b"RIFF????WEBP",), alpha=True, longest_side=16383)

FORMATS: tuple[ImageFormat, ...] = (PNG, JPEG, TIFF, BMP, WEBP)
SUFFIXES: tuple[str, ...] = tuple(suffix for each in FORMATS for suffix in each.suffixes)
NAMES = f"{', '.join(each.name for each in FORMATS[:-1])} or {FORMATS[-1].name}"


def sniff(head: bytes) -> str | None:
    """Name of the format that the first 12 bytes of a file announce; ``None`` if it is not in the table."""
    return next((each.name for each in FORMATS if each.announces(head)), None)


def format_of(path: Path | str) -> ImageFormat | None:
    """The format that the suffix of a file names; ``None`` if it names none."""
    suffix = Path(path).suffix.lower()
    return next((each for each in FORMATS if suffix in each.suffixes), None)


def check_output(path: Path | str, depth: int = 8) -> ImageFormat:
    """The format in which an image file is to be written.

    Raises:
        UsageError: if images of this suffix or depth cannot be written.
    """
    found = format_of(path)
    if found is None:
        raise UsageError(
            f"{path}: unknown suffix {Path(path).suffix.lower()!r} for an image,"
            f" expected one of {' '.join(SUFFIXES)}"
        )
    if depth not in (8, 16):
        raise UsageError(field="depth", found=depth, expected="8 or 16")
    if depth not in found.depths:
        deep = suffixes_of([each for each in FORMATS if depth in each.depths])
        raise UsageError(
            f"{path}: {Path(path).suffix.lower()} holds 8 bit only, expected {deep} for {depth} bit"
        )
    return found


def suffixes_of(formats: Sequence[ImageFormat]) -> str:
    """The suffixes of formats as a list for messages."""
    return ", ".join(suffix for each in formats for suffix in each.suffixes)
