"""Thermal image and photo of one camera on one grid: the part of the photo that the thermal camera sees.

The grid is the photo's own, cut out and not resampled, or as fine as the thermal image where that is finer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError

_BLACK = 24  # levels of 8 bit; a black frame is no brighter, the rests of JPEG blocks beside it included
_LEAST_PHOTO = 0.25  # of the photo must be left without its frame, else the whole photo is dark
_LEAST_THERMAL = 0.05  # of the thermal image must lie on the photo


class Alignment(Protocol):
    """How a photo lies to its thermal image; see :class:`ivfuse.thermal.formats.base.PhotoGeometry`."""

    @property
    def real_to_ir(self) -> float:
        """Width of the photo in widths of the thermal image."""
        ...

    @property
    def offset_x(self) -> float:
        """Offset of the centers, in pixels of the photo, to the right."""
        ...

    @property
    def offset_y(self) -> float:
        """The same, downwards."""
        ...


@dataclass(frozen=True)
class Box:
    """A part of the photo, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Overlap:
    """The common grid.

    Attributes:
        box: the part of the photo.
        height: of the grid.
        width: of the grid.
        to_thermal: (2, 3) from a column and row of the grid to those of the thermal image.
        notes: what a user should know.
    """

    box: Box
    height: int
    width: int
    to_thermal: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def overlap(
    photo: NDArray[np.uint8], thermal: tuple[int, int], alignment: Alignment | None, zoom: float = 1.0
) -> Overlap:
    """Find the common grid by the camera's own parameters.

    The thermal image is ``real_to_ir / zoom`` times narrower than the photo; its center lies ``offset_x``,
    ``offset_y`` pixels of the photo beside the photo's. Pixels of both are square.

    Args:
        photo: (H, W) or (H, W, 3) uint8.
        thermal: height and width of the raster.
        alignment: the parameters; without them both images are taken to be of one width and center.
        zoom: of the camera's own image, from which ``real_to_ir`` counts.

    Raises:
        BadFileError: if the images hardly overlap.
    """
    content = without_frame(photo)
    height, width = photo.shape[:2]
    step = (
        width * zoom / (alignment.real_to_ir if alignment else 1.0) / thermal[1]
    )  # photo pixels a thermal one
    middle = (width / 2, height / 2)
    if alignment is not None:
        middle = (middle[0] + alignment.offset_x, middle[1] + alignment.offset_y)
    left, top = middle[0] - step * thermal[1] / 2, middle[1] - step * thermal[0] / 2
    box = Box(
        max(content.left, int(np.ceil(left))),
        max(content.top, int(np.ceil(top))),
        min(content.right, int(np.floor(left + step * thermal[1]))),
        min(content.bottom, int(np.floor(top + step * thermal[0]))),
    )
    wide, high = box.right - box.left, box.bottom - box.top
    if min(wide, high) < 1 or wide * high < _LEAST_THERMAL * step**2 * thermal[0] * thermal[1]:
        raise BadFileError("a FLIR file whose photo and thermal image do not overlap by its own parameters")
    finer = max(1.0, 1 / step)  # grid pixels a photo pixel
    grid = max(1, round(high * finer)), max(1, round(wide * finer))
    across, down = wide / grid[1], high / grid[0]  # photo pixels a grid pixel
    to_thermal = np.array(
        [
            [across / step, 0, (box.left + across / 2 - left) / step - 0.5],
            [0, down / step, (box.top + down / 2 - top) / step - 0.5],
        ]
    )
    return Overlap(box, *grid, to_thermal, _notes(photo, content, alignment))


def without_frame(photo: NDArray[np.uint8]) -> Box:
    """The photo without a black frame, as cameras leave one that write a narrower photo on a standard size.

    A photo that is dark all over keeps its whole size.
    """
    height, width = photo.shape[:2]
    brightest = photo.max(axis=2) if photo.ndim == 3 else photo
    if (
        min(brightest[:, edge].max(initial=0) for edge in (0, -1)) > 2
        and min(brightest[edge].max(initial=0) for edge in (0, -1)) > 2
    ):
        return Box(0, 0, width, height)  # no side is black
    rows, columns = (np.flatnonzero(brightest.max(axis=axis) > _BLACK) for axis in (1, 0))
    if not rows.size:
        return Box(0, 0, width, height)
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    if (box.right - box.left) * (box.bottom - box.top) < _LEAST_PHOTO * height * width:
        return Box(0, 0, width, height)
    return box


def cut(photo: NDArray[np.uint8], grid: Overlap) -> NDArray[np.float32]:
    """The photo on the common grid, (H, W) or (H, W, 3) float32 in [0, 1]."""
    part = photo[grid.box.top : grid.box.bottom, grid.box.left : grid.box.right]
    pixels = np.asarray(part, np.float32) / np.float32(255)
    if pixels.shape[:2] == (grid.height, grid.width):
        return pixels
    import cv2

    size = (grid.width, grid.height)
    enlarged = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(enlarged, 0, 1), np.float32)


def onto(values: NDArray[np.float32], grid: Overlap, *, smooth: bool) -> NDArray[np.float32]:
    """Thermal values on the common grid.

    Args:
        values: (H, W) of the raster, in any unit.
        grid: the common grid.
        smooth: cubic instead of linear; cubic values may leave the range of their neighbors a little.
    """
    import cv2

    kind = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    flags = kind | cv2.WARP_INVERSE_MAP
    size = (grid.width, grid.height)
    out: Any = cv2.warpAffine(values, grid.to_thermal, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32)


def _notes(photo: NDArray[np.uint8], content: Box, alignment: Alignment | None) -> tuple[str, ...]:
    notes = []
    if alignment is None:
        notes.append("the file does not say how photo and thermal image lie; both are taken to show the same")
    if content != Box(0, 0, photo.shape[1], photo.shape[0]):
        notes.append("the black frame of the photo is cut off")
    return tuple(notes)
