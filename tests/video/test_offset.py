"""The time offset of two recordings is estimated from the motion in both, or rejected."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.video.frame import Frame
from ivfuse.video.time_offset import MotionSignal, estimate_offset, measure_motion


def recording(
    *, seed: int, start: float, seconds: float = 8, rate: int = 25, invert: bool = False, noise: int = 0
) -> list[Frame]:
    """A square that moves along a random path in front of a pattern, recorded from ``start`` on."""
    rng = np.random.default_rng(seed)
    knots = rng.uniform(0.1, 0.8, (40, 2))
    pattern = np.random.default_rng(7).integers(60, 120, (60, 80)).astype(np.int16)
    frames = []
    for index in range(round(seconds * rate)):
        now = start + index / rate
        y, x = (np.interp(now, np.arange(40) * 0.7, knots[:, axis]) for axis in (0, 1))
        image = pattern.copy()
        image[int(y * 60) : int(y * 60) + 12, int(x * 80) : int(x * 80) + 14] = 230
        if invert:
            image = 255 - image
        image += np.random.default_rng(index).integers(-noise, noise + 1, image.shape).astype(np.int16)
        frames.append(Frame((np.clip(image, 0, 255).astype(np.uint8),), index / rate, index))
    return frames


@pytest.mark.parametrize("offset", [-2.0, 0.0, 0.7, 3.1])
@pytest.mark.parametrize("rate", [9, 30])
def test_the_offset_is_found_to_a_fraction_of_a_frame(offset: float, rate: int) -> None:
    vi = measure_motion(recording(seed=1, start=5.0))
    ir = measure_motion(recording(seed=1, start=5.0 + offset, rate=rate, invert=True, noise=4))
    found = estimate_offset(ir, vi)
    assert found.seconds == pytest.approx(offset, abs=0.05)


def test_recordings_of_different_scenes_are_rejected() -> None:
    ir, vi = measure_motion(recording(seed=1, start=3)), measure_motion(recording(seed=2, start=3))
    with pytest.raises(InputError, match="unsure"):
        estimate_offset(ir, vi)


def test_a_scene_without_motion_is_rejected() -> None:
    still = [Frame((np.full((60, 80), 90, np.uint8),), index / 25, index) for index in range(100)]
    with pytest.raises(InputError, match="nothing moves in the thermal"):
        estimate_offset(measure_motion(still), measure_motion(recording(seed=1, start=3)))


def test_recordings_that_are_too_short_are_rejected() -> None:
    short = measure_motion(recording(seed=1, start=3, seconds=1))
    with pytest.raises(InputError, match="share less than 2 s"):
        estimate_offset(short, measure_motion(recording(seed=1, start=3)))
    with pytest.raises(InputError, match="found 1 frames"):
        measure_motion(recording(seed=1, start=3)[:1])


def test_offsets_up_to_ten_seconds_are_searched() -> None:
    vi = measure_motion(recording(seed=1, start=0, seconds=16, rate=12))
    ir = measure_motion(recording(seed=1, start=9, seconds=16, rate=12))
    assert estimate_offset(ir, vi).seconds == pytest.approx(9, abs=0.05)
    with pytest.raises(InputError, match="offset auto"):
        estimate_offset(ir, vi, max_offset=8)


def test_a_minute_of_each_recording_is_read() -> None:
    motion = measure_motion(recording(seed=1, start=0, seconds=70, rate=2))
    assert motion.times[-1] - motion.times[0] == pytest.approx(60, abs=1)


def flashing(frames: list[Frame], period: int) -> list[Frame]:
    """Change the whole image every ``period`` frames, as an encoder does that refreshes it."""
    changed = []
    for index, frame in enumerate(frames):
        shift = 25 if index // period % 2 else 0
        plane = np.clip(frame.planes[0].astype(np.int16) + shift, 0, 255).astype(np.uint8)
        changed.append(Frame((plane,), frame.time, index))
    return changed


def test_changes_of_the_whole_image_are_no_motion() -> None:
    vi = measure_motion(flashing(recording(seed=1, start=5.0), 13))
    ir = measure_motion(flashing(recording(seed=1, start=5.7), 13))
    assert estimate_offset(ir, vi).seconds == pytest.approx(0.7, abs=0.05)


def test_a_scene_that_repeats_itself_is_rejected() -> None:
    # Two offsets fit equally well.
    once = recording(seed=1, start=3, seconds=4)
    twice = [Frame(frame.planes, frame.time + 4 * part, frame.index) for part in range(2) for frame in once]
    with pytest.raises(InputError, match=r"unsure: .* fits nearly as well"):
        estimate_offset(measure_motion(once), measure_motion(twice))


@pytest.mark.parametrize("offset", [0.075, 1.225])  # 4.5 and 73.5 samples
def test_the_offset_is_interpolated_between_samples(offset: float) -> None:
    vi = measure_motion(recording(seed=1, start=5.0, rate=30))
    ir = measure_motion(recording(seed=1, start=5.0 + offset, rate=30, invert=True, noise=4))
    assert estimate_offset(ir, vi).seconds == pytest.approx(offset, abs=0.006)


def test_motion_is_measured_in_cells_without_slow_changes() -> None:
    """A quarter of the image flickers, more and more strongly over ten seconds."""
    frames = []
    for index in range(250):
        plane = np.full((60, 80), 100, np.uint8)
        plane[:, :20] += np.uint8(index // 2 if index % 2 else 0)
        frames.append(Frame((plane,), index / 25, index))
    motion = measure_motion(frames)
    assert motion.energy.shape == (len(motion.times), 12 * 16)
    inner = motion.energy[120:-120]  # two seconds from either end
    assert np.abs(inner).max() < 0.03  # the change itself is 0.3 to 0.7


def test_motion_of_half_a_second_is_kept() -> None:
    frames = []
    for index in range(250):
        plane = np.full((60, 80), 100, np.uint8)
        plane[:, :20] += np.uint8(60 if 100 <= index < 113 and index % 2 else 0)
        frames.append(Frame((plane,), index / 25, index))
    motion = measure_motion(frames)
    during = (motion.times > 4.1) & (motion.times < 4.4)
    assert motion.energy[during].max(1).min() > 0.25  # of 0.48


@pytest.mark.parametrize(
    ("similarity", "correlation", "accepted"),
    [
        (0.60, 1.0, True),  # the best offset correlates 1.7 times as well as another one
        (0.75, 1.0, False),  # 1.3 times
        (0.60, 0.3, False),  # 1.7 times, but hardly at all
    ],
)
def test_the_best_offset_must_stand_out(similarity: float, correlation: float, accepted: bool) -> None:
    """The visible contains the thermal motion, and four seconds later something similar."""
    rng = np.random.default_rng(0)
    motion, other, noise = rng.normal(size=(3, 240, 192))

    def mixed(share: float, rest: np.ndarray) -> np.ndarray:
        return share * motion + np.sqrt(1 - share**2) * rest

    times = np.arange(480) / 60
    ir = MotionSignal(times[:240], mixed(correlation, noise).astype(np.float32))
    vi = MotionSignal(times, np.concatenate([motion, mixed(similarity, other)]).astype(np.float32))
    if accepted:
        found = estimate_offset(ir, vi)
        assert found.seconds == pytest.approx(0, abs=0.01)
        assert found.correlation == pytest.approx(correlation, abs=0.02)
        assert found.peak_ratio == pytest.approx(1 / similarity, rel=0.05)
    else:
        with pytest.raises(InputError, match="unsure"):
            estimate_offset(ir, vi)


def test_a_short_overlap_counts_less_than_a_long_one() -> None:
    """Over two and a half seconds the recordings agree by chance, over twenty they agree well."""
    rng = np.random.default_rng(0)
    visible, noise = rng.normal(size=(2, 1200, 192))
    thermal = 0.9 * visible + 0.4 * noise
    thermal[-150:] = visible[:150]
    times = np.arange(1200) / 60
    ir, vi = (MotionSignal(times, energy.astype(np.float32)) for energy in (thermal, visible))
    assert estimate_offset(ir, vi, max_offset=18).seconds == pytest.approx(0, abs=0.01)
