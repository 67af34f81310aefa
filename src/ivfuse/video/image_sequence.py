"""A folder or a numbered row of images as a video of a constant rate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.pairing import list_images
from ivfuse.thermal.read import read_raw
from ivfuse.video.frame import Frame, Plane
from ivfuse.video.source import Clock, Health, Role, SourceInfo

if TYPE_CHECKING:
    from ivfuse.video.source import Packet

_NUMBER = re.compile(r"%(0\d+)?d")
Numbered = tuple[tuple[int, Path], ...]


def is_pattern(words: str) -> bool:
    """Whether the words are a pattern of numbered names, as ``ir_%04d.png``."""
    return "://" not in words and len(_NUMBER.findall(Path(words).name)) == 1


def find_images(words: str) -> Numbered | None:
    """The images of a folder in natural order, or those that fit a pattern, with their numbers from 0.

    Returns:
        ``None`` if the words name neither a folder nor a pattern.

    Raises:
        InputError: if there are no such images.
    """
    path = Path(words)
    if path.is_dir():
        found = list(enumerate(list_images(path)))
    elif is_pattern(words):
        before, _, after = _NUMBER.split(path.name, maxsplit=1)
        named = re.compile(f"{re.escape(before)}(\\d+){re.escape(after)}")
        numbered = [(named.fullmatch(x.name), x) for x in list_images(path.parent)]
        found = sorted((int(fits[1]), x) for fits, x in numbered if fits)
        found = [(number - found[0][0], x) for number, x in found]
    else:
        return None
    if not found:
        raise InputError(f"{words}: no images found, expected PNG, JPEG, TIFF, BMP or WebP files")
    return tuple(found)


class ImageSource:
    """Images as a :class:`~ivfuse.video.source.Source`; all have the size of the first."""

    def __init__(self, name: str, images: Numbered, role: Role, rate: Fraction) -> None:
        """Read the first image for its size.

        Args:
            name: what to call the row in messages.
            images: the number and the file of each; a number that is skipped is a frame that is missing.
            role: see :func:`ivfuse.video.source.open_source`.
            rate: images per second.

        Raises:
            InputError: if the first image cannot be read.
        """
        self._images = images
        self._role = role
        height, width = _planes(images[0][1], role)[0].shape
        self.info = SourceInfo(name, width, height, rate, images[-1][0] + 1)
        self.health = Health()

    def items(self) -> Iterator[Frame | Packet]:
        """The images; one that cannot be read is left out and noted."""
        clock = Clock(self.info.rate, self.health)
        for index, (number, path) in enumerate(self._images):
            time = float(number / self.info.rate)
            try:
                planes = _planes(path, self._role)
                if planes[0].shape != (self.info.height, self.info.width):
                    raise InputError(
                        f"{path}: found {planes[0].shape[1]}x{planes[0].shape[0]} pixels, expected "
                        f"{self.info.width}x{self.info.height} as in the first image"
                    )
            except InputError as error:
                self.health.damaged += 1
                self.health.blame(self.info.name, index, time, str(error))
                continue
            if (placed := clock.place(time)) is not None:
                yield Frame(planes, placed, index)

    def close(self) -> None:
        """Nothing is held open."""


def _planes(path: Path, role: Role) -> tuple[Plane, ...]:
    """An image as planes: thermal numbers as they are (degC where a file has them), the visible in 8 bit."""
    from ivfuse.image.decode import decode

    if role == "ir":
        pixels = read_raw(path).values
        if pixels.dtype.kind == "i":
            pixels = pixels.astype(np.float32)
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise InputError(f"{path}: found values that are NaN or infinite, expected finite numbers")
        return (np.ascontiguousarray(pixels),)
    decoded = decode(path)
    return _split(_to_8_bit(path, decoded.pixels), decoded.bgr)


def _to_8_bit(path: Path, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    raise InputError(f"{path}: found {pixels.dtype} values in a visible image, expected 8 or 16 bit")


def _split(pixels: NDArray[np.uint8], bgr: bool) -> tuple[Plane, ...]:
    """Y, U, V at full range and resolution (BT.601), or Y of a gray image."""
    import cv2

    if pixels.ndim == 2:
        return (np.ascontiguousarray(pixels),)
    code = cv2.COLOR_BGR2YCrCb if bgr else cv2.COLOR_RGB2YCrCb
    luma, red, blue = cv2.split(cv2.cvtColor(np.ascontiguousarray(pixels), code))
    return np.asarray(luma), np.asarray(blue), np.asarray(red)
