"""``ivfuse eval`` and ``ivfuse metrics`` as a user types them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse
from ivfuse.metrics import CONVENTIONS, DEFAULT_METRICS, METRICS, folder

Cli = Callable[..., Any]
MakePair = Callable[..., tuple[Path, Path]]


def write_fused(path: Path, ir: Path, vi: Path) -> Path:
    """The average of both luma images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    gray = [cv2.imread(str(each), cv2.IMREAD_GRAYSCALE).astype(float) for each in (ir, vi)]
    assert cv2.imwrite(str(path), np.rint(sum(gray) / 2).astype(np.uint8))
    return path


@pytest.fixture
def triple(tmp_path: Path, make_pair: MakePair) -> tuple[Path, Path, Path]:
    """Fused, thermal and visible file."""
    ir, vi = make_pair(tmp_path / "t.png", tmp_path / "v.png")
    return write_fused(tmp_path / "f.png", ir, vi), ir, vi


@pytest.fixture
def folders(tmp_path: Path, make_pair: MakePair) -> Path:
    """Folders ``set/ir``, ``set/vi`` and ``fused`` of three triples."""
    for index, name in enumerate(("x1", "x2", "x10")):
        ir, vi = (tmp_path / "set" / part / f"{name}.png" for part in ("ir", "vi"))
        make_pair(ir, vi, seed=3 * index)
        write_fused(tmp_path / "fused" / f"{name}.png", ir, vi)
    return tmp_path


def levels(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])


def expected(fused: Path, ir: Path, vi: Path, **options: Any) -> dict[str, float]:
    return ivfuse.evaluate(levels(fused), levels(ir), levels(vi), **options)


def test_three_files_give_the_values_of_the_library(ivfuse_cli: Cli, triple: tuple[Path, Path, Path]) -> None:
    said = ivfuse_cli("eval", *triple)
    assert said.code == 0, said.err
    assert "convention default" in said.out
    for name, value in expected(*triple, metrics=DEFAULT_METRICS).items():
        assert re.search(rf"^{name} +(higher|lower) +{value:.4f}$", said.out, re.MULTILINE), said.out


def test_json_names_the_convention_and_holds_full_numbers(
    ivfuse_cli: Cli, triple: tuple[Path, Path, Path]
) -> None:
    said = ivfuse_cli("eval", *triple, "--metrics", "ssim,MI", "--convention", "cddfuse", "--json")
    report = json.loads(said.out)
    assert report["convention"] == "cddfuse"
    values = expected(*triple, metrics=["SSIM", "MI"], convention="cddfuse")
    assert report["images"][0]["values"] == report["mean"] == values
    assert list(report["mean"]) == ["SSIM", "MI"]


def test_folders_give_means_over_the_images(ivfuse_cli: Cli, folders: Path) -> None:
    said = ivfuse_cli("eval", folders / "fused", folders / "set", "--metrics", "EN,Qabf", "--json")
    report = json.loads(said.out)
    assert [each["name"] for each in report["images"]] == ["x1", "x2", "x10"]
    for name in ("EN", "Qabf"):
        values = [each["values"][name] for each in report["images"]]
        assert report["mean"][name] == pytest.approx(np.mean(values), rel=1e-15)
        assert len(set(values)) == 3


def test_a_row_per_image_on_request(ivfuse_cli: Cli, folders: Path) -> None:
    plain = ivfuse_cli("eval", folders / "fused", folders / "set" / "ir", folders / "set" / "vi")
    assert "3 images" in plain.out
    assert "x10" not in plain.out
    assert "x10 " in ivfuse_cli("eval", folders / "fused", folders / "set", "--images").out


def test_names_of_images_cannot_control_the_terminal(ivfuse_cli: Cli, folders: Path) -> None:
    for part in ("set/ir", "set/vi", "fused"):
        (folders / part / "x1.png").rename(folders / part / "x\x1b[2J\nforged.png")
    said = ivfuse_cli("eval", folders / "fused", folders / "set", "--images")
    assert "x\\x1b[2J\\nforged" in said.out
    assert all(character.isprintable() or character == "\n" for character in said.out + said.err)


def test_several_processes_give_the_same_values_in_the_same_order(
    ivfuse_cli: Cli, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ivfuse_cli("eval", folders / "fused", folders / "set", "--jobs", 1, "--json")
    monkeypatch.setattr(folder, "WORTH_PROCESSES", 0.0)
    two = ivfuse_cli("eval", folders / "fused", folders / "set", "--jobs", 2, "--json")
    assert two.code == 0, two.err
    assert two.out == one.out


def test_csv_holds_a_row_per_image_and_the_means(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    ivfuse_cli("eval", folders / "fused", folders / "set", "--metrics", "EN,SD", "--csv", table)
    rows = list(csv.DictReader(table.open()))
    assert [row["name"] for row in rows] == ["x1", "x2", "x10", "mean"]
    assert {row["convention"] for row in rows} == {"default"}
    said = ivfuse_cli("eval", folders / "fused", folders / "set", "--metrics", "SD,EN")
    (measured,) = {row["protocol"] for row in rows}
    assert f"\nProtocol {measured}, ivfuse " in said.out
    assert float(rows[-1]["SD"]) == pytest.approx(np.mean([float(row["SD"]) for row in rows[:3]]))
    assert not list(tmp_path.glob("*.tmp*"))


def test_csv_into_a_folder_that_is_not_there_is_refused_before_any_work(
    ivfuse_cli: Cli, folders: Path, tmp_path: Path
) -> None:
    said = ivfuse_cli("eval", folders / "fused", folders / "set", "--csv", tmp_path / "no" / "scores.csv")
    assert said.code == 2
    assert not said.out


def test_a_bad_image_is_one_line_and_the_others_go_on(ivfuse_cli: Cli, folders: Path) -> None:
    (folders / "fused" / "x1.png").write_bytes(b"no image")
    cv2.imwrite(str(folders / "fused" / "x2.png"), np.zeros((20, 30), np.uint8))
    said = ivfuse_cli("eval", folders / "fused", folders / "set", "--quiet")
    assert said.code == 1
    assert "1 image," in said.out
    first, second = said.err.splitlines()
    assert first.startswith("failed: x1: ")
    assert second == (
        "failed: x2: images differ in size: ir 64x48, vi 64x48, fused 30x20; expected one size for all"
    )


def test_a_missing_value_is_counted_with_its_reason(ivfuse_cli: Cli, folders: Path) -> None:
    cv2.imwrite(str(folders / "fused" / "x2.png"), np.full((48, 64), 93, np.uint8))
    said = ivfuse_cli("eval", folders / "fused", folders / "set", "--metrics", "CC,EN")
    assert said.code == 0
    assert re.search(r"^CC +higher +[\d.]+ +1$", said.out, re.MULTILINE)
    assert re.search(r"^EN +higher +[\d.]+ +-$", said.out, re.MULTILINE)
    assert "no value: CC: a constant image has no correlation (1 of 3)" in said.err
    report = json.loads(
        ivfuse_cli("eval", folders / "fused", folders / "set", "--metrics", "CC", "--json").out
    )
    assert report["images"][1]["values"] == {"CC": None}
    assert report["without_value"] == {"CC": {"CC: a constant image has no correlation": 1}}
    values = [report["images"][index]["values"]["CC"] for index in (0, 2)]
    assert report["mean"]["CC"] == pytest.approx(np.mean(values))


def test_files_without_partners_are_named(ivfuse_cli: Cli, folders: Path) -> None:
    (folders / "fused" / "x10.png").rename(folders / "fused" / "other.png")
    said = ivfuse_cli("eval", folders / "fused", folders / "set")
    assert said.code == 0
    assert "no fused image: x10" in said.err
    assert "other.png" in said.err
    assert "2 images" in said.out


def test_a_sixteen_bit_thermal_file_takes_a_window(ivfuse_cli: Cli, triple: tuple[Path, Path, Path]) -> None:
    fused, ir, vi = triple
    counts = levels(ir).astype(np.uint16) * 10 + 7000
    plain = json.loads(ivfuse_cli("eval", *triple, "--json").out)["mean"]
    cv2.imwrite(str(ir.with_suffix(".tiff")), counts)
    said = ivfuse_cli("eval", fused, ir.with_suffix(".tiff"), vi, "--ir-window", 7000, 9550, "--json")
    assert json.loads(said.out)["mean"] == pytest.approx(plain)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["eval", "f.png", "t.png"], 2, "is a file: give the visible file too"),
        (["eval", "f.png", "t.png", "."], 2, "give three files, or folders alone"),
        (["eval", "f.png", "t.png", "gone.png"], 1, "gone.png: no such file"),
        (["eval", "f.png", "t.png", "v.png", "--metrics", "SSIN"], 2, "did you mean .*SSIM"),
        (["eval", "f.png", "t.png", "v.png", "--metrics", ","], 2, "names no metric"),
        (["eval", "f.png", "t.png", "v.png", "--convention", "tan"], 2, "did you mean tang"),
        (["metrics", "Qabv"], 2, "did you mean Qabf"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str],
    code: int,
    message: str,
    ivfuse_cli: Cli,
    triple: tuple[Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(triple[0].parent)
    said = ivfuse_cli(*words)
    assert said.code == code
    assert re.search(message, said.err)
    assert said.err.count("\n") == 1
    assert not said.out


def test_all_metrics_can_be_asked_for(ivfuse_cli: Cli, triple: tuple[Path, Path, Path]) -> None:
    report = json.loads(ivfuse_cli("eval", *triple, "--metrics", "all", "--json").out)
    assert list(report["mean"]) == ivfuse.list_metrics() == list(METRICS)


def test_the_table_of_metrics_names_each_and_every_convention(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("metrics")
    assert said.code == 0
    first_words = {line.split()[0] for line in said.out.splitlines() if line}
    assert METRICS.keys() | CONVENTIONS.keys() <= first_words
    table = json.loads(ivfuse_cli("metrics", "--json").out)
    assert [row["name"] for row in table["metrics"]] == list(METRICS)


def test_a_metric_says_why_two_papers_differ(ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("metrics", "sd")
    assert said.code == 0
    assert "Standard deviation" in said.out
    assert re.search(r"li +SD / 255 \* sqrt\(H \* W\): depends on the image's size", said.out)
    facts = json.loads(ivfuse_cli("metrics", "SSIM", "--json").out)
    assert set(facts["conventions"]) == {"tang", "li", "cddfuse"}
