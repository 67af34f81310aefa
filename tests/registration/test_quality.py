"""Acceptance of a transform: each measure has its threshold and its message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
