"""Labeled boxes: three formats say the same, and what is wrong with a file is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.benchmark.tasks.class_names import COCO, canonical, match_classes, parse_class_map
from ivfuse.benchmark.tasks.labels import Labels, read_labels, yaml_names
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.image.pairing import FilePair

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "labels"


def corners(labels: Labels, name: str) -> np.ndarray:
    boxes = labels.images[name].scaled(96, 64)
    kinds = np.array([labels.classes[index] for index in boxes.classes])
    order = np.lexsort((*boxes.corners.T, kinds))
    return boxes.corners[order]


def test_all_formats_give_the_same_boxes(streets: Path, tmp_path: Path) -> None:
    coco, yolo, voc = (read_labels(tmp_path / name) for name in ("boxes.json", "yolo", "voc"))
    assert coco.classes == yolo.classes == ("person", "car", "dog")
    assert set(voc.classes) <= set(coco.classes)  # that format names only what there is
    for name in ("s0", "s1"):
        assert len(corners(coco, name)) >= 5
        np.testing.assert_allclose(corners(voc, name), corners(coco, name), atol=0.01)
        np.testing.assert_allclose(corners(yolo, name), corners(coco, name), atol=0.001)  # six decimals


def test_a_pair_is_found_by_its_name_or_that_of_its_files(streets: Path, tmp_path: Path) -> None:
    labels = read_labels(tmp_path / "boxes.json")
    for pair in (FilePair("S0", Path("a"), Path("b")), FilePair("x", Path("ir/s0.jpg"), Path("b"))):
        assert labels.of(pair) is labels.images["s0"]
    assert labels.of(FilePair("other", Path("a"), Path("b"))) is None


def test_an_image_without_objects_is_labeled_all_the_same(tmp_path: Path) -> None:
    table = {
        "images": [{"id": 7, "file_name": "vi/empty.png", "width": 10, "height": 8}],
        "annotations": [],
        "categories": [{"id": 3, "name": "car"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(table))
    labels = read_labels(tmp_path / "boxes.json")
    assert labels.classes == ("car",)
    assert len(labels.images["empty"].corners) == 0


GOOD: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 8}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}],
    "categories": [{"id": 1, "name": "car"}],
}


def changed(**parts: Any) -> str:
    return json.dumps({**GOOD, **parts})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "found a list"),
        ("{}", "categories"),
        (changed(categories=[]), "no categories"),
        (changed(images={"a": 1}), "no list 'images'"),
        (changed(images=[3]), r"images\[0\]"),
        (changed(images=[{**GOOD["images"][0], "width": 0}]), "0.0x8"),
        (changed(images=[{**GOOD["images"][0], "width": "10"}]), "width is '10'"),
        (changed(images=GOOD["images"] * 2), "twice"),
        (changed(annotations=[{**GOOD["annotations"][0], "image_id": 5}]), "image 5"),
        (changed(annotations=[{**GOOD["annotations"][0], "category_id": 5}]), "category 5"),
        (changed(annotations=[{**GOOD["annotations"][0], "bbox": [1, 2, 3]}]), "bbox"),
        (changed(annotations=[{**GOOD["annotations"][0], "bbox": [1, 2, -3, 4]}]), "corners"),
        (changed(annotations=[{**GOOD["annotations"][0], "bbox": [1, 2, float("nan"), 4]}]), "bbox"),
        (changed(annotations=[{**GOOD["annotations"][0], "bbox": [1, 2, 1e300, 4]}]), "bbox"),
        (changed(annotations=[{**GOOD["annotations"][0], "image_id": 1.5}]), "whole number"),
    ],
)
def test_a_json_that_is_not_of_cocos_form_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(InputError, match=told) as error:
        read_labels(tmp_path / "boxes.json")
    assert "\n" not in str(error.value)
    assert "boxes.json" in str(error.value)


@pytest.mark.parametrize(
    "line", ["0 .5 .5 .2", "x .5 .5 .2 .2", "-1 .5 .5 .2 .2", "0 .5 .5 -.2 .2",
             "0 50 60 20 20", "0 nan .5 .2 .2",
             "9 .5 .5 .2 .2", "0 .1 .1 .2 .1 .2 .2 .1 .2"]
)  # fmt: skip
def test_a_line_that_is_no_box_of_yolo_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "classes.txt").write_text("person\ncar\n")
    (tmp_path / "a.txt").write_text(f"1 .5 .5 .1 .1\n{line}\n")
    with pytest.raises(InputError, match=r"a\.txt") as error:
        read_labels(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation>",
        "<annotation><size><width>9</width></size></annotation>",
        "<annotation><size><width>x</width><height>9</height></size></annotation>",
        '<!DOCTYPE a [<!ENTITY b "b">]><annotation>&b;</annotation>',
        "<annotation><size><width>9</width><height>9</height></size><object/></annotation>",
    ],
)
def test_an_xml_that_is_not_vocs_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=r"a\.xml"):
        read_labels(tmp_path)


def test_missing_and_empty_places_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_labels(tmp_path / "none")
    with pytest.raises(InputError, match=r"neither \.txt nor \.xml"):
        read_labels(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "names: [person, 'fire hydrant']",
        "names: {0: person, 1: fire hydrant}",
        "names: ['person',\n        'fire hydrant']  # as in older files\nnc: 2\n",
        "names: [\n  person,\n  fire hydrant,\n]\n",
        "names: {0: person,\n# a comment\n1: fire hydrant}\n",
        "names:\n  # a comment\n  - person\n\n  - fire hydrant\n",
        "nc: 2\nnames:\n- person\n- fire hydrant\n",
        'names:\n  0: person\n  1: "fire hydrant"  # x\nnc: 2',
    ],
)
def test_names_of_yolo_in_every_form(text: str) -> None:
    assert yaml_names(text, "data.yaml") == ("person", "fire hydrant")


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names"):
        yaml_names("train: images\n", "data.yaml")


def test_names_of_sets_mean_those_of_coco() -> None:
    assert len(COCO) == len(set(COCO)) == 80
    assert [canonical(x) for x in ("People", "Pedestrian", "bike", "Traffic_Light", "Lamp")] == [
        "person", "person", "bicycle", "traffic light", "lamp",
    ]  # fmt: skip
    labels = ("People", "Car", "Lamp")
    meaning = match_classes(labels, COCO)
    assert meaning[COCO.index("person")] == 0
    assert meaning[COCO.index("car")] == 1
    assert sum(index >= 0 for index in meaning) == 2


def test_a_class_map_takes_the_place_of_equal_names() -> None:
    given = parse_class_map("Car=car|truck, Lamp=traffic light")
    meaning = match_classes(("People", "Car", "Lamp", "Truck"), COCO, given)
    assert {COCO[i]: m for i, m in enumerate(meaning) if m >= 0} == {
        "person": 0, "car": 1, "truck": 1, "traffic light": 2,
    }  # fmt: skip
    for text in ("Car", "=car", "Car="):
        with pytest.raises(UsageError, match="LABEL=DETECTED"):
            parse_class_map(text)
    with pytest.raises(UnknownNameError, match="did you mean car"):
        match_classes(("Car",), COCO, {"Car": ("caar",)})


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "images", "boxes"), [("roadscene_val", 18, 111), ("m3fd", 15, 207)])
def test_labels_of_real_sets(name: str, images: int, boxes: int) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared is not there")
    labels = read_labels(SHARED / f"{name}.json")
    assert len(labels.images) == images
    assert sum(len(each.classes) for each in labels.images.values()) == boxes
