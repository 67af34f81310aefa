"""Registration within one camera file: its own geometry, and the residual parallax measured from the images.

The common grid is the photo's own, cropped and not resampled, or that of the thermal image where it is finer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.image.correlation import cross_correlation, spectrum
from ivfuse.image.headers import BadFileError
from ivfuse.registration.geometry import Region

_BLACK = 24  # 8-bit levels up to which a pixel may belong to a black frame, JPEG ringing included
_DARK_EDGE = 2  # 8-bit levels: a photo whose edges all have a brighter pixel has no frame
_MIN_PHOTO = 0.25  # of the photo must remain without its frame; otherwise the whole photo is dark
_MIN_THERMAL = 0.05  # of the thermal field must lie on the photo

PARALLAX_WIDTHS = (160, 240, 320)  # pixels; the resolutions that must agree
MAX_PARALLAX = 0.07  # of the width
_MAX_DISAGREEMENT = 0.01  # of the width, between resolutions
_MIN_PEAK_RATIO = 1.05  # of the best score to the best one outside of the peak's neighborhood
_MIN_SCORE = 0.2  # 1 for identical edges
_PEAK_RADIUS = 4.5  # pixels
_BLUR_SIGMA = 1.5  # pixels
_WEAK_EDGE = 0.35  # relative strength that is subtracted: weaker edges do not count
_QUANTILES = 65  # of the histogram equalization of the thermal
_MIN_SIDE = 32  # pixels

EdgeField = NDArray[np.complex64]


@dataclass(frozen=True)
class CameraGeometry:
    """How the thermal image and the photo of one camera lie, as its files state it.

    Attributes:
        real_to_ir: width of the photo's field over that of the thermal image, before zoom.
        offset_x: of the thermal field's center from the photo's, in photo pixels to the right.
        offset_y: the same, downwards.
        zoom: of the camera's own image, to which ``real_to_ir`` refers.
    """

    real_to_ir: float = 1.0
    offset_x: float = 0.0
    offset_y: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class CommonGrid:
    """The pixel grid of the field that photo and thermal image share.

    Attributes:
        region: the part of the photo.
        height: of the grid, in pixels.
        width: of the grid, in pixels.
        to_thermal: (2, 3) from a column and row of the grid to those of the thermal image.
        notes: what a user should know.
    """

    region: Region
    height: int
    width: int
    to_thermal: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @property
    def photo_pixels(self) -> float:
        """Photo pixels per grid pixel, along the width."""
        return (self.region.right - self.region.left) / self.width


@dataclass(frozen=True)
class Parallax:
    """Residual displacement of the thermal image.

    Attributes:
        x: to the right, in pixels of the images that were compared.
        y: downwards.
        score: normalized correlation of the edges after the shift, 0..1.
    """

    x: float
    y: float
    score: float


def common_grid(
    photo: NDArray[np.uint8], thermal: tuple[int, int], geometry: CameraGeometry | None
) -> CommonGrid:
    """Find the common grid of a photo and a thermal image of one camera.

    The thermal field is ``real_to_ir / zoom`` times narrower than the photo. Pixels of both are square.

    Args:
        photo: (H, W) or (H, W, 3) uint8.
        thermal: height and width of the thermal image.
        geometry: the camera's own; ``None`` if unknown: both are taken to have one width and center.

    Raises:
        BadFileError: if the two hardly overlap.
    """
    known = geometry or CameraGeometry()
    content = trim_black_frame(photo)
    height, width = photo.shape[:2]
    step = width * known.zoom / known.real_to_ir / thermal[1]  # photo pixels per thermal pixel
    left = width / 2 + known.offset_x - step * thermal[1] / 2
    top = height / 2 + known.offset_y - step * thermal[0] / 2
    region = Region(
        max(content.left, int(np.ceil(left))),
        max(content.top, int(np.ceil(top))),
        min(content.right, int(np.floor(left + step * thermal[1]))),
        min(content.bottom, int(np.floor(top + step * thermal[0]))),
    )
    wide, high = region.right - region.left, region.bottom - region.top
    if min(wide, high) < 1 or wide * high < _MIN_THERMAL * step**2 * thermal[0] * thermal[1]:
        raise BadFileError("a camera file whose photo and thermal image do not overlap by its own geometry")
    finer = max(1.0, 1 / step)  # grid pixels per photo pixel
    grid = max(1, round(high * finer)), max(1, round(wide * finer))
    across, down = wide / grid[1], high / grid[0]  # photo pixels per grid pixel
    to_thermal = np.array(
        [
            [across / step, 0, (region.left + across / 2 - left) / step - 0.5],
            [0, down / step, (region.top + down / 2 - top) / step - 0.5],
        ]
    )
    return CommonGrid(region, *grid, to_thermal, _notes(photo, content, geometry))


def trim_black_frame(photo: NDArray[np.uint8]) -> Region:
    """Find the photo inside a black frame, which cameras add that store a narrower photo at a standard size.

    A photo that is dark all over keeps its whole size.

    Args:
        photo: (H, W) or (H, W, 3) uint8.
    """
    height, width = photo.shape[:2]
    whole = Region(0, 0, width, height)
    brightest = photo.max(axis=2) if photo.ndim == 3 else photo
    edges = (brightest[:, 0], brightest[:, -1], brightest[0], brightest[-1])
    if min(edge.max(initial=0) for edge in edges) > _DARK_EDGE:
        return whole
    rows, columns = (np.flatnonzero(brightest.max(axis=axis) > _BLACK) for axis in (1, 0))
    if not rows.size:
        return whole
    content = Region(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    area = (content.right - content.left) * (content.bottom - content.top)
    return content if area >= _MIN_PHOTO * height * width else whole


def crop_photo(photo: NDArray[np.uint8], grid: CommonGrid) -> NDArray[np.float32]:
    """The photo on the common grid, (H, W) or (H, W, 3) float32 in [0, 1]."""
    left, top, right, bottom = grid.region
    pixels = np.asarray(photo[top:bottom, left:right], np.float32) / np.float32(255)
    if pixels.shape[:2] == (grid.height, grid.width):
        return pixels
    enlarged = cv2.resize(pixels, (grid.width, grid.height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(enlarged, 0, 1), np.float32)


def warp_thermal(values: NDArray[np.float32], grid: CommonGrid, *, smooth: bool) -> NDArray[np.float32]:
    """Resample thermal values onto the common grid, (H, W) float32.

    Args:
        values: (h, w), in any unit.
        grid: the common grid.
        smooth: cubic instead of linear; cubic values may exceed the range of their neighbors a little.
    """
    flags = (cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    size = (grid.width, grid.height)
    out: Any = cv2.warpAffine(values, grid.to_thermal, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32)


def estimate_parallax(thermal: Gray, photo: Gray) -> Parallax | None:
    """Measure the residual parallax after the camera's own alignment.

    The lenses stand side by side, so the offset depends on the distance, and cameras store one for the
    distance of their focus, or none. Edge orientations are correlated, at three resolutions that must agree.

    Args:
        thermal: (H, W) float32, any range; only the order of its values counts.
        photo: luma, (H, W) float32.

    Returns:
        How far the thermal must move, up to 7 % of the width each way; ``None`` if that is not reliable.
    """
    height, width = photo.shape
    if min(height, width) < _MIN_SIDE or thermal.min() == thermal.max() or photo.min() == photo.max():
        return None
    equalized = _equalize(thermal)
    peaks = [_find_peak(size, equalized, photo) for size in PARALLAX_WIDTHS]
    if any(score < _MIN_SCORE or score < _MIN_PEAK_RATIO * other for _, _, score, other in peaks):
        return None
    shifts = np.array([(x, y) for x, y, _, _ in peaks])
    middle = np.median(shifts, axis=0)
    if np.abs(shifts - middle).max() > _MAX_DISAGREEMENT * width:
        return None
    return Parallax(float(middle[0]), float(middle[1]), min(score for _, _, score, _ in peaks))


def _notes(photo: NDArray[np.uint8], content: Region, geometry: CameraGeometry | None) -> tuple[str, ...]:
    notes = []
    if geometry is None:
        notes.append("the file states no geometry; photo and thermal image are taken to show the same field")
    if content != (0, 0, photo.shape[1], photo.shape[0]):
        notes.append("the black frame of the photo was cropped")
    return tuple(notes)


def _equalize(values: Gray) -> Gray:
    """Map values to their quantiles, so that one hot object does not hide all other edges."""
    levels, first = np.unique(np.quantile(values, np.linspace(0, 1, _QUANTILES)), return_index=True)
    return np.interp(values, levels, first / (_QUANTILES - 1)).astype(np.float32)


def _find_peak(width: int, thermal: Gray, photo: Gray) -> tuple[float, float, float, float]:
    """The best shift at one resolution: x and y in original pixels, its score, the best score elsewhere."""
    factor = width / photo.shape[1]
    size = (width, max(8, round(photo.shape[0] * factor)))
    small = [_edge_field(cv2.resize(x, size, interpolation=cv2.INTER_AREA)) for x in (thermal, photo)]
    reach = min(int(np.ceil(MAX_PARALLAX * width)), min(size) // 3)
    scores = _edge_correlation(small[0], small[1], reach)
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    rows, columns = np.ogrid[: scores.shape[0], : scores.shape[1]]
    elsewhere = scores[np.hypot(rows - row, columns - column) > _PEAK_RADIUS]
    x, y = (float(place - reach) / factor for place in (column, row))
    return x, y, float(scores.max()), float(elsewhere.max(initial=0.0))


def _edge_field(gray: Any) -> EdgeField:
    """Edge strength with doubled orientation angle, which does not depend on the contrast's sign."""
    gray = cv2.GaussianBlur(gray, (0, 0), _BLUR_SIGMA)
    x, y = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    magnitude = np.hypot(x, y)
    around = cv2.GaussianBlur(magnitude, (0, 0), 8 * _BLUR_SIGMA)
    relative = magnitude / (magnitude + around + 0.2 * magnitude.mean() + 1e-6)
    strength = np.maximum(relative - _WEAK_EDGE, 0)
    field: EdgeField = (strength * ((x + 1j * y) / (magnitude + 1e-9)) ** 2).astype(np.complex64)
    return field


def _edge_correlation(thermal: EdgeField, photo: EdgeField, reach: int) -> NDArray[np.float64]:
    """Normalized correlation over the overlap, for all shifts up to ``reach``."""
    height, width = photo.shape
    shape = (height + reach + 1, width + reach + 1)
    first, counts = (-reach, -reach), (2 * reach + 1, 2 * reach + 1)
    ones = spectrum(np.ones((height, width)), shape)
    powers = [spectrum(np.abs(field).astype(np.float64) ** 2, shape) for field in (thermal, photo)]
    together = cross_correlation(spectrum(photo, shape), spectrum(thermal, shape), first, counts)
    thermal_power = cross_correlation(ones, powers[0], first, counts)
    photo_power = cross_correlation(powers[1], ones, first, counts)
    return np.asarray(together / np.sqrt(np.maximum(thermal_power * photo_power, 1e-6)), np.float64)
