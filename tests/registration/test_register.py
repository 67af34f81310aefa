"""Registration of synthetic and real pairs: accurate where it is accepted, rejected where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse
from ivfuse.errors import RegistrationError, UnknownNameError
from ivfuse.registration import register
from ivfuse.registration.geometry import corner_distance, to_centers, to_corners
from ivfuse.registration.prepare import prepare
from ivfuse.registration.quality import RegistrationQuality
from ivfuse.registration.register import (
    NamedEstimate,
    PairEstimate,
    combine,
    failed,
    register_grays,
)
from ivfuse.registration.transform import Registration

Shoot = Callable[..., Any]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def off(rig: Registration, shot: Any) -> float:
    """Mean corner error in visible pixels."""
    return corner_distance(to_corners(rig.array), shot.truth, rig.thermal)


def test_a_thermal_of_another_field_and_resolution_is_found(shot: Any) -> None:
    rig = ivfuse.register(shot.ir, shot.vi)
    assert rig.thermal == (320, 256)
    assert rig.visible == (640, 480)
    assert rig.model == "homography"
    assert rig.score > 0.6
    assert off(rig, shot) < 2  # of pixels half as large as the thermal's


@pytest.mark.parametrize(
    ("quad", "time"),
    [
        ([(20, -40), (620, -60), (650, 500), (0, 530)], "dusk"),  # sees more than the visible does
        ([(150, 90), (470, 170), (400, 430), (80, 350)], "day"),  # turned by 14 degrees
        ([(40, 20), (600, 50), (560, 440), (70, 400)], "night"),
    ],
)
def test_wider_turned_and_dark_views_are_found(
    shoot: Shoot, quad: list[tuple[float, float]], time: str
) -> None:
    shot = shoot(quad, seed=2, time=time)
    assert off(ivfuse.register(shot.ir, shot.vi), shot) < 3


def test_contrast_may_be_turned_over_and_sixteen_bits_deep(shot: Any) -> None:
    counts = np.rint(9000 - 1500 * shot.ir).astype(np.uint16)
    rig = ivfuse.register(counts, np.rint(shot.vi * 255).astype(np.uint8))
    assert off(rig, shot) < 2


def test_a_large_visible_takes_no_longer_and_is_as_exact(shot: Any) -> None:
    large = cv2.resize(shot.vi, (2560, 1920), interpolation=cv2.INTER_CUBIC)
    rig = ivfuse.register(shot.ir, np.clip(large, 0, 1))
    error = corner_distance(to_corners(rig.array), np.diag([4, 4, 1]) @ shot.truth, rig.thermal)
    assert error < 8


def test_a_black_frame_around_a_warped_thermal_is_no_edge(shoot: Shoot) -> None:
    shot = shoot([(0, 0), (640, 0), (640, 480), (0, 480)], size=(640, 480))
    forth = cv2.getPerspectiveTransform(
        np.float32([[0, 0], [640, 0], [640, 480], [0, 480]]),
        np.float32([[40, 30], [610, 10], [600, 450], [20, 470]]),
    )
    framed = cv2.warpPerspective(shot.ir, to_centers(forth), (640, 480))
    rig = ivfuse.register(framed, shot.vi)
    assert corner_distance(to_corners(rig.array), np.linalg.inv(forth), (640, 480)) < 2


@pytest.mark.parametrize(("model", "most"), [("affine", 12), ("similarity", 25)])
def test_a_smaller_model_finds_the_nearest_of_its_kind(shot: Any, model: Any, most: float) -> None:
    rig = ivfuse.register(shot.ir, shot.vi, model)
    assert rig.model == model
    assert rig.matrix[2] == pytest.approx((0, 0, 1))
    assert off(rig, shot) < most


def test_a_translation_moves_the_stretched_thermal(shoot: Shoot) -> None:
    shot = shoot([(12, -8), (652, -8), (652, 472), (12, 472)], size=(320, 240))
    rig = ivfuse.register(shot.ir, shot.vi, "translation")
    assert rig.array[:2, :2] == pytest.approx(np.diag([2, 2]))
    assert off(rig, shot) < 1.5


@pytest.mark.parametrize("kind", ["another street", "noise", "flat", "tiny"])
def test_what_does_not_belong_together_is_refused(shoot: Shoot, shot: Any, kind: str) -> None:
    rng = np.random.default_rng(1)
    thermal = {
        "another street": shoot([(60, 40), (600, 40), (600, 440), (60, 440)], seed=9).ir[:, ::-1].copy(),
        "noise": rng.random((256, 320), dtype=np.float32),
        "flat": np.full((256, 320), 0.4, np.float32),
        "tiny": shot.ir[:40, :40],
    }[kind]
    with pytest.raises(
        RegistrationError, match=r"registration rejected: .*(flat|48 pixels|is below|is above)"
    ):
        ivfuse.register(thermal, shot.vi)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean homography"):
        ivfuse.register(np.zeros((64, 64)), np.zeros((64, 64)), "homografy")  # type: ignore[arg-type]


@pytest.mark.slow
def test_pairs_of_a_rig_decide_together_and_a_stray_one_does_not_count(shoot: Shoot, shot: Any) -> None:
    shots = [shot, shoot([*_inner(shot)], seed=3), shoot([*_inner(shot)], seed=4, time="dusk")]
    moved = shoot([(x + 40, y + 15) for x, y in _inner(shot)], seed=5)
    pairs = [(str(i), one.ir, one.vi) for i, one in enumerate([*shots, moved])]
    result = register_grays(pairs)
    assert not result.reason
    assert result.registration is not None
    assert result.registration.pairs == 3
    assert [bool(pair.reason) for pair in result.pairs] == [False, False, False, True]
    assert "differs" in result.pairs[3].reason
    assert off(result.registration, shot) < 1.5


def test_two_pairs_that_contradict_each_other_give_no_rig(shoot: Shoot, shot: Any) -> None:
    moved = shoot([(x + 40, y + 15) for x, y in _inner(shot)], seed=5)
    result = register_grays([("a", shot.ir, shot.vi), ("b", moved.ir, moved.vi)])
    assert "only 1 of 2 pairs agree" in result.reason


def same(shot: Any, count: int, shift: float = 0.0) -> list[NamedEstimate]:
    """Accepted estimates of one pair; the last is moved by ``shift`` diagonals of the visible."""
    pair, quality = prepare(shot.ir, shot.vi), RegistrationQuality(0.9, 2.0, 0.0)
    move = np.array([[1, 0, shift * 800], [0, 1, 0], [0, 0, 1.0]])
    sizes = (320, 256), (640, 480)
    matrices = [shot.truth] * (count - 1) + [move @ shot.truth]
    return [
        NamedEstimate(str(i), PairEstimate(pair, matrix, quality), sizes) for i, matrix in enumerate(matrices)
    ]


@pytest.mark.parametrize(("shift", "used"), [(0.019, 4), (0.021, 3)])
def test_transforms_within_two_percent_of_the_diagonal_agree(shot: Any, shift: float, used: int) -> None:
    result = combine(same(shot, 4, shift), "homography")
    assert sum(not pair.reason for pair in result.pairs) == used


def test_at_most_twelve_pairs_are_matched_together(shot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def refine(pairs: Any, matrix: Any, model: Any) -> Any:
        counts.append(len(pairs))
        return matrix

    def accept(pairs: Any, matrix: Any, model: Any) -> RegistrationQuality:
        counts.append(len(pairs))
        return RegistrationQuality(0.9, 2.0, 0.0)

    monkeypatch.setattr(register, "estimate_jointly", refine)
    monkeypatch.setattr(register, "assess", accept)
    result = combine(same(shot, 14), "homography")
    assert counts == [12, 12]
    assert result.registration is not None
    assert result.registration.pairs == 14


def test_pairs_of_other_sizes_are_not_used(shot: Any) -> None:
    first, second = same(shot, 2)
    other = replace(second, sizes=((160, 128), (640, 480)))
    result = combine([first, other], "homography")
    assert "160x128 and 640x480, differ from those of the most pairs" in result.pairs[1].reason
    assert result.registration is not None
    assert result.registration.pairs == 1


def test_pairs_of_many_sizes_are_no_rig(shot: Any) -> None:
    estimates = [
        replace(one, sizes=((320, 256), (640 + 10 * index, 480))) for index, one in enumerate(same(shot, 3))
    ]
    result = combine(estimates, "homography")
    assert result.registration is None
    assert result.reason == "only 1 of 3 pairs have frames of one size, as those of a rig do"


def test_the_largest_group_of_sizes_decides_wherever_it_stands(shot: Any) -> None:
    first, *rest = same(shot, 3)
    other = replace(first, sizes=((160, 128), (640, 480)))
    result = combine([other, *rest], "homography")
    assert [bool(one.reason) for one in result.pairs] == [True, False, False]
    assert result.registration is not None
    assert result.registration.pairs == 2


def test_without_pairs_there_is_no_rig() -> None:
    assert combine([], "homography").reason == "there is no pair"
    assert "none of 2 pairs" in combine([failed("a", "gone"), failed("b", "gone")], "affine").reason


@pytest.mark.oracle
@pytest.mark.skipif(not (SHARED / "roadscene_raw").is_dir(), reason="../shared/data/roadscene_raw is absent")
def test_real_images_of_one_street_are_accepted_and_of_two_refused() -> None:
    def path(kind: str, stem: str) -> Path:
        return next((SHARED / "roadscene_raw" / kind).glob(f"{stem}.*"))

    rig = ivfuse.register(path("ir", "FLIR_06643"), path("vi", "FLIR_06643"))
    assert rig.score > 0.8
    with pytest.raises(RegistrationError):
        ivfuse.register(path("ir", "FLIR_06643"), path("vi", "FLIR_05759"))


def _inner(shot: Any) -> list[tuple[float, float]]:
    """Where the corners of a shot's thermal lie."""
    from ivfuse.registration.geometry import image_corners, transform_points

    return [(float(x), float(y)) for x, y in transform_points(shot.truth, image_corners((320, 256)))]
