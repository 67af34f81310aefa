"""Rig files: what is written is what is read, and what makes no sense is refused in one line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivfuse import Registration, load_rig
from ivfuse.errors import InputError, UsageError
from ivfuse.registration.geometry import image_corners, to_corners, transform_points

RIG = Registration(
    ((2.1, 0.02, -31.5), (-0.015, 2.08, 12.25), (1e-5, -2e-5, 1.0)), (640, 512), (1420, 1094), score=0.75,
    pairs=4, program="ivfuse 0",
)  # fmt: skip


def changed(tmp_path: Path, **fields: Any) -> Path:
    """A rig file with other values in some fields; ``...`` leaves a field out."""
    path = tmp_path / "rig.json"
    RIG.save(path)
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    return path


def test_a_rig_survives_its_file(tmp_path: Path) -> None:
    RIG.save(tmp_path / "new" / "rig.json")
    assert load_rig(tmp_path / "new" / "rig.json") == RIG


def test_the_file_can_be_read_by_people(tmp_path: Path) -> None:
    RIG.save(tmp_path / "rig.json")
    text = (tmp_path / "rig.json").read_text()
    assert '"thermal": {"width": 640, "height": 512}' in text
    assert "    [2.1, 0.02, -31.5],\n" in text
    assert json.loads(text)["program"] == "ivfuse 0"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"format": "other"}, "no rig"),
        ({"version": 2}, "version 2, expected 1"),
        ({"model": "spline"}, "model: found \"spline\""),
        ({"matrix": ...}, "matrix: found nothing"),
        ({"matrix": [[1, 0, 0], [0, 1, 0]]}, "three rows"),
        ({"matrix": [[1, 0, 0], [0, 1, "x"], [0, 0, 1]]}, "three rows"),
        ({"matrix": [[1, 0, 0], [0, 1, float("nan")], [0, 0, 1]]}, "three rows"),
        ({"matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 0]]}, "three rows"),
        ({"matrix": [[-1, 0, 600], [0, 1, 0], [0, 0, 1]]}, "mirrors or folds"),
        ({"matrix": [[1, 0, 0], [0, 0, 0], [0, 0, 1]]}, "mirrors or folds"),
        ({"matrix": [[1, 0, 9e5], [0, 1, 0], [0, 0, 1]]}, "outside of the visible"),
        ({"matrix": [[1e5, 0, 0], [0, 1e5, 0], [0, 0, 1]]}, "scales the sides"),
        ({"matrix": [[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]]}, "horizon"),
        ({"thermal": {"width": 0, "height": 512}}, "width and height"),
        ({"visible": [1420, 1094]}, "width and height"),
        ({"score": 2}, "from 0 to 1"),
        ({"pairs": True}, "pairs: found true"),
        ({"origin": ["images"]}, "origin"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    path = changed(tmp_path, **fields)
    with pytest.raises(InputError) as caught:
        load_rig(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 50_000, b"1" * 70_000, b"null"])
def test_a_file_that_is_no_rig_at_all_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.json"):
        load_rig(tmp_path / "x.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: cannot read"):
        load_rig(tmp_path / "none.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "format",
    "version",
    "model",
    "matrix",
    "thermal",
    "visible",
    "score",
    "pairs",
    "origin",
    "residual",
]


@given(st.sampled_from(FIELDS), JSON)
@settings(max_examples=60, deadline=None)
def test_no_value_of_a_field_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    path = changed(tmp_path_factory.mktemp("rig"), **{key: value})
    with suppress(InputError):
        assert np.isfinite(load_rig(path).array).all()


def test_frames_of_the_same_shape_are_scaled(tmp_path: Path) -> None:
    half = RIG.for_sizes((320, 256), (2840, 2188))
    there = transform_points(to_corners(half.array), image_corners((320, 256)))
    assert there == pytest.approx(2 * transform_points(to_corners(RIG.array), image_corners((640, 512))))
    assert half.for_sizes((640, 512), (1420, 1094)).array == pytest.approx(RIG.array)


@pytest.mark.parametrize("sizes", [((640, 480), (1420, 1094)), ((640, 512), (1094, 1420))])
def test_frames_of_another_shape_are_refused(sizes: Any) -> None:
    with pytest.raises(UsageError, match=r"rig: found .* expected frames of the same aspect"):
        RIG.for_sizes(*sizes)


@pytest.mark.parametrize(("height", "refused"), [(1031, False), (1049, False), (1052, True)])
def test_aspect_ratios_may_differ_by_one_percent(height: int, refused: bool) -> None:
    rig = Registration(((2, 0, 0), (0, 2, 0), (0, 0, 1)), (640, 512), (1300, 1040))
    if refused:
        with pytest.raises(UsageError, match="visible frames of 1300x1052 for a rig of 1300x1040"):
            rig.for_sizes((640, 512), (1300, height))
    else:
        assert rig.for_sizes((640, 512), (1300, height)).visible == (1300, height)


@pytest.mark.parametrize(("width", "refused"), [(1 << 17, False), ((1 << 17) + 1, True)])
def test_a_side_has_131072_pixels_at_most(tmp_path: Path, width: int, refused: bool) -> None:
    path = changed(tmp_path, visible={"width": width, "height": 1094})
    if refused:
        with pytest.raises(InputError, match="visible: found"):
            load_rig(path)
    else:
        assert load_rig(path).visible == (width, 1094)


def test_a_file_of_more_than_64_kibibytes_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, comment="")
    text = path.read_text()
    path.write_text(text + " " * (65536 - len(text)))
    assert load_rig(path) == RIG
    path.write_text(text + " " * (65537 - len(text)))
    with pytest.raises(InputError, match="more than 65536 bytes"):
        load_rig(path)
