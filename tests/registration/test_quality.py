"""Acceptance of a transform: each measure has its threshold and its message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivfuse.registration import quality as quality_module
from ivfuse.registration.blocks import BlockMatches
from ivfuse.registration.geometry import scale_matrix
from ivfuse.registration.prepare import prepare
from ivfuse.registration.quality import REJECTED, RegistrationQuality, assess, rejected


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (RegistrationQuality(0.54, 1.1, 0.0105), ""),
        (RegistrationQuality(0.53, 1.1, 0.0105), "inlier ratio 0.53 is below 0.54"),
        (RegistrationQuality(0.54, 1.09, 0.0105), "peak z-score 1.09 is below 1.10"),
        (RegistrationQuality(0.54, 1.1, 0.0106), "corner standard error 1.06% of the width is above 1.05%"),
        (RegistrationQuality(1.0, 5.0, 0.0, "it mirrors"), "it mirrors"),
        (rejected("flat"), "flat"),
        (REJECTED, "no common structure was found"),
    ],
)
def test_a_transform_passes_at_the_thresholds_and_not_beyond(
    quality: RegistrationQuality, reason: str
) -> None:
    assert quality.reason == reason
    assert quality.accepted == (not reason)


def test_accepted_transforms_rank_first() -> None:
    accepted, higher = RegistrationQuality(0.6, 1.2, 0.0), RegistrationQuality(0.9, 3.0, 0.5)
    assert accepted.rank > higher.rank > REJECTED.rank


def test_a_wrong_transform_measures_worse_than_the_right_one(shot: Any) -> None:
    pair = prepare(shot.ir, shot.vi)
    right = assess([pair], shot.truth, "homography")
    wrong = assess([pair], np.array([[1, 0, 12], [0, 1, 9], [0, 0, 1]]) @ shot.truth, "homography")
    assert right.inlier_ratio > 0.75 > 0.3 > wrong.inlier_ratio
    assert right.peak_zscore > wrong.peak_zscore + 1


@pytest.mark.parametrize(("stretch", "rejected_for_it"), [(1.9, False), (2.1, True)])
def test_no_fixed_cameras_stretch_one_side_to_twice_the_other(
    shot: Any, stretch: float, rejected_for_it: bool
) -> None:
    quality = assess([prepare(shot.ir, shot.vi)], scale_matrix(stretch, 1), "homography")
    assert ("unequally" in quality.fault) == rejected_for_it


def test_images_that_hardly_overlap_are_rejected(shot: Any) -> None:
    aside = np.array([[1, 0, 620], [0, 1, 0], [0, 0, 1.0]])
    assert assess([prepare(shot.ir, shot.vi)], aside, "homography") == REJECTED


def test_inliers_are_blocks_that_match_best_within_one_pixel(
    shot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifts = np.array([(x, y) for y in range(-5, 6) for x in range(-5, 6)], float)
    # Of 36 blocks, six each match best 0, 1, ... 5 pixels to the right of where the transform maps them.
    distance = np.arange(36) % 6
    scores = np.where(np.all(shifts == np.stack([distance, 0 * distance], 1)[:, None], axis=-1), 0.5, 0.1)
    x, y = np.meshgrid(np.linspace(10, 190, 6), np.linspace(10, 140, 6))
    centers = np.stack([x.ravel(), y.ravel()], axis=1)
    matches = BlockMatches(
        scores, shifts, centers, np.ones(36), (200, 150), scale_matrix(200 / 640, 150 / 480)
    )
    monkeypatch.setattr(quality_module, "match_blocks", lambda *_: matches)
    found = assess([prepare(shot.ir, shot.vi)], shot.truth, "affine")
    assert found.inlier_ratio == pytest.approx(12 / 36)
    deviation = 0.4 * np.sqrt(120) / 121  # of a surface with one peak of 0.4 over 120 equal scores
    assert found.peak_zscore == pytest.approx(0.4 / (deviation + 0.02) * 6 / 36)
