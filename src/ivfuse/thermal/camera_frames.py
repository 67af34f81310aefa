"""Frames as USB thermal cameras send them: which rows are the thermal image, and what its counts mean.

These cameras send 16-bit counts (Y16, or YUYV whose bytes are counts) together with a second image or with
rows of telemetry. A layout is recognized by the size of the frame; where two cameras share a size, by the
content.

Sources of the layouts:
- 256x384: leswright1977/PyThermalCamera and LeoDJ/P2Pro-Viewer (Topdon TC001, InfiRay P2 Pro), in 1/64 K.
- 256x386, 160x242: jvdillon/p3-ir-camera (Thermal Master P3, P1), two rows of metadata above the counts;
  forks of 92es/Thermal-Camera-Redux (Uni-T UTi260B), two rows below the counts, whose unit is not stated.
- 256x196, 384x292: stawel/ht301_hacklib (T2S+, T3S, HT-301), calibration in four rows below the counts.
- 160x122, 80x63: groupgets/purethermal1-firmware (FLIR Lepton), telemetry below the image.
- 640x514, 320x258: VideologyInc/flir_boson_kernel_module (FLIR Boson), two rows of telemetry at either end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.thermal.radiometry import ZERO_C
from ivfuse.thermal.units import Scale

_SIXTY_FOURTHS = Scale(1 / 64, -ZERO_C)
_COLDEST = 64 * (ZERO_C - 60)  # counts in 1/64 K below which no double frame has a pixel
_NEUTRAL, _CHROMA_TOLERANCE = 128, 8  # the upper byte of a YUYV image without colors, in 8-bit levels
_MOSTLY = 0.95  # of the pixels
_JUMP = 4.0  # rows of telemetry differ from the image by more than so many times the usual step between rows
# Counts that look like 1/100 K: no pixel below -50 C, the median between -30 and 100 C.
_LOWEST_CENTIKELVIN, _MEDIAN_CENTIKELVIN = 22_315, (24_315, 37_315)


@dataclass(frozen=True)
class FrameLayout:
    """How a camera arranges the rows of a frame.

    Attributes:
        camera: the cameras that use it.
        width: of the frame, in pixels.
        height: of the frame, in rows.
        first: first row of the thermal image.
        rows: of the thermal image.
        rest: what the other rows are; "" if there are none.
        scale: of the counts; ``None`` if they are not calibrated.
        yuyv: whether the counts are also sent as YUYV.
        radiometric: whether some of the cameras write 1/100 K where they are set to it (TLinear).
    """

    camera: str
    width: int
    height: int
    first: int
    rows: int
    rest: str = ""
    scale: Scale | None = None
    yuyv: bool = False
    radiometric: bool = False

    @property
    def doubled(self) -> bool:
        """Whether the frame begins with a second image."""
        return self.first >= self.rows

    @property
    def note(self) -> str:
        """The layout in one line, for users."""
        if not self.rest:
            return f"{self.width}x{self.height} counts, as {self.camera} sends them"
        size = f"{self.width}x{self.height} frame of {self.camera}"
        meaning = "temperatures in 1/64 K" if self.scale else "counts"
        return f"{size}: {meaning} of {self.width}x{self.rows} are used, {self.rest} is cut off"

    def cut(self, frame: NDArray[Any]) -> NDArray[Any]:
        """The rows of the thermal image, a view."""
        return frame[self.first : self.first + self.rows]

    def values(self, frame: NDArray[np.uint16]) -> NDArray[Any]:
        """Convert a frame of counts to the thermal image.

        Args:
            frame: (height, width) uint16.

        Returns:
            (rows, width) float32 in degC, or uint16 counts if there is no scale.
        """
        counts = self.cut(frame)
        return counts if self.scale is None else self.scale.celsius(counts)


@dataclass(frozen=True)
class CameraFrame:
    """The thermal image in a frame.

    Attributes:
        values: (H, W) float32 in degC, or counts as they are stored.
        degrees: whether the values are in degC.
        notes: remarks for the user.
    """

    values: NDArray[Any]
    degrees: bool
    notes: tuple[str, ...]


_P2_PRO, _P3 = "an InfiRay P2 Pro, Topdon TC001 or relative", "a Thermal Master P3, P2 or relative"
_BETWEEN, _TELEMETRY = "the rest (an image and metadata)", "telemetry"
_LAYOUTS = (
    FrameLayout(_P2_PRO, 256, 384, 192, 192, "the image above", _SIXTY_FOURTHS, yuyv=True),
    FrameLayout(_P3, 256, 386, 194, 192, _BETWEEN, _SIXTY_FOURTHS, yuyv=True),
    FrameLayout("a Uni-T UTi260B", 256, 386, 192, 192, _BETWEEN, yuyv=True),
    FrameLayout("a Thermal Master P1", 160, 242, 122, 120, _BETWEEN, _SIXTY_FOURTHS, yuyv=True),
    FrameLayout("an InfiRay T2S+ or relative", 256, 196, 0, 192, "calibration", yuyv=True),
    FrameLayout("an InfiRay T3S or HT-301", 384, 292, 0, 288, "calibration", yuyv=True),
    FrameLayout("a FLIR Lepton", 160, 122, 0, 120, _TELEMETRY, radiometric=True),
    FrameLayout("a FLIR Lepton", 80, 63, 0, 60, _TELEMETRY, radiometric=True),
    FrameLayout("a FLIR Boson", 640, 514, 0, 512, _TELEMETRY, radiometric=True),
    FrameLayout("a FLIR Boson", 640, 514, 2, 512, _TELEMETRY, radiometric=True),
    FrameLayout("a FLIR Boson", 320, 258, 0, 256, _TELEMETRY, radiometric=True),
    FrameLayout("a FLIR Boson", 320, 258, 2, 256, _TELEMETRY, radiometric=True),
    FrameLayout("a FLIR Lepton", 160, 120, 0, 120, radiometric=True),
    FrameLayout("a FLIR Lepton", 80, 60, 0, 60, radiometric=True),
)
_OTHER_SIZES = ((256, 192), (384, 288), (320, 240), (320, 256), (640, 480), (640, 512))  # nothing to cut off


def find_layouts(width: int, height: int, *, yuyv: bool = False) -> tuple[FrameLayout, ...]:
    """Find the layouts of frames of one size; those of one size have equally many rows.

    Args:
        width: of the frame, in pixels.
        height: of the frame, in rows.
        yuyv: whether the frame is YUYV, whose bytes are counts only for some cameras.
    """
    return tuple(
        each for each in _LAYOUTS if (each.width, each.height) == (width, height) and (each.yuyv or not yuyv)
    )


def choose_layout(frame: NDArray[np.uint16], layouts: tuple[FrameLayout, ...]) -> FrameLayout:
    """Choose the layout whose thermal image has the smoothest ends: rows of metadata resemble no image.

    Args:
        frame: (H, W) uint16.
        layouts: one or more layouts of this size.
    """
    return min(layouts, key=lambda layout: _end_steps(layout.cut(frame)))


def size_of_bytes(count: int) -> tuple[int, int] | None:
    """Width and height of the one known frame of counts that has so many bytes; ``None`` if none has."""
    sizes = {(each.width, each.height) for each in _LAYOUTS} | set(_OTHER_SIZES)
    found = [size for size in sizes if 2 * size[0] * size[1] == count]
    return found[0] if len(found) == 1 else None


def read_frame(frame: NDArray[np.uint16]) -> CameraFrame:
    """Interpret a frame that a camera has sent by its size.

    Args:
        frame: (H, W) uint16.
    """
    layouts = find_layouts(frame.shape[1], frame.shape[0])
    if not layouts:
        return CameraFrame(frame, False, ())
    layout = choose_layout(frame, layouts)
    return CameraFrame(layout.values(frame), layout.scale is not None, frame_notes(frame, layout))


def read_image(image: NDArray[Any]) -> CameraFrame | None:
    """Interpret an image file that holds a frame; both its size and its content must be those of one.

    Args:
        image: (H, W), any type.

    Returns:
        ``None`` if the image is not a frame with rows to cut off.
    """
    if image.dtype != np.uint16:
        return None
    layouts = tuple(each for each in find_layouts(image.shape[1], image.shape[0]) if each.rest)
    if not layouts:
        return None
    layout = choose_layout(image, layouts)
    fits = _is_double(image, layout) if layout.doubled else _has_telemetry(image, layout)
    return read_frame(image) if fits else None


def frame_notes(frame: NDArray[np.uint16], layout: FrameLayout) -> tuple[str, ...]:
    """The remarks on a frame: its layout, and that its counts look like 1/100 K if they do."""
    counts = layout.cut(frame)
    low, high = _MEDIAN_CENTIKELVIN
    if not layout.radiometric or counts.min() < _LOWEST_CENTIKELVIN or not low <= np.median(counts) <= high:
        return (layout.note,)
    ends = " to ".join(f"{end / 100 - ZERO_C:.1f}" for end in (counts.min(), counts.max()))
    return layout.note, f"the counts look like 1/100 K (TLinear), with the scale 0.01K they are {ends} C"


def _end_steps(image: NDArray[Any]) -> float:
    """Mean difference of the first and last rows from their inner neighbors."""
    rows = image[[0, 1, -2, -1]].astype(np.float32)
    return float(np.abs(rows[0] - rows[1]).mean() + np.abs(rows[3] - rows[2]).mean())


def _is_double(image: NDArray[Any], layout: FrameLayout) -> bool:
    """Whether the upper half is YUYV without colors and the lower half holds possible temperatures."""
    chroma = (image[: layout.rows] >> 8).astype(np.int16) - _NEUTRAL
    neutral = (np.abs(chroma) <= _CHROMA_TOLERANCE).mean() >= _MOSTLY
    return bool(neutral and layout.cut(image).min() >= _COLDEST)


def _has_telemetry(image: NDArray[Any], layout: FrameLayout) -> bool:
    """Whether the other rows are unlike the image beside them."""
    values = image.astype(np.float32)
    usual = float(np.median(np.abs(np.diff(layout.cut(values), axis=0)).mean(axis=1)))
    inner, outer = (layout.first, layout.first - 1) if layout.first else (layout.rows - 1, layout.rows)
    return bool(np.abs(values[inner] - values[outer]).mean() > _JUMP * usual + 1)
