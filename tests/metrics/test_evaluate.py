"""Scoring arrays: accepted forms, color, undefined values, and ranks of methods."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ivfuse.errors import InputError, ShapeError, UnknownNameError
from ivfuse.metrics import (
    CONVENTIONS,
    DEFAULT_METRICS,
    METRICS,
    evaluate_arrays,
    get_convention,
    mean_ranks,
    score_many,
)


def color(scene) -> tuple[np.ndarray, np.ndarray]:
    """A color visible and a color fused image of the scene."""

    def tinted(plane: np.ndarray) -> np.ndarray:
        return np.stack([plane, np.minimum(plane, 235) + 20, plane // 2], axis=2).astype(np.uint8)

    return tinted(scene.vi), tinted(scene.fused)


def test_the_metrics_asked_for_come_back_in_that_order(scene) -> None:
    assert list(evaluate_arrays(scene.fused, scene.ir, scene.vi, ["SSIM", "EN"])) == ["SSIM", "EN"]
    assert list(evaluate_arrays(scene.fused, scene.ir, scene.vi)) == list(METRICS)
    assert set(DEFAULT_METRICS) <= METRICS.keys()


def test_floats_are_rounded_to_eight_bit_first(scene, same) -> None:
    expected = evaluate_arrays(scene.fused, scene.ir, scene.vi)
    images = [plane.astype(np.float32) / 255 for plane in (scene.fused, scene.ir, scene.vi)]
    assert evaluate_arrays(*images) == same(expected)
    images[0] = np.clip(images[0] + np.float32(0.3 / 255), 0, 1)
    assert evaluate_arrays(*images) == same(expected)


def test_floats_a_little_outside_are_clipped_as_a_saved_file_would_be(scene, same) -> None:
    fused = scene.fused / 200.0
    assert fused.max() > 1
    expected = evaluate_arrays(np.clip(fused, 0, 1), scene.ir, scene.vi)
    assert evaluate_arrays(fused, scene.ir, scene.vi) == same(expected)


@pytest.mark.parametrize("wrong", [np.float64, np.uint16, np.int64])
def test_levels_in_another_number_type_are_refused_by_name(scene, wrong: type) -> None:
    with pytest.raises(InputError, match=r"vi .*expected"):
        evaluate_arrays(scene.fused, scene.ir, scene.vi.astype(wrong))


def test_different_sizes_are_refused_with_all_sizes_named(scene) -> None:
    with pytest.raises(ShapeError, match="ir 80x64, vi 80x64, mine 80x60"):
        score_many({"mine": scene.fused[:60]}, scene.ir, scene.vi)


def test_an_array_that_is_no_image_is_refused(scene) -> None:
    with pytest.raises(ShapeError, match=r"fused has shape \(64, 80, 2\)"):
        evaluate_arrays(np.zeros((64, 80, 2), np.uint8), scene.ir, scene.vi)


def test_a_image_with_nan_has_no_value_and_says_so(scene) -> None:
    broken = scene.fused / 255.0
    broken[3, 4:6] = math.nan, math.inf
    found = score_many({"good": scene.fused, "bad": broken}, scene.ir, scene.vi, DEFAULT_METRICS)
    assert all(math.isnan(number) for number in found["bad"].values.values())
    assert found["bad"].reasons["EN"] == "bad holds 2 values that are not finite"
    assert not found["good"].reasons
    spoilt = score_many({"good": scene.fused}, broken, scene.vi, ["EN"])["good"]
    assert spoilt.reasons == {"EN": "ir holds 2 values that are not finite"}


def test_several_fused_images_score_as_each_alone(scene) -> None:
    fused = {"one": scene.fused, "two": scene.degraded, "three": scene.ir}
    together = score_many(fused, scene.ir, scene.vi, DEFAULT_METRICS)
    for label, image in fused.items():
        assert together[label].values == pytest.approx(
            evaluate_arrays(image, scene.ir, scene.vi, DEFAULT_METRICS), rel=0, nan_ok=True
        )


def test_inputs_are_left_as_they_were(scene) -> None:
    before = [plane.copy() for plane in (scene.fused, scene.ir, scene.vi)]
    evaluate_arrays(scene.fused, scene.ir, scene.vi)
    for plane, copy in zip((scene.fused, scene.ir, scene.vi), before, strict=True):
        assert (plane == copy).all()
        assert plane.flags.writeable


def test_color_is_scored_on_the_gray_that_the_convention_names(scene) -> None:
    vi, fused = color(scene)
    for name in ("default", "tang", "li", "cddfuse"):
        to_gray = CONVENTIONS[name].to_gray
        expected = evaluate_arrays(to_gray(fused), scene.ir, to_gray(vi), DEFAULT_METRICS, name)
        assert evaluate_arrays(fused, scene.ir, vi, DEFAULT_METRICS, name) == expected


def test_vifb_averages_over_the_channels(scene) -> None:
    vi, fused = color(scene)
    found = evaluate_arrays(fused, scene.ir, vi, ["EN", "MI", "SSIM"], "vifb")
    for name, number in found.items():
        parts = [evaluate_arrays(fused[..., c], scene.ir, vi[..., c], [name], "vifb")[name] for c in range(3)]
        assert number == pytest.approx(np.mean(parts))


def test_vifb_takes_the_spatial_frequency_of_the_channels_side_by_side(scene) -> None:
    vi, fused = color(scene)
    wide = np.hstack([fused[..., c] for c in range(3)])
    assert evaluate_arrays(fused, scene.ir, vi, ["SF"], "vifb") == evaluate_arrays(
        wide, wide, wide, ["SF"], "vifb"
    )


def test_vifb_scores_a_gray_fused_image_on_gray(scene) -> None:
    vi, _ = color(scene)
    gray = CONVENTIONS["vifb"].to_gray(vi)
    expected = evaluate_arrays(scene.fused, scene.ir, gray, DEFAULT_METRICS, "vifb")
    assert evaluate_arrays(scene.fused, scene.ir, vi, DEFAULT_METRICS, "vifb") == expected


def test_gray_conversions_keep_gray_and_differ_by_a_level_at_most() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    mixed = np.stack([ramp, ramp[::-1], ramp.T], axis=2)
    grays = [each.to_gray for each in CONVENTIONS.values()]
    for to_gray in grays:
        assert (np.abs(to_gray(np.stack([ramp] * 3, axis=2)).astype(int) - ramp) <= 1).all()
        assert (np.abs(to_gray(mixed).astype(int) - grays[0](mixed)) <= 1).all()


def test_an_unknown_metric_or_convention_gets_a_hint(scene) -> None:
    with pytest.raises(UnknownNameError, match="Qabf"):
        evaluate_arrays(scene.fused, scene.ir, scene.vi, ["Qabv"])
    with pytest.raises(UnknownNameError, match="cddfuse"):
        get_convention("cddfus")


def test_every_variant_belongs_to_a_metric_and_says_what_differs() -> None:
    for convention in CONVENTIONS.values():
        assert convention.text
        for name, variant in convention.variants.items():
            assert name in METRICS
            assert variant.note


def test_the_saturated_histogram_gives_more_information_where_both_top_levels_occur() -> None:
    ir = np.array([[254, 255] * 8] * 16, np.uint8)
    vi = ir.T.copy()
    assert evaluate_arrays(ir, ir, vi, ["MI"])["MI"] == pytest.approx(1)
    # both joint histograms hold one bin, so each source adds H(source) + H(fused) = 2
    assert evaluate_arrays(ir, ir, vi, ["MI"], "tang")["MI"] == pytest.approx(4)


def test_the_best_method_has_rank_one_and_ties_share_the_better_rank() -> None:
    table = {"a": {"EN": 7.0, "SD": 40.0}, "b": {"EN": 7.0, "SD": 50.0}, "c": {"EN": 6.0, "SD": 45.0}}
    assert mean_ranks(table) == {"a": 2.0, "b": 1.0, "c": 2.5}


def test_a_missing_value_comes_last() -> None:
    table = {"a": {"EN": math.nan, "SD": 1.0}, "b": {"EN": 1.0, "SD": 0.0}, "c": {"SD": 0.5}}
    assert mean_ranks(table) == {"a": (2 + 1) / 2, "b": (1 + 3) / 2, "c": (2 + 2) / 2}


def test_ranks_follow_the_direction_of_the_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(METRICS, "EN", replace(METRICS["EN"], higher_is_better=False))
    assert mean_ranks({"a": {"EN": 1.0}, "b": {"EN": 2.0}}) == {"a": 1.0, "b": 2.0}


def test_an_empty_table_has_no_ranks() -> None:
    assert mean_ranks({}) == {}
