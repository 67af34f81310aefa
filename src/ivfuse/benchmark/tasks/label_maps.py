"""Label maps: the class of every pixel as a number, read from files, compared, and the sets of classes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UnknownNameError
from ivfuse.image.pairing import FilePair

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

UNKNOWN = 255  # pixels of a map that count nowhere

_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp"})  # of formats that keep numbers as they are
_MODES = frozenset({"P", "L", "1", "I", "I;16"})
_SPREAD = {"L;2": 85, "L;4": 17}  # Pillow's steps between gray samples of fewer bits than 8

LabelMap = NDArray[np.int64]
Confusion = NDArray[np.int64]  # (C, C), rows: truth, columns: predicted


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set's label maps.

    Attributes:
        name: for the command line.
        classes: by number.
        ignored: number of the class that is not labeled and counts nowhere; ``None`` if all count.
        source: whose numbers these are.
    """

    name: str
    classes: tuple[str, ...]
    ignored: int | None
    source: str

    @property
    def counted(self) -> tuple[int, ...]:
        """Numbers of the classes that count."""
        return tuple(index for index in range(len(self.classes)) if index != self.ignored)


LABEL_SETS = {
    each.name: each
    for each in (
        LabelSet(
            "msrs",
            (
                *("background", "car", "person", "bike", "curve"),
                *("car stop", "guardrail", "color cone", "bump"),
            ),
            None,
            "MSRS (Tang et al. 2022), after MFNet; papers count the background as a class",
        ),
        LabelSet(
            "fmb",
            (
                *("unlabeled", "road", "sidewalk", "building", "traffic lamp", "traffic sign", "vegetation"),
                *("sky", "person", "car", "truck", "bus", "motorcycle", "bicycle", "pole"),
            ),
            0,
            "FMB (Liu et al., SegMiF, ICCV 2023): 14 classes, 0 is not labeled",
        ),
        LabelSet(
            "street",
            (
                *("unlabeled", "road", "sidewalk", "building", "sky"),
                *("vegetation", "pole", "person", "car", "dog"),
            ),
            0,
            "the synthetic street of this package",
        ),
    )
}


def label_set(name: str) -> LabelSet:
    """The set of classes of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name.casefold() not in LABEL_SETS:
        raise UnknownNameError("label set", name, LABEL_SETS)
    return LABEL_SETS[name.casefold()]


def find_maps(folder: Path) -> dict[str, Path]:
    """Label maps of a folder by their stems in small letters.

    Raises:
        InputError: there are none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected label maps")
    found = {
        path.stem.casefold(): path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES
    }
    if not found:
        raise InputError(f"{folder}: no label maps found, expected PNG, TIFF or BMP files of class numbers")
    return found


def map_of(pair: FilePair, maps: Mapping[str, Path]) -> Path | None:
    """The map of a pair by its own name or that of either file; ``None`` if there is none."""
    for name in (pair.name, pair.vi.stem, pair.ir.stem):
        if name.casefold() in maps:
            return maps[name.casefold()]
    return None


def read_label_map(path: Path, classes: int) -> LabelMap:
    """Read class numbers; of an image with a palette the numbers, not the colors.

    Args:
        path: PNG, TIFF or BMP of one channel.
        classes: how many there are; 255 stands for a pixel that counts nowhere.

    Raises:
        InputError: it cannot be read, has colors, or holds other numbers.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                mode, step = image.mode, _step_of(image)
                numbers = np.asarray(image).astype(np.int64) // step if mode in _MODES else None
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise InputError(f"{path.name}: cannot be read: {' '.join(str(error).split())}") from error
    if numbers is None or numbers.ndim != 2:
        raise InputError(f"{path.name}: found an image of mode {mode}, expected one channel of class numbers")
    return checked(numbers, classes, path.name)


def _step_of(image: ImageFile) -> int:
    """The difference of two successive numbers in an image that has not been loaded."""
    arguments = image.tile[0].args if image.tile else None
    stored = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return _SPREAD.get(str(stored), 1)


def checked(numbers: LabelMap, classes: int, name: str) -> LabelMap:
    """The map itself.

    Raises:
        InputError: it holds a number that is no class and not 255.
    """
    wrong = (numbers < 0) | ((numbers >= classes) & (numbers != UNKNOWN))
    if wrong.any():
        found = int(numbers[wrong][0])
        raise InputError(f"{name}: found the number {found}, expected 0 to {classes - 1}, or 255 for unknown")
    return numbers


def confusion(truth: LabelMap, predicted: LabelMap, labels: LabelSet) -> Confusion:
    """Count pixels by true and predicted class, (C, C); where the truth is unknown or ignored, none.

    Args:
        truth: (H, W) numbers of classes.
        predicted: likewise; unknown pixels count as none of the classes, thus as misses.
        labels: the classes.

    Raises:
        InputError: the sizes differ.
    """
    if truth.shape != predicted.shape:
        found, expected = (f"{x.shape[1]}x{x.shape[0]}" for x in (predicted, truth))
        raise InputError(f"label map: found {found} pixels, expected {expected}")
    count = len(labels.classes)
    good = truth != UNKNOWN
    if labels.ignored is not None:
        good &= truth != labels.ignored
    guessed = np.where(predicted == UNKNOWN, count, predicted)
    table = np.bincount(truth[good] * (count + 1) + guessed[good], minlength=count * (count + 1))
    return table.reshape(count, count + 1).astype(np.int64)


def intersection_over_union(table: Confusion) -> NDArray[np.float64]:
    """IoU of each class from :func:`confusion`, 0 to 1; NaN for one that is neither there nor predicted."""
    inner = table[:, : len(table)]
    hits = np.diag(inner).astype(np.float64)
    union = table.sum(axis=1) + inner.sum(axis=0) - hits
    return np.asarray(np.divide(hits, union, out=np.full(len(table), np.nan), where=union > 0))
