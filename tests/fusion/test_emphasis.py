"""Level and detail of what a method changes are scaled apart, whatever the method."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ivfuse
from ivfuse.cli import method_options
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.fusion.emphasis import EMPHASES, Emphasis, emphasize
from ivfuse.fusion.manifest import load_manifest, parse_entry
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma
from ivfuse.synthetic.street import street_scene


def changed(shape: tuple[int, int] = (240, 320)) -> tuple[Gray, Gray]:
    """A gray visible, and a fused image that is brighter on the left and has a small target on the right."""
    vi = np.full(shape, 0.4, np.float32)
    fused = vi.copy()
    fused[:, : shape[1] // 2] += 0.2
    fused[100:106, 240:246] += 0.3
    return fused, vi


def test_areas_change_by_the_level_and_small_targets_by_the_detail() -> None:
    fused, vi = changed()
    out = emphasize(fused.copy(), vi, Emphasis(0.5, 1.5))
    assert out[50:200, 20:140] == pytest.approx(0.5, abs=1e-6)
    assert out[100:106, 240:246] == pytest.approx(0.4 + 1.5 * 0.3, abs=1e-6)
    assert out[200:, 200:] == pytest.approx(0.4, abs=1e-6)


def test_the_halo_beside_the_edge_of_an_area_is_one_cell_wide() -> None:
    fused, vi = changed()
    out = emphasize(fused.copy(), vi, Emphasis(0.5, 1.5))
    cell = 320 // 80
    assert out[120, 160 + cell :] == pytest.approx(0.4, abs=1e-6)
    assert out[120, : 160 - cell] == pytest.approx(0.5, abs=1e-6)


def test_a_large_image_needs_little_memory_and_has_no_seams() -> None:
    vi = np.full((1200, 2400), 0.4, np.float32)
    fused = vi + np.linspace(0, 0.2, 1200, dtype=np.float32)[:, np.newaxis]
    tracemalloc.start()
    try:
        out = emphasize(fused, vi, Emphasis(0.5, 1.5))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / vi.size < 1  # a float32 array of the same size would be 4 bytes per pixel
    cell = 2400 // 80
    inside = out[3 * cell : -3 * cell]  # where the window lies in the image
    assert np.diff(inside, axis=0) == pytest.approx(0.5 * 0.2 / 1199, abs=1e-5)


def test_by_night_an_area_keeps_the_level_that_the_method_gives() -> None:
    vi, fused = np.zeros((2, 240, 320), np.float32)
    fused += 0.4
    assert emphasize(fused.copy(), vi, Emphasis(0.5, 1.5)) == pytest.approx(0.4, abs=1e-6)
    assert emphasize(fused.copy(), vi + 0.125, Emphasis(0.5, 1.5)) == pytest.approx(
        0.125 + 0.75 * 0.275, abs=1e-6
    )


def test_a_dark_halo_is_lighter_by_day_and_stays_by_night_beside_lit_windows_and_over_clipped_white() -> None:
    def shaded(vi: Gray) -> float:
        fused = vi.copy()
        fused[:, 156:164] -= 0.1  # two cells
        return float((vi - emphasize(fused, vi, Emphasis(0.6, 1.2, shade=0.5)))[120, 158:162].mean())

    day = np.full((240, 320), 0.7, np.float32)
    night = np.full((240, 320), 0.1, np.float32)
    lit = night.copy()
    lit[110:130, 150:170] = 0.9
    assert shaded(day) == pytest.approx(0.5 * 1.2 * 0.1, abs=0.01)
    assert shaded(night) == pytest.approx(0.1, abs=1e-3)  # all that there is
    assert shaded(lit) > 0.9 * 1.2 * 0.1
    assert shaded(np.ones_like(day)) == pytest.approx(1.2 * 0.1, abs=0.01)


def test_none_is_the_result_of_the_method() -> None:
    fused, vi = changed()
    assert np.array_equal(emphasize(fused.copy(), vi, EMPHASES["none"]), fused)
    ir, vi = pair()
    assert np.array_equal(Fuser(Halves(), emphasis="none").fuse(ir, vi), (ir + vi) / 2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 200), (640, 480), (81, 79)])
@pytest.mark.parametrize("name", EMPHASES)
def test_any_size_stays_in_range_and_nothing_changed_stays_nothing(shape: tuple[int, int], name: str) -> None:
    rng = np.random.default_rng(0)
    vi, fused = rng.random((2, *shape), np.float32)
    out = emphasize(fused.copy(), vi, EMPHASES[name])  # type: ignore[index]
    assert out.shape == shape
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 1
    assert emphasize(vi.copy(), vi, EMPHASES[name]) == pytest.approx(vi, abs=1e-6)  # type: ignore[index]


class Halves:
    """The mean of both images."""

    def __init__(self, info: MethodInfo | None = None) -> None:
        self.info = info or MethodInfo("halves", "learned", "the mean of both", "none")

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        return (ir + vi) / 2


def pair() -> tuple[Gray, Gray]:
    ir, vi = np.random.default_rng(1).random((2, 60, 80), np.float32)
    return ir, vi


@pytest.mark.parametrize(
    "kind",
    [
        lambda fused: fused.astype(np.float64),
        np.asfortranarray,
        lambda fused: fused[::-1].copy()[::-1],
        lambda fused: np.broadcast_to(fused[:1], fused.shape),
    ],
)
@pytest.mark.parametrize("name", ["none", "balanced"])
def test_a_method_may_return_any_layout_and_type(name: str, kind: Callable[[Gray], Gray]) -> None:
    class Other(Halves):
        def fuse(self, ir: Gray, vi: Gray) -> Gray:
            return kind(super().fuse(ir, vi))

    class Plain(Halves):
        def fuse(self, ir: Gray, vi: Gray) -> Gray:
            return np.array(kind(super().fuse(ir, vi)), np.float32, order="C")

    ir, vi = pair()
    out = Fuser(Other(), emphasis=name).fuse(ir, vi)
    assert out.dtype == np.float32
    assert np.array_equal(out, Fuser(Plain(), emphasis=name).fuse(ir, vi))


def test_strength_and_coverage_hold_with_an_emphasis() -> None:
    ir, vi = pair()
    full = Fuser(Halves(), emphasis="targets").fuse(ir, vi)
    some = Fuser(Halves(), emphasis="targets", strength=0.25).fuse(ir, vi)
    assert some == pytest.approx(vi + 0.25 * (full - vi), abs=1e-6)
    coverage = np.zeros_like(vi)
    coverage[:, :40] = 1
    covered = Fuser(Halves(), emphasis="targets").fuse_covered(ir, vi, coverage)
    assert np.array_equal(covered[:, 40:], vi[:, 40:])
    assert np.abs(covered[:, :40] - vi[:, :40]).mean() > 0.1


@pytest.mark.parametrize("reduction", [1, 2])
def test_the_emphasis_follows_what_the_thermal_covers(reduction: int) -> None:
    """The part that the thermal covers is fused as it is alone, but for its border."""
    scene = street_scene(480, 640, seed=2, time="day")
    ir, vi, part = scene.ir, luma(scene.vi), (slice(96, 320), slice(160, 480))
    coverage = np.zeros_like(vi)
    coverage[part] = 1
    fuser = Fuser(Halves(), emphasis="targets")
    shapes = [
        None if reduction == 1 else (h // reduction, w // reduction) for h, w in ((480, 640), (224, 320))
    ]
    whole = fuser.fuse_covered(ir, vi, coverage, shapes[0])
    alone = fuser.fuse_covered(ir[part], vi[part], None, shapes[1])
    inside = (slice(32, -32), slice(32, -32))
    assert whole[part][inside] == pytest.approx(alone[inside], abs=1e-5)
    assert np.array_equal(whole[coverage == 0], vi[coverage == 0])


def test_nothing_is_emphasized_where_the_thermal_covers_nothing() -> None:
    ir, vi = pair()
    assert np.array_equal(Fuser(Halves(), emphasis="targets").fuse_covered(ir, vi, np.zeros_like(vi)), vi)


def test_a_method_has_an_emphasis_of_its_own_that_the_user_replaces() -> None:
    ir, vi = pair()
    own = Halves(replace(Halves().info, emphasis="detail"))
    images = {name: Fuser(Halves(), emphasis=name).fuse(ir, vi) for name in EMPHASES}
    assert np.array_equal(Fuser(own).fuse(ir, vi), images["detail"])
    assert np.array_equal(Fuser(own, emphasis="natural").fuse(ir, vi), images["natural"])
    assert len({image.tobytes() for image in images.values()}) == len(EMPHASES)


def test_the_names_say_what_they_do_with_the_default_method() -> None:
    scene = street_scene(240, 320, seed=3, time="day")
    images = {name: Fuser(emphasis=name, gray=True, threads=1).fuse(scene.ir, scene.vi) for name in EMPHASES}
    away = {name: float(np.abs(image - luma(scene.vi)).mean()) for name, image in images.items()}
    detail = {name: float(np.abs(np.diff(image, axis=1)).mean()) for name, image in images.items()}
    assert min(away, key=away.__getitem__) == "natural"
    assert max(detail, key=detail.__getitem__) in ("detail", "targets")


def test_help_and_page_offer_every_name() -> None:
    page = Path(ivfuse.__file__).with_name("server") / "static" / "index.html"
    choice = page.read_text(encoding="utf-8").partition('<select id="emphasis"')[2].partition("</select>")[0]
    assert re.findall(r'value="(\w+)"', choice) == [*EMPHASES]
    (option,) = method_options.Emphasis.__metadata__
    assert re.findall(r"(\w+)(?: \(|,)", option.help) == [*EMPHASES]


def test_unknown_names_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match="natural"):
        Fuser("average", emphasis="natrual")
    name, entry = next(iter(load_manifest().models.items()))
    facts = {"file": entry.file, "sha256": entry.sha256, "size": 1, "summary": "s", "paper": "p"}
    facts |= {"parameters": 1, "variant": "fixed", "license": "MIT", "version": "1", "emphasis": "loud"}
    with pytest.raises(InputError, match="emphasis = 'loud', expected one of balanced"):
        parse_entry(name, facts, Path("manifest.toml"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("loud", "known: balanced, detail, natural, none, targets"), ("natrual", "natural"), (None, "a name")],
)
def test_a_method_made_in_python_has_an_emphasis_that_there_is(name: object, message: str) -> None:
    with pytest.raises((UnknownNameError, UsageError), match=f"^emphasis of the method 'own': .*{message}"):
        MethodInfo("own", "learned", "", "", emphasis=name)  # type: ignore[arg-type]
