"""``ivfuse align-channels``: what it writes, and its errors in one line."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.image.pairing import pair_folder
from ivfuse.training.alignment import gamma_table

Cli = Callable[..., Any]
FINE = ("--patch", 16, "--stride", 16)


def make_set(root: Path, names: list[str], low: int, high: int, suffix: str = ".png") -> Path:
    for index, name in enumerate(names):
        rng = np.random.default_rng(low + index)
        for side, shape in (("ir", (40, 56)), ("vi", (40, 56, 3))):
            path = root / side / (name + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), rng.integers(low, high, shape, np.uint8))
    return root


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """A bright target and a darker external set, with names in common."""
    return make_set(tmp_path / "mine", ["1", "2"], 130, 200), make_set(
        tmp_path / "other", ["1", "2"], 40, 120
    )


def test_pairs_manifest_and_report_are_written(
    ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = ivfuse_cli("align-channels", "--target", sets[0], "--external", sets[1], "-k", 9, *FINE, "-o", out)
    assert said.code == 0, said.err
    assert "9 of 12 patches" in said.out
    assert re.search(r"gamma:  red \d\.\d{4}  green \d\.\d{4}  blue \d\.\d{4}", said.out)
    found = {x.name for x in out.iterdir()}
    assert found == {"ir", "vi", "manifest.json", "report.html", "histograms.png", "contact-sheet.png"}
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert (manifest["kept"], manifest["candidates"]) == (9, 12)
    assert manifest["options"]["distance"] == "mean"
    pairs = pair_folder(out).pairs
    assert [p.vi.name for p in pairs] == [row["file"] for row in manifest["patches"]]
    distances = [row["distance"] for row in manifest["patches"]]
    assert distances == sorted(distances)
    after, before = (manifest["distances"]["mean"][when] for when in ("after", "before"))
    assert max(after.values()) < 0.5 < min(before.values())


def test_a_patch_is_its_source_behind_the_stated_gamma(
    ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ivfuse_cli("align-channels", "--target", sets[0], "--external", sets[1], *FINE, "--truncate", "-o", out)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert len(manifest["patches"]) == 12
    for row in manifest["patches"]:
        window = (slice(row["top"], row["top"] + 16), slice(row["left"], row["left"] + 16))
        for side in ("ir", "vi"):
            source = cv2.imread(str(sets[1] / side / f"{row['source']}.png"), cv2.IMREAD_UNCHANGED)[window]
            if side == "vi":
                tables = [gamma_table(gamma, truncate=True) for gamma in row["gamma"][::-1]]  # B, G, R
                source = np.stack([table[source[..., c]] for c, table in enumerate(tables)], -1)
            written = cv2.imread(str(out / side / row["file"]), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(written, source)


def test_the_report_stands_alone_and_shows_both_images(
    ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--gamma", "cluster", "--clusters", 2, "--distance", "wasserstein")
    said = ivfuse_cli(
        "align-channels", "--target", sets[0], "--external", sets[1], *FINE, *options, "-o", out
    )
    assert said.out.count("gamma ") == 2
    page = (out / "report.html").read_text("utf-8")
    embedded = [base64.b64decode(x) for x in re.findall(r'src="data:image/png;base64,([^"]+)"', page)]
    assert embedded == [(out / name).read_bytes() for name in ("histograms.png", "contact-sheet.png")]
    assert "http" not in page
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    for group in manifest["groups"]:
        assert f"{group['gamma']['red']:.4f}" in page
    assert page.count("<tr>") == 2 + 2 + 3 + 0  # two heads, two groups, three distances
    chart = cv2.imread(str(out / "histograms.png"))
    assert len(np.unique(chart.reshape(-1, 3), axis=0)) > 4


def test_names_cannot_collide_however_alike_they_are(ivfuse_cli: Cli, tmp_path: Path) -> None:
    target = make_set(tmp_path / "mine", ["a b", "a-b", "a_b"], 100, 200)
    out = tmp_path / "out"
    said = ivfuse_cli(
        "align-channels", "--target", target, "--external", target, "-k", 0, *FINE, "-o", out, "--json"
    )
    assert json.loads(said.out)["kept"] == len(list((out / "vi").iterdir())) == 18
    assert "patches" not in json.loads(said.out)


def test_two_runs_write_the_same_bytes(ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        options = ("--target", sets[0], "--external", sets[1], *FINE, "--gamma", "cluster")
        ivfuse_cli("align-channels", *options, "-o", tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 4 + 24
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_excluded_names_take_no_part(ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path) -> None:
    held = make_set(tmp_path / "held", ["2"], 0, 255)
    options = ("--target", sets[0], "--external", sets[1], *FINE, "--exclude", held)
    said = ivfuse_cli("align-channels", *options, "-o", tmp_path / "out", "--json")
    assert json.loads(said.out)["candidates"] == 6
    assert json.loads(said.out)["groups"][0]["target_patches"] == 6


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("--distance", "wasserstien"), 2, "unknown distance 'wasserstien'; did you mean wasserstein"),
        (("--gamma", "per-set"), 2, "unknown gamma 'per-set'"),
        (("--bounds", 2, 1), 2, "bounds: found 2 to 1"),
        (("--patch", 64), 1, "target: no image is as large as a patch of 64x64 pixels"),
        (("--external", "nowhere"), 1, "nowhere: no such folder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path, change: tuple[Any, ...], code: int, message: str
) -> None:
    options = ("--target", sets[0], "--external", sets[1], *FINE, "-o", tmp_path / "out")
    said = ivfuse_cli("align-channels", *options, *change)
    assert said.code == code
    assert said.err.startswith("ivfuse: error: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert {x.name for x in tmp_path.iterdir()} == {"mine", "other"}


def test_a_folder_that_holds_something_is_left_as_it_is(
    ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ("align-channels", "--target", sets[0], "--external", sets[1], *FINE)
    said = ivfuse_cli(*options, "-o", sets[0])
    assert (said.code, "mine: is not empty, expected a new folder" in said.err) == (1, True)
    (tmp_path / "file").write_text("x", "utf-8")
    assert "is a file, expected a new folder" in ivfuse_cli(*options, "-o", tmp_path / "file").err
    (tmp_path / "empty").mkdir()
    assert ivfuse_cli(*options, "-o", tmp_path / "empty").code == 0


def test_images_without_a_partner_are_told(ivfuse_cli: Cli, sets: tuple[Path, Path], tmp_path: Path) -> None:
    (sets[1] / "ir" / "2.png").unlink()
    options = ("--target", sets[0], "--external", sets[1], *FINE, "-o", tmp_path / "out")
    said = ivfuse_cli("align-channels", *options)
    assert (said.code, said.err) == (0, f"{sets[1]}: 1 left out, without a partner\n")


def test_the_verb_loads_no_torch(sets: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = ["align-channels", "--target", str(sets[0]), "--external", str(sets[1])]
    arguments += [*map(str, FINE), "-o", str(tmp_path / "out")]
    code = (
        "import sys\n"
        "from ivfuse.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "out" / "report.html").is_file()
