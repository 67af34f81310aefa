"""Known data sets, their recognition, and which published results may stand beside measured ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivfuse.benchmark.datasets import check_set, get_set, known_sets, open_set
from ivfuse.benchmark.published import TASK_MEASURES, comparable, published_rows, quotes_for
from ivfuse.errors import InputError, UnknownNameError
from ivfuse.image.write import write_image
from ivfuse.metrics import CONVENTIONS, METRICS
from ivfuse.synthetic.street import street_scene

from .conftest import scenes


def test_published_counts() -> None:
    counts = {name: [split.pairs for split in known.splits] for name, known in known_sets().items()}
    assert counts["tno"] == [21, 25, 42]
    assert counts["msrs"] == [361]
    assert counts["vifb"] == [21]
    assert 50 in counts["roadscene"]
    assert 300 in counts["m3fd"]
    assert {"llvip", "awmm-100k"} <= set(counts)


@pytest.mark.parametrize("name", ["tno", "roadscene", "msrs", "m3fd", "llvip", "vifb", "awmm-100k"])
def test_every_set_says_where_it_is_and_under_what_terms(name: str) -> None:
    known = get_set(name.upper())
    assert known.terms
    assert known.obtained
    assert known.paper
    assert known.repository.count("/") == (0 if name == "tno" else 1)


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="roadscene"):
        get_set("roadscenes")


def test_a_set_in_its_own_layout(tmp_path: Path) -> None:
    scene = street_scene(48, 64, 0)
    write_image(tmp_path / "RoadScene" / "cropinfrared" / "a.png", scene.ir)
    write_image(tmp_path / "RoadScene" / "crop_LR_visible" / "a.png", scene.vi)
    data = open_set(tmp_path / "RoadScene")
    assert [pair.name for pair in data.pairs] == ["a"]
    assert data.known is get_set("roadscene")
    assert "usual layout" in data.layout


def test_a_folder_named_like_a_set_is_not_taken_for_its_published_split(tmp_path: Path) -> None:
    data = open_set(scenes(tmp_path / "MSRS_test", count=2))
    assert data.known is get_set("msrs")
    assert "published splits have 361 pairs" in data.recognized


def test_any_other_folder_will_do(tmp_path: Path) -> None:
    data = open_set(scenes(tmp_path / "mine" / "val", count=1))
    assert data.known is None
    assert data.name == "mine-val"
    assert not check_set(data).problems


def test_a_check_names_all_that_is_wrong(tmp_path: Path) -> None:
    root = scenes(tmp_path / "msrs", count=3)
    write_image(root / "ir" / "s1.png", street_scene(40, 64, 0).ir)
    (root / "vi" / "s2.png").write_bytes(b"no image")
    write_image(root / "ir" / "alone.png", street_scene(48, 64, 0).ir)
    found = check_set(open_set(root))
    text = "\n".join(found.problems)
    assert "no partner: alone.png" in text
    assert "s1: infrared 64x40, visible 64x48" in text
    assert "s2.png: not an image in a supported format" in text
    assert "s3: 64x48, expected 640x480" in text
    assert "3 pairs, published splits of MSRS, Multi-Spectral Road Scenarios have 361" in text
    assert len(found.problems) == 5
    assert dict(found.sizes) == {(64, 48): 2}


def test_a_whole_published_split_passes(tmp_path: Path) -> None:
    data = open_set(scenes(tmp_path / "vifb", count=21, size=(32, 32)))
    assert not check_set(data).problems
    assert "as many pairs as a published split" in data.recognized


def test_a_folder_without_pairs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ir").mkdir()
    (tmp_path / "vi").mkdir()
    with pytest.raises(InputError, match="no pairs found"):
        open_set(tmp_path)


def test_every_published_row_is_well_formed() -> None:
    rows = published_rows()
    assert len(rows) == 36
    for row in rows:
        assert row.set in known_sets()
        assert set(row.values) <= {*METRICS, *TASK_MEASURES}
        assert row.source.convention in {*CONVENTIONS, "unknown"}
        assert row.source.text
    compared = [row for row in rows if row.source.id == "crossfuse-cam-compared"]
    assert {(row.set, row.condition): list(row.values.values()) for row in compared} == {
        ("roadscene", ""): [0.58],
        ("llvip", ""): [6.47],
        ("m3fd", ""): [0.473],
        ("awmm-100k", "rain"): [0.4057],
        ("awmm-100k", "snow"): [0.4090],
        ("awmm-100k", "haze"): [0.4542],
        ("msrs", ""): [0.9804],
    }
    assert all("unknown" in row.protocol for row in compared if row.protocol)
    maefuse = {row.set: row.values for row in rows if row.method == "MaeFuse"}
    assert maefuse["tno"] == {"EN": 6.978, "CC": 0.576, "SCD": 1.730}
    assert maefuse["llvip"] == {"EN": 7.362, "CC": 0.672, "SCD": 1.590}
    assert all(row.source.third_party for row in rows if row.method.startswith("CrossFuse"))


@pytest.mark.parametrize(
    ("metric", "first", "second", "same"),
    [
        ("EN", "tang", "cddfuse", True),
        ("MI", "cddfuse", "default", False),
        ("SD", "li", "default", False),
        ("SD", "li", "li", True),
        ("SSIM", "cddfuse", "default", False),
        ("EN", "vifb", "default", False),
        ("EN", "unknown", "default", False),
    ],
)
def test_values_compare_only_where_the_metric_is_the_same(
    metric: str, first: str, second: str, same: bool
) -> None:
    assert comparable(metric, first, second) is same


def test_quotes_stand_beside_their_set_alone(tmp_path: Path) -> None:
    tno = open_set(scenes(tmp_path / "TNO", count=1))
    quotes = {
        (quote.row.method, quote.row.source.id): quote for quote in quotes_for(tno, "cddfuse", ["SD", "MI"])
    }
    cddfuse = quotes["CDDFuse", "cddfuse-readme"]
    assert cddfuse.values == {"SD": 46.0, "MI": 2.19}
    assert cddfuse.remark == "on 25 pairs, here 1"
    transcribed = quotes["CrossFuse (Li & Wu)", "crossfuse-cam-transcribed"]
    assert transcribed.values == {}
    assert "third party" in transcribed.remark
    assert not quotes_for(open_set(scenes(tmp_path / "mine", count=1)), "cddfuse", ["SD"])
