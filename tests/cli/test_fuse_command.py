"""``ivfuse fuse`` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Cli = Callable[..., Any]
MakePair = Callable[..., tuple[Path, Path]]


@pytest.fixture
def pair(tmp_path: Path, make_pair: MakePair) -> tuple[Path, Path]:
    return make_pair(tmp_path / "t.png", tmp_path / "v.png")


@pytest.fixture
def folders(tmp_path: Path, make_pair: MakePair) -> Path:
    """A folder with ``ir/`` and ``vi/`` of three pairs."""
    for index, name in enumerate("abc"):
        make_pair(
            tmp_path / "set" / "ir" / f"{name}.png", tmp_path / "set" / "vi" / f"{name}.png", seed=index
        )
    return tmp_path / "set"


def test_a_pair_becomes_a_file(ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.png", "--method", "average")
    assert said.code == 0
    assert "f.png: 64x48, average" in said.out
    assert cv2.imread(str(tmp_path / "f.png")).shape == (48, 64, 3)


def test_gray_and_sixteen_bits(ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    said = ivfuse_cli(
        "fuse", *pair, "-o", tmp_path / "f.tiff", "--method", "laplacian", "--gray", "--bits", 16
    )
    assert said.code == 0, said.err
    fused = cv2.imread(str(tmp_path / "f.tiff"), cv2.IMREAD_UNCHANGED)
    assert fused.dtype == np.uint16
    assert fused.ndim == 2


def test_an_emphasis_is_chosen_by_name(ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    images = {}
    for name in ("natural", "targets"):
        out = tmp_path / f"{name}.png"
        assert (
            ivfuse_cli("fuse", *pair, "-o", out, "--method", "laplacian", "--emphasis", name, "--gray").code
            == 0
        )
        images[name] = cv2.imread(str(out), cv2.IMREAD_UNCHANGED).astype(int)
    seen = cv2.imread(str(pair[1]), cv2.IMREAD_GRAYSCALE).astype(int)
    away = {name: np.abs(image - seen).mean() for name, image in images.items()}
    assert away["natural"] < 0.6 * away["targets"]
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "x.png", "--emphasis", "loud")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "loud" in said.err
    assert "balanced" in said.err


def test_a_pair_into_a_folder_takes_the_name_of_the_visible(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    assert ivfuse_cli("fuse", *pair, "-o", f"{tmp_path / 'new'}/", "--method", "average").code == 0
    assert (tmp_path / "new" / "v.png").is_file()


def test_an_existing_output_is_skipped_unless_told(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "f.png"
    out.write_text("mine")
    said = ivfuse_cli("fuse", *pair, "-o", out, "--method", "average")
    assert said.code == 0
    assert "exists, skipped" in said.out
    assert out.read_text() == "mine"
    assert ivfuse_cli("fuse", *pair, "-o", out, "--method", "average", "--overwrite").code == 0
    assert cv2.imread(str(out)) is not None


def test_two_folders_and_one_folder_of_both_give_the_same(
    ivfuse_cli: Cli, folders: Path, tmp_path: Path
) -> None:
    first = ivfuse_cli("fuse", folders / "ir", folders / "vi", "-o", tmp_path / "x", "--method", "average")
    second = ivfuse_cli("fuse", folders, "-o", tmp_path / "y", "--method", "average")
    assert (first.code, second.code) == (0, 0)
    assert "3 done, 0 skipped, 0 failed" in first.out
    for name in "abc":
        assert (tmp_path / "x" / f"{name}.png").read_bytes() == (tmp_path / "y" / f"{name}.png").read_bytes()


def test_a_second_run_skips_what_is_done(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average")
    (tmp_path / "x" / "b.png").unlink()
    assert "1 done, 2 skipped, 0 failed" in ivfuse_cli("fuse", folders, "-o", tmp_path / "x").out


def test_orphans_are_listed(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    (folders / "vi" / "b.png").unlink()
    said = ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average")
    assert said.code == 0
    assert "no partner" in said.err
    assert "b.png" in said.err


def test_ambiguous_names_are_listed(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    (folders / "vi" / "b.bmp").write_bytes((folders / "vi" / "b.png").read_bytes())
    said = ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average")
    assert "ambiguous: " in said.err
    assert "b.bmp" in said.err
    assert not (tmp_path / "x" / "b.png").exists()


def test_a_bad_pair_is_listed_and_the_others_are_done(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    (folders / "ir" / "b.png").write_bytes((folders / "ir" / "b.png").read_bytes()[:90])
    said = ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average")
    assert said.code == 1
    assert "2 done, 0 skipped, 1 failed" in said.out
    assert [line for line in said.err.splitlines() if line.startswith("failed: b: ") and "b.png" in line]
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["a.png", "c.png"]


def test_json_tells_a_machine_everything(
    ivfuse_cli: Cli, folders: Path, tmp_path: Path, make_pair: MakePair
) -> None:
    (folders / "ir" / "b.png").write_bytes(b"no image")
    make_pair(folders / "ir" / "c.png", folders / "vi" / "c.png", ir_size=(24, 32))
    (folders / "vi" / "lonely.png").write_bytes((folders / "vi" / "a.png").read_bytes())
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").touch()
    said = ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average", "--json")
    told = json.loads(said.out)
    assert said.code == 1
    assert told["method"] == "average"
    assert told["skipped"] == ["a"]
    assert [failed["name"] for failed in told["failed"]] == ["b"]
    assert [Path(path).name for path in told["orphans"]] == ["lonely.png"]
    (done,) = told["done"]
    assert (Path(done["out"]).name, done["height"], done["width"]) == ("c.png", 48, 64)
    assert "thermal resampled from 32x24 to 64x48" in done["notes"]


def test_notes_are_said_once_with_their_count(ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair) -> None:
    for name in "ab":
        make_pair(tmp_path / "s/ir" / f"{name}.png", tmp_path / "s/vi" / f"{name}.png", ir_size=(24, 32))
    said = ivfuse_cli("fuse", tmp_path / "s", "-o", tmp_path / "x", "--method", "average")
    assert said.err.count("thermal resampled from 32x24 to 64x48") == 1
    assert "note (2 of 2)" in said.err


def test_quiet_says_nothing_when_all_is_well(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    said = ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average", "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")


def test_the_format_of_a_folder_can_be_chosen(ivfuse_cli: Cli, folders: Path, tmp_path: Path) -> None:
    assert (
        ivfuse_cli("fuse", folders, "-o", tmp_path / "x", "--method", "average", "--format", "jpg").code == 0
    )
    assert (tmp_path / "x" / "a.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_format_that_the_named_file_does_not_have_is_refused(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.png", "--method", "average", "--format", "tiff")
    assert said.code == 2
    assert "--format: found tiff, with an output named" in said.err
    assert not (tmp_path / "f.png").exists()


def test_the_thermal_window_is_taken(ivfuse_cli: Cli, tmp_path: Path) -> None:
    counts = np.tile(np.linspace(7000, 8000, 64), (48, 1)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "t.png"), counts)
    cv2.imwrite(str(tmp_path / "v.png"), np.zeros((48, 64), np.uint8))
    arguments = (tmp_path / "t.png", tmp_path / "v.png", "-o", tmp_path / "f.png", "--method", "maximum")
    assert ivfuse_cli("fuse", *arguments, "--ir-window", 7000, 9000).code == 0
    # 8000 lies in the middle of the window
    assert cv2.imread(str(tmp_path / "f.png"), cv2.IMREAD_GRAYSCALE).max() in (127, 128)


@pytest.mark.parametrize(
    ("arguments", "said_so"),
    [
        (["--method", "guided-filtr"], "did you mean guided-filter"),
        (["--method", "average", "--runtime", "openvino"], "classical"),
        (["--ir-window", "5", "5"], "the thermal window goes from 5 to 5"),
        (["--tile", "0"], "tile"),
        (["--bits", "12"], "expected 8 or 16"),
        (["--bits", "many"], "--bits"),
        (["--color"], "--color"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_2(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path, arguments: list[str], said_so: str
) -> None:
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.png", *arguments)
    assert said.code == 2
    assert said_so in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "f.png").exists()


def test_a_missing_output_or_partner_is_wrong_use(
    ivfuse_cli: Cli, pair: tuple[Path, Path], folders: Path
) -> None:
    nowhere = ivfuse_cli("fuse", *pair)
    assert (nowhere.code, "--out" in nowhere.err) == (2, True)
    alone = ivfuse_cli("fuse", pair[0], "-o", "x.png")
    assert (alone.code, "give the visible file too" in alone.err) == (2, True)
    mixed = ivfuse_cli("fuse", pair[0], folders, "-o", "x.png")
    assert (mixed.code, "give two files or two folders" in mixed.err) == (2, True)


def test_a_bad_single_input_is_one_line_and_exit_1(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = ivfuse_cli("fuse", tmp_path / "absent.png", pair[1], "-o", tmp_path / "f.png")
    assert said.code == 1
    assert said.err.startswith("ivfuse: error: ")
    assert "absent.png" in said.err
    assert said.err.count("\n") == 1


def test_an_output_of_unknown_format_is_refused(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.xyz", "--method", "average")
    assert said.code == 2
    assert ".xyz" in said.err
    assert not (tmp_path / "f.xyz").exists()


def test_a_folder_without_pairs_says_what_was_expected(ivfuse_cli: Cli, tmp_path: Path) -> None:
    for name in ("ir", "vi"):
        (tmp_path / "s" / name).mkdir(parents=True)
    said = ivfuse_cli("fuse", tmp_path / "s", "-o", tmp_path / "x")
    assert said.code == 1
    assert "ivfuse: error: " in said.err
    assert "pairs" in said.err


def test_an_output_that_is_an_input_is_refused(ivfuse_cli: Cli, pair: tuple[Path, Path]) -> None:
    before = pair[1].read_bytes()
    said = ivfuse_cli("fuse", *pair, "-o", pair[1], "--overwrite")
    assert said.code == 1
    assert "one of the inputs" in said.err
    assert pair[1].read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable_is_said(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "locked" / "f.png")
    assert said.code == 1
    assert "not writable" in said.err


def test_an_output_below_a_file_is_said(ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "file" / "f.png")
    assert said.code == 1
    assert "cannot make the output folder" in said.err


def test_ctrl_c_in_a_folder_leaves_only_whole_files(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "s/ir/0.png", tmp_path / "s/vi/0.png", size=(480, 640))
    for index in range(1, 300):
        os.link(ir, tmp_path / "s/ir" / f"{index}.png")
        os.link(vi, tmp_path / "s/vi" / f"{index}.png")
    out = tmp_path / "x"
    command = [sys.executable, "-m", "ivfuse", "fuse", str(tmp_path / "s"), "-o", str(out)]
    process = subprocess.Popen(
        [*command, "--method", "average"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a background job ignores interrupts, and so would this child
    )
    deadline = time.monotonic() + 30
    while len(list(out.glob("*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=30)
    assert process.returncode == 130, complained
    assert "interrupted" in complained
    assert "Traceback" not in complained
    names = sorted(path.name for path in out.iterdir())
    assert 3 <= len(names) < 300
    assert f"{len(names)} done" in said
    assert all(cv2.imread(str(out / name)).shape == (480, 640, 3) for name in names)


def test_damaged_files_and_limits_have_flags(
    ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    ir, vi = pair
    values = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", values)[1].tobytes()
    (tmp_path / "v.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    call = ("fuse", ir, tmp_path / "v.jpg", "-o", tmp_path / "f.png", "--method", "average")
    said = ivfuse_cli(*call)
    assert said.code == 1
    assert "damaged JPEG" in said.err
    assert "--allow-damaged uses what can be decoded" in said.err
    assert ivfuse_cli(*call, "--allow-damaged").code == 0
    said = ivfuse_cli("fuse", ir, vi, "-o", tmp_path / "g.png", "--method", "average", "--max-pixels", 0)
    assert said.code == 2
    assert "--max-pixels" in said.err


def test_json_names_the_inputs(ivfuse_cli: Cli, pair: tuple[Path, Path], tmp_path: Path) -> None:
    said = ivfuse_cli("fuse", *pair, "-o", tmp_path / "f.png", "--method", "average", "--json")
    assert json.loads(said.out)["done"][0]["inputs"] == [str(path) for path in pair]


def test_names_with_control_characters_cannot_control_the_terminal(
    ivfuse_cli: Cli, tmp_path: Path, make_pair: MakePair
) -> None:
    name = "a\x1b[2J\nforged: line\r.png"
    make_pair(tmp_path / "s/ir/1.png", tmp_path / "s/vi/1.png")
    for broken in ("b\x1b[2J\nforged: line\r.png",):
        for part in ("ir", "vi"):
            (tmp_path / "s" / part / broken).write_bytes(b"no image")
    (tmp_path / "s/ir" / name).write_bytes(b"no image")
    said = ivfuse_cli("fuse", tmp_path / "s", "-o", tmp_path / "out", "--method", "average")
    printed = said.out + said.err
    assert "no partner" in printed
    assert "failed: " in printed
    assert "\\x1b[2J" in printed
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert not any(line.startswith("forged") for line in printed.splitlines())
