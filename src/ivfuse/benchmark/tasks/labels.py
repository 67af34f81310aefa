"""Boxes of objects and the files they come in: COCO's JSON, folders of YOLO and of Pascal VOC.

All file contents are validated: what is wrong is said in one line with the file and the place in it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.digests import digest
from ivfuse.errors import InputError
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import sha256_of

JSON_BYTES = 1 << 29  # of a COCO file; COCO's own instances take 450 MB
TEXT_BYTES = 1 << 22  # of a file that holds one image's boxes, or the names of the classes
_ASPECT = 0.02  # by how much labels and image may differ in proportion: sizes are whole numbers


@dataclass(frozen=True)
class Boxes:
    """The boxes of one image.

    Attributes:
        width, height: the image that the coordinates are of; 1 and 1 where they are parts of the sides.
        corners: (N, 4) float64, left, top, right, bottom.
        classes: (N,) int64, indices into the names.
        ignored: (N,) bool, regions that are neither hits nor misses: COCO's crowds, VOC's difficult ones.
    """

    width: float
    height: float
    corners: NDArray[np.float64]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]

    def scaled(self, width: int, height: int) -> Boxes:
        """The same boxes on an image of another size, cut off at its border.

        Raises:
            InputError: they were drawn on an image of other proportions.
        """
        relative = self.width == self.height == 1
        if not relative and abs(self.width / self.height / (width / height) - 1) > _ASPECT:
            raise InputError(
                f"labels are of {self.width:g}x{self.height:g} pixels, the image has {width}x{height}"
            )
        factors = np.array([width / self.width, height / self.height] * 2)
        corners = np.clip(self.corners * factors, 0, [width, height, width, height])
        return Boxes(width, height, corners, self.classes, self.ignored)


@dataclass(frozen=True)
class Labels:
    """The labeled boxes of a set.

    Attributes:
        classes: names.
        images: stem of the image file, in small letters -> its boxes; none for an image without objects.
        sha256: of the COCO file; else a digest of the names of the classes, and of the files and their names.
    """

    classes: tuple[str, ...]
    images: Mapping[str, Boxes]
    sha256: str = ""

    def of(self, pair: FilePair) -> Boxes | None:
        """The boxes of a pair by its own name or that of either file; ``None`` if it has no labels."""
        for name in (pair.name, pair.vi.stem, pair.ir.stem):
            if name.casefold() in self.images:
                return self.images[name.casefold()]
        return None


def read_labels(path: Path | str) -> Labels:
    """Read boxes of any of the formats.

    Args:
        path: a COCO JSON file; or a folder of YOLO's ``.txt`` files or of VOC's ``.xml`` files, or one that
            holds such a folder as ``labels/`` or ``Annotations/``.

    Raises:
        InputError: there is nothing of the kind, or a file cannot be understood.
    """
    path = Path(path)
    if path.is_file():
        return replace(_read_coco(path), sha256=sha256_of(path))
    if not path.is_dir():
        raise InputError(
            f"{path}: no such file or folder, expected COCO JSON or a folder of YOLO or VOC labels"
        )
    for folder in (path, path / "labels", path / "Annotations", path / "annotations"):
        if xml := sorted(folder.glob("*.xml")):
            return _named(_read_voc(xml), xml)
        lists = ("classes.txt", "obj.names")
        if text := [x for x in sorted(folder.glob("*.txt")) if x.name not in lists]:
            return _named(_read_yolo(text, _yolo_names(folder)), text)
    raise InputError(f"{path}: found neither .txt nor .xml files, expected a folder of YOLO or VOC labels")


def _named(labels: Labels, files: Sequence[Path]) -> Labels:
    """The labels with the digest of the files of a folder that they were read from."""
    parts = [part for path in files for part in (path.name, sha256_of(path))]
    return replace(labels, sha256=digest(str(len(labels.classes)), *labels.classes, *parts))


def make_boxes(
    size: tuple[float, float], rows: Sequence[tuple[float, float, float, float, int, bool]], where: str
) -> Boxes:
    """Check and pack boxes.

    Args:
        size: width and height of the image.
        rows: left, top, right, bottom, class and whether it is to be ignored.
        where: for messages.

    Raises:
        InputError: a number is not finite, a side is negative, or the size is not positive.
    """
    if not all(math.isfinite(side) and side > 0 for side in size):
        raise InputError(f"{where}: found an image of {size[0]}x{size[1]}, expected a width and a height")
    corners = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
    bad = (
        ~np.isfinite(corners).all(1)
        | (corners[:, 2:] < corners[:, :2]).any(1)
        | (np.abs(corners) > 1e7).any(1)
    )
    if bad.any():
        found = corners[int(np.argmax(bad))].tolist()
        raise InputError(f"{where}: found the corners {found}, expected finite left, top, right, bottom")
    classes = np.array([row[4] for row in rows], np.int64)
    return Boxes(*size, corners, classes, np.array([row[5] for row in rows], np.bool_))


def _read_coco(path: Path) -> Labels:
    try:
        table = json.loads(_text(path, JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name}: not JSON: {' '.join(str(error).split())}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path.name}: found a {type(table).__name__}, expected an object of COCO's form")
    categories = {
        _integer(each, "id", where): _string(each, "name", where)
        for each, where in _entries(table, "categories", path.name)
    }
    if not categories:
        raise InputError(f"{path.name}: no categories, expected COCO's form")
    order = {number: index for index, number in enumerate(sorted(categories))}
    sizes: dict[int, tuple[str, tuple[float, float]]] = {}
    stems: dict[str, int] = {}
    for each, where in _entries(table, "images", path.name):
        number, name = _integer(each, "id", where), _string(each, "file_name", where)
        stem = Path(name.replace("\\", "/")).stem.casefold()
        if number in sizes or stem in stems:
            raise InputError(f"{where}: {name!r} with id {number} is there twice, by its id or its name")
        stems[stem] = number
        sizes[number] = (stem, (_number(each, "width", where), _number(each, "height", where)))
    rows: dict[int, list[tuple[float, float, float, float, int, bool]]] = {number: [] for number in sizes}
    for each, where in _entries(table, "annotations", path.name):
        number, category = _integer(each, "image_id", where), _integer(each, "category_id", where)
        if number not in rows or category not in order:
            raise InputError(f"{where}: image {number} of category {category}: no such image or category")
        left, top, width, height = _four(each, where)
        ignored = bool(each.get("iscrowd", 0) or each.get("ignore", 0))
        rows[number].append((left, top, left + width, top + height, order[category], ignored))
    images = {
        stem: make_boxes(size, rows[number], f"{path.name}: {stem}") for number, (stem, size) in sizes.items()
    }
    return Labels(tuple(categories[number] for number in sorted(categories)), images)


def _read_yolo(files: Sequence[Path], names: tuple[str, ...]) -> Labels:
    images = {}
    highest = -1
    for path in files:
        rows = []
        for number, line in enumerate(_text(path, TEXT_BYTES).splitlines(), 1):
            if not (parts := line.split()):
                continue
            where = f"{path.name}, line {number}"
            try:
                if len(parts) not in (5, 6):  # a sixth is a detector's confidence
                    raise ValueError(line)
                kind, (x, y, width, height) = int(parts[0]), map(float, parts[1:5])
            except ValueError as error:
                raise InputError(
                    f"{where}: found {line[:60]!r}, expected a class and the box's x, y, width, height"
                ) from error
            if not 0 <= kind < (len(names) or 10_000):
                raise InputError(f"{where}: found class {kind}, expected 0 to {len(names) - 1}")
            if width < 0 or height < 0 or max(x, y, width, height) > 1.5:
                raise InputError(f"{where}: found {line[:60]!r}, expected parts of the image's sides, 0 to 1")
            highest = max(highest, kind)
            rows.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2, kind, False))
        images[path.stem.casefold()] = make_boxes((1, 1), rows, path.name)
    return Labels(names or tuple(f"class {number}" for number in range(highest + 1)), images)


def _yolo_names(folder: Path) -> tuple[str, ...]:
    """Names from ``classes.txt`` or ``data.yaml`` in the folder or the two above; empty if there are none."""
    for place in (folder, folder.parent, folder.parent.parent):
        for name in ("classes.txt", "obj.names"):
            if (place / name).is_file():
                return tuple(
                    line.strip() for line in _text(place / name, TEXT_BYTES).splitlines() if line.strip()
                )
        for path in (place / "data.yaml", place / "dataset.yaml"):
            if path.is_file():
                return yaml_names(_text(path, TEXT_BYTES), path.name)
    return ()


def yaml_names(text: str, where: str) -> tuple[str, ...]:
    """The list under ``names:`` in the three forms that YOLO's files use.

    The core needs no YAML library for this one key: ``[a, b]`` or ``{0: a, 1: b}``, on one line or several;
    lines of ``- a``; or lines of ``0: a``.

    Raises:
        InputError: there is no such list.
    """
    found = re.search(r"^names:(.*)", re.sub(r"(?:^|[ \t])#.*", "", text, flags=re.M), re.M | re.S)
    value = found[1].lstrip(" \t") if found else ""
    if inline := re.match(r"\s*[\[{]([^\]}]*)[\]}]", value):
        names = re.sub(r",\s*$", "", inline[1]).split(",")
    else:  # the lines up to the next key
        lines = re.split(r"^(?=[^\s-])", value, maxsplit=1, flags=re.M)[0].splitlines()
        names = [line for line in lines if line.strip(" \t-")]
    plain = tuple(re.sub(r"^\s*(?:-|\d+\s*:)?\s*|\s*$", "", name).strip("'\"") for name in names)
    if not plain or not all(plain):
        raise InputError(f"{where}: no list of names, expected names: [person, car] or one name a line")
    return plain


def _read_voc(files: Sequence[Path]) -> Labels:
    names: dict[str, int] = {}
    images = {}
    for path in files:
        text = _text(path, TEXT_BYTES)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can grow without bound
            raise InputError(f"{path.name}: found a document type, expected a plain Pascal VOC file")
        try:
            root = ElementTree.fromstring(text)
            size = (float(_inner(root, "size/width")), float(_inner(root, "size/height")))
            rows = []
            for item in root.iter("object"):
                left, top, right, bottom = (
                    float(_inner(item, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
                )
                kind = names.setdefault(_inner(item, "name"), len(names))
                ignored = (item.findtext("difficult") or "0").strip() == "1"
                # VOC counts pixels from 1 and names the last one inside.
                rows.append((left - 1, top - 1, right, bottom, kind, ignored))
        except (ElementTree.ParseError, ValueError, RecursionError) as error:
            raise InputError(f"{path.name}: not a Pascal VOC file: {' '.join(str(error).split())}") from error
        images[path.stem.casefold()] = make_boxes(size, rows, path.name)
    return Labels(tuple(names), images)


def _inner(element: ElementTree.Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"no <{path.replace('/', '><')}>")
    return text


def _text(path: Path, most: int) -> str:
    try:
        if (size := path.stat().st_size) > most:
            raise InputError(f"{path.name}: {size} bytes, expected at most {most}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot be read as text: {error}") from error


def _entries(table: Mapping[str, Any], key: str, name: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The objects of a list, each with its place for messages."""
    found = table.get(key)
    if not isinstance(found, list):
        raise InputError(f"{name}: no list {key!r}, expected COCO's images, annotations and categories")
    for index, each in enumerate(found):
        where = f"{name}: {key}[{index}]"
        if not isinstance(each, dict):
            raise InputError(f"{where}: found a {type(each).__name__}, expected an object")
        yield each, where


def _number(each: Mapping[str, Any], key: str, where: str) -> float:
    value = each.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise InputError(f"{where}: {key} is {str(value)[:40]!r}, expected a number")
    return float(value)


def _integer(each: Mapping[str, Any], key: str, where: str) -> int:
    value = _number(each, key, where)
    if value != int(value):
        raise InputError(f"{where}: {key} is {value}, expected a whole number")
    return int(value)


def _string(each: Mapping[str, Any], key: str, where: str) -> str:
    value = each.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} is {str(value)[:40]!r}, expected a name")
    return value


def _four(each: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    box = each.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise InputError(f"{where}: bbox is {str(box)[:40]!r}, expected left, top, width and height")
    left, top, width, height = (_number({"bbox": side}, "bbox", where) for side in box)
    return left, top, width, height
