"""Outputs of detectors: each family decoded from hand-made arrays, told apart by shape, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ivfuse.benchmark.tasks.detector_outputs import OUTPUT_FORMATS, Prepare
from ivfuse.benchmark.tasks.detectors import (
    DetectorOptions,
    open_detector,
    overlaps,
    prepare,
    suppress,
)
from ivfuse.errors import InputError, UnknownNameError, UsageError

SIZE = (64, 96)  # of the input: height, width
BOX = (24.0, 16.0, 56.0, 48.0)  # left, top, right, bottom in the input
NAMES = ("person", "car", "dog")


def yolov5() -> np.ndarray:
    rows = np.zeros((1, 40, 8), np.float32)
    rows[0, 7] = 40, 32, 32, 32, 0.8, 0.1, 0.9, 0.2
    return rows


def yolov8() -> np.ndarray:
    columns = np.zeros((1, 7, 40), np.float32)
    columns[0, :, 7] = 40, 32, 32, 32, 0.1, 0.72, 0.2
    return columns


def end_to_end() -> np.ndarray:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = *BOX, 0.72, 1
    return rows


def nanodet(strides: tuple[int, ...] = (8, 16, 32, 64)) -> np.ndarray:
    counts = [-(-SIZE[0] // s) * -(-SIZE[1] // s) for s in strides]
    rows = np.zeros((1, sum(counts), len(NAMES) + 32), np.float32)
    # the cell of stride 8 whose point lies 16 pixels from each side of the box
    cell = 4 * 12 + 5 if len(strides) == 4 else 3 * 12 + 4
    rows[0, cell, 1] = 0.72
    for side in range(4):
        rows[0, cell, 3 + 8 * side + 2] = 50  # all weight on the distance of two strides
    return rows


def fastestdet() -> np.ndarray:
    cells = np.zeros((1, 5 + 3, 4, 6), np.float32)
    # the middle is 2.5 and 2 cells of 16 pixels; a third of the width, half of the height
    cells[0, :, 1, 2] = 0.72, np.arctanh(0.5), np.arctanh(0.999999), -np.log(2), 0, 0.1, 0.72, 0
    return cells


EXAMPLES: dict[str, Callable[[], np.ndarray]] = {
    "yolov5": yolov5,
    "yolov8": yolov8,
    "yolo-end-to-end": end_to_end,
    "nanodet": nanodet,
    "fastestdet": fastestdet,
}


def test_every_format_has_an_example() -> None:
    assert set(EXAMPLES) == set(OUTPUT_FORMATS)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_output_is_recognized_and_decoded(model: Callable[..., Path], name: str) -> None:
    detector = open_detector(model(EXAMPLES[name](), SIZE), DetectorOptions(names=NAMES))
    assert detector.form.name == name
    # an image twice as large as the input: boxes come out in its own pixels
    found = detector.detect(np.full((2 * SIZE[0], 2 * SIZE[1], 3), 90, np.uint8))
    assert len(found.scores) == 1
    assert found.scores[0] == pytest.approx(0.72, abs=1e-5)
    assert found.classes[0] == 1
    np.testing.assert_allclose(found.corners[0], 2 * np.array(BOX), atol=0.01)


def test_nanodet_of_three_strides_measures_from_the_middle_of_a_cell(model: Callable[..., Path]) -> None:
    detector = open_detector(model(nanodet((8, 16, 32)), SIZE), DetectorOptions(names=NAMES))
    assert detector.form.name == "nanodet"
    found = detector.detect(np.zeros((*SIZE, 3), np.uint8))
    np.testing.assert_allclose(found.corners[0], [36 - 16, 28 - 16, 36 + 16, 28 + 16], atol=0.01)


def test_a_format_can_be_said_where_shapes_do_not_tell(model: Callable[..., Path]) -> None:
    path = model(np.zeros((1, 300, 6), np.float32), SIZE)
    assert open_detector(path).form.name == "yolo-end-to-end"
    said = open_detector(path, DetectorOptions("yolov5", ("person",)))
    assert said.form.name == "yolov5"
    with pytest.raises(UsageError, match="not one of nanodet"):
        open_detector(path, DetectorOptions("nanodet"))
    with pytest.raises(UnknownNameError, match="did you mean yolov8"):
        open_detector(path, DetectorOptions("yolo8"))


def test_names_come_from_the_file_or_are_cocos(model: Callable[..., Path], tmp_path: Path) -> None:
    inside = model(yolov8(), SIZE, names="{0: 'person', 1: 'car', 2: 'dog'}")
    assert open_detector(inside).names == NAMES
    assert open_detector(model(np.zeros((1, 84, 126), np.float32), SIZE)).names[2] == "car"
    nameless = model(yolov8(), SIZE, names="__import__('os')")
    with pytest.raises(UsageError, match="3 classes by its output"):
        open_detector(nameless)
    with pytest.raises(UsageError, match="2 names"):
        open_detector(nameless, DetectorOptions(names=("a", "b")))


def test_the_size_can_be_chosen_where_the_model_leaves_it_open(model: Callable[..., Path]) -> None:
    chosen = open_detector(model(yolov8(), None), DetectorOptions(names=NAMES, size=SIZE))
    assert len(chosen.detect(np.zeros((*SIZE, 3), np.uint8)).scores) == 1
    with pytest.raises(UsageError, match="96x64"):
        open_detector(model(yolov8(), SIZE), DetectorOptions(names=NAMES, size=(32, 32)))


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (np.zeros((1, 7), np.float32), "none that is known"),
        (np.zeros((2, 7, 40), np.float32), "none that is known"),
        (np.full((1, 7, 40), np.nan, np.float32), "NaN"),
    ],
)
def test_outputs_that_are_no_detections_are_refused(
    model: Callable[..., Path], output: np.ndarray, told: str
) -> None:
    with pytest.raises((InputError, UsageError), match=told) as error:
        open_detector(model(output, SIZE), DetectorOptions(names=NAMES))
    assert "\n" not in str(error.value)


def test_files_that_are_no_models_are_refused(model: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_detector(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(InputError, match="not a model") as error:
        open_detector(tmp_path / "bad.onnx")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="one image"):
        open_detector(model(yolov8(), SIZE, channels=1))


def test_a_letterbox_keeps_proportions_and_a_stretch_does_not() -> None:
    image = np.full((50, 200, 3), 200, np.uint8)
    image[..., 2] = 0
    boxed, factors, offset = prepare(image, Prepare(), (64, 96))
    assert boxed.shape == (1, 3, 64, 96)
    assert factors == pytest.approx([0.48, 0.48])
    assert offset.tolist() == [0, 20]
    assert boxed[0, :, 0, 0] * 255 == pytest.approx([114] * 3)
    assert boxed[0, :, 32, 40] * 255 == pytest.approx([200, 200, 0])
    stretched, factors, offset = prepare(image, Prepare("bgr", 1, letterbox=False), (64, 96))
    assert factors == pytest.approx([0.48, 1.28])
    assert offset.tolist() == [0, 0]
    assert stretched[0, :, 0, 0] == pytest.approx([0, 200, 200])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1, 3), (33, 47, 3)])
def test_images_of_any_size_can_be_looked_at(model: Callable[..., Path], shape: tuple[int, ...]) -> None:
    detector = open_detector(model(yolov8(), SIZE), DetectorOptions(names=NAMES))
    found = detector.detect(np.zeros(shape, np.uint8))
    assert (found.corners >= 0).all()
    assert (found.corners[:, 2] <= shape[1]).all()


def test_weaker_boxes_of_the_same_class_are_dropped() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [30, 0, 40, 10], [0, 0, 9, 9]])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.0005])
    classes = np.array([0, 0, 1, 0, 2])
    found = suppress(corners, scores, classes, 0.001, 0.5)
    assert found.scores.tolist() == [0.9, 0.7, 0.6]
    assert found.classes.tolist() == [0, 1, 0]
    assert len(suppress(corners, scores, classes, 0, 1).scores) == 5


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 0, 0]], np.float64)
    assert overlaps(boxes[0], boxes) == pytest.approx([1, 1 / 3, 0, 0])
