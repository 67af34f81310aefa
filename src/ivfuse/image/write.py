"""Atomic writing of image files; the suffix selects the format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, OutputError, ShapeError, UsageError
from ivfuse.image.arrays import Gray, check_shape, strips, to_levels
from ivfuse.image.embed import adapted, embed
from ivfuse.image.formats import JPEG, PNG, WEBP, ImageFormat, check_output
from ivfuse.image.metadata import NO_METADATA, Metadata
from ivfuse.runtime.files import write_atomic

JPEG_QUALITY = 95


def write_image(
    path: str | os.PathLike[str],
    pixels: NDArray[Any],
    depth: int = 8,
    alpha: Gray | None = None,
    metadata: Metadata = NO_METADATA,
) -> None:
    """Write an image atomically: an existing file stays in place until the new one is complete.

    Args:
        path: the file to write. Its suffix selects the format: .png, .jpg, .jpeg (quality 95, chroma at full
            resolution), .tif, .tiff, .bmp or .webp (lossless). Missing folders are created.
        pixels: (H, W) or (H, W, 3) in R, G, B order, float32 in [0, 1], clipped and rounded to the nearest
            level, or uint8 or uint16.
        depth: bits per sample: 8, or 16 for .png, .tif and .tiff.
        alpha: opacity, (H, W) float32 in [0, 1]; kept in .png, .tif, .tiff and .webp.
        metadata: EXIF and XMP of the source, adapted to the image; kept in all but .bmp.

    Raises:
        UsageError: if the suffix is unknown, or the format does not support the depth or the size.
        ShapeError: if the arrays do not have the shape of an image.
        InputError: if the arrays contain NaN.
        OutputError: if the file cannot be written, for example for lack of permission or disk space.
    """
    path = Path(path)
    kind = check_output(path, depth)
    _check_arrays(path, kind, pixels, alpha)
    levels = to_levels(pixels, depth)
    levels = _with_alpha(levels.copy() if levels is pixels else levels, alpha if kind.alpha else None)
    kept = adapted(metadata, pixels.shape[1], pixels.shape[0])
    write_atomic(path, embed(kind, _encode(path, kind, levels, kept), kept))


def _check_arrays(path: Path, kind: ImageFormat, pixels: NDArray[Any], alpha: Gray | None) -> None:
    """Check that the arrays are an image that the format can hold."""
    check_shape(pixels, str(path))
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ShapeError(
            f"{path}: alpha {alpha.shape} and pixels {pixels.shape}: expected the same height and width"
        )
    if max(pixels.shape[:2]) > kind.longest_side:
        height, width = pixels.shape[:2]
        most = f"expected at most {kind.longest_side} per side in a {kind.name} file"
        raise UsageError(f"{path}: found {width}x{height} pixels, {most}")
    if any(x is not None and np.isnan(x.min()) for x in (pixels, alpha)):
        raise InputError(f"{path}: the image to write contains NaN, expected numbers in [0, 1]")


def _with_alpha(levels: NDArray[Any], alpha: Gray | None) -> NDArray[Any]:
    """Append alpha as the last channel: gray becomes (H, W, 2), color (H, W, 4) in R, G, B, A order."""
    if alpha is None:
        return levels
    opacity = to_levels(alpha, 8 * levels.dtype.itemsize)
    return np.dstack((levels, opacity))


def _encode(path: Path, kind: ImageFormat, levels: NDArray[Any], metadata: Metadata) -> memoryview:
    """Encode WebP files and 8-bit images with alpha with Pillow, all others with OpenCV."""
    channels = 1 if levels.ndim == 2 else levels.shape[2]
    try:
        if levels.dtype == np.uint8 and (kind is WEBP or channels in (2, 4)):
            return _encode_pillow(kind, levels, metadata)
        return _encode_opencv(kind, levels, channels)
    except MemoryError as error:
        raise OutputError(f"{path}: not enough memory to encode the image") from error


def _encode_opencv(kind: ImageFormat, levels: NDArray[Any], channels: int) -> memoryview:
    """Encode PNG, JPEG, TIFF or BMP with OpenCV."""
    import cv2

    if channels == 2:  # OpenCV does not write gray images with alpha
        gray, alpha = levels[..., 0], levels[..., 1]
        levels = np.ascontiguousarray(np.dstack((gray, gray, gray, alpha)))
    elif channels > 1:
        swap = cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA
        for rows in strips(*levels.shape[:2]):  # without a second copy of the image
            levels[rows] = cv2.cvtColor(levels[rows], swap)
    options: list[int] = []
    if kind is JPEG:
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(kind.suffixes[0], levels, options)
    if not done:
        raise OutputError(f"{kind.name}: the encoder failed on {levels.shape} {levels.dtype}")
    return memoryview(np.ascontiguousarray(data).data)


def _encode_pillow(kind: ImageFormat, levels: NDArray[np.uint8], metadata: Metadata) -> memoryview:
    """Encode an 8-bit PNG, TIFF or WebP with Pillow, which adds the metadata to WebP only."""
    from io import BytesIO

    from PIL import Image

    image = Image.fromarray(levels)
    file = BytesIO()
    if kind is PNG:
        image.save(file, "PNG", compress_level=3)
    elif kind is WEBP:
        added = {"exif": metadata.exif or b"", "xmp": metadata.xmp or b""}
        image.save(file, "WEBP", lossless=True, quality=30, method=2, exact=True, **added)
    else:
        image.save(file, "TIFF", compression="tiff_lzw")
    return file.getbuffer()
