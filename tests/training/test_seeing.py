"""Learning to see: batches with targets and weather, and losses about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from pydantic import ValidationError  # noqa: E402

from ivfuse.errors import UsageError  # noqa: E402
from ivfuse.training import trainer  # noqa: E402
from ivfuse.training.batch_weather import WEATHERS, Dice, thermal_faults  # noqa: E402
from ivfuse.training.checkpoint import read_model  # noqa: E402
from ivfuse.training.loss_registry import LOSSES  # noqa: E402
from ivfuse.training.losses_seeing import blurred  # noqa: E402
from ivfuse.training.pairs import PairImages  # noqa: E402
from ivfuse.training.recipe import Augment, Recipe, See  # noqa: E402
from ivfuse.training.seeing import MOST, RING, Views, ViewSampler, regions_of, street  # noqa: E402
from ivfuse.training.stages import check_recipe  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

CPU = torch.device("cpu")
SIDE = 96


def scene(*, day: float = 0.6, warm: float = 0.9, cold: float = 0.3) -> Views:
    """An even day, and a thermal image with one warm square that the visible does not show."""
    ir, vi = torch.full((1, 1, SIDE, SIDE), cold), torch.full((1, 1, SIDE, SIDE), day)
    vi = vi + 0.05 * torch.linspace(-1, 1, SIDE)
    regions = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    regions[..., 30:66, 30:66] = RING + 1
    regions[..., 40:56, 40:56] = 1
    ir[..., 40:56, 40:56] = warm
    return Views(ir, vi, ir, vi, regions)


def sampler(weather: dict[str, float] | None = None, **options: Any) -> ViewSampler:
    how = See(sides=[64, 96], weather=weather or {}, **options)
    pairs = [street(0), street(1)]
    small = PairImages("small", pairs[0].ir[::8, ::8].copy(), pairs[0].vi[::8, ::8].copy())
    sets = [(0.8, pairs), (0.2, [small])]
    augment = Augment(exposure=0.3, gain=0.2)
    return ViewSampler(sets, how, crop=64, batch=8, seed=(1, 0), augment=augment, device=CPU)


# ------------------------------------------------------------------ batches


def test_a_batch_is_a_function_of_its_step_alone() -> None:
    drawn = sampler({"haze": 0.4, "rain": 0.4}, thermal=0.5)
    (first,), (other,) = drawn.draw(3), drawn.draw(4)
    (again,) = sampler({"haze": 0.4, "rain": 0.4}, thermal=0.5).draw(3)
    for name in ("ir", "vi", "clean_ir", "clean_vi", "regions"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.vi, other.vi)


def test_ranks_share_a_batch_and_see_different_crops() -> None:
    drawn = sampler()
    (first,), (second,) = drawn.draw(0, 0, 2), drawn.draw(0, 1, 2)
    assert first.ir.shape == second.ir.shape == (4, 1, 64, 64)
    assert not torch.equal(first.ir, second.ir)


def test_without_weather_the_network_is_shown_what_the_losses_are_about() -> None:
    (views,) = sampler().draw(0)
    assert torch.equal(views.ir, views.clean_ir)
    assert torch.equal(views.vi, views.clean_vi)
    assert 0 <= float(views.ir.min()) <= float(views.ir.max()) <= 1


def test_targets_are_warmer_than_their_rings_wherever_a_crop_shows_both() -> None:
    (views,) = sampler().draw(0)
    found = 0
    for image, regions in zip(views.clean_ir[:, 0], views.regions[:, 0], strict=True):
        for number in range(1, MOST + 1):
            inside, around = image[regions == number], image[regions == RING + number]
            if len(inside) > 20 and len(around) > 40:
                assert float(inside.mean()) > float(around.mean())
                found += 1
    assert found


def test_a_flat_thermal_image_has_no_regions() -> None:
    assert not regions_of(np.full((64, 64), 90, np.uint8)).any()


@pytest.mark.parametrize("name", WEATHERS)
def test_weather_keeps_the_range_and_changes_every_image(name: str) -> None:
    vi = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2
    height = torch.linspace(0, 1, 64)[None, None, :, None].expand(3, 1, 64, 1)
    seen = WEATHERS[name].apply(vi, height, Dice(5, CPU))
    assert seen.shape == vi.shape
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 1
    assert all(float(change) > 1e-3 for change in (seen - vi).abs().mean((1, 2, 3)))
    assert torch.equal(seen, WEATHERS[name].apply(vi, height, Dice(5, CPU)))


def test_haze_takes_contrast_above_more_than_below_and_darkness_takes_light() -> None:
    vi = torch.rand(16, 1, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    height = torch.linspace(0, 1, 96)[None, None, :, None].expand(16, 1, 96, 1)
    seen = WEATHERS["haze"].apply(vi, height, Dice(0, CPU))
    assert float(seen[:, :, :24].std()) < float(seen[:, :, -24:].std()) < float(vi.std())
    assert float(WEATHERS["dark"].apply(vi, height, Dice(0, CPU)).mean()) < 0.8 * float(vi.mean())


def test_thermal_faults_come_with_their_chance() -> None:
    ir = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(thermal_faults(ir, Dice(0, CPU), 0.0), ir)
    assert not torch.equal(thermal_faults(ir, Dice(0, CPU), 1.0), ir)


def test_rain_is_to_be_seen_through_and_darkness_to_be_lived_with() -> None:
    (plain,), (rain,), (dark,) = (sampler(w).draw(0) for w in ({}, {"rain": 1.0}, {"dark": 1.0}))
    assert torch.equal(plain.ir, rain.ir)  # the same crops
    streaks, left = (x - plain.vi for x in (rain.vi, rain.clean_vi))
    streaks, left = (x - blurred(x, 3.0) for x in (streaks, left))
    assert float(left.std()) < float(streaks.std()) / 5
    assert float((dark.vi - dark.clean_vi).abs().mean()) < 0.05


# ------------------------------------------------------------------ losses


@pytest.mark.parametrize("name", LOSSES["seeing"])
def test_losses_are_finite_and_can_be_differentiated(name: str) -> None:
    views = scene()
    fused = views.vi.clone().requires_grad_()
    loss = LOSSES["seeing"][name](fused, views)
    loss.backward()
    assert torch.isfinite(loss)
    assert float(loss.detach()) >= 0
    assert torch.isfinite(fused.grad).all()


@pytest.mark.parametrize("name", ["targets", "apart"])
def test_a_target_counts_by_its_contrast_whether_it_rises_or_its_ring_is_darkened(name: str) -> None:
    views = scene(day=0.8)
    lost = float(LOSSES["seeing"][name](views.vi, views))
    raised, darkened = views.vi.clone(), views.vi.clone()
    raised[views.regions == 1] = 1.0
    darkened[views.regions == RING + 1] = 0.6
    for image in (raised, darkened):
        assert float(LOSSES["seeing"][name](image, views)) < lost / 4


def test_a_lamp_in_the_ring_does_not_make_a_target_harder_to_tell_apart() -> None:
    views = scene(day=0.3)
    image = views.vi.clone()
    image[views.regions == 1] = 0.7
    lamp = image.clone()
    ring = (views.regions == RING + 1).nonzero()
    lamp[tuple(ring[: len(ring) // 12].T)] = 1.0
    apart: Callable[..., Tensor] = LOSSES["seeing"]["apart"]
    targets = partial(LOSSES["seeing"]["targets"], views=views, apart=3.0, part=0.5)
    assert float(apart(lamp, views)) < 0.01
    assert float(targets(image)) < 0.01 < 0.1 < float(targets(lamp))


def test_a_dark_shape_before_something_bright_may_stay_dark_where_the_visible_shows_it() -> None:
    views = scene(day=0.9)
    shape = views.vi.clone()
    shape[views.regions == 1] = 0.2
    seen = Views(views.ir, shape, views.clean_ir, shape, views.regions)
    hidden = Views(views.ir, views.vi, views.clean_ir, shape, views.regions)  # fog before it
    apart = LOSSES["seeing"]["apart"]
    assert float(apart(shape, seen)) < 0.05 < float(apart(shape, hidden))


def test_without_targets_that_loss_is_nothing() -> None:
    views = scene()
    none = Views(views.ir, views.vi, views.ir, views.vi, torch.zeros_like(views.regions))
    assert float(LOSSES["seeing"]["targets"](views.vi, none)) == 0
    assert float(LOSSES["seeing"]["apart"](views.vi, none)) == 0


def test_by_day_the_level_is_the_visibles_and_by_night_it_has_something_of_the_thermal() -> None:
    tones: Callable[..., Tensor] = LOSSES["seeing"]["tones"]
    day, night = scene(), scene(day=0.06)
    assert float(tones(day.vi, day)) < 1e-4 < float(tones(day.ir, day))
    warm = night.vi + 0.5 * (night.ir > 0.5)
    assert float(tones(warm, night)) < float(tones(night.vi, night))
    moved = day.vi + 0.3 * (day.ir - day.ir.mean()).clamp(min=0)
    assert float(tones(moved, day, warm=0.6)) < float(tones(day.vi, day, warm=0.6))


def test_beside_something_warm_the_sky_need_not_be_dark() -> None:
    picture: Callable[..., Tensor] = LOSSES["seeing"]["picture"]
    day = scene(day=0.8)
    views = Views(day.ir, day.vi, day.clean_ir, day.clean_vi, day.regions * 0)
    raised = day.vi + 0.15 * (day.ir > 0.5)
    assert float(picture(raised, views, fringe=0.0)) < float(picture(raised, views, fringe=1.0))


def test_the_picture_has_the_detail_of_either_source() -> None:
    rng = torch.Generator().manual_seed(0)
    texture = 0.1 * torch.randn(1, 1, SIDE, SIDE, generator=rng)
    views = scene(warm=0.3)
    there = Views(views.ir, views.vi, (views.ir + texture).clamp(0, 1), views.vi, views.regions * 0)
    picture: Callable[..., Tensor] = LOSSES["seeing"]["picture"]
    assert float(picture(views.vi + texture, there)) < float(picture(views.vi, there)) / 2
    detail: Callable[..., Tensor] = LOSSES["seeing"]["detail"]
    assert float(detail(views.vi + texture, there)) < float(detail(views.vi, there)) / 2


def test_halos_and_islands_are_seen_and_the_sources_themselves_have_none() -> None:
    views = scene()
    for name, spoilt in (("overshoot", views.vi + 0.4), ("islands", views.vi.clone())):
        if name == "islands":
            spoilt[..., 20:30, 70:90] -= 0.3  # a border where neither source has one
        assert float(LOSSES["seeing"][name](views.vi, views)) < 1e-4
        assert float(LOSSES["seeing"][name](spoilt, views)) > 1e-3


# ------------------------------------------------------------------ recipes and runs


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    smoke_of: Callable[[str], dict[str, Any]], data: Path, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate(smoke_of("swift"))
    whole = trainer.train(recipe, data, tmp_path / "whole", accelerator="cpu")
    trainer.train(recipe, data, tmp_path / "parts", accelerator="cpu", stop_after=4)
    parts = trainer.train(recipe, data, tmp_path / "parts", accelerator="cpu")
    first, second = read_model(whole)[0], read_model(parts)[0]
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_loss_of_seeing_needs_batches_with_targets(smoke_of: Callable[[str], dict[str, Any]]) -> None:
    content = smoke_of("swift")
    content["stages"][0] = {k: v for k, v in content["stages"][0].items() if k != "see"}
    with pytest.raises(UsageError, match="needs the key see"):
        check_recipe(Recipe.model_validate(content))


@pytest.mark.parametrize(
    ("see", "said"),
    [({"weather": {"haze": 0.7, "rain": 0.7}}, "1 together"), ({"weather": {"hail": 0.1}}, "hail")],
)
def test_weather_that_cannot_be_is_refused(
    smoke_of: Callable[[str], dict[str, Any]], see: dict[str, Any], said: str
) -> None:
    content = smoke_of("swift")
    content["stages"][0]["see"] = see
    with pytest.raises(ValidationError, match=said):
        Recipe.model_validate(content)
