"""Losses of weak and aggressive views: what they measure, what learns, and what decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ivfuse.errors import UsageError  # noqa: E402
from ivfuse.training import losses_views  # noqa: E402
from ivfuse.training.loss_registry import LOSSES, find_loss  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

PLAIN = {"exposure": 0.0, "gain": 0.0, "noise": 0.0, "blur": 0.0}


def noise(seed: int, size: int = 40) -> Tensor:
    return torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(seed))


def mean(ir: Tensor, vi: Tensor) -> Tensor:
    return (ir + vi) / 2


def measure(name: str, fused: Tensor, seed: int = 0, fuse: Any = mean, **options: float) -> Tensor:
    rng = np.random.default_rng(seed)
    return find_loss("fuse", name, options)[1](fuse, fused, noise(1), noise(2), rng)


@pytest.mark.parametrize("name", LOSSES["views"])
def test_the_generator_alone_decides(name: str) -> None:
    torch.manual_seed(0)
    one = measure(name, noise(0))
    torch.manual_seed(99)
    assert torch.equal(one, measure(name, noise(0)))
    assert not torch.equal(one, measure(name, noise(0), seed=1))
    assert one.shape == ()
    assert one > 0


@pytest.mark.parametrize("name", LOSSES["views"])
@pytest.mark.parametrize("size", [1, 2, 9, 40])
def test_images_smaller_than_a_view_are_taken_whole(name: str, size: int) -> None:
    x = noise(3, size)
    value = LOSSES["views"][name](mean, x, noise(1, size), noise(2, size), np.random.default_rng(0))
    assert torch.isfinite(value)


def test_blur_punishes_detail_and_spares_flat_areas_and_ramps() -> None:
    ramp = (torch.arange(40.0) / 80).expand(2, 1, 40, 40)
    edge = (torch.arange(40) >= 20).float().expand(2, 1, 40, 40)
    checks = ((torch.arange(40)[:, None] + torch.arange(40)) % 2).float().expand(2, 1, 40, 40)
    flat, slope, step, board = (
        float(measure("blur", x, weakest=1, strongest=1))
        for x in (torch.full_like(ramp, 0.3), ramp, edge, checks)
    )
    assert flat == pytest.approx(0, abs=1e-12)
    assert slope < 1e-3 < step < 0.05 < board  # a mirrored border bends the ramp a little
    assert board == pytest.approx(0.25, rel=0.01)  # every pixel half a step from gray


def test_blur_is_the_release_s_kernel() -> None:
    """9 wide and 21 high, written with OpenCV."""
    x = noise(5)
    expected = cv2.sepFilter2D(
        x[0, 0].numpy(), -1, cv2.getGaussianKernel(9, 3.0), cv2.getGaussianKernel(21, 3.0)
    )
    found = losses_views._gauss(x, 3.0, (10, 4))[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_both_views_of_blur_learn() -> None:
    x = noise(0).requires_grad_()
    measure("blur", x).backward()
    assert x.grad is not None
    assert (x.grad.abs().amax((0, 1)) > 0).sum() >= 32 * 32 * 0.9


def test_consistency_vanishes_for_views_that_are_not_spoilt() -> None:
    """Cropped and mirrored alike: a network that works pixel by pixel does the same to both."""
    fused = mean(noise(1), noise(2))
    for seed in range(6):
        assert float(measure("consistency", fused, seed=seed, **PLAIN)) == pytest.approx(0, abs=1e-6)
    for change in ({"exposure": 0.5}, {"gain": 0.5}, {"noise": 0.2}, {"blur": 2.0}):
        values = [float(measure("consistency", fused, seed=s, **(PLAIN | change))) for s in range(3)]
        assert max(values) > 1e-3


def test_nothing_is_learned_from_the_weak_branch() -> None:
    fused = noise(0).requires_grad_()
    gain = torch.ones((), requires_grad=True)
    measure("consistency", fused, fuse=lambda ir, vi: gain * mean(ir, vi)).backward()
    assert fused.grad is None
    assert gain.grad is not None
    assert float(gain.grad) != 0


def test_spoilt_views_stay_images_of_the_asked_size() -> None:
    seen: list[Tensor] = []

    def fuse(ir: Tensor, vi: Tensor) -> Tensor:
        seen.extend((ir, vi))
        return mean(ir, vi)

    for seed in range(5):
        measure("consistency", noise(0), seed=seed, fuse=fuse, crop=24, exposure=3, gain=0.9, noise=0.5)
    assert {x.shape for x in seen} == {(2, 1, 24, 24)}
    assert all(0 <= float(x.min()) <= float(x.max()) <= 1 for x in seen)
    assert not torch.equal(seen[0], seen[1])
    measure("consistency", noise(0), fuse=fuse)
    assert seen[-1].shape == (2, 1, 20, 20)  # half an image where nothing is asked


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UsageError, match="'blur' does not know the option 'sigma'; accepted: crop, weakest"):
        find_loss("fuse", "blur", {"sigma": 1.0})
