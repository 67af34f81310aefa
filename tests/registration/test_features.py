"""The features that registration compares: of any size, alike in both bands, with a clear line if missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.registration import features
from ivfuse.registration.features import describe


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A place for another network."""
    path = tmp_path / "matcher.onnx"
    monkeypatch.setattr(features, "NETWORK", path)
    features._network.cache_clear()
    yield path
    features._network.cache_clear()


@pytest.mark.parametrize("band", ["ir", "vi"])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (97, 131)])
def test_any_size_gives_features_of_that_size(band: Any, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random(size, dtype=np.float32)
    found = describe(image, band)
    assert found.shape == (8, *size)
    assert np.linalg.norm(found, axis=0).max() <= 1
    assert np.array_equal(found, describe(image, band))


@pytest.mark.parametrize("band", ["ir", "vi"])
def test_where_nothing_is_there_is_little_to_tell(band: Any, shot: Any) -> None:
    flat = (describe(np.full((64, 64), 0.3, np.float32), band) ** 2).sum(axis=0).mean()
    street = (describe({"ir": shot.ir, "vi": shot.vi}[band], band) ** 2).sum(axis=0).mean()
    assert flat < 0.5 * street


def test_both_bands_of_one_place_are_more_alike_than_of_two(shoot: Any) -> None:
    shot = shoot([(0, 0), (640, 0), (640, 480), (0, 480)], size=(640, 480))
    ir, vi = describe(shot.ir, "ir"), describe(shot.vi, "vi")
    here = float((ir * vi).sum(axis=0).mean())
    apart = max(abs(float((np.roll(ir, way, axis=(1, 2)) * vi).sum(axis=0).mean())) for way in (40, 90, 150))
    assert here > 3 * apart


def test_a_missing_or_damaged_network_is_one_clear_line(network: Path) -> None:
    image = np.zeros((8, 8), np.float32)
    with pytest.raises(InputError, match=r"matcher\.onnx: no such file"):
        describe(image, "ir")
    network.write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"matcher\.onnx: not a network"):
        describe(image, "ir")
