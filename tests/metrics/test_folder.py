"""Scoring files: order, progress, failures, means."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import ivfuse
from ivfuse.errors import UnknownNameError
from ivfuse.image.color import resize_to
from ivfuse.image.pairing import FileTriple
from ivfuse.metrics import CONVENTIONS, Scores, evaluate_arrays, folder
from ivfuse.metrics.folder import Scored, means, score_files


@pytest.fixture
def triples(tmp_path: Path, scene) -> list[FileTriple]:
    """Three triples of files; the fused image of the second is missing."""
    found = []
    for name, fused in (("one", scene.fused), ("two", None), ("three", scene.degraded)):
        paths = [tmp_path / f"{name}-{part}.png" for part in ("ir", "vi", "fused")]
        for path, image in zip(paths, (scene.ir, scene.vi, fused), strict=True):
            if image is not None:
                cv2.imwrite(str(path), image)
        found.append(FileTriple(name, *paths))
    return found


def test_files_score_as_their_arrays_and_a_missing_one_is_a_failure(triples: list[FileTriple], scene) -> None:
    told: list[tuple[str, str]] = []
    scored = score_files(triples, ["en", "Qabf"], "li", on_progress=lambda *what: told.append(what))
    assert [each.triple.name for each in scored] == ["one", "two", "three"]
    assert scored[0].scores is not None
    assert scored[0].scores.convention == "li"
    assert scored[0].scores.values == evaluate_arrays(scene.fused, scene.ir, scene.vi, ["EN", "Qabf"], "li")
    assert scored[1].scores is None
    assert "two-fused.png" in scored[1].failure
    assert told == [("one", "done"), ("two", "failed"), ("three", "done")]


def test_a_color_thermal_file_becomes_gray_as_the_convention_says(tmp_path: Path, scene) -> None:
    tinted = cv2.applyColorMap(scene.ir, cv2.COLORMAP_INFERNO)
    paths = [tmp_path / f"{part}.png" for part in ("ir", "vi", "fused")]
    for path, image in zip(paths, (tinted, scene.vi, scene.fused), strict=True):
        cv2.imwrite(str(path), image)
    for name in ("default", "tang"):
        gray = CONVENTIONS[name].to_gray(tinted[:, :, ::-1])
        (scored,) = score_files([FileTriple("x", *paths)], ["MI"], name)
        assert scored.scores is not None
        assert scored.scores.values == evaluate_arrays(scene.fused, gray, scene.vi, ["MI"], name)


def test_paths_and_arrays_score_alike(triples: list[FileTriple], scene) -> None:
    expected = evaluate_arrays(scene.fused, scene.ir, scene.vi, ["EN", "Qabf"])
    one = triples[0]
    assert ivfuse.evaluate(one.fused, one.ir, str(one.vi), metrics=["EN", "Qabf"]) == expected
    assert ivfuse.evaluate(scene.fused, one.ir, scene.vi, metrics=["EN", "Qabf"]) == expected
    assert ivfuse.evaluate(scene.fused, scene.ir, scene.vi, metrics="EN") == {"EN": expected["EN"]}


def test_a_smaller_thermal_file_is_scored_in_the_size_of_the_visible(tmp_path: Path, scene) -> None:
    height, width = scene.vi.shape[:2]
    small = cv2.resize(scene.ir, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    paths = [tmp_path / f"{part}.png" for part in ("ir", "vi", "fused")]
    for path, image in zip(paths, (small, scene.vi, scene.fused), strict=True):
        cv2.imwrite(str(path), image)
    (scored,) = score_files([FileTriple("x", *paths)], ["MI"])
    assert scored.scores is not None
    assert scored.resampled
    large = resize_to(small / np.float32(255), height, width)
    assert scored.scores.values == evaluate_arrays(scene.fused, large, scene.vi, ["MI"])


def test_nothing_to_score_is_no_error(triples: list[FileTriple]) -> None:
    assert score_files([], ["EN"]) == []
    assert all(math.isnan(value) for value in means([], ["EN", "SD"]).values())


def test_unknown_names_are_refused_before_any_work(triples: list[FileTriple]) -> None:
    for names, convention in ((["XY"], "default"), (["EN"], "XY")):
        with pytest.raises(UnknownNameError):
            score_files(triples, names, convention, on_progress=lambda *what: pytest.fail("work was done"))


def test_means_leave_out_missing_values(triples: list[FileTriple]) -> None:
    values = (1.0, math.nan, 4.0)
    scored = [Scored(triples[0], Scores("default", {"CC": value})) for value in values]
    assert means([*scored, Scored(triples[1], None, "lost")], ["CC"]) == {"CC": 2.5}


def make_dying_scorer(_: object) -> Callable[[FileTriple], Scored]:
    """A handler whose process ends with the image that is called two."""

    def score(triple: FileTriple) -> Scored:
        if triple.name == "two":
            os._exit(1)
        return Scored(triple, Scores("default", {"EN": 1.0}))

    return score


def test_a_process_that_dies_is_a_failure_of_its_image(
    triples: list[FileTriple], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "WORTH_PROCESSES", 0.0)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # new processes inherit it
    monkeypatch.setattr(folder, "_MAKE_SCORER", f"{Path(__file__).stem}:make_dying_scorer")
    scored = score_files(triples, ["EN"], jobs=2)
    assert "ended unexpectedly" in scored[1].failure
    assert "fewer jobs" in scored[1].failure
    assert scored[2].scores == Scores("default", {"EN": 1.0})
