"""The ablation of crossfuse-topk: five configurations that differ in what they say they differ in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("torch")

from ivfuse.metrics.evaluate import DEFAULT_METRICS  # noqa: E402
from ivfuse.training.stages import check_recipe  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ablation(load_program: Callable[[str], Any]) -> Any:
    return load_program("topk_ablation")


@pytest.fixture
def base() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "recipes/crossfuse-topk/cpu.yaml").read_text("utf-8"))
    return content


def test_every_configuration_can_run_on_the_same_budget(ablation: Any, base: dict[str, Any]) -> None:
    recipes = [ablation.variant(base, name, 900, 7) for name in ablation.NAMES]
    for recipe in recipes:
        check_recipe(recipe)
    shares = [stage["steps"] for stage in base["stages"]]
    expected = tuple(round(900 * share / sum(shares)) for share in shares)
    assert {tuple(s.steps for s in r.stages) for r in recipes} == {expected}
    assert {r.seed for r in recipes} == {7}
    assert {tuple(p.path for p in r.data.train) for r in recipes} == {("roadscene/train",)}
    assert not any(r.data.val for r in recipes)  # nothing that is judged may choose


def test_configurations_differ_in_data_and_view_alone(ablation: Any, base: dict[str, Any]) -> None:
    recipes = {name: ablation.variant(base, name, 900, 1) for name in ablation.NAMES}
    external = {name: r.data.external for name, r in recipes.items()}
    assert external["roadscene"] is None
    assert (external["external"].k, external["external"].gamma) == (None, "none")
    assert external["aligned"] == external["blur"] == external["consistency"]
    assert (external["aligned"].k, external["aligned"].gamma) == (1000, "cluster")
    for index in (i for i, stage in enumerate(base["stages"]) if stage["task"] == "fuse"):
        terms = {name: {t.name for t in r.stages[index].loss} for name, r in recipes.items()}
        plain = terms["aligned"]
        assert terms["roadscene"] == terms["external"] == plain
        assert (terms["blur"] - plain, terms["consistency"] - plain) == ({"blur"}, {"consistency"})


def test_a_finished_run_is_judged_once_and_another_recipe_is_not_mixed_with_it(
    ablation: Any, base: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []

    def train(recipe: Any, data: Path, out: Path) -> Path:
        trained.append(recipe.seed)
        out.mkdir(exist_ok=True)
        return out

    monkeypatch.setattr(ablation, "train", train)
    monkeypatch.setattr(ablation, "judge", lambda _, __, sets: {s: {"EN": len(trained)} for s in sets})
    one, two = (ablation.variant(base, "aligned", 900, seed) for seed in (1, 2))
    first = ablation.finished(one, tmp_path, tmp_path / "x", ["a"])
    assert ablation.finished(one, tmp_path, tmp_path / "x", ["a"]) == first
    assert trained == [1]
    assert ablation.finished(one, tmp_path, tmp_path / "x", ["a", "b"]) == {"a": {"EN": 1}, "b": {"EN": 2}}
    ablation.finished(two, tmp_path, tmp_path / "x", ["a"])
    assert trained == [1, 1, 2]


def test_the_table_holds_means_and_spreads(ablation: Any) -> None:
    def scores(value: float) -> Any:
        return {"tno_val": dict.fromkeys(DEFAULT_METRICS, value)}

    results = {"low": [scores(1.0), scores(2.0)], "high": [scores(3.0)]}
    table = ablation.ranked(results, "tno_val", spread=True)
    head, _, low, high = table.splitlines()
    assert head.startswith("| tno_val | seeds | EN |")
    assert low.startswith("| low | 2 | 1.500 (1.000) |")
    assert low.endswith("| 2.00 |")
    assert high.startswith("| high | 1 | 3.000 (0.000) |")
