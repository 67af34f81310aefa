"""Classes of pixels: counted exactly, read with or without a palette, by a segmenter or brought."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from ivfuse.benchmark.tasks.label_maps import (
    LABEL_SETS,
    confusion,
    intersection_over_union,
    label_set,
    read_label_map,
)
from ivfuse.benchmark.tasks.segmentation import Segmenter
from ivfuse.errors import InputError, UnknownNameError
from ivfuse.image.png import chunk
from ivfuse.synthetic.street import SCENE_CLASSES

from .conftest import write_model, write_threshold_segmenter

MSRS, FMB = LABEL_SETS["msrs"], LABEL_SETS["fmb"]


def test_sets_have_as_many_classes_as_their_papers_say() -> None:
    assert len(MSRS.counted) == 9
    assert len(FMB.counted) == 14
    assert LABEL_SETS["street"].classes == SCENE_CLASSES
    assert label_set("FMB") is FMB
    with pytest.raises(UnknownNameError, match="did you mean msrs"):
        label_set("mrss")


def test_iou_counts_pixels() -> None:
    truth = np.array([[1, 1, 1, 2], [0, 0, 2, 255]])
    predicted = np.array([[1, 1, 0, 2], [0, 1, 255, 3]])
    iou = intersection_over_union(confusion(truth, predicted, MSRS))
    # 0: one of two and one false; 1: two of three and one false; 2: one of two; 3 is on an unknown pixel
    assert iou[:3] == pytest.approx([1 / 3, 2 / 4, 1 / 2])
    assert np.isnan(iou[3:]).all()
    iou = intersection_over_union(confusion(truth, predicted, FMB))  # here 0 is not labeled
    assert iou[1:3] == pytest.approx([2 / 3, 1 / 2])


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="3x2 pixels, expected 4x2"):
        confusion(np.zeros((2, 4), np.int64), np.zeros((2, 3), np.int64), MSRS)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_map_that_a_program_packed_into_fewer_bits_keeps_its_numbers(bits: int, tmp_path: Path) -> None:
    """As optimizers of PNG files do where few levels occur; decoders of images spread them over 0..255."""
    numbers = np.arange(8).reshape(1, 8) % 2**bits
    bitmap = (numbers[..., np.newaxis] >> np.arange(bits)[::-1]) & 1
    row = b"\0" + np.packbits(bitmap.astype(np.uint8)).tobytes()
    header = struct.pack(">IIBBBBB", 8, 1, bits, 0, 0, 0, 0)
    parts = (*chunk(b"IHDR", header), *chunk(b"IDAT", zlib.compress(row)), *chunk(b"IEND", b""))
    (tmp_path / "packed.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert np.array_equal(read_label_map(tmp_path / "packed.png", 9), numbers)


def test_a_map_with_a_palette_gives_numbers_not_colors(tmp_path: Path) -> None:
    numbers = np.array([[0, 1, 2], [8, 255, 3]], np.uint8)
    image = Image.fromarray(numbers, "P")
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    image.save(tmp_path / "palette.png")
    Image.fromarray(numbers).save(tmp_path / "gray.png")
    for name in ("palette", "gray"):
        assert np.array_equal(read_label_map(tmp_path / f"{name}.png", 9), numbers)


def test_maps_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    Image.new("RGB", (4, 4)).save(tmp_path / "color.png")
    Image.new("L", (4, 4), 9).save(tmp_path / "nine.png")
    for name, told in (
        ("bad", "cannot be read"),
        ("color", "mode RGB"),
        ("nine", "number 9"),
        ("none", "read"),
    ):
        with pytest.raises(InputError, match=told) as error:
            read_label_map(tmp_path / f"{name}.png", 9)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("classes", [9, 3])
def test_a_segmenter_of_any_size_gives_the_highest_score(tmp_path: Path, classes: int) -> None:
    labels = MSRS if classes == 9 else LABEL_SETS["msrs"].__class__("small", ("a", "b", "c"), None, "")
    segmenter = Segmenter(write_threshold_segmenter(tmp_path / "s.onnx", classes), labels, "unit")
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, 32:64, 0] = 255
    image[:, 64:, 2] = 255
    found = segmenter.segment(image)
    assert found.shape == (64, 96)
    assert np.array_equal(found, np.repeat([[0] * 32 + [1] * 32 + [2] * 32], 64, axis=0))
    assert segmenter.segment(np.zeros((33, 47), np.uint8)).shape == (33, 47)


def test_scores_of_a_smaller_map_grow_and_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    scores = np.full((1, 9, 2, 2), -1, np.float32)
    scores[0, 5] = 1
    grown = Segmenter(write_model(tmp_path / "a.onnx", scores, (8, 8)), MSRS)
    assert (grown.segment(np.zeros((20, 30), np.uint8)) == 5).all()
    numbers = np.array([[[0, 7]]])
    taken = Segmenter(write_model(tmp_path / "b.onnx", numbers, (8, 8)), MSRS)
    assert np.array_equal(taken.segment(np.zeros((4, 6), np.uint8)), [[0] * 3 + [7] * 3] * 4)
    without = Segmenter(write_model(tmp_path / "c.onnx", np.ones((1, 14, 2, 2), np.float32), (8, 8)), FMB)
    assert (without.segment(np.zeros((4, 6), np.uint8)) == 1).all()  # its first class is the road


def test_outputs_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    wrong = Segmenter(write_model(tmp_path / "a.onnx", np.ones((1, 4, 2, 2), np.float32), (8, 8)), MSRS)
    with pytest.raises(InputError, match="expected scores"):
        wrong.segment(np.zeros((4, 4), np.uint8))
    with pytest.raises(UnknownNameError, match="imagenet"):
        Segmenter(tmp_path / "a.onnx", MSRS, "imagenets")


def run(cli: Callable[..., Any], streets: Path, *arguments: object) -> Any:
    return cli("benchmark", "--data", streets, "--methods", "average", "--metrics", "SD", "--jobs", 1,
               "-o", streets.parent / "report", "--label-maps", streets.parent / "maps",
               "--label-set", "street", *arguments)  # fmt: skip


def test_a_benchmark_scores_brought_maps(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    half.mkdir()
    numbers = cv2.imread(str(tmp_path / "maps" / "s0.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(half / "s0.png"), numbers)  # the other is missing: all of it is missed
    maps = tmp_path / "maps"
    said = run(
        ivfuse_cli, streets, "--predicted", f"average={maps}", "--predicted", f"visible={half}", "--json"
    )
    assert said.code == 0, said.err
    (task,) = json.loads(said.out)["tasks"]
    assert task["rows"]["average"]["mIoU"] == pytest.approx(1)
    road = SCENE_CLASSES.index("road")
    other = cv2.imread(str(maps / "s1.png"), cv2.IMREAD_UNCHANGED)
    expected = (numbers == road).sum() / ((numbers == road).sum() + (other == road).sum())
    assert task["rows"]["visible"]["road"] == pytest.approx(expected)
    assert any("visible: 1 pair without an image" in line for line in task["notes"])
    assert "Segmentation, streets" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_a_benchmark_runs_a_segmenter_on_every_image(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path
) -> None:
    model = write_threshold_segmenter(tmp_path / "s.onnx", len(SCENE_CLASSES))
    said = run(ivfuse_cli, streets, "--segmenter", model, "--json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)["tasks"][0]["rows"]
    assert set(rows) == {"infrared", "visible", "average"}
    assert all(0 <= row["mIoU"] < 1 for row in rows.values())
    assert (tmp_path / "report" / "tables" / "segmentation.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--segmenter"),
        (["--segmenter", "none.onnx"], "no such file"),
        (["--predicted", "other=."], "unknown method"),
        (["--predicted", "average"], "NAME=DIR"),
        (["--predicted", "average=nowhere"], "no such folder"),
    ],
)
def test_wrong_use_is_told_before_any_work(
    ivfuse_cli: Callable[..., Any], streets: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    said = run(ivfuse_cli, streets, *arguments)
    assert said.code in (1, 2)
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "report" / "fused").exists()
