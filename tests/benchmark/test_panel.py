"""The figure of a paper: which images it shows, which details, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ivfuse import Fuser
from ivfuse.benchmark.panel import Box, draw_panel, make_panel, parse_box, target_boxes, write_panel
from ivfuse.benchmark.tasks.images import ImageJob, load_images
from ivfuse.cli.app import build
from ivfuse.errors import InputError, OutputError, UnknownNameError, UsageError

from .conftest import bring, scenes

pytest.importorskip("matplotlib")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return scenes(tmp_path / "set", size=(60, 80))


def test_rows_are_the_scenes_and_columns_sources_and_methods(data: Path) -> None:
    panel = make_panel(data, "average,laplacian", most=2)
    assert panel.columns == ("infrared", "visible", "average", "laplacian")
    assert [row.name for row in panel.rows] == ["s1", "s2"]
    fused = Fuser("average").fuse(data / "ir/s2.png", data / "vi/s2.png", dtype="uint8")
    assert np.array_equal(panel.rows[1].images[2], fused)


def test_emphases_of_one_method_are_columns_side_by_side(data: Path) -> None:
    panel = make_panel(data, "laplacian@natural, laplacian,laplacian@targets", most=1, boxes=None)
    assert panel.columns[2:] == ("laplacian@natural", "laplacian", "laplacian@targets")
    for image, emphasis in zip(panel.rows[0].images[2:], ("natural", None, "targets"), strict=True):
        fuser = Fuser("laplacian", emphasis=emphasis)
        assert np.array_equal(image, fuser.fuse(data / "ir/s1.png", data / "vi/s1.png", dtype="uint8"))
    assert not np.array_equal(panel.rows[0].images[2], panel.rows[0].images[4])


def test_named_scenes_come_in_the_order_of_their_names(data: Path) -> None:
    assert [row.name for row in make_panel(data, "average", scenes=("s3", "s1")).rows] == ["s3", "s1"]


def test_results_of_another_program_are_a_column(data: Path, tmp_path: Path) -> None:
    bring(tmp_path / "theirs", data)
    panel = make_panel(data, "none", [f"Theirs={tmp_path / 'theirs'}"], scenes=["s1"])
    assert panel.columns == ("infrared", "visible", "Theirs")
    assert np.array_equal(panel.rows[0].images[2], panel.rows[0].images[1])


def test_a_dark_result_in_16_bits_stays_dark(data: Path, tmp_path: Path) -> None:
    """As metrics take it; of sources, the bits in use would be guessed."""
    (tmp_path / "theirs").mkdir()
    cv2.imwrite(str(tmp_path / "theirs" / "s1.png"), np.full((60, 80), 1028, np.uint16))
    given = [f"Theirs={tmp_path / 'theirs'}"]
    assert set(make_panel(data, "none", given, scenes=["s1"], boxes=None).rows[0].images[2].flat) == {4}
    job = ImageJob(data / "ir/s1.png", data / "vi/s1.png", {"Theirs": tmp_path / "theirs" / "s1.png"})
    assert set(np.ravel(dict(load_images(job))["Theirs"])) == {4}


def test_a_camera_file_that_holds_both_images_is_a_scene(flir: Any, tmp_path: Path) -> None:
    counts = np.rint(flir.counts_of(np.tile(np.linspace(20, 50, 80), (60, 1)))).astype(np.uint16)
    photo = np.full((120, 160, 3), (90, 60, 200), np.uint8)
    flir.Flir(counts, photo=photo, alignment=(1.0, 0, 0)).write(tmp_path / "cameras" / "one.jpg")
    (row,) = make_panel(tmp_path / "cameras", "average", boxes=None).rows
    assert row.images[1][0, 0].tolist() == pytest.approx([90, 60, 200], abs=3)  # the photo


def test_boxes_in_fractions_and_in_pixels_are_the_same_detail(data: Path) -> None:
    panel = make_panel(data, "average", boxes=["0.25,0.5,0.5,0.25", "s2:20,30,40,15"])
    assert panel.rows[0].boxes == (Box(20, 30, 40, 15),)
    assert panel.rows[1].boxes == (Box(20, 30, 40, 15), Box(20, 30, 40, 15))
    assert panel.rows[0].boxes[0].cut(panel.rows[0].images[0]).shape == (15, 40, 3)


def test_without_boxes_the_warm_targets_that_the_visible_hides_are_shown() -> None:
    ir, vi = (np.full((200, 300, 3), level, np.uint8) for level in (40, 90))
    for left in (30, 120, 240):
        ir[60:90, left : left + 12] = 220
    vi[60:90, 120:132] = 220
    first, second = target_boxes(ir, vi)
    assert first.x <= 30 < 42 <= first.x + first.width < 120
    assert 132 < second.x <= 240 < 252 <= second.x + second.width
    assert target_boxes(np.full_like(vi, 7), vi) == ()


def test_the_figure_ends_where_its_images_do(data: Path) -> None:
    for boxes in (["10,10,20,10"], None):
        figure = draw_panel(make_panel(data, "average", boxes=boxes), width=6)
        wide, tall = figure.get_size_inches()
        right = wide * (1 - max(axes.get_position().x1 for axes in figure.axes))
        bottom = tall * min(axes.get_position().y0 for axes in figure.axes)
        assert bottom == pytest.approx(right, abs=1e-6)


def test_no_boxes_no_details(data: Path) -> None:
    assert all(row.boxes == () for row in make_panel(data, "average", boxes=None).rows)


def test_each_cell_and_each_detail_is_drawn(data: Path) -> None:
    panel = make_panel(data, "average", boxes=["10,10,20,10", "40,20,10,20"], most=2)
    axes = draw_panel(panel, width=6).axes
    assert len(axes) == 2 * 3 * (1 + 2)
    for one in axes:
        box = one.get_position()
        assert min(box.x0, box.y0) >= 0
        assert max(box.x1, box.y1) <= 1


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_figure_is_written_and_the_same_again(data: Path, tmp_path: Path, suffix: str) -> None:
    panel = make_panel(data, "average", most=1)
    write_panel(panel, tmp_path / f"a.{suffix}", dpi=100, names=True)
    write_panel(panel, tmp_path / f"b.{suffix}", dpi=100, names=True)
    first = (tmp_path / f"a.{suffix}").read_bytes()
    assert len(first) > 1000
    if suffix == "png":
        assert cv2.imread(str(tmp_path / "a.png")).shape[1] == 716
    assert first == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", ":1,2,3,4", "1,2,3,4,5", "-1,2,3,4", "1;2;3;4"])
def test_a_box_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="WIDTH"):
        parse_box(text)


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"methods": "none"}, UsageError),
        ({"methods": "averge"}, UnknownNameError),
        ({"scenes": ["s9"]}, UnknownNameError),
        ({"boxes": ["s9:1,2,3,4"]}, UnknownNameError),
        ({"boxes": ["70,0,20,20"]}, UsageError),
        ({"boxes": ["0,0,0.001,0.001"]}, UsageError),
        ({"boxes": ["1,1,9,9"] * 5}, UsageError),
        ({"fused": ["x=nowhere"]}, InputError),
    ],
)
def test_what_makes_no_figure_is_refused(data: Path, choice: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make_panel(data, **{"methods": "average", **choice})


def test_a_figure_that_cannot_be_written_is_an_error(data: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_panel(make_panel(data, "average", most=1), tmp_path / "set" / "ir" / "s1.png" / "a.png", dpi=30)


def test_the_verb_draws_a_figure(data: Path, tmp_path: Path) -> None:
    arguments = ["panel", str(data), "--methods", "average", "--dpi", "60", "-o"]
    done = CliRunner().invoke(build("panel"), [*arguments, str(tmp_path / "f.png")])
    assert (done.exit_code, "3 scenes, 3 columns" in done.output) == (0, True)
    refused = CliRunner().invoke(build("panel"), [*arguments, str(tmp_path / "f.gif")])
    assert refused.exit_code != 0
    assert not (tmp_path / "f.gif").exists()
