"""Points that a person marked."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ivfuse.errors import InputError, UsageError
from ivfuse.registration.control_points import Correspondences, read_points
from ivfuse.registration.geometry import to_corners, transform_points

THERMAL, VISIBLE = (320, 256), (640, 480)
TRUTH = np.array([[1.5, 0.1, 40], [-0.05, 1.45, 30], [1e-4, 5e-5, 1]])
IR = np.array([[20, 30], [300, 20], [290, 240], [30, 230], [160, 128]], float)


def test_points_of_a_homography_give_it_back() -> None:
    rig = Correspondences(IR, transform_points(TRUTH, IR)).register(THERMAL, VISIBLE)
    assert rig.model == "homography"
    assert rig.array == pytest.approx(TRUTH, rel=1e-6, abs=1e-6)
    assert rig.residual < 1e-6
    assert rig.origin == "points"


@pytest.mark.parametrize(
    ("count", "model"), [(1, "translation"), (2, "similarity"), (3, "affine"), (4, "homography")]
)
def test_few_points_allow_few_freedoms(count: int, model: str) -> None:
    points = IR[:count]
    rig = Correspondences(points, points * 1.5 + [40, 30]).register(THERMAL, VISIBLE)
    assert rig.model == model
    assert transform_points(rig.array, points) == pytest.approx(points * 1.5 + [40, 30], abs=1e-6)


def test_marks_that_are_a_little_off_are_averaged() -> None:
    rng = np.random.default_rng(0)
    many = rng.uniform([0, 0], THERMAL, (40, 2))
    rig = Correspondences(many, transform_points(TRUTH, many) + rng.normal(0, 2, (40, 2))).register(
        THERMAL, VISIBLE
    )
    assert np.abs(transform_points(rig.array, IR) - transform_points(TRUTH, IR)).max() < 3
    assert 1 < rig.residual < 4


@pytest.mark.parametrize("name", ["p.csv", "p.json", "q.json", "semicolons.csv", "bare.csv"])
def test_every_form_of_the_file_is_read(tmp_path: Path, name: str) -> None:
    rows = np.hstack([IR, IR * 2]).tolist()
    keys = ("ir_x", "ir_y", "vi_x", "vi_y")
    text = {
        "p.csv": "vi_x,vi_y,ir_x,ir_y,label\n" + "\n".join(f"{c},{d},{a},{b},tree" for a, b, c, d in rows),
        "p.json": json.dumps([dict(zip(keys, row, strict=True)) for row in rows]),
        "q.json": json.dumps({"points": rows}),
        "semicolons.csv": "ir_x;ir_y;vi_x;vi_y\n" + "\n".join(";".join(map(str, row)) for row in rows),
        "bare.csv": "# marked by hand\n" + "\n".join(", ".join(map(str, row)) for row in rows) + "\n\n",
    }[name]
    (tmp_path / name).write_text(text)
    points = read_points(tmp_path / name)
    assert points.thermal == pytest.approx(IR)
    assert points.visible == pytest.approx(IR * 2)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "", "no point"),
        ("p.csv", "ir_x,ir_y,vi_x\n1,2,3", "no column vi_y"),
        ("p.csv", "1,2,3,4\n1,2,3,x", "point 2"),
        ("p.csv", "1,2,3,nan", "point 1"),
        ("p.json", "{", "no JSON"),
        ("p.json", "5", "no list"),
        ("p.json", "[1, 2, 3, 4]", "point 1"),
        ("p.json", '[{"ir_x": 1}]', "four numbers"),
        ("p.json", "[" * 100_000, "no JSON"),
    ],
)
def test_a_file_without_points_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_points(tmp_path / name)


def test_too_few_points_for_a_model_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="found 3 points, expected 4 or more for homography"):
        Correspondences(IR[:3], IR[:3]).register(THERMAL, VISIBLE, "homography")


@pytest.mark.parametrize(
    ("ir", "vi", "said"),
    [
        ([[10, 10], [20, 20], [30, 30], [40, 40]], None, "on a line"),
        ([[10, 10]] * 4, None, "on a line or on each other"),
        ([[10, 10], [300, 10], [300, 200], [10, 900]], None, "point 4: found ir at 10, 900"),
        (
            [[10, 10], [300, 10], [300, 200], [10, 200]],
            [[600, 10], [10, 10], [10, 400], [600, 400]],
            "mirrors",
        ),
        (
            [[10, 10], [300, 10], [300, 200], [10, 200], [150, 100]],
            [[10, 10], [600, 10], [600, 400], [10, 400], [620, 20]],
            "contradict each other",
        ),
    ],
)  # fmt: skip
def test_points_that_make_no_sense_are_refused(
    ir: list[list[float]], vi: list[list[float]] | None, said: str
) -> None:
    thermal = np.array(ir, float)
    visible = thermal * 2 if vi is None else np.array(vi, float)
    with pytest.raises(InputError, match=said):
        Correspondences(thermal, visible).register(THERMAL, VISIBLE)


def test_points_count_from_the_center_of_the_first_pixel() -> None:
    points = Correspondences(IR[:1], IR[:1] * 2 + 0.5)  # the same place of an image of twice the size
    rig = points.register((320, 240), (640, 480), "translation")
    assert to_corners(rig.array) == pytest.approx(np.diag([2, 2, 1]), abs=1e-9)


@pytest.mark.parametrize(("column", "refused"), [(320 * 1.24, False), (320 * 1.26, True)])
def test_points_may_lie_a_quarter_of_a_frame_outside(column: float, refused: bool) -> None:
    points = np.array([[10, 10], [column, 10], [300, 200], [10, 200]])
    correspondences = Correspondences(points, points * [2, 1.875])
    if refused:
        with pytest.raises(InputError, match="point 2: found ir"):
            correspondences.register((320, 256), (800, 480))
    else:
        assert correspondences.register((320, 256), (800, 480)).residual < 1e-6


@pytest.mark.parametrize(("share", "refused"), [(0.049, False), (0.051, True)])
def test_points_may_contradict_each_other_by_a_twentieth_of_the_diagonal(share: float, refused: bool) -> None:
    off = share * 800  # pixels; the diagonal of 640 x 480 is 800
    visible = IR[:4] * [2, 1.875] + np.array([[off, 0], [-off, 0], [off, 0], [-off, 0]])
    points = Correspondences(IR[:4], visible)
    if refused:
        with pytest.raises(InputError, match="contradict"):
            points.register(THERMAL, VISIBLE, "translation")
    else:
        assert points.register(THERMAL, VISIBLE, "translation").residual == pytest.approx(off)


def test_a_file_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    row = "1,2,3,4\n"
    (tmp_path / "p.csv").write_text(row * ((1 << 20) // len(row)))
    assert len(read_points(tmp_path / "p.csv").thermal) == (1 << 20) // len(row)
    (tmp_path / "p.csv").write_text(row * ((1 << 20) // len(row) + 1))
    with pytest.raises(InputError, match="more than 1048576 bytes"):
        read_points(tmp_path / "p.csv")


def test_many_points_take_memory_in_proportion_to_their_number() -> None:
    many = np.random.default_rng(0).uniform([0, 0], THERMAL, (20_000, 2))
    tracemalloc.start()
    rig = Correspondences(many, transform_points(TRUTH, many)).register(THERMAL, VISIBLE)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert rig.array == pytest.approx(TRUTH, rel=1e-6, abs=1e-6)
