"""Warm targets: found in the infrared alone, then looked for in a fused image.

Finding depends on no method, so do it once per pair; all images are gray, (H, W), 0..255.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, ShapeError

Image = NDArray[Any]
Mask = NDArray[np.bool_]

MOST = 12  # targets of one image
LEAST_RISE = 25.0  # levels that a target rises above the scene and above its ring, in the infrared
LEAST_AUC = 0.9  # of a target in the infrared
LEAST_RING = 40  # pixels
LARGEST = 0.03  # share of the image
REFERENCE_AREA = 640 * 480  # pixels of the image for which a target has at least 30 pixels
HIDDEN_BELOW = 10.0  # levels of |d| in the visible
SEEN_AUC = 0.8
LOST_AUC = (0.35, 0.65)


@dataclass(frozen=True)
class Target:
    """A warm region of the infrared and the ring around it that it is compared with.

    Attributes:
        top, left: where the crop of both masks lies in the image, in pixels.
        mask: (h, w) pixels of the target within the crop.
        ring: (h, w) pixels of its surroundings within the crop.
        rise: mean(target) - mean(ring) in the infrared, in levels.
        auc: probability that a pixel of the target is brighter than one of the ring, in the infrared.
    """

    top: int
    left: int
    mask: Mask
    ring: Mask
    rise: float
    auc: float

    @property
    def area(self) -> int:
        """Number of pixels of the target."""
        return int(np.count_nonzero(self.mask))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the target in the image, in pixels."""
        left, top, width, height = cv2.boundingRect(self.mask.astype(np.uint8))
        return self.left + left, self.top + top, width, height

    def pixels(self, image: Image) -> tuple[Image, Image]:
        """Return the values of the image in the target and in its ring, as float64."""
        height, width = self.mask.shape
        crop = image[self.top : self.top + height, self.left : self.left + width]
        return crop[self.mask].astype(np.float64), crop[self.ring].astype(np.float64)


@dataclass(frozen=True)
class Targets:
    """The targets of one infrared image.

    Attributes:
        shape: height and width of the image.
        targets: at most :data:`MOST`, the one with the largest area x rise first.
        reason: why there is none; empty if there are some.
    """

    shape: tuple[int, int]
    targets: tuple[Target, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class TargetContrast:
    """How one target shows in one image.

    Attributes:
        rise: d, mean(target) - mean(ring), in levels.
        auc: 1 all brighter than the ring, 0.5 not to be told apart, 0 all darker.
        aim: the rise that can be asked for: that of the infrared, within the room above the visible's ring.
        visible_rise: d of the visible.
    """

    rise: float
    auc: float
    aim: float
    visible_rise: float

    @property
    def kept(self) -> bool:
        """Whether at least half the aim is there, brighter or darker."""
        return abs(self.rise) >= self.aim / 2

    @property
    def seen(self) -> bool:
        """Whether target and ring can be told apart, brighter or darker."""
        return self.auc >= SEEN_AUC or self.auc <= 1 - SEEN_AUC

    @property
    def lost(self) -> bool:
        """Whether target and ring cannot be told apart."""
        return LOST_AUC[0] < self.auc < LOST_AUC[1]

    @property
    def bright(self) -> bool:
        """Whether the target is brighter than its ring."""
        return self.rise > 0

    @property
    def hidden(self) -> bool:
        """Whether the visible does not show the target, or shows it darker than its ring."""
        return abs(self.visible_rise) < HIDDEN_BELOW or self.visible_rise < 0


@dataclass(frozen=True)
class TargetShares:
    """Shares of a number of targets, 0..1; NaN where there is none."""

    count: int
    kept: float
    seen: float
    lost: float
    bright: float


def find_targets(ir: Image) -> Targets:
    """Find the warm targets of a scene.

    Args:
        ir: (H, W) infrared, uint8 or float, 0..255.

    Returns:
        The targets, or the reason why there is none: an image that is flat, tiny or hot all over has none.

    Raises:
        ShapeError: the array is not (H, W).
        InputError: it holds values that are not finite.
    """
    _check("ir", ir, ir.shape)
    height, width = ir.shape
    level, span = float(ir.mean()), float(ir.max()) - float(ir.min())
    least = float(np.clip(30 * ir.size / REFERENCE_AREA, 20, 150))
    if ir.size < least + LEAST_RING:
        return Targets((height, width), reason=f"the infrared is too small for targets: {width}x{height}")
    if span <= LEAST_RISE:
        return Targets(
            (height, width), reason=f"the infrared is flat: its levels span at most {LEAST_RISE:.0f}"
        )
    if level + LEAST_RISE >= 255:
        return Targets((height, width), reason="the infrared is hot all over: nothing can stand out")
    hot = _hot_pixels(ir, level)
    candidates = _candidates(hot, ir, least)
    chosen = sorted(candidates, key=lambda each: -each.area * each.rise)[:MOST]
    reason = "" if chosen else "no warm target stands out in the infrared"
    return Targets((height, width), tuple(chosen), reason)


def measure_targets(found: Targets, vi: Image, fused: Image) -> tuple[TargetContrast, ...]:
    """Measure how the targets show in a fused image.

    Args:
        found: what :func:`find_targets` gave for the pair's infrared.
        vi: (H, W) visible, 0..255; it says how much a target can rise, and which are hidden.
        fused: (H, W) fused image, 0..255; give a source to measure that.

    Returns:
        One entry per target, in their order.

    Raises:
        ShapeError: an array is not of the infrared's shape.
        InputError: one holds values that are not finite.
    """
    _check("vi", vi, found.shape)
    _check("fused", fused, found.shape)
    result = []
    for target in found.targets:
        inside, around = target.pixels(vi)
        visible_rise = float(inside.mean() - around.mean())
        room = 255 - float(around.mean())
        aim = min(target.rise, max(room, abs(visible_rise)))
        inside, around = target.pixels(fused)
        rise = float(inside.mean() - around.mean())
        result.append(TargetContrast(rise, _auc(inside, around), aim, visible_rise))
    return tuple(result)


def target_shares(contrasts: Iterable[TargetContrast], *, hidden: bool = False) -> TargetShares:
    """Return the shares of targets kept, seen, lost and bright.

    Args:
        contrasts: of one image, or of all images of a set: a set's shares are over its targets.
        hidden: count only those that the visible hides.
    """
    counted = [each for each in contrasts if each.hidden or not hidden]
    if not counted:
        return TargetShares(0, *[float("nan")] * 4)
    table = np.array([[each.kept, each.seen, each.lost, each.bright] for each in counted], np.float64)
    kept, seen, lost, bright = (float(share) for share in table.mean(axis=0))
    return TargetShares(len(counted), kept, seen, lost, bright)


def _hot_pixels(ir: Image, level: float) -> NDArray[np.uint8]:
    """Return the pixels that are hot for this scene, without specks, as 0 and 1."""
    smooth = cv2.GaussianBlur(ir.astype(np.float32), (0, 0), 1.0)
    ceiling = min(level + 2.5 * float(ir.std()), float(np.percentile(ir, 99.5)), 245.0)
    hot = (smooth > max(ceiling, level + LEAST_RISE)).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.morphologyEx(hot, cv2.MORPH_OPEN, cross), np.uint8)


def _candidates(hot: NDArray[np.uint8], ir: Image, least: float) -> list[Target]:
    """Return every hot region of the right size that stands out from a ring that is left of it."""
    height, width = ir.shape
    reach = max(6, round(0.02 * width))
    gap = max(2, reach // 4)
    near_hot = cv2.dilate(hot, _disk(gap))
    _, labels, facts, _ = cv2.connectedComponentsWithStats(hot, connectivity=8, ltype=cv2.CV_32S)
    result = []
    for index in range(1, len(facts)):
        left, top, wide, high, area = (int(fact) for fact in facts[index])
        if not least <= area <= LARGEST * ir.size:
            continue
        margin = gap + reach
        rows = slice(max(top - margin, 0), min(top + high + margin, height))
        columns = slice(max(left - margin, 0), min(left + wide + margin, width))
        mask = (labels[rows, columns] == index).astype(np.uint8)
        full = cv2.dilate(mask, _disk(margin)) > cv2.dilate(mask, _disk(gap))
        ring = full & (near_hot[rows, columns] == 0)
        left_over = np.count_nonzero(ring)
        if left_over < LEAST_RING or 3 * left_over < np.count_nonzero(full):
            continue
        target = _stands_out(ir, rows.start, columns.start, mask > 0, ring)
        if target is not None:
            result.append(target)
    return result


def _stands_out(ir: Image, top: int, left: int, mask: Mask, ring: Mask) -> Target | None:
    crop = ir[top : top + mask.shape[0], left : left + mask.shape[1]]
    inside, around = crop[mask].astype(np.float64), crop[ring].astype(np.float64)
    rise = float(inside.mean() - around.mean())
    if rise <= LEAST_RISE:
        return None
    auc = _auc(inside, around)
    return Target(top, left, mask, ring, rise, auc) if auc >= LEAST_AUC else None


def _auc(inside: Image, around: Image) -> float:
    """Return the probability that a value inside is greater than one around, ties counted half."""
    ordered = np.sort(around)
    below = np.searchsorted(ordered, inside, side="left") + np.searchsorted(ordered, inside, side="right")
    return float(below.sum()) / (2 * inside.size * around.size)


def _disk(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _check(name: str, image: Image, shape: tuple[int, ...]) -> None:
    if image.ndim != 2 or image.size == 0 or image.shape != shape:
        raise ShapeError(f"{name} has shape {image.shape}; expected gray (H, W), the infrared's shape")
    if image.dtype != np.uint8 and not np.isfinite(image).all():
        raise InputError(f"{name} holds values that are not finite")
