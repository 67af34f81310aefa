"""A folder or a numbered sequence of images, read as a video of constant frame rate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.arrays import check_finite
from ivfuse.image.color import extended
from ivfuse.image.decode import decode
from ivfuse.image.listing import list_folder, list_images, note_on_drawn
from ivfuse.image.profiles import to_srgb
from ivfuse.image.read import white_level
from ivfuse.thermal.formats.base import RawThermal
from ivfuse.thermal.formats.registry import format_of
from ivfuse.thermal.read import FROM_FILE, upright_raw
from ivfuse.video.frame import BT601, UNSPECIFIED, Frame, Plane, is_colored_yuv
from ivfuse.video.source import Modality, SourceInfo, SourceStats, TimestampNormalizer

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket

NumberedImages = tuple[tuple[int, Path], ...]


class FoundImages(NamedTuple):
    """The images of a video.

    Attributes:
        images: number (from 0) and path of each; a skipped number is a missing frame.
        notes: remarks for the user on images that were left out.
    """

    images: NumberedImages
    notes: tuple[str, ...] = ()


_NUMBER = re.compile(r"%(0\d+)?d")


def is_pattern(location: str) -> bool:
    """Whether a location is a pattern of numbered file names, like ``ir_%04d.png``."""
    return "://" not in location and len(_NUMBER.findall(Path(location).name)) == 1


def find_images(location: str) -> FoundImages | None:
    """Find the images of a folder in natural order, or those that match a pattern.

    Returns:
        The images; ``None`` if the location is neither a folder nor a pattern.

    Raises:
        InputError: if there are no such images.
    """
    path = Path(location)
    if path.is_dir():
        listing = list_folder(path)
        found, notes = list(enumerate(listing.images)), note_on_drawn(listing.drawn)
    elif is_pattern(location):
        found, notes = _matching_images(path), ()
    else:
        return None
    if not found:
        raise InputError(f"{location}: no images found", expected="PNG, JPEG, TIFF, BMP or WebP files")
    return FoundImages(tuple(found), notes)


def _matching_images(pattern: Path) -> list[tuple[int, Path]]:
    prefix, _, suffix = _NUMBER.split(pattern.name, maxsplit=1)
    name = re.compile(f"{re.escape(prefix)}(\\d+){re.escape(suffix)}")
    matches = [(name.fullmatch(path.name), path) for path in list_images(pattern.parent)]
    numbered = sorted((int(match[1]), path) for match, path in matches if match)
    return [(number - numbered[0][0], path) for number, path in numbered]


class ImageSequenceSource:
    """Images as a :class:`~ivfuse.video.source.FrameSource`; all have the size and the unit of the first."""

    def __init__(
        self,
        name: str,
        images: NumberedImages,
        modality: Modality,
        rate: Fraction,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Read the first image to learn the size.

        Args:
            name: name of the sequence in messages.
            images: number and path of each image; a skipped number is a missing frame.
            modality: see :func:`ivfuse.video.open.open_source`.
            rate: images per second.
            notes: remarks for the user on how the images were found.

        Raises:
            InputError: if the first image cannot be read.
        """
        self._images = images
        self._modality = modality
        first = images[0][1]
        planes, raw = _read_planes(first, modality)
        height, width = planes[0].shape
        facts: dict[str, Any] = {"colored": is_colored_yuv(planes)}
        if raw is not None:
            facts, notes = {"colored": raw.colored, **_unit_of(raw, planes)}, notes + raw.notes
        self.info = SourceInfo(name, width, height, rate, images[-1][0] + 1, notes=notes, **facts)
        self.stats = SourceStats()

    def items(self) -> Iterator[Frame | AudioPacket]:
        """Yield the images; one that cannot be read is skipped and recorded."""
        timestamps = TimestampNormalizer(self.info.rate, self.stats)
        for index, (number, path) in enumerate(self._images):
            time = float(number / self.info.rate)
            try:
                planes = self._read(path)
            except InputError as error:
                self.stats.damaged += 1
                self.stats.record_failure(self.info.name, index, time, str(error))
                continue
            if (normalized := timestamps.normalize(time)) is not None:
                matrix = BT601 if len(planes) == 3 else UNSPECIFIED
                yield Frame(planes, normalized, index, matrix=matrix)

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, path: Path) -> tuple[Plane, ...]:
        planes, raw = _read_planes(path, self._modality)
        height, width = planes[0].shape
        self.info.check_frame(str(path), width, height, **({} if raw is None else _unit_of(raw, planes)))
        return planes


def _unit_of(raw: RawThermal, planes: tuple[Plane, ...]) -> dict[str, bool]:
    """What the values are, as :class:`~ivfuse.video.source.SourceInfo` states it."""
    return {"degrees": raw.degrees, "levels": not raw.degrees and planes[0].dtype == np.uint8}


def _read_planes(path: Path, modality: Modality) -> tuple[tuple[Plane, ...], RawThermal | None]:
    """Read 8-bit planes of the visible, or thermal values and the image that they are of."""
    if modality == "vi":
        return _read_visible(path), None
    raw = upright_raw(format_of(path).read(path, FROM_FILE))
    return (thermal_values(raw, str(path)),), raw


def thermal_values(raw: RawThermal, name: str) -> Plane:
    """The values of a thermal image as they are stored, (H, W); degC for radiometric files.

    Args:
        raw: the upright image; where it has no data, its values are extended.
        name: name of the image in error messages.

    Raises:
        InputError: if a value is NaN or infinite.
    """
    values = raw.values
    if raw.valid is not None and raw.valid.any():
        values = extended(values.astype(np.float32), raw.valid).astype(values.dtype)
    if values.dtype.kind == "i":
        values = values.astype(np.float32)
    check_finite(values, name)
    return np.ascontiguousarray(values)


def _read_visible(path: Path) -> tuple[Plane, ...]:
    """Y, U, V at full range and resolution (BT.601), or Y of a gray image."""
    import cv2

    decoded = decode(path)
    colors, _ = to_srgb(decoded.pixels, decoded.metadata.profile, bgr=decoded.bgr)
    # Without a statement in the file, all 16 bits count: a guess could differ between images.
    white = decoded.white or white_level(colors, decoded.metadata.bits or 16)[0]
    pixels = np.ascontiguousarray(_to_8_bit(path, colors, white))
    if pixels.ndim == 2:
        return (pixels,)
    code = cv2.COLOR_BGR2YCrCb if decoded.bgr else cv2.COLOR_RGB2YCrCb
    y, v, u = cv2.split(cv2.cvtColor(pixels, code))
    return np.asarray(y), np.asarray(u), np.asarray(v)


def _to_8_bit(path: Path, pixels: NDArray[Any], white: int) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    raise InputError(f"{path}: found {pixels.dtype} values in a visible image", expected="8 or 16 bit")
