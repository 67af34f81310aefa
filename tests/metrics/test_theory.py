"""Identities, bounds and invariances that follow from the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ivfuse.metrics import CONVENTIONS, METRICS, Sources, Triple, score_many

steady = settings(max_examples=40, deadline=None, derandomize=True, database=None)
sides = st.tuples(st.integers(1, 48), st.integers(1, 48))
levels = st.one_of(st.integers(0, 255), st.sampled_from([0, 254, 255]))


@st.composite
def triples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = draw(sides)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.lists(st.sampled_from(["flat", "few", "any"]), min_size=3, max_size=3))
    level = {"flat": 1, "few": 3, "any": 256}
    palettes = [rng.integers(0, 256, level[kind]) for kind in kinds]
    return tuple(rng.choice(palette, shape).astype(np.uint8) for palette in palettes)  # type: ignore[return-value]


def value(name: str, *images: np.ndarray, convention: str = "default") -> float:
    ir, vi, fused = images
    return CONVENTIONS[convention].variant(name).function(Triple(Sources(ir, vi), fused))


@steady
@given(triples())
def test_any_triple_gives_numbers_in_range_or_reasons(images) -> None:
    ir, vi, fused = images
    scores = score_many({"fused": fused}, ir, vi)["fused"]
    for name, number in scores.values.items():
        low, high = METRICS[name].range
        # 1e-9: rounding may carry a value past its bound
        assert name in scores.reasons or low - 1e-9 <= number <= high + 1e-9, name


@steady
@given(arrays(np.uint8, sides, elements=levels), st.permutations(range(256)))
def test_renaming_the_levels_keeps_entropy_and_mutual_information(image, names) -> None:
    renamed = np.array(names, np.uint8)[image]
    for name in ("EN", "MI"):
        expected = value(name, image, image, image)
        assert value(name, image, image, renamed) == pytest.approx(expected, abs=1e-9)


@steady
@given(arrays(np.uint8, sides, elements=levels))
def test_mutual_information_of_a_image_with_itself_is_its_entropy(image) -> None:
    entropy = value("EN", image, image, image)
    assert value("MI", image, image, image) == pytest.approx(2 * entropy, abs=1e-9)


@pytest.mark.slow
@steady
@given(triples())
def test_turning_all_images_by_180_degrees_keeps_the_plain_statistics(images) -> None:
    turned = [image[::-1, ::-1] for image in images]
    before = score_many({"fused": images[2]}, *images[:2])["fused"]
    after = score_many({"fused": turned[2]}, *turned[:2])["fused"]
    for name in ("EN", "SD", "SF", "AG", "MI", "CC", "SCD", "SSIM"):
        assert after.values[name] == pytest.approx(before.values[name], rel=1e-9, abs=1e-9, nan_ok=True)


def test_a_fused_image_equal_to_both_sources_keeps_everything(scene) -> None:
    same = (scene.vi, scene.vi, scene.vi)
    assert value("SSIM", *same) == pytest.approx(2)
    assert value("VIF", *same) == pytest.approx(2, rel=1e-9)
    assert value("CC", *same) == pytest.approx(1)
    assert value("SSIM", *same, convention="li") == pytest.approx(1)
    # both sigmoids at full marks: .9994 / (1 + e^(-15 G + 7.5)) with G >> 1, times .9879 / (1 + e^-4.4)
    assert value("Qabf", *same) == pytest.approx(0.9994 * 0.9879 / (1 + math.exp(-4.4)), rel=1e-3)


PETROVIC = math.sqrt(0.9999 * 0.9995 / ((1 + math.exp(-9.5)) * (1 + math.exp(-11))))  # its sigmoids at 1

# What each metric of fused image and sources gives where all three are equal, and the tolerance if not 1e-9
IDENTITY: dict[str, float | tuple[float, float]] = {
    **dict.fromkeys(("CE", "MSE", "RMSE", "Nabf", "Nabf_petrovic", "Qcv", "Qsf"), 0.0),
    **dict.fromkeys(("CC", "MEF_SSIM", "MEF_MS_SSIM", "Qs", "Qw", "Qe", "Qy", "Qc", "Qcb", "EPI"), 1.0),
    **dict.fromkeys(("VIF_wavelet", "VIFF"), 1.0),
    **dict.fromkeys(("FMI_pixel", "FMI_raw", "FMI_gradient", "FMI_dct", "FMI_wavelet"), 1.0),
    **dict.fromkeys(("NMI", "SSIM", "MS_SSIM", "UQI", "VIF"), 2.0),
    "Qm": 3.0,
    "Qg": 1 / (1 + math.exp(-5)) ** 2,
    "Qabf_petrovic": (PETROVIC, 2e-6),  # flat pixels keep nothing, and weigh 0.001
    "Labf": (1 - PETROVIC, 2e-6),
    # where the strengths are equal the ratio is the strength itself; flat pixels weigh nothing
    "Qabf": (0.9994 * 0.9879 / (1 + math.exp(-4.4)), 1e-3),
    "Qp": (1.0, 0.02),  # features of the sources are masked, those of the fused image are not
}


@pytest.mark.parametrize("name", IDENTITY)
def test_the_value_of_three_equal_images(name: str, scene_of) -> None:
    image = scene_of(170, 177).vi
    ideal = IDENTITY[name]
    expected, tolerance = ideal if isinstance(ideal, tuple) else (ideal, 1e-9)
    assert value(name, image, image, image) == pytest.approx(expected, abs=tolerance)


def test_the_information_of_three_equal_images_follows_from_their_entropy(scene) -> None:
    same = (scene.vi, scene.vi, scene.vi)
    entropy = value("EN", *same)
    assert value("MI", *same) == pytest.approx(2 * entropy)
    share = (
        entropy / 8
    )  # eigenvalues of the matrix of ones and these shares: 1 + 2 share, 1 - share, 1 - share
    parts = np.array([1 + 2 * share, 1 - share, 1 - share]) / 3
    assert value("Qncie", *same) == pytest.approx(1 + (parts * np.log(parts)).sum() / math.log(256))


def test_every_metric_of_the_sources_has_an_ideal_value() -> None:
    infinite_or_undefined = {"PSNR", "SCD"}  # 0 in a denominator
    of_the_entropy = {"MI", "Qncie", "Qte"}
    named = IDENTITY.keys() | infinite_or_undefined | of_the_entropy
    assert named == {
        name for name, each in METRICS.items() if each.needs == "sources" and each.family == "images"
    }


def test_the_difference_of_equal_images_has_no_correlation(scene) -> None:
    scores = score_many({"vi": scene.vi}, scene.ir, scene.vi)["vi"]
    assert math.isnan(scores.values["SCD"])
    assert "constant" in scores.reasons["SCD"]


def test_a_linear_change_of_the_fused_image_keeps_its_correlation(scene) -> None:
    half = scene.fused // 2 * 2
    expected = value("CC", scene.ir, scene.vi, half)
    assert value("CC", scene.ir, scene.vi, half // 2 + 60) == pytest.approx(expected)


def test_doubling_the_contrast_doubles_deviation_frequency_and_gradient(scene) -> None:
    dim = scene.fused // 2
    for name in ("SD", "SF", "AG"):
        assert value(name, scene.ir, scene.vi, dim * 2) == pytest.approx(
            2 * value(name, scene.ir, scene.vi, dim)
        )


def test_a_checkerboard_has_the_greatest_spatial_frequency() -> None:
    y, x = np.mgrid[:6, :8]
    board = ((x + y) % 2 * 255).astype(np.uint8)
    assert value("SF", board, board, board) == pytest.approx(METRICS["SF"].range[1])


def test_mutual_information_of_independent_images_is_nothing() -> None:
    y, x = np.mgrid[:64, :64].astype(np.uint8)
    assert value("MI", x, x, y) == pytest.approx(0, abs=1e-12)
    assert value("EN", x, x, y) == pytest.approx(6)
