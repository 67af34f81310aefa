"""Table of image file formats: suffixes, signatures, bit depths, alpha support and size limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ivfuse.errors import UsageError


class ImageFormat(NamedTuple):
    """Properties of an image file format.

    Attributes:
        name: name in messages.
        suffixes: file suffixes in lower case; the first is the usual one.
        signatures: possible first bytes of a file; ``?`` stands for any byte.
        depths: supported bits per sample for writing.
        alpha: whether opacity can be written.
        longest_side: largest width and height in pixels, a limit of the format or its encoder.
        metadata: whether EXIF and XMP are written.
        in_browsers: whether web browsers display the format.
    """

    name: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...]
    depths: tuple[int, ...] = (8,)
    alpha: bool = False
    longest_side: int = 1_000_000
    metadata: bool = True
    in_browsers: bool = True

    def announces(self, head: bytes) -> bool:
        """Whether the first bytes of a file match a signature of this format."""
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
BMP = ImageFormat("BMP", (".bmp",), (b"BM",), metadata=False)
WEBP = ImageFormat("WebP", (".webp",), (b"RIFF????WEBP",), alpha=True, longest_side=16383)

FORMATS: tuple[ImageFormat, ...] = (PNG, JPEG, TIFF, BMP, WEBP)
SUFFIXES: tuple[str, ...] = tuple(suffix for each in FORMATS for suffix in each.suffixes)
CAMERA_SUFFIXES: tuple[str, ...] = (".irg", ".hir", ".fff")  # of thermal files that are no image files
INPUT_SUFFIXES: tuple[str, ...] = (*SUFFIXES, *CAMERA_SUFFIXES)
NAMES = f"{', '.join(each.name for each in FORMATS[:-1])} or {FORMATS[-1].name}"


def sniff(head: bytes) -> str | None:
    """Identify a format by the first 12 bytes of a file; returns its name, or ``None`` if it is unknown."""
    return next((each.name for each in FORMATS if each.announces(head)), None)


def format_of(path: Path | str) -> ImageFormat | None:
    """Look up the format by the suffix of a file; ``None`` if the suffix is unknown."""
    suffix = Path(path).suffix.lower()
    return next((each for each in FORMATS if suffix in each.suffixes), None)


def check_output(path: Path | str, depth: int = 8) -> ImageFormat:
    """Determine the format in which an image file will be written.

    Raises:
        UsageError: if the suffix is unknown or the format does not support the depth.
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
            f"{path}: {Path(path).suffix.lower()} supports 8 bit only, expected {deep} for {depth} bit"
        )
    return found


def suffixes_of(formats: Sequence[ImageFormat]) -> str:
    """List the suffixes of formats for a message."""
    return ", ".join(suffix for each in formats for suffix in each.suffixes)
