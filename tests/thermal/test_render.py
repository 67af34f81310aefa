"""Colormaps, painted hot areas and the bar of temperatures."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.image.color import luma
from ivfuse.thermal import colormaps
from ivfuse.thermal.read import Thermal
from ivfuse.thermal.render import RenderOptions, render
from ivfuse.thermal.units import Span, parse_span


@pytest.fixture
def thermal() -> Thermal:
    """Warm on the right: 10 to 50 degC over 120x160 pixels."""
    celsius = np.tile(np.linspace(10, 50, 160, dtype=np.float32), (120, 1))
    return Thermal((celsius - 10) / 40, celsius, ends=(10.0, 50.0))


@pytest.fixture
def fused() -> np.ndarray:
    return np.full((120, 160, 3), 0.5, np.float32)


def hot(text: str) -> Span:
    return parse_span(text, "highlight", open_ends=True, unit="C")


@pytest.mark.parametrize("name", colormaps.colormap_names())
def test_every_colormap_has_colors_of_its_own_from_cold_to_hot(name: str) -> None:
    colors = colormaps.find_colormap(name).colors
    assert colors.shape == (256, 3)
    assert colors.min() >= 0
    assert colors.max() <= 1
    assert np.abs(np.diff(colors, axis=0)).max() < 0.05  # no step that would look like an edge
    if name not in ("black-hot", "rainbow"):
        assert luma(colors[np.newaxis])[0, -1] > 0.8 > 0.2 > luma(colors[np.newaxis])[0, 0]


def test_an_unknown_colormap_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean iron"):
        RenderOptions("irn")


def test_a_colormap_colors_by_heat_and_keeps_the_fused_detail(thermal: Thermal, fused: np.ndarray) -> None:
    fused[60:] = 0.8
    shown = render(RenderOptions("iron", colorbar=False), fused, thermal)
    assert shown.shape == (120, 160, 3)
    blue_in_red = shown[..., 2] / np.maximum(shown[..., 0], 1e-3)
    assert blue_in_red[30, 20] > 1 > blue_in_red[30, 120]
    assert (luma(shown)[90] - luma(shown)[30]).min() > 0.1


def test_gray_colormaps_stay_gray_and_black_hot_is_the_inverse(thermal: Thermal) -> None:
    gray = np.full((120, 160), 0.5, np.float32)
    assert render(RenderOptions("white-hot", colorbar=False), gray, thermal).ndim == 2
    assert RenderOptions("black-hot").inverted
    assert not RenderOptions("black-hot", hot(">40C")).inverted


def test_only_what_lies_in_the_range_is_painted(thermal: Thermal, fused: np.ndarray) -> None:
    assert thermal.celsius is not None
    for text, inside in [
        (">40C", thermal.celsius > 42),
        ("<20C", thermal.celsius < 18),
        ("20C..30C", thermal.celsius == 25),
    ]:
        shown = render(RenderOptions(highlight=hot(text), colorbar=False), fused, thermal)
        assert (np.abs(shown - fused).max(axis=-1)[inside] > 0.1).all()
        outside = ~hot(text).holds(thermal.celsius)
        margin = np.zeros_like(outside)
        margin[:, 4:-4] = outside[:, 4:-4] & outside[:, :-8] & outside[:, 8:]
        assert np.array_equal(shown[margin], fused[margin])


def test_nothing_hot_leaves_the_image_as_it_is(thermal: Thermal, fused: np.ndarray) -> None:
    for colorbar in (False, True):
        options = RenderOptions(highlight=hot(">400C"), colorbar=colorbar)
        assert np.array_equal(render(options, fused, thermal), fused)


def test_the_bar_lies_at_the_right_edge_with_numbers(thermal: Thermal, fused: np.ndarray) -> None:
    plain = render(RenderOptions(highlight=hot(">40C"), colorbar=False), fused, thermal)
    barred = render(RenderOptions(highlight=hot(">40C")), fused, thermal)
    changed = np.flatnonzero(np.abs(barred - plain).max(axis=(0, 2)))
    assert changed[0] > 100
    assert changed[-1] == 159
    assert barred[:, changed[0] : changed[-1] - 12].min(axis=-1).max() > 0.9  # white numbers


def test_images_too_small_for_a_bar_have_none() -> None:
    tiny = Thermal(np.zeros((8, 9), np.float32), np.full((8, 9), 50, np.float32), ends=(1.0, 2.0))
    fused = np.full((8, 9), 0.5, np.float32)
    assert render(RenderOptions("iron"), fused, tiny).shape == (8, 9, 3)


def test_what_is_not_known_is_said(fused: np.ndarray) -> None:
    blind = Thermal(np.zeros((120, 160), np.float32))
    with pytest.raises(InputError, match="the temperatures are unknown"):
        render(RenderOptions(highlight=hot(">40C")), fused, blind)
    with pytest.raises(InputError, match="contains no colormap"):
        render(RenderOptions("camera"), fused, blind)
    with pytest.raises(UsageError, match="expected temperatures, like >40C"):
        RenderOptions(highlight=Span(1, 2, False))


def test_the_cameras_own_colormap_is_taken(fused: np.ndarray) -> None:
    green = np.array([[0, 30, 0], [0, 220, 0]], np.uint8)
    shown = render(
        RenderOptions("camera"), fused, Thermal(np.full((120, 160), 1.0, np.float32), colormap=green)
    )
    assert (shown[..., 1] > shown[..., 0] + 0.3).all()


def test_fine_detail_of_the_fused_image_stays_on_hot_areas(thermal: Thermal, fused: np.ndarray) -> None:
    striped = fused.copy()
    striped[::2] += 0.1
    options = RenderOptions(highlight=hot(">40C"), colorbar=False)
    plain, shown = (luma(render(options, image, thermal))[:, 150] for image in (fused, striped))
    assert np.abs(np.diff(plain)).max() < 1e-3
    assert np.abs(np.diff(shown))[10:-10].min() > 0.03
