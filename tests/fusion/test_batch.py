"""Many pairs into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError, OutputError
from ivfuse.fusion import batch
from ivfuse.fusion.batch import fuse_pairs
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.outputs import FusedImage
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.pairing import FilePair

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
def pairs(tmp_path: Path, make_pair: MakePair) -> list[FilePair]:
    made = []
    for index, name in enumerate("abcde"):
        ir, vi = make_pair(tmp_path / "ir" / f"{name}.png", tmp_path / "vi" / f"{name}.png", seed=index)
        made.append(FilePair(name, ir, vi))
    return made


def images(folder: Path) -> FusedImage:
    """PNG files in a folder."""
    return FusedImage(folder, ".png")


def whole_files(out: Path) -> list[str]:
    """Names of the files in a folder; each of them must be a whole image."""
    names = sorted(path.name for path in out.iterdir())
    assert all(cv2.imread(str(out / name)).shape == (48, 64, 3) for name in names)
    return names


def test_each_pair_gives_the_image_that_it_gives_alone(tmp_path: Path, pairs: list[FilePair]) -> None:
    fuser = Fuser("average")
    summary = fuse_pairs(fuser, pairs, images(tmp_path / "out"))
    assert [result.out.name for result in summary.done] == [f"{name}.png" for name in "abcde"]
    for pair in pairs:
        fuser.fuse_files(pair.ir, pair.vi, tmp_path / "alone.png")
        assert (tmp_path / "out" / f"{pair.name}.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_outputs_that_exist_are_skipped_unless_told(tmp_path: Path, pairs: list[FilePair]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_text("kept")
    summary = fuse_pairs(Fuser("average"), pairs, images(out))
    assert (len(summary.done), summary.skipped) == (4, ("b",))
    assert (out / "b.png").read_text() == "kept"
    again = fuse_pairs(Fuser("average"), pairs, images(out), overwrite=True)
    assert (len(again.done), again.skipped) == (5, ())
    assert whole_files(out) == ["a.png", "b.png", "c.png", "d.png", "e.png"]


def test_bad_pairs_are_listed_and_the_others_done(tmp_path: Path, pairs: list[FilePair]) -> None:
    pairs[1].vi.write_bytes(b"no image")
    pairs[3].ir.unlink()
    summary = fuse_pairs(Fuser("average"), pairs, images(tmp_path / "out"))
    assert [each.name for each in summary.failed] == ["b", "d"]
    assert str(pairs[1].vi) in summary.failed[0].reason()
    assert str(pairs[3].ir) in summary.failed[1].reason()
    assert whole_files(tmp_path / "out") == ["a.png", "c.png", "e.png"]


@pytest.mark.parametrize("trip", [1, 3, 5])
def test_an_unexpected_error_is_reported_as_such(tmp_path: Path, pairs: list[FilePair], trip: int) -> None:
    fuser = Fuser(Tripping({trip: ZeroDivisionError("by\nzero")}))
    summary = fuse_pairs(fuser, pairs, images(tmp_path / "out"))
    (failure,) = summary.failed
    assert failure.name == "abcde"[trip - 1]
    assert failure.reason() == "unexpected ZeroDivisionError: by zero"
    assert len(whole_files(tmp_path / "out")) == 4


class Preloaded(Tripping):
    """Loads beforehand, unless it cannot."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__({})
        self.error, self.steps = error, []

    def preload(self) -> None:
        self.steps.append("preload")
        if self.error:
            raise self.error

    def fuse(self, ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        self.steps.append("fuse")
        return super().fuse(ir, vi)


def test_a_method_is_loaded_before_its_first_pair(tmp_path: Path, pairs: list[FilePair]) -> None:
    method = Preloaded()
    fuse_pairs(Fuser(method), pairs[:1], images(tmp_path / "out"))
    assert method.steps == ["preload", "fuse"]


def test_a_method_that_cannot_be_loaded_fails_its_pairs(tmp_path: Path, pairs: list[FilePair]) -> None:
    method = Preloaded(InputError("net.onnx: damaged"))
    summary = fuse_pairs(Fuser(method), pairs, images(tmp_path / "out"))
    assert [failure.reason() for failure in summary.failed] == ["net.onnx: damaged"] * 5
    assert "fuse" not in method.steps


@pytest.mark.parametrize("trip", [1, 3, 5])
def test_an_interrupt_leaves_whole_files_and_the_run_can_go_on(
    tmp_path: Path, pairs: list[FilePair], trip: int
) -> None:
    out = tmp_path / "out"
    summary = fuse_pairs(Fuser(Tripping({trip: KeyboardInterrupt()})), pairs, images(out))
    assert summary.stopped
    assert whole_files(out) == [result.out.name for result in summary.done]
    assert len(summary.done) == trip - 1
    rest = fuse_pairs(Fuser("average"), pairs, images(out))
    assert (len(rest.skipped), len(rest.done), rest.stopped) == (trip - 1, 6 - trip, False)


def test_a_write_that_fails_is_listed_and_leaves_nothing_behind(
    tmp_path: Path, pairs: list[FilePair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(outputs: object, files: dict[str, Path], *args: Any) -> tuple[str, ...]:
        if files["fused"].name == "c.png":
            raise OutputError(f"{files['fused']}: no space left on device")
        return original(outputs, files, *args)

    original = batch.write_outputs
    monkeypatch.setattr(batch, "write_outputs", write)
    summary = fuse_pairs(Fuser("average"), pairs, images(tmp_path / "out"))
    assert [each.name for each in summary.failed] == ["c"]
    assert whole_files(tmp_path / "out") == ["a.png", "b.png", "d.png", "e.png"]


def test_two_pairs_for_one_output_are_refused_before_any_work(tmp_path: Path, pairs: list[FilePair]) -> None:
    clash = [*pairs, FilePair("a", pairs[1].ir, pairs[1].vi)]
    with pytest.raises(OutputError, match=r"a\.png: two pairs would write this file"):
        fuse_pairs(Fuser("average"), clash, images(tmp_path / "out"))
    assert not any((tmp_path / "out").glob("*"))


def test_an_output_folder_of_inputs_is_refused_before_any_work(tmp_path: Path, pairs: list[FilePair]) -> None:
    before = pairs[0].vi.read_bytes()
    with pytest.raises(OutputError, match="one of the inputs"):
        fuse_pairs(Fuser("average"), pairs, images(tmp_path / "vi"), overwrite=True)
    assert pairs[0].vi.read_bytes() == before


def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path: Path, pairs: list[FilePair]) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out: cannot make the output folder"):
        fuse_pairs(Fuser("average"), pairs, images(tmp_path / "out"))


def test_progress_is_told_of_every_pair(tmp_path: Path, pairs: list[FilePair]) -> None:
    pairs[2].ir.unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").touch()
    told: list[tuple[str, str]] = []
    fuse_pairs(
        Fuser("average"),
        pairs,
        images(tmp_path / "out"),
        on_progress=lambda name, outcome: told.append((name, outcome)),
    )
    assert sorted(told) == [("a", "skipped"), ("b", "done"), ("c", "failed"), ("d", "done"), ("e", "done")]


def test_large_images_go_one_after_another(
    tmp_path: Path, pairs: list[FilePair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "OVERLAP_PIXELS", 10)
    pairs[1].ir.unlink()
    summary = fuse_pairs(Fuser("average"), pairs, images(tmp_path / "out"))
    assert [result.out.name for result in summary.done] == ["a.png", "c.png", "d.png", "e.png"]


def test_input_errors_reach_the_caller_of_a_single_pair(tmp_path: Path, pairs: list[FilePair]) -> None:
    pairs[0].ir.write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.png"):
        Fuser("average").fuse_files(pairs[0].ir, pairs[0].vi, tmp_path / "out.png")
