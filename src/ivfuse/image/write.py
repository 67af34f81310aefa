"""Images to files: the suffix chooses the format, and a file appears whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, OutputError, ShapeError, UsageError
from ivfuse.image.read import Gray

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
DEEP_SUFFIXES = (".png", ".tif", ".tiff")
ALPHA_SUFFIXES = (".png", ".tif", ".tiff", ".webp")
JPEG_QUALITY = 95

_LONGEST_SIDE = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}  # pixels; limits of the formats
_STRIP = 1 << 18  # pixels converted at a time


def write_image(
    path: str | os.PathLike[str], pixels: NDArray[np.float32], depth: int = 8, alpha: Gray | None = None
) -> None:
    """Write an image, whole or not at all; an existing file stays until the new one is complete.

    Args:
        path: its suffix chooses the format: .png, .jpg, .jpeg (quality 95, chroma at full resolution), .tif,
            .tiff, .bmp or .webp (lossless). Missing folders are made.
        pixels: (H, W) or (H, W, 3) in R, G, B order, float32 in [0, 1]; clipped, rounded to the nearest
            level.
        depth: bits per sample, 8, or 16 for .png, .tif and .tiff.
        alpha: opacity, (H, W) float32 in [0, 1]; kept in .png, .tif, .tiff and .webp.

    Raises:
        UsageError: if the suffix is unknown, or the format does not hold the depth or the size.
        ShapeError: if the arrays are no image.
        InputError: if they hold NaN.
        OutputError: if the file cannot be written: folder, permission, disk full.
    """
    path = Path(path)
    suffix = check_output(path, depth)
    _check_arrays(path, suffix, pixels, alpha)
    if suffix not in ALPHA_SUFFIXES:
        alpha = None
    write_bytes(path, _encode(path, suffix, _levels(pixels, alpha, depth)))


def check_output(path: str | os.PathLike[str], depth: int = 8) -> str:
    """The suffix of an output, in lower case.

    Raises:
        UsageError: if images of this suffix or depth cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: unknown suffix {suffix!r} for an image, expected one of {' '.join(SUFFIXES)}"
        )
    if depth not in (8, 16):
        raise UsageError(f"depth: found {depth}, expected 8 or 16")
    if depth == 16 and suffix not in DEEP_SUFFIXES:
        raise UsageError(f"{path}: {suffix} holds 8 bit only, expected {', '.join(DEEP_SUFFIXES)} for 16 bit")
    return suffix


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside its place and move it there when it is complete.

    Raises:
        OutputError: naming the file and the reason; what was there before stays.
    """
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: it is a folder, expected the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot make the folder {path.parent}: {error.strerror or error}"
        ) from error
    # Not by tempfile: its files are private to the user, whatever the umask says.
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _check_arrays(path: Path, suffix: str, pixels: NDArray[np.float32], alpha: Gray | None) -> None:
    """Refuse what is not an image or does not fit the format."""
    if not pixels.size or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ShapeError(
            f"{path}: cannot write an array of shape {pixels.shape}, expected (H, W) or (H, W, 3)"
        )
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ShapeError(
            f"{path}: alpha {alpha.shape} and pixels {pixels.shape}: expected the same height and width"
        )
    longest = _LONGEST_SIDE.get(suffix, 1_000_000)
    if max(pixels.shape[:2]) > longest:
        raise UsageError(
            f"{path}: {pixels.shape[1]}x{pixels.shape[0]} pixels, but a {suffix} side has at most {longest}"
        )
    if any(x is not None and np.isnan(x.min()) for x in (pixels, alpha)):
        raise InputError(f"{path}: the image to write holds NaN, expected numbers in [0, 1]")


def _levels(pixels: NDArray[np.float32], alpha: Gray | None, depth: int) -> NDArray[Any]:
    """Integers to encode: (H, W), (H, W, 2) gray with alpha, (H, W, 3) or (H, W, 4) in R, G, B, A order."""
    height, width = pixels.shape[:2]
    channels = (1 if pixels.ndim == 2 else 3) + (alpha is not None)
    out = np.empty((height, width, channels), np.uint8 if depth == 8 else np.uint16)
    top_level = np.float32(2**depth - 1)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        target = out[top : top + rows]
        part = np.clip(pixels[top : top + rows], 0, 1) * top_level
        target[..., : channels - (alpha is not None)] = np.rint(part, out=part).reshape(*part.shape[:2], -1)
        if alpha is not None:
            target[..., -1] = np.rint(np.clip(alpha[top : top + rows], 0, 1) * top_level)
    return out[..., 0] if channels == 1 else out


def _encode(path: Path, suffix: str, levels: NDArray[Any]) -> memoryview:
    """Compress; 8-bit images with alpha, and WebP, by Pillow, all others by OpenCV."""
    channels = 1 if levels.ndim == 2 else levels.shape[2]
    try:
        if levels.dtype == np.uint8 and (suffix == ".webp" or channels in (2, 4)):
            return _encode_pillow(suffix, levels)
        return _encode_opencv(suffix, levels, channels)
    except MemoryError as error:
        raise OutputError(f"{path}: not enough memory to encode the image") from error


def _encode_opencv(suffix: str, levels: NDArray[Any], channels: int) -> memoryview:
    """PNG, JPEG, TIFF or BMP."""
    import cv2

    if channels == 2:  # OpenCV has no gray with alpha
        gray, alpha = levels[..., 0], levels[..., 1]
        levels = np.ascontiguousarray(np.dstack((gray, gray, gray, alpha)))
    elif channels > 1:
        rows = max(1, _STRIP // levels.shape[1])
        for top in range(0, levels.shape[0], rows):  # in place: OpenCV would take a second copy
            part = levels[top : top + rows]
            part[..., :3] = part[..., 2::-1].copy()
    options: list[int] = []
    if suffix in (".jpg", ".jpeg"):
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(suffix, levels, options)
    if not done:
        raise OutputError(f"{suffix}: the encoder failed on {levels.shape} {levels.dtype}")
    return memoryview(np.ascontiguousarray(data).data)


def _encode_pillow(suffix: str, levels: NDArray[np.uint8]) -> memoryview:
    """8-bit PNG, TIFF or WebP."""
    from io import BytesIO

    from PIL import Image

    image = Image.fromarray(levels)
    file = BytesIO()
    if suffix == ".png":
        image.save(file, "PNG", compress_level=3)
    elif suffix == ".webp":
        image.save(file, "WEBP", lossless=True, quality=30, method=2, exact=True)
    else:
        image.save(file, "TIFF", compression="tiff_lzw")
    return file.getbuffer()
