"""JPEG-LS images of one channel (ITU-T T.87), as FLIR's CSQ files contain them; decoded by imagecodecs."""

from __future__ import annotations

from io import BytesIO
from struct import unpack_from
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import MissingExtraError
from ivfuse.image.headers import BadFileError
from ivfuse.thermal.formats.jpeg_segments import Segment, walk

_SOF55 = 0xF7  # the frame header of JPEG-LS
_HEAD = 4096  # bytes in which the frame header lies


def is_jpeg_ls(data: bytes) -> bool:
    """Whether data begins with the header of a JPEG-LS image."""
    return _frame_header(data) is not None


def decode_jpeg_ls(data: bytes, width: int, height: int) -> NDArray[np.uint16]:
    """Decode an image of 9 to 16 bits; its header is checked before memory is allocated.

    Args:
        data: the whole image.
        width: expected number of columns.
        height: expected number of rows.

    Returns:
        (H, W) uint16.

    Raises:
        BadFileError: if the image is damaged or has another size or depth.
        MissingExtraError: if the extra ``formats`` is not installed.
    """
    header = _frame_header(data)
    if header is None or header.size < 6:
        raise BadFileError("a damaged JPEG-LS image (its header is cut off)")
    bits, rows, columns, channels = unpack_from(">BHHB", header.head)
    if (columns, rows, channels) != (width, height, 1) or not 9 <= bits <= 16:
        raise BadFileError(
            f"a damaged FLIR file (a JPEG-LS image of {columns}x{rows}, {channels} channels, {bits} bit,"
            f" where the record states {width}x{height}, 16 bit)"
        )
    try:
        import imagecodecs
    except ModuleNotFoundError as error:
        raise MissingExtraError("a thermal image compressed by JPEG-LS", "formats") from error
    try:
        decoded: NDArray[Any] = imagecodecs.jpegls_decode(data)
    except (imagecodecs.JpeglsError, ValueError, RuntimeError) as error:
        raise BadFileError("a damaged or truncated JPEG-LS image") from error
    if decoded.shape != (height, width) or decoded.dtype != np.uint16:
        raise BadFileError("a JPEG-LS image whose pixels do not fit its header")
    return decoded


def _frame_header(data: bytes) -> Segment | None:
    """The frame header of JPEG-LS; ``None`` if there is none among the first segments."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    return next((segment for segment in walk(BytesIO(data[:_HEAD])) if segment.marker == _SOF55), None)
