"""The extra `metrics` compiles the slow metrics: the same numbers, and no Numba before they are asked."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from ivfuse.metrics import METRICS, compiled, features, features_wavelet, features_windows, perception_phase
from ivfuse.metrics import perception_phase_steps as steps
from ivfuse.metrics.compiled import compiled_loops
from ivfuse.metrics.triple import Sources, Triple

numba = pytest.importorskip("numba", reason="needs the extra metrics")

SLOW = ("FMI_raw", "FMI_gradient", "FMI_dct", "FMI_wavelet", "Qp")
CLOSE = {"rel": 1e-10, "abs": 1e-12}


@pytest.fixture
def loops() -> Callable[[str], ModuleType]:
    """Modules of compiled loops, which must be there if Numba is."""

    def find(name: str) -> ModuleType:
        module = compiled_loops(name)
        assert module is not None
        return module

    return find


def values_of(triple: Callable[[], Triple], names: tuple[str, ...] = SLOW) -> dict[str, float]:
    return {name: METRICS[name].function(triple()) for name in names}


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (features, perception_phase):
        monkeypatch.setattr(module, "compiled_loops", lambda name: None)


@pytest.mark.parametrize("shape", [(64, 80), (63, 81), (97, 48), (31, 200)])
def test_compiled_metrics_have_the_values_of_numpy(monkeypatch, scene_of, shape) -> None:
    scene = scene_of(*shape)
    found = values_of(lambda: Triple(Sources(scene.ir, scene.vi), scene.fused))
    without_numba(monkeypatch)
    expected = values_of(lambda: Triple(Sources(scene.ir, scene.vi), scene.fused))
    assert found == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("shape", [(3, 3), (3, 90), (91, 3), (4, 5)])
def test_tiny_images_too(monkeypatch, scene_of, shape) -> None:
    scene, names = scene_of(*shape), ("FMI_raw", "FMI_gradient", "FMI_wavelet")
    found = values_of(lambda: Triple(Sources(scene.ir, scene.vi), scene.fused), names)
    without_numba(monkeypatch)
    expected = values_of(lambda: Triple(Sources(scene.ir, scene.vi), scene.fused), names)
    assert found == pytest.approx(expected, **CLOSE)


def maps(kind: str) -> tuple[np.ndarray, ...]:
    """Two sources and a fused map whose windows are special."""
    dice = np.random.default_rng(3)
    first, second, fused = dice.normal(0, 20, (3, 23, 41))
    if kind == "flat":
        first[:, :20], second[:12], fused[6:, 10:] = 7.5, -3, 1e-9
    elif kind == "one peak":
        first[:], fused[:] = 0, -5
        first[2::3, 1::3], fused[2::3, 1::4] = 9, 1e5
    elif kind == "two peaks":
        first, second, fused = (np.where(part > 25, part, 0) for part in (first, second, fused))
    elif kind == "equal":
        first = fused.copy()
    elif kind == "scaled":
        first, second = 3 * fused + 1, 7 - fused
    elif kind == "steep":
        first, second, fused = (np.exp(part / 8) for part in (first, second, fused))
    return first, second, fused


@pytest.mark.parametrize("kind", ["negative", "flat", "one peak", "two peaks", "equal", "scaled", "steep"])
def test_windows_of_every_kind_share_as_much_as_in_numpy(loops, kind) -> None:
    expected = features_windows.sum_shared(maps(kind))
    assert math.isfinite(expected)
    assert loops("windows").sum_shared(maps(kind)) == pytest.approx(expected, rel=1e-10)


def test_equal_and_flat_windows_share_all(loops) -> None:
    windows = 21 * 39
    _, _, fused = maps("negative")
    flat = np.full_like(fused, 4)
    sum_shared = loops("windows").sum_shared
    assert sum_shared((fused, fused.copy(), fused)) == pytest.approx(2 * windows, rel=1e-12)
    assert sum_shared((flat, flat - 9, flat)) == 2 * windows
    assert sum_shared((flat, flat, fused)) == pytest.approx(0, abs=1e-9)


def test_the_logarithm_is_that_of_the_library_within_two_units_in_the_last_place(loops) -> None:
    logarithm, dice = loops("windows").logarithm, np.random.default_rng(0)
    values = [
        *np.exp(dice.uniform(math.log(features_windows.TINY), 700, 4000)),
        *dice.uniform(0.4, 2.2, 4000),
        *(1 + dice.uniform(-1e-9, 1e-9, 1000)),
        *(
            features_windows.TINY,
            math.sqrt(0.5),
            1 - 2**-53,
            1 + 2**-52,
            math.sqrt(2),
            2.0,
            sys.float_info.max,
        ),
    ]
    errors = [abs(logarithm(value) - math.log(value)) / math.ulp(math.log(value)) for value in values]
    assert max(errors) <= 2
    assert logarithm(1.0) == 0


@pytest.mark.parametrize("shape", [(3, 3), (48, 64), (33, 51)])
def test_the_steps_of_phase_congruency_agree(loops, shape) -> None:
    dice, step = np.random.default_rng(1), loops("phase")
    height, width = shape
    spectrum = dice.normal(size=shape) + 1j * dice.normal(size=shape)
    angular, *radial = dice.random((5, *shape))
    noise, found = 0.4, []
    for each in (steps, step):
        responses, part = np.empty((4, *shape), complex), np.empty((4, width - 2, height), complex)
        gathered, sums = np.zeros((4, width, height)), np.ones((5, width, height))
        each.weigh(spectrum, angular, tuple(radial), responses, 0, height - 1)
        each.weigh(spectrum, angular, tuple(radial), responses, height - 1, height)
        each.transpose(responses, 2, part)
        each.measure(part.copy(), gathered, 2)
        measured = gathered.copy()
        each.gather(gathered, noise, 0.6, 0.8, sums, 1, width)
        squares = each.sum_squares(radial[0], radial[1], angular)
        found.append((responses, part, measured, sums, np.array(squares)))
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (4, 30), (40, 5), (25, 37)])
def test_the_local_likeness_of_features_agrees(loops, shape) -> None:
    dice = np.random.default_rng(2)
    masks = tuple((dice.random((3, *shape)) > 0.4) * 1.0)
    sources = tuple(mask * values for mask, values in zip(masks, dice.random((3, *shape)), strict=True))
    fused = dice.random(shape)
    expected = steps.sum_likeness(sources, masks, fused)
    assert loops("phase").sum_likeness(sources, masks, fused) == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("count", [205, 206, 842])
def test_the_wavelet_agrees_and_is_the_same_all_over_a_flat_region(loops, count) -> None:
    low = np.array(features_wavelet.meyer())
    values = np.full((count, 13), 0.7)
    values[:, 4:] = np.random.default_rng(4).random((count, 9))
    expected, found = (each.halve(values, low, low[::-1]) for each in (features_wavelet, loops("wavelet")))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-13)
        assert len(np.unique(other[:, :4])) == 1


def test_without_numba_there_are_no_loops_and_the_metrics_still_work(monkeypatch, scene) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    for name in [name for name in sys.modules if name.startswith(f"{compiled.__name__}.")]:
        monkeypatch.delitem(sys.modules, name)
    compiled_loops.cache_clear()
    try:
        assert compiled_loops("windows") is None
        assert 0 < METRICS["FMI_raw"].function(Triple(Sources(scene.ir, scene.vi), scene.fused)) < 1
    finally:
        compiled_loops.cache_clear()


def test_numba_is_not_imported_for_the_common_metrics() -> None:
    code = (
        "import sys, numpy as np, ivfuse.metrics as m\n"
        "image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)\n"
        "m.evaluate_arrays(image, image.T.copy(), image, m.DEFAULT_METRICS)\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_processes_that_compile_at_the_same_time_share_a_cache(tmp_path) -> None:
    code = (
        "import numpy as np; from ivfuse.metrics.compiled import windows as w\n"
        "print(w.sum_shared(tuple(np.random.default_rng(0).random((3, 9, 9)))), end=' ')\n"
        "print(sum(w.sum_shared.stats.cache_hits.values()))"
    )
    start = {"stdout": subprocess.PIPE, "text": True, "env": {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}}
    together = [subprocess.Popen([sys.executable, "-c", code], **start) for _ in range(2)]
    results = [process.communicate()[0].split() for process in together]
    later = subprocess.run([sys.executable, "-c", code], check=True, **start).stdout.split()
    assert later[1] == "1"
    assert {result[0] for result in results} == {later[0]}


def test_where_no_folder_can_be_written_loops_compile_each_time(monkeypatch, loops) -> None:
    loops("windows")
    from ivfuse.metrics.compiled import jit

    def njit(cache: bool = False, **options: object) -> Callable[..., object]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(jit, "njit", njit)
    assert jit.loop(abs_of)(-2.0) == 2.0


def abs_of(value: float) -> float:
    return abs(value)
