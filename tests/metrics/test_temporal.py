"""BiSWE and MS2R see flicker and jitter, and not what the sources do themselves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.temporal import TemporalScorer, temporal_consistency

Video = NDArray[np.uint8]


def texture(seed: int, height: int = 96, width: int = 160) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return 128 + 35 * smooth / smooth.std()


def pan(seed: int, steps: list[int]) -> Video:
    """A texture seen by a camera that has moved by so many pixels."""
    wide = texture(seed)
    return np.stack([np.clip(wide[:, 20 + x : 20 + x + 112], 0, 255) for x in steps]).astype(np.uint8)


STEADY = [0, 2, 4, 6, 8]


@pytest.fixture
def sources() -> tuple[Video, Video]:
    return pan(0, STEADY), pan(1, STEADY)


def test_a_video_that_moves_as_its_sources_do_has_nearly_no_error(sources: tuple[Video, Video]) -> None:
    ir, vi = sources
    scores = temporal_consistency(((ir.astype(int) + vi) // 2).astype(np.uint8), ir, vi)
    assert scores.frames == 3
    assert scores.biswe < 2  # of the interpolation
    assert scores.ms2r < 0.1


def test_static_video_has_none_at_all() -> None:
    still = pan(0, [0, 0, 0])
    scores = temporal_consistency(still, still, still)
    assert (scores.biswe, scores.ms2r, scores.frames) == (0, 0, 1)


def test_flicker_of_d_levels_is_a_biswe_of_2_d() -> None:
    still = np.clip(pan(0, [0] * 6), 20, 235)
    flickering = still.copy()
    flickering[::2] += 5
    assert temporal_consistency(flickering, still, still).biswe == pytest.approx(10, abs=0.5)


def test_a_video_that_jitters_where_its_sources_are_smooth_has_a_rough_motion(
    sources: tuple[Video, Video],
) -> None:
    steady = temporal_consistency(pan(2, STEADY), *sources)
    jittering = temporal_consistency(pan(2, [0, 3, 4, 7, 8]), *sources)
    assert jittering.ms2r > steady.ms2r + 1  # the change of its motion is 2 pixels to and fro


def test_what_cannot_be_followed_in_the_sources_does_not_count() -> None:
    still, fused = pan(0, [0] * 4), pan(3, [0] * 4)
    cut = still.copy()
    cut[:, :48] = np.random.default_rng(5).integers(0, 255, (4, 48, 112))  # noise that no flow follows
    flickering = fused.copy()
    flickering[::2, :40] = np.clip(fused[::2, :40].astype(int) + 20, 0, 255)
    everywhere = temporal_consistency(flickering, still, still)
    where_it_can_be_followed = temporal_consistency(flickering, cut, still)
    assert where_it_can_be_followed.biswe < 0.5 * everywhere.biswe


def test_several_videos_have_the_scores_of_each_alone(sources: tuple[Video, Video]) -> None:
    videos = [pan(2, STEADY), pan(2, [0, 3, 4, 7, 8])]
    scorer = TemporalScorer(2)
    for ir, vi, *fused in zip(*sources, *videos, strict=True):
        scorer.add(ir, vi, fused)
    assert scorer.scores() == [temporal_consistency(video, *sources) for video in videos]


def test_nothing_is_compared_across_a_gap() -> None:
    first, second = pan(0, [0] * 3), pan(7, [0] * 3)
    scorer = TemporalScorer()
    for frame in first:
        scorer.add(frame, frame, [frame])
    scorer.interrupt()
    for frame in second:
        scorer.add(frame, frame, [frame])
    scores = scorer.scores()[0]
    assert (scores.biswe, scores.ms2r, scores.frames) == (0, 0, 2)


def test_two_frames_are_too_few(sources: tuple[Video, Video]) -> None:
    with pytest.raises(Undefined, match="three frames"):
        temporal_consistency(sources[0][:2], sources[0][:2], sources[1][:2])


@pytest.mark.parametrize(
    ("shape", "kind", "reason"),
    [((3, 40, 40), np.uint8, "one shape"), ((3, 8, 8), np.uint8, "16 pixels"), ((3, 32, 32), float, "uint8")],
)
def test_frames_that_do_not_fit_are_refused(shape: tuple[int, ...], kind: type, reason: str) -> None:
    other = np.zeros((3, 32, 32), kind) if shape[1] == 40 else np.zeros(shape, kind)
    with pytest.raises(ShapeError, match=reason):
        temporal_consistency(np.zeros(shape, kind), other, other)


def test_a_view_has_the_scores_of_its_copy(sources: tuple[Video, Video]) -> None:
    views = [each[:, 8:72, 8:96] for each in (*sources, pan(2, STEADY))]
    assert temporal_consistency(*views) == temporal_consistency(*(each.copy() for each in views))
