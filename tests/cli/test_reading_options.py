"""--recursive, --max-pixels and --allow-damaged mean the same in every verb that has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import in_python
from ivfuse.image.pairing import FileTriple
from ivfuse.runtime import limits
from ivfuse.runtime.processes import ask_all

Cli = Callable[..., Any]
Pairs = Callable[..., tuple[Path, Path]]


@pytest.fixture(autouse=True)
def same_limit() -> Iterator[None]:
    """The limit belongs to the process, which the tests share."""
    yield
    limits.set_pixel_limit(None)


@pytest.fixture
def tree(tmp_path: Path, make_pair: Pairs) -> Path:
    """Two flights with files of equal names, each in folders of its own."""
    for seed, flight in enumerate(("one", "two")):
        make_pair(
            tmp_path / "t" / flight / "ir" / "a.png", tmp_path / "t" / flight / "vi" / "a.png", seed=seed
        )
    return tmp_path / "t"


@pytest.fixture
def damaged(tmp_path: Path, make_pair: Pairs) -> tuple[Path, Path]:
    """A pair whose visible JPEG lacks its lower half."""
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png", size=(160, 160))
    coded = cv2.imencode(".jpg", cv2.imread(str(vi)))[1].tobytes()
    half = tmp_path / "vi.jpg"
    half.write_bytes(coded[: len(coded) // 2] + b"\xff\xd9")
    return ir, half


def test_scores_of_a_tree_are_those_of_its_folders(ivfuse_cli: Cli, tree: Path, tmp_path: Path) -> None:
    fused = tmp_path / "fused"
    assert ivfuse_cli("fuse", tree, "-o", fused, "--recursive", "--method", "average").code == 0
    said = ivfuse_cli("eval", fused, tree, "--recursive", "--json", "--metrics", "EN,CC")
    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert [each["name"] for each in report["images"]] == ["one/a", "two/a"]
    for each in report["images"]:
        flight = each["name"].split("/")[0]
        alone = ivfuse_cli("eval", fused / flight, tree / flight, "--json", "--metrics", "EN,CC")
        assert json.loads(alone.out)["images"][0]["values"] == each["values"]
    (fused / "two" / "a.png").unlink()
    said = ivfuse_cli("eval", fused, tree, "--recursive", "--json", "--metrics", "EN")
    assert json.loads(said.out)["missing"] == ["two/a"]


def test_a_tree_is_degraded_into_a_tree(ivfuse_cli: Cli, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "worse"
    said = ivfuse_cli("degrade", tree, "-o", out, "--with", "noise:2", "--recursive")
    assert said.code == 0, said.err
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
        "ir/one/a.png", "ir/two/a.png", "vi/one/a.png", "vi/two/a.png",
    ]  # fmt: skip


def test_a_tree_is_one_set_of_a_benchmark(ivfuse_cli: Cli, tree: Path) -> None:
    out = tree / "report"
    arguments = ("--methods", "average", "--metrics", "EN", "--jobs", 1, "--json", "--recursive")
    for _ in range(2):  # the second run finds its own report inside of the tree
        said = ivfuse_cli("benchmark", "--data", tree, "-o", out, *arguments)
        assert said.code == 0, said.err
        assert sorted(path.parent.name for path in (out / "fused").rglob("a.png")) == ["one", "two"]
    external = ("--fused", f"other={out / 'fused' / 't' / 'average'}")
    said = ivfuse_cli("benchmark", "--data", tree, "-o", out, *arguments, *external)
    assert said.code == 0, said.err


def test_a_tree_registers_a_rig(ivfuse_cli: Cli, tree: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    corners = [(5, 5), (50, 6), (6, 40), (52, 41)]
    points.write_text("ir_x,ir_y,vi_x,vi_y\n" + "".join(f"{x},{y},{x},{y}\n" for x, y in corners))
    said = ivfuse_cli("register", tree, "-o", tmp_path / "rig.json", "--points", points, "--recursive")
    assert said.code == 0, said.err
    flat = ivfuse_cli("register", tree, "-o", tmp_path / "rig.json", "--points", points)
    assert flat.code == 1


def test_folders_of_videos_in_folders_are_fused_into_a_tree(ivfuse_cli: Cli, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for modality in ("ir", "vi"):
        path = tmp_path / modality / "day" / "clip.mkv"
        path.parent.mkdir(parents=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
            for level in (60, 90, 120):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64), level, np.uint8), format="gray")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    out = tmp_path / "out"
    arguments = ("video", tmp_path / "ir", tmp_path / "vi", "-o", out, "--method", "average", "-q")
    assert ivfuse_cli(*arguments, "--recursive").code == 0
    assert (out / "day" / "clip.mp4").is_file()


def test_subfolders_of_videos_that_are_no_folders_are_refused(ivfuse_cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("av")
    said = ivfuse_cli("video", "a.mp4", "b.mp4", "-o", tmp_path / "o", "--recursive")
    assert (said.code, "--recursive: found a.mp4 and b.mp4" in said.err) == (2, True)


def commands(ir: Path, vi: Path, out: Path) -> dict[str, tuple[object, ...]]:
    return {
        "fuse": ("fuse", ir, vi, "-o", out / "f.png", "--method", "average"),
        "eval": ("eval", ir, ir, vi, "--metrics", "EN"),
        "degrade": ("degrade", ir, vi, "-o", out / "d", "--with", "noise:2"),
        "info": ("info", vi),
        "register": ("register", ir, vi, "-o", out / "r.json"),
    }


@pytest.mark.parametrize("verb", ["fuse", "eval", "degrade", "info", "register"])
def test_the_limit_of_pixels_is_that_of_the_option(
    ivfuse_cli: Cli, make_pair: Pairs, tmp_path: Path, verb: str
) -> None:
    ir, vi = make_pair(tmp_path / "a.png", tmp_path / "b.png")
    said = ivfuse_cli(*commands(ir, vi, tmp_path)[verb], "--max-pixels", 0.001)
    assert said.code == 1
    assert "64x48 pixels" in said.err
    assert ivfuse_cli(*commands(ir, vi, tmp_path)[verb], "--max-pixels", -1).code == 2


@pytest.mark.parametrize("verb", ["fuse", "eval", "degrade", "info", "register"])
def test_damaged_files_are_used_on_request_only(
    ivfuse_cli: Cli, damaged: tuple[Path, Path], tmp_path: Path, verb: str
) -> None:
    said = ivfuse_cli(*commands(*damaged, tmp_path)[verb])
    assert (said.code, "damaged JPEG" in said.err) == (1, True)
    assert "--allow-damaged uses what can be decoded" in said.err
    said = ivfuse_cli(*commands(*damaged, tmp_path)[verb], "--allow-damaged")
    assert "damaged JPEG" not in said.err or said.code == 0
    assert said.code == 0 or (verb == "register" and "registration rejected" in said.err)


@pytest.mark.parametrize("verb", ["benchmark", "video", "panel"])
def test_verbs_that_use_no_damaged_files_do_not_suggest_to(
    ivfuse_cli: Cli, damaged: tuple[Path, Path], make_pair: Pairs, tmp_path: Path, verb: str
) -> None:
    pytest.importorskip("av")
    ir, vi = tmp_path / "pairs" / "ir", tmp_path / "pairs" / "vi"
    make_pair(ir / "a.png", vi / "a.png", size=(160, 160))
    for path, folder in zip(damaged, (ir, vi), strict=True):
        path.rename(folder / f"b{path.suffix}")
    words: dict[str, tuple[object, ...]] = {
        "benchmark": ("--data", ir.parent, "--methods", "average", "--metrics", "EN", "-o", tmp_path / "o"),
        "video": (ir, vi, "-o", tmp_path / "out.mkv", "--method", "average"),
        "panel": (ir.parent, "--methods", "average", "-o", tmp_path / "panel.png"),
    }
    said = ivfuse_cli(verb, *words[verb])
    assert (said.code, "damaged JPEG" in said.err) == (1, True)
    assert "uses what can be decoded" not in said.err


def test_workers_have_the_limit_of_their_parent(make_pair: Pairs, tmp_path: Path) -> None:
    ir, vi = make_pair(tmp_path / "a.png", tmp_path / "b.png")
    limits.set_pixel_limit(1000)
    how = (["EN"], "default", None, False, in_python)
    ((_, reply),) = ask_all("ivfuse.metrics.folder:make_scorer", how, [FileTriple("a", ir, vi, vi)], 1)
    assert "expected 1x1 up to 0.001 megapixels" in reply.value.failure
