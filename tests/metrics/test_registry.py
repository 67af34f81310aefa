"""What holds for every registered metric, whichever it is."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.metrics import CONVENTIONS, METRICS, Sources, Triple, get_metric, score_many
from ivfuse.metrics.registry import metric

# Targets and naturalness treat infrared and visible unlike each other: their contract is in test_seeing.py.
WHOLE = [name for name, each in METRICS.items() if each.family == "images"]
EVERY = pytest.mark.parametrize("name", WHOLE)
UNDER_EACH = pytest.mark.parametrize("convention", CONVENTIONS)


@pytest.fixture(scope="module")
def scene(scene_of):
    """A scene that is large enough for every metric: the five scales of MS_SSIM need 161 pixels."""
    return scene_of(170, 177)


def value(name: str, ir: np.ndarray, vi: np.ndarray, fused: np.ndarray) -> float:
    return METRICS[name].function(Triple(Sources(ir, vi), fused))


@pytest.fixture(scope="module")
def good(scene):
    """The value of a metric on the scene, from bare arrays; measured once."""
    return cache(lambda name: value(name, scene.ir, scene.vi, scene.fused))


@pytest.fixture(scope="module")
def bad(scene):
    """The value of a metric on the spoilt scene; measured once."""
    return cache(lambda name: value(name, scene.ir, scene.vi, scene.degraded))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_what_it_is(name: str) -> None:
    facts = METRICS[name]
    assert facts.name == name
    assert facts.doc.splitlines()[0].endswith(".")
    assert facts.source
    assert facts.range[0] < facts.range[1]


@EVERY
def test_a_spoilt_image_scores_worse(name: str, scene, good, bad) -> None:
    # CE skips the levels that the fused image lacks, so few levels score too well; and a dim image has
    # no artifacts. Noise has all levels and edges everywhere.
    noise = np.random.default_rng(0).integers(0, 256, scene.ir.shape).astype(np.uint8)
    by_noise = name in ("CE", "Nabf", "Nabf_petrovic")
    spoilt = value(name, scene.ir, scene.vi, noise) if by_noise else bad(name)
    assert good(name) > spoilt if METRICS[name].higher_is_better else good(name) < spoilt


@EVERY
def test_values_lie_in_the_stated_range(name: str, scene, good, bad) -> None:
    low, high = METRICS[name].range
    others = (scene.ir // 2 + 40, 255 - scene.vi, 255 - scene.fused)
    for found in (good(name), bad(name), *(value(name, scene.ir, scene.vi, fused) for fused in others)):
        assert low <= found <= high


@EVERY
def test_exchanging_the_sources_changes_nothing(name: str, scene, good) -> None:
    # the two terms are added in the other order; VIFF prefers the visible where both gains are equal (0)
    tolerance = 5e-3 if name == "VIFF" else 1e-9
    assert value(name, scene.vi, scene.ir, scene.fused) == pytest.approx(good(name), rel=tolerance)


@EVERY
def test_a_metric_of_the_fused_image_alone_ignores_the_sources(name: str, scene, good) -> None:
    other = 255 - scene.vi[::-1]  # another histogram and another place
    same = good(name) == value(name, scene.ir, other, scene.fused)
    assert same == (METRICS[name].needs == "fused")


@pytest.fixture(scope="module")
def alone(good) -> dict[str, float]:
    """Each metric from bare arrays."""
    return {name: good(name) for name in WHOLE}


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_a_value_does_not_depend_on_what_was_measured_before(order: int, scene, alone, same) -> None:
    names = WHOLE[::order]
    together = score_many({"fused": scene.fused}, scene.ir, scene.vi, names)["fused"].values
    assert together == same(alone)


def test_a_value_does_not_depend_on_other_methods_of_the_same_pair(scene, alone, same) -> None:
    images = {"other": scene.degraded, "fused": scene.fused}
    assert score_many(images, scene.ir, scene.vi, WHOLE)["fused"].values == same(alone)


def test_the_layout_of_the_arrays_in_memory_does_not_matter(scene, alone, same) -> None:
    images = [np.asfortranarray(plane) for plane in (scene.fused, scene.ir, scene.vi)]
    assert score_many({"fused": images[0]}, *images[1:], WHOLE)["fused"].values == same(alone)


@UNDER_EACH
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5), (10, 12), (40, 41), (71, 73)])
def test_a_tiny_image_gives_a_number_or_a_reason(convention: str, size: tuple[int, int], scene_of) -> None:
    small = scene_of(*size)
    scores = score_many({"fused": small.fused}, small.ir, small.vi, convention=convention)["fused"]
    undefined = {name for name, number in scores.values.items() if math.isnan(number)}
    assert scores.values.keys() == METRICS.keys()
    assert undefined == scores.reasons.keys()
    assert all(scores.reasons.values())


@UNDER_EACH
@pytest.mark.parametrize("level", [0, 93, 255])
@pytest.mark.parametrize("which", ["all", "ir", "vi", "fused", "sources"])
def test_a_constant_image_gives_a_number_or_a_reason(convention: str, level: int, which: str, scene) -> None:
    flat = np.full_like(scene.ir, level)
    ir = flat if which in ("all", "ir", "sources") else scene.ir
    vi = flat if which in ("all", "vi", "sources") else scene.vi
    fused = flat if which in ("all", "fused") else scene.fused
    names = None if convention == "default" else CONVENTIONS[convention].variants
    scores = score_many({"fused": fused}, ir, vi, names, convention)["fused"]
    assert {name for name, number in scores.values.items() if math.isnan(number)} == scores.reasons.keys()
    for name, number in scores.values.items():
        assert not math.isinf(number)
        low, high = METRICS[name].range
        assert convention != "default" or name in scores.reasons or low - 1e-9 <= number <= high + 1e-9, name


def test_a_flat_fused_image_has_no_contrast_and_no_information(scene) -> None:
    flat = np.full_like(scene.ir, 93)
    found = score_many({"flat": flat}, scene.ir, scene.vi)["flat"].values
    for name in ("EN", "SD", "SF", "AG", "MI"):
        assert found[name] == pytest.approx(0, abs=1e-9)
    assert found["VIF"] == pytest.approx(0, abs=1e-6)  # rounding of the local covariances
    # the differences are the negatives of the sources
    assert found["SCD"] == pytest.approx(-2 * np.corrcoef(scene.ir.ravel(), scene.vi.ravel())[0, 1])


def test_sources_and_fused_of_different_size_are_refused(scene) -> None:
    with pytest.raises(ShapeError, match="ir 177x170, vi 177x169"):
        Sources(scene.ir, scene.vi[:-1])
    with pytest.raises(ShapeError, match="fused is 176x170, its sources are 177x170"):
        Triple(Sources(scene.ir, scene.vi), scene.fused[:, :-1])


def test_a_image_without_pixels_or_with_channels_is_refused(scene) -> None:
    for broken in (np.zeros((0, 5), np.uint8), np.zeros((4, 4, 3), np.uint8)):
        with pytest.raises(ShapeError, match="gray image"):
            Sources(broken, broken)


def test_names_are_found_in_any_letter_case_and_unknown_ones_get_a_hint() -> None:
    assert get_metric("qABF").name == "Qabf"
    with pytest.raises(UnknownNameError, match="SSIM"):
        get_metric("SSIN")


def test_a_name_cannot_be_registered_twice() -> None:
    with pytest.raises(UsageError, match="EN"):
        metric("EN", higher_is_better=True, range=(0, 1), needs="fused", source="-")(lambda triple: 0.0)


def test_the_guide_names_every_metric_and_convention() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    guide, results = (docs / name / "metrics.md" for name in ("", "results"))
    assert not [name for name in (*METRICS, *CONVENTIONS) if f"`{name}`" not in guide.read_text()]
    assert f"all {len(METRICS)} of" in guide.read_text()
    assert f"all {len(METRICS)} together" in results.read_text()
