"""A thermal image that ends inside the visible is continued, so that its border is no edge."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.extrapolation import extrapolate

SHAPES = [(1, 1), (1, 7), (3, 2), (60, 80), (301, 1111)]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_known_stays_bit_for_bit_and_the_rest_lies_between(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).uniform(0.2, 0.8, shape).astype(np.float32)
    weight = np.zeros(shape, np.float32)
    weight[: -(-shape[0] // 2), : -(-shape[1] // 2)] = 1
    before = values.copy()
    out = extrapolate(values, weight)
    known = weight == 1
    assert np.array_equal(out[known], values[known])
    assert np.array_equal(values, before)
    slack = 1e-6
    assert values[known].min() - slack <= out.min() <= out.max() <= values[known].max() + slack
    assert out.dtype == np.float32


def test_a_gradient_goes_on_without_a_step_at_the_border() -> None:
    columns = np.linspace(0.1, 0.9, 320, dtype=np.float32)
    values = np.tile(columns, (240, 1))
    weight = np.zeros_like(values)
    weight[:, 80:240] = 1
    out = extrapolate(np.where(weight == 1, values, 0), weight)
    assert np.abs(np.diff(out, axis=1)).max() < 0.03
    assert out[:, 0] == pytest.approx(float(columns[80]), abs=0.12)
    assert out[:, -1] == pytest.approx(float(columns[239]), abs=0.12)


def test_values_without_any_weight_become_zeros() -> None:
    values = np.full((50, 70), 0.5, np.float32)
    assert not extrapolate(values, np.zeros_like(values)).any()


@pytest.mark.parametrize("method", ["swift", "laplacian", "guided-filter"])
def test_the_border_of_a_thermal_image_inside_the_visible_is_no_edge_of_the_result(method: str) -> None:
    rows, columns = np.mgrid[:240, :320].astype(np.float32)
    ir = 0.1 + 0.02 * np.sin(columns / 9) * np.sin(rows / 7)  # a cold, cloudy sky
    vi = 0.8 + 0.02 * np.sin(columns / 5) * np.sin(rows / 8)
    coverage = np.zeros_like(ir)
    coverage[60:180, 80:240] = 1
    fuser = Fuser(method)
    whole = fuser.fuse_covered(ir, vi, None)
    part = fuser.fuse_covered(np.where(coverage == 1, ir, 0), vi, coverage)
    assert np.array_equal(part[coverage == 0], vi[coverage == 0])
    assert np.abs(part - whole)[coverage == 1].max() < 0.1
