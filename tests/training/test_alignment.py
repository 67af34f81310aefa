"""Top-K channel alignment: what is selected, what gamma does, and that all of it is exact and repeatable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError, OutputError, UnknownNameError, UsageError
from ivfuse.training import alignment
from ivfuse.training.alignment import LEVELS, Options, align, gamma_table, measure_target, solve_gamma
from ivfuse.training.alignment_report import channel_distances, write_aligned
from ivfuse.training.color_pairs import ColorPair

FINE = {"patch": 8, "stride": 8}


def flat(*color: int, size: int = 8, name: str = "s") -> ColorPair:
    """One patch of one color; the thermal tells the red level."""
    vi = np.empty((size, size, 3), np.uint8)
    vi[:] = color
    return ColorPair(name, np.full((size, size), color[0], np.uint8), vi)


def textured(seed: int, height: int = 40, width: int = 56, low: int = 0, high: int = 256) -> ColorPair:
    rng = np.random.default_rng(seed)
    vi = rng.integers(low, high, (height, width, 3), np.uint8)
    return ColorPair(f"scene {seed}", rng.integers(0, 256, (height, width), np.uint8), vi)


def shares(values: Any) -> alignment.Floats:
    return np.bincount(np.asarray(values), minlength=256) / len(values)


# ------------------------------------------------------------------ patches and statistics


def test_patches_lie_on_a_grid_from_the_top_left_and_inside_the_image() -> None:
    scene = textured(0, 20, 29)
    options = Options(patch=8, stride=10)
    places, histograms = alignment.patch_histograms(scene.vi, options)
    assert places == [(0, 0), (0, 10), (0, 20), (10, 0), (10, 10), (10, 20)]
    for (top, left), found in zip(places, histograms, strict=True):
        window = scene.vi[top : top + 8, left : left + 8]
        for channel in range(3):
            assert np.allclose(found[channel], shares(window[..., channel].ravel()), atol=0, rtol=1e-12)
    assert alignment.patch_histograms(scene.vi[:7], options)[0] == []


def test_the_target_is_the_mean_over_all_its_patches() -> None:
    scenes = [textured(1), textured(2, 16, 16, high=100)]
    target = measure_target(scenes, Options(**FINE))
    windows = [s.vi[t : t + 8, le : le + 8] for s in scenes for t in range(0, s.vi.shape[0] - 7, 8)
               for le in range(0, s.vi.shape[1] - 7, 8)]  # fmt: skip
    assert target.patches.tolist() == [len(windows)]
    expected = np.mean([w.reshape(-1, 3).mean(0) for w in windows], axis=0)
    np.testing.assert_allclose(target.histograms[0] @ LEVELS, expected, rtol=1e-12)


# ------------------------------------------------------------------ distances


def test_distances_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.integers(0, 256, 500)) for _ in range(2))
    p, q = shares(a), shares(b)
    assert alignment.mean_distance(p, q) == pytest.approx(abs(a.mean() - b.mean()))
    # In one dimension the best transport joins sorted samples in their order.
    assert alignment.wasserstein(p, q) == pytest.approx(np.abs(a - b).mean())
    used = (p + q) > 0
    assert alignment.chi2(p, q) == pytest.approx(0.5 * ((p - q)[used] ** 2 / (p + q)[used]).sum())
    assert alignment.chi2(shares([1, 2]), shares([3])) == pytest.approx(1)
    for measure in alignment.DISTANCES.values():
        assert measure(p, p) == 0
        assert measure(p, q) == pytest.approx(measure(q, p))


# ------------------------------------------------------------------ selection


def test_the_nearest_are_kept_in_order_with_their_thermal_patches() -> None:
    target = measure_target([flat(100, 100, 100)], Options(**FINE))
    scenes = [flat(level, 100, 100, name=str(level)) for level in (160, 90, 104, 40, 101, 107)]
    found = align(scenes, target, Options(**FINE, k=4, gamma="none"))
    assert [p.source for p in found.patches] == ["101", "104", "107", "90"]
    assert [p.distance for p in found.patches] == pytest.approx([1, 4, 7, 10])
    assert [int(p.ir[0, 0]) for p in found.patches] == [101, 104, 107, 90]
    assert found.candidates == 6


def test_channels_add_up_and_equal_distances_keep_the_order_of_reading() -> None:
    target = measure_target([flat(100, 100, 100)], Options(**FINE))
    scenes = [flat(103, 100, 98, name="a"), flat(95, 100, 100, name="b"), flat(100, 106, 100, name="c")]
    found = align(scenes, target, Options(**FINE, k=None))
    assert [(p.source, p.distance) for p in found.patches] == [("a", 5), ("b", 5), ("c", 6)]


def test_selection_is_that_of_all_patches_at_once() -> None:
    """Scenes are read one at a time; that must not change what is kept."""
    options = Options(**FINE, k=15, distance="wasserstein")
    target = measure_target([textured(0, low=40, high=200)], options)
    scenes = [textured(seed) for seed in range(1, 6)]
    found = align(iter(scenes), target, options)
    everything = []
    for scene in scenes:
        places, histograms = alignment.patch_histograms(scene.vi, options)
        cost = alignment.wasserstein(histograms, target.histograms[0]).sum(-1)
        everything += [(value, scene.name, *place) for value, place in zip(cost, places, strict=True)]
    expected = sorted(everything, key=lambda row: row[0])[:15]
    assert [(p.distance, p.source, p.top, p.left) for p in found.patches] == expected


def test_means_cannot_tell_flat_from_textured_but_histograms_can() -> None:
    """The reason to offer other distances than the paper's."""
    rng = np.random.default_rng(0)
    like = ColorPair("like", np.zeros((8, 8), np.uint8), rng.integers(60, 200, (8, 8, 3), np.uint8))
    target = measure_target([textured(3, low=60, high=200)], Options(**FINE))
    means = (target.histograms[0] @ LEVELS).round().astype(int).tolist()
    scenes = [flat(*means, name="flat"), like]
    for distance, first in (("mean", "flat"), ("wasserstein", "like"), ("chi2", "like")):
        assert align(scenes, target, Options(**FINE, k=1, distance=distance)).patches[0].source == first


# ------------------------------------------------------------------ gamma


def test_the_table_is_the_published_formula() -> None:
    table, cut = gamma_table(1.7), gamma_table(1.7, truncate=True)
    exact = 255 * (LEVELS / 255) ** (1 / 1.7)
    assert np.abs(table - exact).max() <= 0.5
    assert ((exact - cut >= 0) & (exact - cut < 1)).all()
    assert gamma_table(1.0).tolist() == list(range(256))
    assert table[100] > 100 > gamma_table(0.6)[100]  # above 1 brightens


@pytest.mark.parametrize("gamma", [0.3, 0.8, 1.0, 1.37, 3.0])
@pytest.mark.parametrize("distance", ["mean", "wasserstein", "chi2"])
def test_a_gamma_that_was_applied_is_found_again(distance: str, gamma: float) -> None:
    values = np.random.default_rng(0).integers(30, 230, 20_000)
    moved = gamma_table(gamma)[values]
    found = solve_gamma(shares(values), shares(moved), Options(distance=distance))
    assert found == pytest.approx(gamma, rel=0.02 if distance == "chi2" else 0.005)  # levels are rounded


@pytest.mark.parametrize("distance", ["mean", "wasserstein", "chi2"])
@pytest.mark.parametrize("truncate", [False, True])
def test_no_gamma_of_a_fine_grid_is_better(distance: str, truncate: bool) -> None:
    rng = np.random.default_rng(1)
    source, target = (
        shares(rng.integers(20, 120, 5000)),
        shares(rng.normal(150, 30, 5000).astype(int).clip(0, 255)),
    )
    options = Options(distance=distance, truncate=truncate)
    measure = alignment.DISTANCES[distance]

    def cost(gamma: float) -> float:
        levels = gamma_table(gamma, truncate=True) if truncate else alignment._powers(gamma)
        return float(measure(alignment._remap(source, levels), target))

    best = min(cost(gamma) for gamma in np.geomspace(0.2, 5, 2000))
    found = solve_gamma(source, target, options)
    # chi2 is not smooth in gamma: the search may end in a neighboring dip
    assert cost(found) <= best + {"mean": 0.05, "wasserstein": 0.05, "chi2": 0.02}[distance]


def test_gamma_stays_within_its_bounds_and_at_one_where_it_does_nothing() -> None:
    dark, bright = shares([5, 9]), shares([250])
    assert solve_gamma(dark, bright, Options()) == pytest.approx(5)
    assert solve_gamma(bright, dark, Options(bounds=(0.5, 2.0))) == pytest.approx(0.5)
    assert solve_gamma(shares([0, 255]), bright, Options()) == 1


def test_each_channel_is_brought_to_the_target_and_the_thermal_is_left_alone() -> None:
    options = Options(**FINE, k=None)
    target = measure_target([textured(0, low=80, high=220)], options)
    scenes = [textured(seed, low=10, high=120) for seed in (1, 2)]
    found = align(scenes, target, options)
    assert found.gammas.shape == (1, 3)
    after = alignment.pooled_histogram(found.corrected(p) for p in found.patches) @ LEVELS
    np.testing.assert_allclose(after, target.histograms[0] @ LEVELS, atol=0.5)  # levels are rounded
    patch = found.patches[0]
    scene = scenes[int(patch.source.split()[1]) - 1]
    window = (slice(patch.top, patch.top + 8), slice(patch.left, patch.left + 8))
    assert np.array_equal(patch.ir, scene.ir[window])
    assert np.array_equal(patch.vi, scene.vi[window])
    distances = channel_distances(found)["mean"]
    assert max(distances["after"].values()) < 0.5 < min(distances["before"].values())


def test_a_gray_set_stays_gray() -> None:
    gray = np.repeat(textured(0).vi[..., :1], 3, axis=2)
    target = measure_target([ColorPair("g", gray[..., 0], gray)], Options(**FINE))
    darker = (gray * 0.6).astype(np.uint8)
    found = align([ColorPair("d", gray[..., 0], darker)], target, Options(**FINE))
    out = found.corrected(found.patches[0])
    assert (out == out[..., :1]).all()


def test_each_cluster_of_the_target_has_its_own_gamma() -> None:
    options = Options(**FINE, k=None, gamma="cluster", clusters=2)
    target = measure_target([textured(0, low=10, high=60), textured(1, low=180, high=250)], options)
    means = (target.histograms @ LEVELS).mean(1)
    found = align([textured(2, low=20, high=90), textured(3, low=150, high=240)], target, options)
    assert sorted(target.patches.tolist()) == [35, 35]
    for patch in found.patches:
        assert (patch.source == "scene 2") == (means[patch.group] < 100)
    dark, bright = np.argsort(means)
    assert (found.gammas[dark] < 1).all()  # darkened to the dark cluster
    assert (found.gammas[bright] > 1).all()


def test_a_cluster_without_patches_keeps_gamma_one() -> None:
    options = Options(**FINE, gamma="cluster", clusters=2)
    target = measure_target([textured(0, low=10, high=60), textured(1, low=180, high=250)], options)
    found = align([textured(2, low=20, high=90)], target, options)
    (used,) = {patch.group for patch in found.patches}
    assert found.gammas[1 - used].tolist() == [1, 1, 1]


def test_clusters_are_the_same_on_every_run_and_none_is_empty() -> None:
    points = np.concatenate(
        [np.random.default_rng(i).normal(c, 1, (20, 3)) for i, c in enumerate((0, 50, 90))]
    )
    labels = alignment.k_means(points, 3)
    assert np.array_equal(labels, alignment.k_means(points, 3))
    assert len({tuple(sorted(set(labels[i : i + 20]))) for i in (0, 20, 40)}) == 3
    assert set(alignment.k_means(points, 7)) == set(range(7))
    assert set(alignment.k_means(np.ones((5, 3)), 4)) == {0}  # there is but one place


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"k": 0}, UsageError, "k: found 0, expected 1 or more"),
        ({"patch": 0}, UsageError, "patch: found 0"),
        ({"stride": -1}, UsageError, "stride: found -1"),
        ({"distance": "wasserstien"}, UnknownNameError, "did you mean wasserstein"),
        ({"gamma": "sets"}, UnknownNameError, "did you mean set"),
        ({"bounds": (2.0, 1.0)}, UsageError, "bounds: found 2 to 1"),
        ({"bounds": (0.0, 1.0)}, UsageError, "bounds"),
    ],
)
def test_an_option_out_of_range_is_named(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Options(**wrong)


def test_images_smaller_than_a_patch_are_skipped_unless_there_is_nothing_else() -> None:
    options = Options(**FINE)
    target = measure_target([flat(9, 9, 9, size=4), flat(100, 100, 100)], options)
    assert target.patches.tolist() == [1]
    assert align([flat(9, 9, 9, size=4), flat(80, 80, 80)], target, options).candidates == 1
    with pytest.raises(InputError, match="target: no image is as large as a patch of 8x8"):
        measure_target([flat(9, 9, 9, size=7)], options)
    with pytest.raises(InputError, match="external: no image is as large as a patch of 8x8"):
        align([flat(9, 9, 9, size=7)], target, options)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(**FINE)
    found = align([flat(80, 80, 80)], measure_target([flat(100, 100, 100)], options), options)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ivfuse.training.alignment_report.histogram_chart", full)
    with pytest.raises(OutputError, match="out: cannot be written: No space left"):
        write_aligned(tmp_path / "out", found, {"target": "t", "external": "e"})
    assert list(tmp_path.iterdir()) == []


def test_alignment_needs_no_torch() -> None:
    code = "import ivfuse.training.alignment_report, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
