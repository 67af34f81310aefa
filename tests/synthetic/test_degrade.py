"""Weather and faults: reproducible, of the right shape and range, worse with every step of strength."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.synthetic.degrade import (
    DEGRADATIONS,
    STRENGTHS,
    Step,
    degrade,
    degrade_all,
    parse_degradations,
)
from ivfuse.synthetic.street import Scene, street_scene

NAMES = sorted(DEGRADATIONS)


@pytest.fixture(scope="module")
def street() -> Scene:
    return street_scene(96, 128, seed=3, time="day")


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(np.abs(a - b)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_same_seed_same_pixels_and_inputs_stay(street: Scene, name: str, strength: int) -> None:
    ir, vi = street.ir.copy(), street.vi.copy()
    first = degrade(ir, vi, name, strength, seed=5)
    second = degrade(ir, vi, name, strength, seed=5)
    for a, b, source in zip(first, second, (street.ir, street.vi), strict=True):
        assert a.dtype == np.float32
        assert a.shape == source.shape
        assert np.array_equal(a, b)
        assert 0 <= a.min() <= a.max() <= 1
    assert np.array_equal(ir, street.ir)
    assert np.array_equal(vi, street.vi)


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_further_from_the_clean_pair(street: Scene, name: str) -> None:
    changed = [degrade(street.ir, street.vi, name, strength, seed=1) for strength in STRENGTHS]
    far = [distance(ir, street.ir) + distance(vi, street.vi) for ir, vi in changed]
    assert far[0] > 0
    assert far == sorted(far)


@pytest.mark.parametrize("name", [x for x in NAMES if x not in ("over-exposure", "compression")])
def test_another_seed_gives_other_pixels(street: Scene, name: str) -> None:
    one, two = (degrade(street.ir, street.vi, name, 3, seed) for seed in (0, 1))
    assert not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (37, 53)])
@pytest.mark.parametrize("color", [False, True])
def test_any_size_gray_or_color(name: str, size: tuple[int, int], color: bool) -> None:
    rng = np.random.default_rng(0)
    ir = rng.random(size, dtype=np.float32)
    vi = rng.random((*size, 3) if color else size, dtype=np.float32)
    for strength in (1, 5):
        worse_ir, worse_vi = degrade(ir, vi, name, strength)
        assert worse_ir.shape == ir.shape
        assert worse_vi.shape == vi.shape
        assert np.isfinite(worse_ir).all()
        assert np.isfinite(worse_vi).all()


@pytest.mark.parametrize("name", NAMES)
def test_sizes_of_the_two_may_differ(name: str) -> None:
    rng = np.random.default_rng(0)
    ir, vi = rng.random((20, 30), dtype=np.float32), rng.random((41, 63, 3), dtype=np.float32)
    assert tuple(x.shape for x in degrade(ir, vi, name, 4)) == (ir.shape, vi.shape)


@pytest.mark.parametrize("name", [x for x in NAMES if DEGRADATIONS[x].kind == "weather"])
def test_the_thermal_sees_through_weather(street: Scene, name: str) -> None:
    ir, vi = degrade(street.ir, street.vi, name, 5)
    assert distance(ir, street.ir) < min(0.1, distance(vi, street.vi))
    gray = vi.mean(2).ravel()
    seen = np.corrcoef(gray, street.vi.mean(2).ravel())[0, 1]
    assert np.corrcoef(ir.ravel(), street.ir.ravel())[0, 1] > max(0.97, seen)
    assert 0.75 * street.ir.std() < ir.std() < street.ir.std()
    assert ir.max() > 0.8 * street.ir.max()  # the camera's gain keeps the warmest at white


@pytest.mark.parametrize("name", [x for x in NAMES if DEGRADATIONS[x].kind in ("thermal", "pair", "light")])
def test_only_the_image_it_is_about_changes(street: Scene, name: str) -> None:
    ir, vi = degrade(street.ir, street.vi, name, 3)
    kept, source = (ir, street.ir) if DEGRADATIONS[name].kind == "light" else (vi, street.vi)
    assert np.array_equal(kept, source)


def test_haze_thickens_with_distance(street: Scene) -> None:
    stripes = np.tile(np.float32([0.2, 0.8]), (120, 80))
    _, vi = degrade(stripes, stripes, "haze", 4)
    contrast = vi.max(1) - vi.min(1)
    assert contrast[:20].mean() < 0.5 * contrast[-10:].mean() < 0.5 * 0.6


@pytest.mark.parametrize("strength", STRENGTHS)
def test_misregistration_is_as_many_pixels_as_the_strength(strength: int) -> None:
    ir = np.zeros((64, 64), np.float32)
    ir[32, 32] = 1
    moved, _ = degrade(ir, ir, "misregistration", strength, seed=4)
    rows, columns = np.mgrid[:64, :64]
    shift = [float((x * moved).sum() / moved.sum()) - 32 for x in (rows, columns)]
    assert np.hypot(*shift) == pytest.approx(strength, abs=0.05)  # bilinear weights are in steps of 1/32


def test_several_are_applied_in_turn(street: Scene) -> None:
    steps = parse_degradations("Haze:2, noise")
    assert steps == (Step("haze", 2), Step("noise", 3))
    hazy = degrade(street.ir, street.vi, "haze", 2, 9)
    expected = degrade(*hazy, "noise", 3, 9)
    for a, b in zip(degrade_all(street.ir, street.vi, steps, 9), expected, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("text", ["", "haze:", "haze:6", "haze:0", "haze:x", "haze:nan", "haze,,rain"])
def test_a_text_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected|NAME:STRENGTH"):
        parse_degradations(text)


def test_wrong_use_is_told() -> None:
    image = np.zeros((4, 4), np.float32)
    with pytest.raises(UnknownNameError, match="haze"):
        degrade(image, image, "hazy")
    with pytest.raises(UsageError, match="1 to 5"):
        degrade(image, image, "haze", 7)
    with pytest.raises(UsageError, match="seed"):
        degrade(image, image, "haze", 3, -1)
    with pytest.raises(ShapeError):
        degrade(np.zeros((4, 4, 3), np.float32), image, "haze")
