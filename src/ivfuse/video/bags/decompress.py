"""Decompression of the chunks of bags with a bound: a small file may state, or hide, any size.

The package rosbags decompresses chunks whole; :func:`bound_rosbags` gives it the functions of this module.
"""

from __future__ import annotations

from bz2 import BZ2Decompressor
from importlib import import_module
from typing import Any

MAX_BYTES = 1 << 29  # of a chunk; recorders write chunks of a few megabytes, or of one larger message


def bound_rosbags() -> None:
    """Replace the unbounded decompressors of rosbags in this process; further calls change nothing."""
    first: Any = import_module("rosbags.rosbag1.reader")
    second: Any = import_module("rosbags.rosbag2.storage_mcap")
    first.decompressors.update(bz2=_bz2, lz4=_lz4)
    second.DECOMPRESSORS.update(lz4=lambda data, _: _lz4(data), zstd=lambda data, _: zstd(data))


def zstd(data: bytes) -> bytes:
    """Decompress one Zstandard frame.

    Raises:
        ValueError: if it is incomplete or larger than :data:`MAX_BYTES`.
    """
    library: Any = import_module("rosbags.rosbag2.storage_mcap")  # knows which package has it in this Python
    return _bounded(library.zstd.ZstdDecompressor(), data)


def _bz2(data: bytes) -> bytes:
    return _bounded(BZ2Decompressor(), data)


def _lz4(data: bytes) -> bytes:
    library: Any = import_module("lz4.frame")
    return _bounded(library.LZ4FrameDecompressor(), data)


def _bounded(decompressor: Any, data: bytes) -> bytes:
    out: bytes = decompressor.decompress(data, max_length=MAX_BYTES)
    if not decompressor.eof:
        limit = len(out) >= MAX_BYTES
        raise ValueError(f"a chunk of more than {MAX_BYTES >> 20} MiB" if limit else "an incomplete chunk")
    return out
