"""Warm targets: what is found in a thermal image, and what is measured of each in a fused one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ivfuse.errors import InputError, ShapeError
from ivfuse.metrics.targets import Targets, find_targets, measure_targets, target_shares

HEIGHT, WIDTH = 240, 320  # here a target has 20 to 2304 pixels, its gap is 2 and its ring 6 pixels wide

Box = tuple[int, int, int, int]  # left, top, width, height
PERSON: Box = (100, 90, 8, 20)


def thermal(*boxes: Box, warm: float = 170) -> np.ndarray:
    """A cool scene with some texture, a warm wall along its bottom (too large for a target), warm boxes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.where(y >= 216, 136, 60) + (3 * x + 5 * y) % 7.0
    for left, top, width, height in boxes:
        image[top : top + height, left : left + width] = warm
    return image


def flat(level: float, *boxes: Box, rise: float = 0) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH), float(level))
    for left, top, width, height in boxes:
        image[top : top + height, left : left + width] += rise
    return image


def boxes_of(found: Targets) -> list[Box]:
    return sorted(target.box for target in found.targets)


def hit(found: Targets, *boxes: Box) -> list[int]:
    """Which boxes have a target with their center, strongest first."""
    centers = [(left + wide // 2, top + high // 2) for left, top, wide, high in boxes]
    return [
        index
        for left, top, wide, high in (target.box for target in found.targets)
        for index, (x, y) in enumerate(centers)
        if left <= x < left + wide and top <= y < top + high
    ]


def test_a_warm_box_is_found_where_it_is() -> None:
    ir = thermal(PERSON)
    (target,) = find_targets(ir).targets
    assert target.area == pytest.approx(8 * 20, abs=8)  # the blur takes the corners
    assert target.box == PERSON
    inside, around = target.pixels(ir)
    assert target.rise == pytest.approx(inside.mean() - around.mean())
    assert target.rise == pytest.approx(107, abs=3)
    assert target.auc == 1


def test_the_ring_leaves_a_gap_and_ends() -> None:
    (target,) = find_targets(thermal(PERSON)).targets
    ring = np.zeros((HEIGHT, WIDTH), bool)
    height, width = target.ring.shape
    ring[target.top : target.top + height, target.left : target.left + width] = target.ring
    left, top, wide, high = PERSON
    middle = top + high // 2
    assert not ring[middle, left - 2 : left + wide + 2].any()
    assert ring[middle, left - 8 : left - 2].all()
    assert not ring[middle, : left - 8].any()


def test_levels_and_floats_give_the_same_targets() -> None:
    ir = thermal(PERSON)
    exact, whole = find_targets(ir), find_targets(ir.astype(np.uint8))
    assert boxes_of(exact) == boxes_of(whole)
    assert exact.targets[0].rise == whole.targets[0].rise


def test_two_targets_close_together_are_two_and_not_in_each_others_ring() -> None:
    near: Box = (113, 90, 8, 20)  # 5 pixels apart, less than gap and ring
    found = find_targets(thermal(PERSON, near))
    assert boxes_of(found) == [PERSON, near]
    for target in found.targets:
        _, around = target.pixels(thermal(PERSON, near))
        assert around.max() < 70


@pytest.mark.parametrize("box", [(0, 90, 8, 20), (100, 0, 8, 20), (WIDTH - 8, 0, 8, 20)])
def test_a_target_at_the_edge_is_found_with_what_there_is_of_its_ring(box: Box) -> None:
    assert boxes_of(find_targets(thermal(box))) == [box]


def test_a_target_closed_in_by_other_hot_things_has_no_ring_and_is_left_out() -> None:
    walls: list[Box] = [(90, 78, 60, 6), (90, 106, 60, 6), (90, 84, 4, 22), (146, 84, 4, 22)]
    inner: Box = (98, 88, 44, 14)
    assert hit(find_targets(thermal(inner)), inner) == [0]
    assert hit(find_targets(thermal(*walls, inner)), inner) == []


def test_specks_and_large_warm_areas_are_no_targets() -> None:
    speck: Box = (40, 40, 3, 3)
    assert not find_targets(thermal(speck)).targets
    wall: Box = (20, 20, 60, 60)  # 4.7 % of the image
    assert hit(find_targets(thermal(PERSON, wall)), PERSON, wall) == [0]


def test_what_is_hardly_warmer_than_its_ring_is_no_target() -> None:
    for level, count in ((143, 0), (160, 1)):
        ir = thermal()
        ir[60:140, 70:140] = 120  # a warm ground
        ir[90:110, 100:108] = level
        found = find_targets(ir)
        assert len(found.targets) == count
        assert count or found.reason == "no warm target stands out in the infrared"


def test_at_most_twelve_targets_the_greatest_first() -> None:
    many = [(20 + 60 * (i % 5), 15 + 70 * (i // 5), 8, 8 + i) for i in range(15)]
    found = find_targets(thermal(*many))
    assert len(found.targets) == 12
    weights = [target.area * target.rise for target in found.targets]
    assert weights == sorted(weights, reverse=True)
    assert sorted(hit(found, *many)) == list(range(3, 15))


@pytest.mark.parametrize(
    ("ir", "reason"),
    [
        (np.full((HEIGHT, WIDTH), 90.0), "flat"),
        (np.full((HEIGHT, WIDTH), 255, np.uint8), "flat"),
        (250 - flat(0, PERSON, rise=90), "hot all over"),
        (np.full((1, 1), 90.0), "too small"),
        (np.array([[0.0, 255.0] * 20]), "too small"),
        (thermal()[:9, :9], "flat"),
        (thermal(), "no warm target"),
        (np.tile([0.0, 255.0], (9, 5)), "no warm target"),
    ],
)
def test_an_image_without_targets_says_why(ir: np.ndarray, reason: str) -> None:
    found = find_targets(ir)
    assert found.targets == ()
    assert reason in found.reason
    assert measure_targets(found, ir, ir) == ()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 40), (17, 19)])
def test_narrow_images_are_defined(shape: tuple[int, int]) -> None:
    ir = np.zeros(shape)
    ir[shape[0] // 2 :, shape[1] // 2 :] = 200
    found = find_targets(ir)
    assert found.targets or found.reason


def test_a_fused_image_that_shows_the_infrared_keeps_and_sees_the_target() -> None:
    ir = thermal(PERSON)
    (contrast,) = measure_targets(find_targets(ir), flat(60), ir)
    assert (contrast.kept, contrast.seen, contrast.lost, contrast.bright) == (True, True, False, True)


def test_a_fused_image_that_shows_the_visible_loses_a_hidden_target() -> None:
    ir, vi = thermal(PERSON), flat(120)
    (contrast,) = measure_targets(find_targets(ir), vi, vi)
    assert contrast.hidden
    assert contrast.auc == 0.5
    assert (contrast.kept, contrast.seen, contrast.lost, contrast.bright) == (False, False, True, False)


def test_a_target_that_is_darker_than_its_ring_is_seen_and_kept_but_not_bright() -> None:
    ir = thermal(PERSON)
    (contrast,) = measure_targets(find_targets(ir), flat(200), flat(200, PERSON, rise=-90))
    assert contrast.auc == 0
    assert (contrast.kept, contrast.seen, contrast.lost, contrast.bright) == (True, True, False, False)


@pytest.mark.parametrize(("rise", "hidden"), [(0, True), (9, True), (11, False), (40, False), (-40, True)])
def test_a_target_is_hidden_where_the_visible_shows_it_not_or_dark(rise: float, hidden: bool) -> None:
    (contrast,) = measure_targets(
        find_targets(thermal(PERSON)), flat(120, PERSON, rise=rise), thermal(PERSON)
    )
    assert contrast.visible_rise == pytest.approx(rise)
    assert contrast.hidden == hidden


@pytest.mark.parametrize(("rise", "kept"), [(7, False), (8, True), (-8, True)])
def test_before_bright_haze_half_the_room_above_it_is_enough(rise: float, kept: bool) -> None:
    (contrast,) = measure_targets(find_targets(thermal(PERSON)), flat(240), flat(240, PERSON, rise=rise))
    assert contrast.aim == pytest.approx(15)
    assert contrast.kept == kept


def test_the_aim_is_never_more_than_the_infrared_has() -> None:
    (contrast,) = measure_targets(find_targets(thermal(PERSON)), flat(20), flat(20))
    assert contrast.aim == find_targets(thermal(PERSON)).targets[0].rise


def test_auc_is_the_share_of_pairs_of_pixels_ties_half() -> None:
    ir = thermal(PERSON)
    found = find_targets(ir)
    fused = np.random.default_rng(3).integers(90, 99, ir.shape).astype(float)
    inside, around = found.targets[0].pixels(fused)
    pairs = np.sign(inside[:, None] - around[None, :])
    (contrast,) = measure_targets(found, flat(100), fused)
    assert contrast.auc == pytest.approx((pairs.mean() + 1) / 2, abs=1e-12)


def test_auc_and_what_is_seen_do_not_change_with_contrast_while_kept_does() -> None:
    ir = thermal(PERSON)
    found = find_targets(ir)
    noise = np.random.default_rng(1).normal(0, 25, ir.shape)
    fused = ir + noise
    before, after = (measure_targets(found, flat(60), image)[0] for image in (fused, 100 + fused / 4))
    assert before.auc == pytest.approx(after.auc, abs=1e-12)
    assert before.seen == after.seen
    assert before.kept
    assert not after.kept


def test_the_more_of_the_infrared_the_more_is_seen() -> None:
    ir, vi = (
        thermal(PERSON),
        flat(120, PERSON, rise=-40) + np.random.default_rng(0).normal(0, 20, (HEIGHT, WIDTH)),
    )
    found = find_targets(ir)
    found_aucs = [measure_targets(found, vi, (1 - w) * vi + w * ir)[0].auc for w in np.linspace(0, 1, 9)]
    assert found_aucs == sorted(found_aucs)
    assert found_aucs[0] < 0.2
    assert found_aucs[-1] == 1


def test_shares_are_over_targets_not_over_images() -> None:
    one, three = [PERSON], [PERSON, (200, 90, 8, 20), (40, 150, 8, 20)]
    together = []
    for boxes, show in ((one, True), (three, False)):
        ir, vi = thermal(*boxes), flat(120)
        together += measure_targets(find_targets(ir), vi, ir if show else vi)
    shares = target_shares(together)
    assert shares.count == 4
    assert (shares.kept, shares.seen, shares.lost, shares.bright) == (0.25, 0.25, 0.75, 0.25)


def test_shares_of_hidden_targets_leave_out_what_the_visible_shows() -> None:
    other: Box = (200, 90, 8, 20)
    ir, vi = thermal(PERSON, other), flat(120, other, rise=60)
    contrasts = measure_targets(find_targets(ir), vi, vi)
    assert target_shares(contrasts).lost == 0.5
    hidden = target_shares(contrasts, hidden=True)
    assert (hidden.count, hidden.lost) == (1, 1.0)


def test_no_targets_have_no_shares() -> None:
    shares = target_shares([])
    assert shares.count == 0
    assert math.isnan(shares.lost)


def test_other_shapes_and_values_that_are_not_finite_are_refused() -> None:
    ir = thermal(PERSON)
    found = find_targets(ir)
    with pytest.raises(ShapeError, match="vi has shape"):
        measure_targets(found, ir[:-1], ir)
    with pytest.raises(ShapeError, match="ir has shape"):
        find_targets(np.zeros((4, 4, 3)))
    broken = ir.copy()
    broken[5, 5] = np.nan
    with pytest.raises(InputError, match="ir holds values that are not finite"):
        find_targets(broken)
    with pytest.raises(InputError, match="fused holds"):
        measure_targets(found, ir, broken)
