"""A short, seeded run of the harness: mutated files end in a result or in one line, and print nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("av", reason="the corpus has videos")
pytest.importorskip("torch", reason="the corpus has weights")
pytest.importorskip("imagecodecs", reason="the corpus has TIFF files of all compressions")

from fuzz.mutations import mutate, structure_of
from fuzz.seeds import KINDS, corpus
from fuzz.targets import case_of, judge
from ivfuse.image.read import read_visible

COUNTS = {"images": 150, "thermal": 40, "video": 20, "files": 40}
UNSUPPORTED = (".pgm", ".ppm")


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_used_or_refused_in_one_line(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus(kind)
    capfd.readouterr()
    results = set()
    for number in range(COUNTS[kind]):
        folder = tmp_path / str(number)
        folder.mkdir()
        name, data = case_of(kind, 2024, number)
        outcome = judge(name, data, folder)
        assert outcome.result != "failed", f"{name}: {outcome.reason}\n{outcome.details}"
        assert capfd.readouterr() == ("", ""), name
        results.add(outcome.result)
    assert results == {"done", "refused"}


def test_the_files_that_are_mutated_are_valid(tmp_path: Path) -> None:
    for name, data in corpus("images").items():
        if not name.endswith(UNSUPPORTED):
            (tmp_path / name).write_bytes(data)
            assert read_visible(tmp_path / name).width in (36, 48), name


def test_a_seed_gives_the_same_file_again_and_another_one_another_file() -> None:
    assert case_of("images", 5, 17) == case_of("images", 5, 17)
    assert case_of("images", 5, 17) != case_of("images", 6, 17)


def test_structures_are_found_in_every_container() -> None:
    for kind in ("images", "thermal", "video"):
        for name, data in corpus(kind).items():
            found = structure_of(name, data)
            assert found.fields, name
            assert found.blocks, name
            assert all(0 <= at < len(data) for at, _, _ in found.fields), name


def test_mutations_change_nearly_every_file() -> None:
    data = corpus("images")["color-8.png"]
    changed = [mutate("color-8.png", data, random.Random(seed), [data]) for seed in range(100)]
    assert sum(each != data for each in changed) > 80
