"""Fused images and labels in the layouts that trainers of detectors read: YOLO, COCO, Pascal VOC."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.tasks.class_names import canonical
from ivfuse.benchmark.tasks.images import image_job, load_images
from ivfuse.benchmark.tasks.labels import Boxes, Labels
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.image.write import write_image
from ivfuse.runtime.files import write_atomic


@dataclass(frozen=True)
class Exported:
    """One image of an export.

    Attributes:
        split: name of the set.
        name: stem of the file.
        boxes: on the image's grid, with ``classes`` numbered as in the export.
    """

    split: str
    name: str
    boxes: Boxes


Writer = Callable[[Path, Sequence[Exported], Sequence[str]], None]  # folder of a method, images, classes

WRITERS: dict[str, tuple[str, Writer]] = {}  # format -> where images lie below the folder, and the writer


def export_format(name: str, images: str) -> Callable[[Writer], Writer]:
    """Register a layout; ``images`` is the folder of images, in which ``SPLIT`` stands for the set's name."""

    def register(write: Writer) -> Writer:
        WRITERS[name] = (images, write)
        return write

    return register


def check_format(form: str) -> None:
    """Raise UnknownNameError if there is no such layout."""
    if form not in WRITERS:
        raise UnknownNameError("format of labels", form, WRITERS)


def export_detection(plan: Plan, labels: Sequence[Labels], form: str, out: Path) -> list[Path]:
    """Write every kind of image of all labeled pairs, with the labels beside, a folder for each kind.

    Args:
        plan: of a benchmark that has been run.
        labels: of all sets, or one for each.
        form: one of :data:`WRITERS`.
        out: folder of the export: below it ``infrared/``, ``visible/`` and one for each method.

    Returns:
        The folders.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the number of labels fits not that of the sets, or no pair has any.
        InputError: a source cannot be read, or labels were drawn on an image of other proportions.
        OutputError: a file cannot be written.
    """
    check_format(form)
    if len(labels) not in (1, len(plan.sets)):
        raise UsageError(f"found {len(labels)} sets of labels, expected one, or one for each set of pairs")
    place, write = WRITERS[form]
    names = tuple(dict.fromkeys(canonical(name) for each in labels for name in each.classes))
    images: dict[str, list[Exported]] = {}
    for index, data in enumerate(plan.sets):
        own = labels[index if len(labels) > 1 else 0]
        numbers = np.array([names.index(canonical(name)) for name in own.classes], np.int64)
        for pair in data.pairs:
            if (boxes := own.of(pair)) is None:
                continue
            for kind, image in load_images(image_job(plan, data, pair)):
                if isinstance(image, str):
                    continue
                try:
                    placed = boxes.scaled(image.shape[1], image.shape[0])
                except InputError as error:
                    raise InputError(f"{pair.name}: {error}") from error
                renamed = Boxes(
                    placed.width, placed.height, placed.corners, numbers[placed.classes], placed.ignored
                )
                images.setdefault(kind, []).append(Exported(data.name, pair.name, renamed))
                path = out / kind / place.replace("SPLIT", data.name) / f"{pair.name}.png"
                write_image(path, image.astype(np.float32) / np.float32(255))
    if not images:
        raise UsageError("no pair has labels, expected images of equal names")
    for kind, exported in images.items():
        write(out / kind, exported, names)
    return [out / kind for kind in images]


@export_format("yolo", "images/SPLIT")
def write_yolo(folder: Path, images: Sequence[Exported], names: Sequence[str]) -> None:
    """``images/SET``, ``labels/SET`` and ``data.yaml``, as YOLO's trainers read them."""
    for each in images:
        write_atomic(folder / "labels" / each.split / f"{each.name}.txt", yolo_text(each.boxes))
    splits = list(dict.fromkeys(each.split for each in images))
    train = [name for name in splits if "train" in name.casefold()] or splits[:1]
    val = [name for name in splits if name not in train] or train
    lines = ["# folders are relative to this file"]
    for key, some in (("train", train), ("val", val)):
        lines += [f"{key}:", *(f"  - {json.dumps(f'images/{name}')}" for name in some)]
    lines += ["names:", *(f"  {index}: {json.dumps(name)}" for index, name in enumerate(names))]
    write_atomic(folder / "data.yaml", "\n".join(lines) + "\n")


@export_format("coco", "images/SPLIT")
def write_coco(folder: Path, images: Sequence[Exported], names: Sequence[str]) -> None:
    """``images/SET`` and ``annotations/SET.json``, as COCO's trainers read them."""
    for split in dict.fromkeys(each.split for each in images):
        table = coco_table({f"{x.name}.png": x.boxes for x in images if x.split == split}, names)
        text = json.dumps(table, allow_nan=False)
        write_atomic(folder / "annotations" / f"{split}.json", text)


@export_format("voc", "SPLIT/JPEGImages")
def write_voc(folder: Path, images: Sequence[Exported], names: Sequence[str]) -> None:
    """``SET/JPEGImages`` (PNG files all the same) and ``SET/Annotations``, as VOC's trainers read them."""
    for each in images:
        text = voc_text(f"{each.name}.png", each.boxes, names)
        write_atomic(folder / each.split / "Annotations" / f"{each.name}.xml", text)


def yolo_text(boxes: Boxes) -> str:
    """A line for each box: class, middle and sides as parts of the image; ignored ones are left out."""
    sides = np.array([boxes.width, boxes.height])
    lines = []
    for corners, kind in zip(boxes.corners[~boxes.ignored], boxes.classes[~boxes.ignored], strict=True):
        middle, size = (corners[:2] + corners[2:]) / 2 / sides, (corners[2:] - corners[:2]) / sides
        lines.append(f"{kind} " + " ".join(f"{value:.6f}" for value in (*middle, *size)) + "\n")
    return "".join(lines)


def voc_text(name: str, boxes: Boxes, names: Sequence[str]) -> str:
    """An annotation of Pascal VOC; pixels are counted from 1, ignored boxes are ``difficult``."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", boxes.width), ("height", boxes.height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = f"{value:g}"
    for corners, kind, ignored in zip(boxes.corners, boxes.classes, boxes.ignored, strict=True):
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = names[int(kind)]
        ElementTree.SubElement(item, "difficult").text = str(int(ignored))
        box = ElementTree.SubElement(item, "bndbox")
        shifted = corners + np.array([1, 1, 0, 0])
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), shifted, strict=True):
            ElementTree.SubElement(box, key).text = f"{value:.2f}"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def coco_table(images: Mapping[str, Boxes], names: Sequence[str]) -> dict[str, Any]:
    """COCO's form: images by file name, boxes as left, top, width and height."""
    annotations: list[dict[str, Any]] = []
    entries = []
    for number, (name, boxes) in enumerate(images.items(), 1):
        entries.append(
            {"id": number, "file_name": name, "width": int(boxes.width), "height": int(boxes.height)}
        )
        for corners, kind, ignored in zip(boxes.corners, boxes.classes, boxes.ignored, strict=True):
            left, top, right, bottom = map(float, corners)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(kind) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": int(ignored),
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(names, 1)]
    return {"images": entries, "annotations": annotations, "categories": categories}
