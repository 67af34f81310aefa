"""What holds for every registered metric, whichever it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.metrics import CONVENTIONS, METRICS, Sources, Triple, get_metric, score_many
from ivfuse.metrics.registry import metric

EVERY = pytest.mark.parametrize("name", METRICS)
UNDER_EACH = pytest.mark.parametrize("convention", CONVENTIONS)


def value(name: str, ir: np.ndarray, vi: np.ndarray, fused: np.ndarray) -> float:
    return METRICS[name].function(Triple(Sources(ir, vi), fused))


@EVERY
def test_a_metric_says_what_it_is(name: str) -> None:
    facts = METRICS[name]
    assert facts.name == name
    assert facts.doc.splitlines()[0].endswith(".")
    assert facts.source
    assert facts.range[0] < facts.range[1]


@EVERY
def test_a_spoilt_picture_scores_worse(name: str, scene) -> None:
    good = value(name, scene.ir, scene.vi, scene.fused)
    # CE skips the levels that the fused picture lacks, so few levels score too well; noise has them all
    noise = np.random.default_rng(0).integers(0, 256, scene.ir.shape).astype(np.uint8)
    spoilt = noise if name == "CE" else scene.degraded
    bad = value(name, scene.ir, scene.vi, spoilt)
    assert good > bad if METRICS[name].higher_is_better else good < bad


@EVERY
def test_values_lie_in_the_stated_range(name: str, scene) -> None:
    low, high = METRICS[name].range
    for fused in (scene.fused, scene.degraded, scene.ir // 2 + 40, 255 - scene.vi, 255 - scene.fused):
        assert low <= value(name, scene.ir, scene.vi, fused) <= high


@EVERY
def test_exchanging_the_sources_changes_nothing(name: str, scene) -> None:
    one_way = value(name, scene.ir, scene.vi, scene.fused)
    # the two terms are added in the other order
    assert value(name, scene.vi, scene.ir, scene.fused) == pytest.approx(one_way, rel=1e-12)


@EVERY
def test_a_metric_of_the_fused_picture_alone_ignores_the_sources(name: str, scene) -> None:
    other = 255 - scene.vi[::-1]  # another histogram and another place
    same = value(name, scene.ir, scene.vi, scene.fused) == value(name, scene.ir, other, scene.fused)
    assert same == (METRICS[name].needs == "fused")


@EVERY
def test_a_value_does_not_depend_on_what_was_measured_before(name: str, scene) -> None:
    triple = Triple(Sources(scene.ir, scene.vi), scene.fused)
    for other in METRICS.values():
        other.function(triple)
    assert METRICS[name].function(triple) == value(name, scene.ir, scene.vi, scene.fused)


@UNDER_EACH
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5), (10, 12), (40, 41)])
def test_a_tiny_picture_gives_a_number_or_a_reason(convention: str, size: tuple[int, int], scene_of) -> None:
    small = scene_of(*size)
    scores = score_many({"fused": small.fused}, small.ir, small.vi, convention=convention)["fused"]
    undefined = {name for name, number in scores.values.items() if math.isnan(number)}
    assert scores.values.keys() == METRICS.keys()
    assert undefined == scores.reasons.keys()
    assert all(scores.reasons.values())


@UNDER_EACH
@pytest.mark.parametrize("level", [0, 93, 255])
@pytest.mark.parametrize("which", ["all", "ir", "vi", "fused", "sources"])
def test_a_constant_picture_gives_a_number_or_a_reason(
    convention: str, level: int, which: str, scene
) -> None:
    flat = np.full_like(scene.ir, level)
    ir = flat if which in ("all", "ir", "sources") else scene.ir
    vi = flat if which in ("all", "vi", "sources") else scene.vi
    fused = flat if which in ("all", "fused") else scene.fused
    scores = score_many({"fused": fused}, ir, vi, convention=convention)["fused"]
    assert {name for name, number in scores.values.items() if math.isnan(number)} == scores.reasons.keys()
    assert not any(math.isinf(number) for number in scores.values.values())


def test_a_flat_fused_picture_has_no_contrast_and_no_information(scene) -> None:
    flat = np.full_like(scene.ir, 93)
    found = score_many({"flat": flat}, scene.ir, scene.vi)["flat"].values
    for name in ("EN", "SD", "SF", "AG", "MI"):
        assert found[name] == pytest.approx(0, abs=1e-9)
    assert found["VIF"] == pytest.approx(0, abs=1e-6)  # rounding of the local covariances
    # the differences are the negatives of the sources
    assert found["SCD"] == pytest.approx(-2 * np.corrcoef(scene.ir.ravel(), scene.vi.ravel())[0, 1])


def test_sources_and_fused_of_different_size_are_refused(scene) -> None:
    with pytest.raises(ShapeError, match="ir 80x64, vi 80x63"):
        Sources(scene.ir, scene.vi[:-1])
    with pytest.raises(ShapeError, match="fused is 79x64, its sources are 80x64"):
        Triple(Sources(scene.ir, scene.vi), scene.fused[:, :-1])


def test_a_picture_without_pixels_or_with_channels_is_refused(scene) -> None:
    for broken in (np.zeros((0, 5), np.uint8), np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ShapeError, match="grey picture"):
            Sources(broken, broken)


def test_names_are_found_in_any_letter_case_and_unknown_ones_get_a_hint() -> None:
    assert get_metric("qABF").name == "Qabf"
    with pytest.raises(UnknownNameError, match="SSIM"):
        get_metric("SSIN")


def test_a_name_cannot_be_registered_twice() -> None:
    with pytest.raises(UsageError, match="EN"):
        metric("EN", higher_is_better=True, range=(0, 1), needs="fused", source="-")(lambda triple: 0.0)
