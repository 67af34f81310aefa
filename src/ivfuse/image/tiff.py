"""Headers of TIFF files: the directory of the full image, its sample format, and what cannot be read.

Thumbnails, masks and the reduced images of pyramids are skipped; raw files of cameras are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ivfuse.image.directories import (
    BITS,
    COMPRESSION,
    DNG_VERSION,
    EXTRA_SAMPLES,
    GDAL_NODATA,
    HEIGHT,
    NEW_SUBFILE_TYPE,
    ORIENTATION,
    PHOTOMETRIC,
    PLANAR,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    SUBFILE_TYPE,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    BadFileError,
    Directory,
    UnsupportedFileError,
    read_directory,
    walk,
)

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
ASSOCIATED, UNASSOCIATED = 1, 2  # kinds of alpha

COMPRESSIONS = {
    1: "none", 2: "CCITT RLE", 3: "CCITT Group 3", 4: "CCITT Group 4", 5: "LZW", 6: "old JPEG", 7: "JPEG",
    8: "Deflate", 32773: "PackBits", 32946: "Deflate", 33003: "JPEG 2000", 33005: "JPEG 2000",
    34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL",
    52546: "JPEG XL",
}  # fmt: skip
_FORMATS = {UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "float", 4: "untyped", 5: "complex", 6: "complex"}
_PHOTOMETRICS = {MIN_IS_WHITE: "gray", MIN_IS_BLACK: "gray", RGB: "RGB", PALETTE: "palette", 4: "mask"}
_PHOTOMETRICS |= {CMYK: "CMYK", YCBCR: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32844: "LogL"}
_PHOTOMETRICS |= {32845: "LogLuv"}

_RAW_PHOTOMETRICS = {32803: "color filter array", 34892: "linear raw"}
_RAW_COMPRESSIONS = {32767: "Sony ARW", 34713: "Nikon NEF", 65000: "Kodak DCR", 65535: "Pentax PEF"}
_LONGEST_TILE = 1 << 16
_LARGEST_TILE = 1 << 24  # pixels, of an image that is smaller than its tiles
# Bytes of pixels per stored byte, at most; other compressions store an image of one value in a few bytes.
_EXPANSION = {1: 1, 32773: 64, 5: 4096, 8: 1032, 32946: 1032}


@dataclass(frozen=True)
class TiffHeader:
    """The full image of a TIFF file.

    Attributes:
        directory: its directory.
        more: whether the file contains further full images.
        width: width in pixels.
        height: height in pixels.
        bits: bits per sample, equal for all samples.
        format: sample format: unsigned, signed or float.
        samples: number of samples per pixel.
        extra: the kinds of the samples beyond the colors.
        compression: number of the compression scheme.
        photometric: number of the photometric interpretation.
        planar: whether the samples are stored one after another.
        orientation: orientation, 1 to 8.
        nodata: the value of pixels without data, as text; "" if none is stated.
    """

    directory: Directory
    more: bool
    width: int
    height: int
    bits: int
    format: int
    samples: int
    extra: tuple[int, ...]
    compression: int
    photometric: int
    planar: bool
    orientation: int
    nodata: str

    @property
    def colors(self) -> int:
        """Number of samples that are colors; the others are alpha or of unknown meaning."""
        return {RGB: 3, YCBCR: 3, CMYK: 4, 8: 3, 9: 3, 10: 3, 32845: 3}.get(self.photometric, 1)

    def __str__(self) -> str:
        """Compression, bits and samples, for messages."""
        packing = COMPRESSIONS.get(self.compression, str(self.compression))
        kind = _FORMATS.get(self.format, f"sample format {self.format}")
        color = _PHOTOMETRICS.get(self.photometric, f"photometric interpretation {self.photometric}")
        planes = ", separate planes" if self.planar else ""
        samples = f"{self.samples} sample{'s' * (self.samples != 1)} per pixel"
        return f"compression {packing}, {self.bits}-bit {kind}, {samples} ({color}{planes})"

    def unsupported(self, reason: str = "") -> UnsupportedFileError:
        """The error that names the kind of the file."""
        return UnsupportedFileError(f"a TIFF file with {self} is not supported{reason and f' ({reason})'}")


def read_tiff_header(data: bytes) -> TiffHeader:
    """Find the full image of a TIFF file.

    Raises:
        BadFileError: if the file is truncated, or a raw file of a camera.
    """
    directory, more = _full_image(data)
    bits = directory.fields.get(BITS, np.ones(1, np.uint16))
    formats = directory.fields.get(SAMPLE_FORMAT, np.ones(1, np.uint16))
    samples = directory.one(SAMPLES, 1)
    orientation = directory.one(ORIENTATION, 1)
    header = TiffHeader(
        directory, more, directory.one(WIDTH, 0), directory.one(HEIGHT, 0), int(bits[0]), int(formats[0]),
        samples,
        tuple(int(kind) for kind in directory.fields.get(EXTRA_SAMPLES, ())),
        directory.one(COMPRESSION, 1), directory.one(PHOTOMETRIC, MIN_IS_BLACK),
        directory.one(PLANAR, 1) == 2 and samples > 1,
        orientation if 1 <= orientation <= 8 else 1, directory.text(GDAL_NODATA),
    )  # fmt: skip
    if (bits != bits[0]).any() or (formats != formats[0]).any():
        raise header.unsupported(f"samples of {', '.join(str(each) for each in bits)} bits")
    if not 1 <= header.samples <= 64 or not 1 <= header.bits <= 64:
        raise header.unsupported()
    return header


def _full_image(data: bytes) -> tuple[Directory, bool]:
    """The first directory of a full image, and whether there are others in the main chain."""
    first = read_directory(data)
    if data[8:10] == b"CR" and data[:2] == b"II":
        raise _raw("Canon CR2")
    full: list[Directory] = []
    in_chain = 0
    for each, main in walk(data, first):
        _refuse_raw(each)
        if not _is_reduced(each) and each.one(WIDTH, 0):
            full.append(each)
            in_chain += main
    if not full or full[0] is first:
        return first, in_chain > 1
    return full[0], in_chain > 1


def _is_reduced(directory: Directory) -> bool:
    """Whether a directory is a thumbnail, a reduced image or a mask."""
    return bool(directory.one(NEW_SUBFILE_TYPE, 0) & 5) or directory.one(SUBFILE_TYPE, 1) == 2


def _refuse_raw(directory: Directory) -> None:
    if DNG_VERSION in directory.fields:
        raise _raw("Adobe DNG")
    photometric, compression = directory.one(PHOTOMETRIC, 1), directory.one(COMPRESSION, 1)
    if photometric in _RAW_PHOTOMETRICS or compression in _RAW_COMPRESSIONS:
        raise _raw(_RAW_COMPRESSIONS.get(compression) or _RAW_PHOTOMETRICS[photometric])


def _raw(kind: str) -> UnsupportedFileError:
    return UnsupportedFileError(
        f"a raw file of a camera ({kind}) is not supported; convert it to 16-bit TIFF first"
    )


def check_blocks(header: TiffHeader, length: int) -> None:
    """Check that all strips or tiles lie within the file; the size of the image must have been checked.

    Raises:
        BadFileError: if the file is truncated or inconsistent.
    """
    fields, one = header.directory.fields, header.directory.one
    tiled = TILE_OFFSETS in fields
    offsets = fields.get(TILE_OFFSETS if tiled else STRIP_OFFSETS)
    counts = fields.get(TILE_COUNTS if tiled and TILE_COUNTS in fields else STRIP_COUNTS)
    if offsets is None:
        raise BadFileError("a damaged TIFF file (no pixels)")
    if counts is None and header.compression != 1:
        raise header.unsupported("the sizes of strips or tiles are not stated")
    if tiled:
        width, height = one(TILE_WIDTH, 0), one(TILE_HEIGHT, 0)
        largest = max(_LARGEST_TILE, 2 * header.width * header.height)
        if not (1 <= width <= _LONGEST_TILE and 1 <= height <= _LONGEST_TILE and width * height <= largest):
            raise BadFileError(f"a damaged TIFF file (tiles of {width}x{height})")
    else:
        width, height = header.width, min(max(one(ROWS_PER_STRIP, header.height), 1), header.height)
    needed = -(-header.width // width) * -(-header.height // height)
    needed *= header.samples if header.planar else 1
    if len(offsets) < needed or (counts is not None and len(counts) < needed):
        raise BadFileError(f"a damaged TIFF file ({len(offsets)} strips or tiles, expected {needed})")
    starts = offsets[:needed].astype(np.uint64)
    sizes = np.zeros(1, np.uint64) if counts is None else counts[:needed].astype(np.uint64)
    end = np.uint64(length)
    if (starts > end).any() or (sizes > end - starts).any():
        raise BadFileError("a truncated TIFF file")
    if counts is not None and (sizes == 0).any():
        raise header.unsupported("strips or tiles without data")
    stored = length if counts is None else min(length, int(sizes.sum()))
    bits = header.width * header.height * header.samples * header.bits
    if header.compression in _EXPANSION and bits > 8 * stored * _EXPANSION[header.compression]:
        size = f"{stored} bytes cannot hold {header.width}x{header.height} pixels"
        raise BadFileError(f"a truncated TIFF file ({size})")
