"""Fused brightness is smoothed over time where nothing moves, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.pipeline import Fuser
from ivfuse.video.frame import Frame
from ivfuse.video.frame_fuser import FrameFuser
from ivfuse.video.smoothing import TIME_CONSTANT, TemporalSmoother

Gray = NDArray[np.float32]
RATE = 30


def flat(level: float, shape: tuple[int, int] = (64, 96)) -> Gray:
    return np.full(shape, level / 255, np.float32)


def smooth(frames: list[tuple[Gray, Gray, Gray]]) -> list[Gray]:
    """Smooth frames of fused, thermal and visible at 30 per second."""
    smoother = TemporalSmoother()
    return [smoother.apply(*frame, index / RATE) for index, frame in enumerate(frames)]


def flicker(frames: list[Gray]) -> float:
    """Mean change of the means of 16x16 patches from frame to frame, in levels."""
    patches = np.stack(frames).reshape(len(frames), 64 // 16, 16, 96 // 16, 16).mean((2, 4))
    return float(np.abs(np.diff(patches, axis=0)).mean() * 255)


def test_noise_that_the_fusion_amplifies_flickers_a_third_as_much_at_most() -> None:
    rng = np.random.default_rng(0)
    slow = rng.normal(0, 0.2, (60, 64 // 16, 96 // 16))  # levels, per patch
    noise = [np.kron(each, np.ones((16, 16))).astype(np.float32) / 255 for each in slow]
    frames = [(flat(120) + 2 * each, flat(80), flat(60) + each) for each in noise]
    assert flicker(smooth(frames)[5:]) < flicker([frame[0] for frame in frames][5:]) / 3


@pytest.mark.parametrize(("block", "least", "most"), [(8, 0.95, 1.05), (4, 0, 0.8)])
def test_flicker_of_the_size_of_a_block_is_smoothed(block: int, least: float, most: float) -> None:
    rows, columns = np.indices((64, 96)) // 4
    checks = np.where((rows + columns) % 2, 1, -1).astype(np.float32) / 255
    frames = [flat(120) + (index % 2) * checks for index in range(30)]
    smoother, still = TemporalSmoother(), flat(80)
    out = [smoother.apply(each, still, still, index / RATE, block=block) for index, each in enumerate(frames)]
    motion = [np.abs(np.diff(np.stack(each[10:]), axis=0)).mean() for each in (out, frames)]
    assert least <= motion[0] / motion[1] <= most


def test_an_object_that_moves_leaves_no_trail() -> None:
    frames = []
    for index in range(20):
        ir, left = flat(60), 4 * index
        ir[16:48, left : left + 16] += 40 / 255
        frames.append((0.6 * ir + 0.1, ir, flat(90)))
    out = smooth(frames)
    for got, (fused, *_) in zip(out, frames, strict=True):
        assert np.abs(got - fused).max() * 255 < 0.01


def test_what_is_constant_stays_bit_for_bit() -> None:
    rng = np.random.default_rng(1)
    frame = tuple(rng.random((61, 83)).astype(np.float32) for _ in range(3))
    for got in smooth([frame] * 4):
        np.testing.assert_array_equal(got, frame[0])


def test_after_a_scene_cut_nothing_of_the_scene_before_is_left() -> None:
    out = smooth([(flat(50), flat(40), flat(60))] * 5 + [(flat(150), flat(140), flat(160))])
    np.testing.assert_allclose(out[-1] * 255, 150, atol=1e-3)


def test_a_step_is_followed_in_about_the_time_constant() -> None:
    steps = round(TIME_CONSTANT * RATE)
    out = smooth([(flat(100), flat(50), flat(50))] * 3 + [(flat(100.5), flat(50), flat(50))] * steps)
    followed = float(out[-1].mean() * 255 - 100) / 0.5
    assert followed == pytest.approx(1 - np.exp(-1), abs=0.02)


@pytest.mark.parametrize("step", [1, 3, 4.2, 6, 10, 40])
def test_a_correction_is_at_most_2_6_levels(step: float) -> None:
    before, after = (flat(100), flat(50), flat(50)), (flat(100 + step), flat(50), flat(50))
    assert np.abs(smooth([before, after])[1] - after[0]).max() * 255 < 2.6


def test_the_past_counts_less_after_a_pause() -> None:
    smoother = TemporalSmoother()
    smoother.apply(flat(100), flat(50), flat(50), 0.0)
    out = smoother.apply(flat(101), flat(50), flat(50), 10.0)
    np.testing.assert_allclose(out * 255, 101, atol=1e-3)


def test_the_weight_limits_where_and_how_much() -> None:
    smoother, weight = TemporalSmoother(), flat(0)
    weight[:, 48:] = 1
    smoother.apply(flat(100), flat(50), flat(50), 0.0, weight=weight)
    fused = flat(101)
    out = smoother.apply(fused, flat(50), flat(50), 1 / RATE, weight=weight)
    np.testing.assert_array_equal(out[:, :48], fused[:, :48])
    assert (out[:, 48:] < fused[:, 48:]).all()


def test_a_frame_of_another_size_begins_anew() -> None:
    smoother = TemporalSmoother()
    smoother.apply(flat(100), flat(50), flat(50), 0.0)
    other = flat(101, (32, 32))
    np.testing.assert_array_equal(smoother.apply(other, other, other, 0.1), other)


def test_values_that_are_no_numbers_do_not_stay() -> None:
    broken = flat(50)
    broken[8:24, 8:24] = np.nan
    out = smooth([(flat(100), broken, flat(50)), *[(flat(100), flat(50), flat(50))] * 2])
    assert np.isfinite(out).all()


def test_one_pixel_is_a_frame() -> None:
    pixel = flat(100, (1, 1))
    np.testing.assert_array_equal(smooth([(pixel, pixel, pixel)] * 2)[1], pixel)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected one shape"):
        TemporalSmoother().apply(flat(1), flat(1, (32, 32)), flat(1), 0.0)


class Nervous:
    """A method whose level changes from frame to frame."""

    info = MethodInfo("nervous", "classical", "", "")
    level = 100

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        self.level = 204 - self.level
        return np.full_like(vi, self.level / 255)


@pytest.mark.parametrize(("strength", "smoothing", "change"), [(1, True, 1), (1, False, 4), (0, True, 0)])
def test_frames_are_smoothed_unless_switched_off(strength: float, smoothing: bool, change: int) -> None:
    fuser = FrameFuser(
        Fuser(Nervous(), strength=strength), smoother=TemporalSmoother() if smoothing else None
    )
    rng = np.random.default_rng(0)
    ir, levels = Frame((np.full((64, 96), 80, np.uint8),), 0, 0), rng.integers(90, 92, (8, 64, 96), np.uint8)
    out = [fuser.fuse(ir, Frame((each,), i / RATE, i)).planes[0] for i, each in enumerate(levels)]
    if strength == 0:
        np.testing.assert_array_equal(out, levels)
    else:
        means = np.array([each.mean() for each in out])
        assert np.abs(np.diff(means))[3:].max() <= change
        assert np.abs(np.diff(means)).max() >= (change if not smoothing else 0)


def test_frames_have_the_emphasis_of_the_fuser() -> None:
    ir, vi = (np.full((64, 96), level, np.uint8) for level in (160, 80))
    means = {
        name: FrameFuser(Fuser("average", emphasis=name), smoother=None)
        .fuse(Frame((ir,), 0, 0), Frame((vi,), 0, 0))
        .planes[0]
        .mean()
        for name in ("none", "natural")
    }
    assert means == pytest.approx({"none": 120, "natural": 96}, abs=1)


def test_the_command_smooths_unless_told_not_to(
    tmp_path: Path,
    write_clip: Callable[..., Path],
    read_clip: Callable[[Path], list[Any]],
    ivfuse_cli: Callable[..., Any],
) -> None:
    levels = 99 + 3 * (np.arange(12) % 2)[:, None, None]
    ir = write_clip(tmp_path / "ir.mkv", np.full((12, 64, 96), 80, np.uint8))
    vi = write_clip(tmp_path / "vi.mkv", np.broadcast_to(levels, (12, 64, 96)).astype(np.uint8))
    found = {}
    for flag in ("--smooth", "--no-smooth"):
        out = tmp_path / f"{flag}.mkv"
        command = ("video", ir, vi, "-o", out, "--method", "maximum", "--codec", "ffv1", flag)
        assert ivfuse_cli(*command).code == 0
        found[flag] = np.diff([image.mean() for image in read_clip(out)])
    assert np.abs(found["--no-smooth"]).min() == 3
    assert np.abs(found["--smooth"]).mean() < 0.5 * np.abs(found["--no-smooth"]).mean()
