"""Conversion of visible images with an embedded ICC color profile to sRGB."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import strips


def to_srgb(pixels: NDArray[Any], profile: bytes | None, *, bgr: bool) -> tuple[NDArray[Any], str]:
    """Convert the colors of an image to sRGB (relative colorimetric), if its profile is another one.

    Args:
        pixels: (H, W) or (H, W, 3) as stored in the file. Only 8-bit color is converted.
        profile: the embedded ICC profile, or ``None`` for sRGB.
        bgr: whether the channels are in B, G, R order.

    Returns:
        The pixels, ``pixels`` itself if there is nothing to convert, and a note or "".
    """
    if profile is None or pixels.ndim != 3:
        return pixels, ""
    name = profile_name(profile)
    if "srgb" in name.lower() and "linear" not in name.lower():
        return pixels, ""
    shown = f"color profile {name!r}"
    if pixels.dtype != np.uint8 or profile[16:20] != b"RGB ":
        return pixels, f"{shown} not applied (only to 8-bit RGB)"
    from PIL import Image, ImageCms

    try:
        source = ImageCms.ImageCmsProfile(_file(profile))
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        change = ImageCms.buildTransform(source, target, "RGB", "RGB", intent)
    except (OSError, ImageCms.PyCMSError, ImportError):
        return pixels, f"{shown} not applied, it is damaged"
    out = np.empty_like(pixels)
    order = slice(None, None, -1 if bgr else 1)
    for rows in strips(*pixels.shape[:2]):
        part = Image.fromarray(np.ascontiguousarray(pixels[rows][..., order]))
        out[rows] = np.asarray(ImageCms.applyTransform(part, change))[..., order]
    return out, f"{shown} converted to sRGB"


def profile_name(profile: bytes) -> str:
    """Return the description of a profile (ICC.1:2022, 9.2.41), "unnamed" if it has none."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for at in range(132, 132 + 12 * min(count, 100), 12):
            sign, start, size = struct.unpack_from(">4sII", profile, at)
            if sign == b"desc":
                return _text(profile[start : start + min(size, 1024)]) or "unnamed"
    except struct.error:
        pass
    return "unnamed"


def _text(tag: bytes) -> str:
    """Decode a text of version 2 (ASCII) or the first one of version 4 (UTF-16)."""
    if tag[:4] == b"mluc":
        length, start = struct.unpack_from(">II", tag, 20)
        text = tag[start : start + length].decode("utf-16-be", "replace")
    else:
        text = tag[12:].split(b"\0")[0].decode("ascii", "replace")
    return "".join(char for char in text if char.isprintable()).strip()[:60]


def _file(data: bytes) -> Any:
    from io import BytesIO

    return BytesIO(data)
