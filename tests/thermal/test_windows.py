"""What users write about temperatures, and how thermal values become gray by it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ivfuse.errors import InputError, UsageError
from ivfuse.thermal.read import Thermal, ThermalOptions, read_thermal
from ivfuse.thermal.render import parse_render_options, render
from ivfuse.thermal.shared_window import WindowHistogram, shared_window
from ivfuse.thermal.tone_mapping import PERCENTILE, WindowRule, parse_window, to_gray
from ivfuse.thermal.units import Span, parse_scale, parse_span


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("10C..45C", Span(10, 45, True)),
        ("-5..5C", Span(-5, 5, True)),
        ("-10°C..-2.5°c", Span(-10, -2.5, True)),
        ("273.15K..300K", Span(0, 26.85, True)),
        ("32F..212F", Span(0, 100, True)),
        ("7200..8400", Span(7200, 8400, False)),
        (">40C", Span(40, math.inf, True)),
        (">= 40 C", Span(40, math.inf, True)),
        ("<5C", Span(-math.inf, 5, True)),
        (" < -5.5 C ", Span(-math.inf, -5.5, True)),
    ],
)
def test_ranges_are_read(text: str, span: Span) -> None:
    assert parse_span(text, "x", open_ends=True) == span


@pytest.mark.parametrize(
    "text", ["", "40C", "10C..", "45C..10C", "10C..45", "a..b", ">", ">hot", "1..2..3", "5C..5C"]
)
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"--highlight: found "):
        parse_span(text, "--highlight", open_ends=True)


def test_a_number_without_unit_is_in_degrees_where_only_these_make_sense() -> None:
    assert parse_span(">40", "x", open_ends=True, unit="C") == Span(40, math.inf, True)
    assert parse_span("20..30", "x", open_ends=True, unit="C") == Span(20, 30, True)
    with pytest.raises(UsageError):
        parse_span(">40C", "--window", open_ends=False)


@pytest.mark.parametrize(
    ("text", "counts", "degrees"),
    [("0.01K", 30_000, 26.85), ("0.04K", 7500, 26.85), ("0.1C", 365, 36.5), ("1C", 21.5, 21.5),
     ("0.01C-100", 12_000, 20), ("1F", 212, 100), ("0.1C + 5", 100, 15)],
)  # fmt: skip
def test_scales_make_degrees_of_counts(text: str, counts: float, degrees: float) -> None:
    assert parse_scale(text).celsius(np.array([[counts]])) == pytest.approx(degrees, abs=1e-4)


@pytest.mark.parametrize("text", ["0.01", "K", "0K", "-1K", "1X", "nan"])
def test_what_is_no_scale_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"scale: found .* like 0\.01K"):
        parse_scale(text)


def test_windows_are_read() -> None:
    assert parse_window("percentile") == PERCENTILE
    assert parse_window("Plateau").kind == "plateau"
    assert parse_window("10C..45C") == WindowRule("range", Span(10, 45, True))
    with pytest.raises(UsageError, match="expected percentile, plateau, shared, or a range"):
        parse_window("auto")


def test_a_range_in_degrees_maps_degrees_and_refuses_counts() -> None:
    values = np.array([[10, 27.5, 45, 60]], np.float32)
    mapped = to_gray(values, parse_window("10C..45C"), "x", degrees=True)
    assert mapped.gray.tolist() == [[0, 0.5, 1, 1]]
    assert mapped.note == "temperatures, window 10 to 45 C"
    with pytest.raises(InputError, match=r"x: the window is in degrees, but the file contains counts"):
        to_gray(values, parse_window("10C..45C"), "x", degrees=False)


@pytest.mark.parametrize("window", ["255..0", (255, 0)])
def test_a_reversed_window_makes_black_hot_images_white_hot(window: str | tuple[float, float]) -> None:
    levels = np.array([[0, 51, 255]], np.uint8)
    thermal = read_thermal(levels, ThermalOptions(window=window))
    np.testing.assert_allclose(thermal.pixels, 1 - levels / 255, atol=1e-6)
    assert "window 255 to 0, dark is warm" in thermal.notes[0]


def test_temperatures_have_no_reversed_window() -> None:
    counts = np.array([[29_000, 30_000]], np.uint16)
    with pytest.raises(UsageError, match="from 40 to 10, but the values are temperatures"):
        read_thermal(counts, ThermalOptions(window="40..10", scale="0.01K"))
    with pytest.raises(UsageError, match="lower bound is not below"):
        ThermalOptions(window="40C..10C")


def test_plateau_spreads_two_far_parts_that_percentiles_squeeze() -> None:
    rng = np.random.default_rng(0)
    sky, ground = rng.uniform(-60, -59, (30, 100)), rng.uniform(15, 20, (70, 100))
    values = np.concatenate([sky, ground]).astype(np.float32)
    linear = to_gray(values, PERCENTILE, "x", degrees=True).gray[30:]
    equalized = to_gray(values, WindowRule("plateau"), "x", degrees=True)
    assert np.ptp(linear) < 0.1
    assert np.ptp(equalized.gray[30:]) > 0.4
    assert not equalized.even
    order = np.argsort(values, axis=None)
    assert (np.diff(equalized.gray.ravel()[order]) >= 0).all()
    assert (equalized.gray.min(), equalized.gray.max()) == (0, 1)


def test_plateau_of_a_constant_image_is_black() -> None:
    assert not to_gray(np.full((4, 5), 7.0, np.float32), WindowRule("plateau"), "x", degrees=False).gray.any()


def test_a_shared_window_weighs_images_alike_whatever_their_size() -> None:
    cold, warm = np.full((10, 10), 5.0), np.full((200, 200), 25.0)
    rule = shared_window([(cold, True), (warm, True)])
    assert rule.span == Span(5, 25, True)
    assert to_gray(cold, rule, "x", degrees=True).gray.max() == 0
    assert to_gray(warm, rule, "x", degrees=True).gray.min() == 1


def test_a_shared_window_needs_values_of_one_kind() -> None:
    with pytest.raises(InputError, match="files with temperatures and files with counts"):
        shared_window([(np.ones((2, 2)), True), (np.ones((2, 2)), False)])
    with pytest.raises(
        InputError, match="files with counts and files with 8-bit levels, expected files of one"
    ):
        shared_window([(np.ones((2, 2), np.uint8), False), (np.full((2, 2), 7000, np.uint16), False)])
    with pytest.raises(InputError, match="no thermal image"):
        shared_window([])
    assert shared_window([(np.full((2, 2), 3.0), False)]).span is not None  # constant images have one too


def test_the_kind_of_values_is_kept_in_a_merged_histogram() -> None:
    total = WindowHistogram()
    for image in (np.ones((2, 2), np.uint8), np.full((2, 2), 7000, np.uint16)):
        part = WindowHistogram()
        part.add(image, degrees=False)
        total.merge(WindowHistogram.from_array(part.to_array()))
    with pytest.raises(InputError, match="files with counts and files with 8-bit levels"):
        total.rule()


@pytest.mark.parametrize("text", ["-1e308C..1e308C", "-1e308..1e308", ">1e17C", "<-1e10", "0C..1e999C"])
def test_bounds_beyond_the_precision_of_numbers_are_refused_with_the_limits(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected numbers from -1e\+09 to 1e\+09"):
        parse_span(text, "window", open_ends=True)


@pytest.mark.parametrize(
    "text", [">1e9C", "<-1e9C", "-1e9C..1e9C", "20C..20.000000000000004C", "0C..1e-300C"]
)
def test_the_widest_and_narrowest_ranges_can_be_drawn(text: str) -> None:
    celsius = np.linspace(-20, 400, 64 * 80, dtype=np.float32).reshape(64, 80)
    thermal = Thermal(np.zeros((64, 80), np.float32), celsius)
    shown = render(parse_render_options(None, text), np.full((64, 80), 0.5, np.float32), thermal)  # type: ignore[arg-type]
    assert shown.shape == (64, 80, 3)
    assert np.isfinite(shown).all()


@pytest.mark.parametrize("text", ["1e-300C", "1e300C", "0.01C+1e300"])
def test_scales_beyond_the_precision_of_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"scale: found"):
        parse_scale(text)


def test_a_window_whose_width_overflows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected two finite values"):
        ThermalOptions((-1e308, 1e308))


def test_histograms_of_parts_merge_to_the_window_of_all_images_in_any_order() -> None:
    rng = np.random.default_rng(3)
    images = [(rng.normal(base, 4, (20, 30)).astype(np.float32), True) for base in (-20.0, 5.0, 30.0, 31.0)]
    parts = []
    for some in (images[:1], images[1:3], images[3:]):
        part = WindowHistogram()
        for values, degrees in some:
            part.add(values, degrees)
        parts.append(WindowHistogram.from_array(part.to_array()))
    total = WindowHistogram()
    for part in reversed(parts):
        total.merge(part)
    assert total.rule() == shared_window(images)
    samples = np.concatenate([np.quantile(values, np.linspace(0, 1, 2048)) for values, _ in images])
    span = total.rule().span
    assert span is not None
    # bins have a relative width of 2^-16
    assert (span.low, span.high) == pytest.approx(np.percentile(samples, (1, 99)), rel=2**-15)


def test_whole_counts_of_16_bits_are_binned_without_loss() -> None:
    counts = np.arange(63488, 65536, dtype=np.uint16)  # as many as quantiles, so that each is one of them
    span = shared_window([(counts, False), (counts, False)]).span
    assert span is not None
    assert (span.low, span.high) == pytest.approx(np.percentile(np.repeat(counts, 2), (1, 99)), abs=1e-6)
