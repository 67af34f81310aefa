"""The measure of blocks: nothing in a smooth image, a lot at the grid of a blocky one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def bench(load_program: Callable[[str], Any]) -> Any:
    return load_program("block_energy")


def noise(height: int, width: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def test_noise_has_no_blocks_and_a_mosaic_has_them_where_they_begin(bench: Any) -> None:
    largest, _, opposite = bench.excess(bench.energies([noise(320, 320, s) for s in range(3)]))
    assert 1 <= largest < 1.1
    assert opposite < 1.1
    mosaic = np.kron(noise(20, 20), np.ones((16, 16), np.float32))[11:, 11:]  # the next block begins at 5
    found = bench.energies([mosaic])
    assert found.argmax() == 5
    assert np.delete(found, 5).max() == 0
    faint = bench.excess(bench.energies([noise(309, 309) + 0.3 * mosaic]))
    assert faint[1] == 5
    assert faint[0] > 1.05


def test_blocks_of_half_the_period_cancel_against_the_opposite(bench: Any) -> None:
    eighths = np.kron(noise(60, 60), np.ones((8, 8), np.float32)) + 0.1 * noise(480, 480, 1)
    largest, offset, opposite = bench.excess(bench.energies([eighths]))
    assert largest > 10
    assert offset in (0, 8)
    assert opposite < 1.2


def test_energies_are_means_over_all_lines_of_an_offset(bench: Any) -> None:
    image = np.zeros((1, 33), np.float32)
    image[:, 16:] = 0.5  # of the lines before pixels 16 and 32 one has a step of 0.5
    found = bench.energies([image])
    assert found[0] == pytest.approx(0.125)
    assert found[1:].max() == 0


def test_a_folder_is_measured_for_every_method(
    bench: Any, load_program: Callable[[str], Any], tmp_path: Path, make_pair: Callable[..., Any]
) -> None:
    for name in "abc":
        make_pair(tmp_path / "ir" / f"{name}.png", tmp_path / "vi" / f"{name}.png")
    found = list(load_program("inputs").luma_pairs(tmp_path, 2))
    assert [name for name, _, _ in found] == ["a", "b"]
    pairs = [(ir, vi) for _, ir, vi in found]
    blocky = lambda ir, vi: cv2.resize(cv2.resize(ir, (4, 3)), (64, 48), interpolation=cv2.INTER_NEAREST)  # noqa: E731
    table = bench.measure(pairs, {"mean": lambda ir, vi: (ir + vi) / 2, "blocky": blocky}, 16)
    assert list(table) == ["(infrared)", "(visible)", "mean", "blocky"]
    assert table["blocky"][0] > 100
    assert bench.markdown("x", table).splitlines()[-1].startswith("| blocky | ")
