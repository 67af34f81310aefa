"""Many pairs into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError, OutputError
from ivfuse.fusion import batch
from ivfuse.fusion.batch import fuse_pairs
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.pipeline import Fuser, FuseResult
from ivfuse.image.pairing import Pair

MakePair = Callable[..., tuple[Path, Path]]


class Tripping:
    """Averages; at the calls that are named it raises instead."""

    info = MethodInfo("tripping", "classical", "a test", "none")

    def __init__(self, trips: dict[int, BaseException]) -> None:
        self.trips, self.calls = trips, 0

    def fuse(self, ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        self.calls += 1
        if error := self.trips.get(self.calls):
            raise error
        return (ir + vi) / 2


@pytest.fixture
def pairs(tmp_path: Path, make_pair: MakePair) -> list[Pair]:
    made = []
    for index, name in enumerate("abcde"):
        ir, vi = make_pair(tmp_path / "ir" / f"{name}.png", tmp_path / "vi" / f"{name}.png", seed=index)
        made.append(Pair(name, ir, vi))
    return made


def whole_files(out: Path) -> list[str]:
    """Names of the files in a folder; each of them must be a whole image."""
    names = sorted(path.name for path in out.iterdir())
    assert all(cv2.imread(str(out / name)).shape == (48, 64, 3) for name in names)
    return names


def test_each_pair_gives_the_image_that_it_gives_alone(tmp_path: Path, pairs: list[Pair]) -> None:
    fuser = Fuser("average")
    summary = fuse_pairs(fuser, pairs, tmp_path / "out")
    assert [result.out.name for result in summary.done] == [f"{name}.png" for name in "abcde"]
    for pair in pairs:
        fuser.fuse_files(pair.ir, pair.vi, tmp_path / "alone.png")
        assert (tmp_path / "out" / f"{pair.name}.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_outputs_that_exist_are_skipped_unless_told(tmp_path: Path, pairs: list[Pair]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_text("kept")
    summary = fuse_pairs(Fuser("average"), pairs, out)
    assert (len(summary.done), summary.skipped) == (4, ("b",))
    assert (out / "b.png").read_text() == "kept"
    again = fuse_pairs(Fuser("average"), pairs, out, overwrite=True)
    assert (len(again.done), again.skipped) == (5, ())
    assert whole_files(out) == ["a.png", "b.png", "c.png", "d.png", "e.png"]


def test_bad_pairs_are_listed_and_the_others_done(tmp_path: Path, pairs: list[Pair]) -> None:
    pairs[1].vi.write_bytes(b"no image")
    pairs[3].ir.unlink()
    summary = fuse_pairs(Fuser("average"), pairs, tmp_path / "out")
    assert [name for name, _ in summary.failed] == ["b", "d"]
    assert str(pairs[1].vi) in summary.failed[0][1]
    assert str(pairs[3].ir) in summary.failed[1][1]
    assert whole_files(tmp_path / "out") == ["a.png", "c.png", "e.png"]


@pytest.mark.parametrize("trip", [1, 3, 5])
def test_an_unexpected_error_is_reported_as_such(tmp_path: Path, pairs: list[Pair], trip: int) -> None:
    fuser = Fuser(Tripping({trip: ZeroDivisionError("by\nzero")}))
    summary = fuse_pairs(fuser, pairs, tmp_path / "out")
    assert summary.failed == (("abcde"[trip - 1], "unexpected ZeroDivisionError: by zero"),)
    assert len(whole_files(tmp_path / "out")) == 4


@pytest.mark.parametrize("trip", [1, 3, 5])
def test_an_interrupt_leaves_whole_files_and_the_run_can_go_on(
    tmp_path: Path, pairs: list[Pair], trip: int
) -> None:
    out = tmp_path / "out"
    summary = fuse_pairs(Fuser(Tripping({trip: KeyboardInterrupt()})), pairs, out)
    assert summary.stopped
    assert whole_files(out) == [result.out.name for result in summary.done]
    assert len(summary.done) == trip - 1
    rest = fuse_pairs(Fuser("average"), pairs, out)
    assert (len(rest.skipped), len(rest.done), rest.stopped) == (trip - 1, 6 - trip, False)


def test_a_write_that_fails_is_listed_and_leaves_nothing_behind(
    tmp_path: Path, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(out: Path, *args: object) -> FuseResult:
        if out.name == "c.png":
            raise OutputError(f"{out}: no space left on device")
        return original(out, *args)

    original = batch.write_fused
    monkeypatch.setattr(batch, "write_fused", write)
    summary = fuse_pairs(Fuser("average"), pairs, tmp_path / "out")
    assert [name for name, _ in summary.failed] == ["c"]
    assert whole_files(tmp_path / "out") == ["a.png", "b.png", "d.png", "e.png"]


def test_two_pairs_for_one_output_are_refused_before_any_work(tmp_path: Path, pairs: list[Pair]) -> None:
    clash = [*pairs, Pair("a", pairs[1].ir, pairs[1].vi)]
    with pytest.raises(OutputError, match=r"a\.png: two pairs would write this file"):
        fuse_pairs(Fuser("average"), clash, tmp_path / "out")
    assert not any((tmp_path / "out").glob("*"))


def test_an_output_folder_of_inputs_is_refused_before_any_work(tmp_path: Path, pairs: list[Pair]) -> None:
    before = pairs[0].vi.read_bytes()
    with pytest.raises(OutputError, match="one of the inputs"):
        fuse_pairs(Fuser("average"), pairs, tmp_path / "vi", overwrite=True)
    assert pairs[0].vi.read_bytes() == before


def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path: Path, pairs: list[Pair]) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out: cannot make the output folder"):
        fuse_pairs(Fuser("average"), pairs, tmp_path / "out")


def test_progress_is_told_of_every_pair(tmp_path: Path, pairs: list[Pair]) -> None:
    pairs[2].ir.unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").touch()
    told: list[tuple[str, str]] = []
    fuse_pairs(
        Fuser("average"),
        pairs,
        tmp_path / "out",
        on_progress=lambda name, outcome: told.append((name, outcome)),
    )
    assert sorted(told) == [("a", "skipped"), ("b", "done"), ("c", "failed"), ("d", "done"), ("e", "done")]


def test_large_images_go_one_after_another(
    tmp_path: Path, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "OVERLAP_PIXELS", 10)
    pairs[1].ir.unlink()
    summary = fuse_pairs(Fuser("average"), pairs, tmp_path / "out")
    assert [result.out.name for result in summary.done] == ["a.png", "c.png", "d.png", "e.png"]


def test_input_errors_reach_the_caller_of_a_single_pair(tmp_path: Path, pairs: list[Pair]) -> None:
    pairs[0].ir.write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.png"):
        Fuser("average").fuse_files(pairs[0].ir, pairs[0].vi, tmp_path / "out.png")
