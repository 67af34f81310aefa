"""Small models in ONNX whose answers are known, and streets with labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ivfuse.benchmark.tasks.export import coco_table, voc_text, yolo_text
from ivfuse.benchmark.tasks.labels import Boxes
from ivfuse.image.write import write_image
from ivfuse.synthetic.street import Scene, street_scene

KINDS = ("person", "car", "dog")


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Write a model that gives a constant array, or what given nodes compute."""
    return lambda *arguments, **choices: write_model(tmp_path / "model.onnx", *arguments, **choices)


def write_model(
    path: Path,
    output: NDArray[Any],
    size: tuple[int, int] | None = (64, 96),
    names: str | None = None,
    channels: int = 3,
) -> Path:
    """A model that takes an image and always gives the same array."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}
    array = output.astype(np.float32 if output.dtype.kind == "f" else np.int64)
    shape = [1, channels, *(size or ("h", "w"))]
    constant = helper.make_node("Constant", [], ["out"], value=numpy_helper.from_array(array))
    graph = helper.make_graph(
        [constant],
        "constant",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", kinds[array.dtype.kind], array.shape)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if names is not None:
        helper.set_model_props(made, {"names": names})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(path))
    return path


def write_threshold_segmenter(path: Path, classes: int) -> Path:
    """A model for images of any size: score of class 1 is the red channel, that of class 2 the blue one."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.zeros((classes, 3, 1, 1), np.float32)
    weights[1, 0], weights[2, 2] = 1, 1
    bias = np.full(classes, -9, np.float32)
    bias[:3] = 0.5, 0, 0
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weights", "bias"], ["out"])],
        "threshold",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, classes, "h", "w"])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, str(path))
    return path


def boxes_of(scene: Scene, least: int = 6) -> Boxes:
    """The people, cars and dogs of a street that are large enough."""
    found = [x for x in scene.objects if x.pixels >= least]
    height, width = scene.ir.shape
    return Boxes(
        width,
        height,
        np.array([(x.left, x.top, x.right, x.bottom) for x in found], np.float64).reshape(-1, 4),
        np.array([KINDS.index(x.kind) for x in found], np.int64),
        np.zeros(len(found), np.bool_),
    )


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """Two pairs below ``ir`` and ``vi``, with boxes in three formats and label maps."""
    import json

    import cv2

    root = tmp_path / "streets"
    boxes = {}
    for number, time in enumerate(("day", "night")):
        scene = street_scene(64, 96, number, time)  # type: ignore[arg-type]
        name = f"s{number}"
        write_image(root / "ir" / f"{name}.png", scene.ir)
        write_image(root / "vi" / f"{name}.png", scene.vi)
        boxes[f"{name}.png"] = boxes_of(scene)
        for folder in ("yolo/labels", "voc", "maps"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "yolo" / "labels" / f"{name}.txt").write_text(yolo_text(boxes[f"{name}.png"]))
        (tmp_path / "voc" / f"{name}.xml").write_text(voc_text(name, boxes[f"{name}.png"], KINDS))
        cv2.imwrite(str(tmp_path / "maps" / f"{name}.png"), scene.labels)
    (tmp_path / "yolo" / "data.yaml").write_text("train: images\nnames:\n  0: person\n  1: car\n  2: dog\n")
    (tmp_path / "boxes.json").write_text(json.dumps(coco_table(boxes, KINDS)))
    return root
