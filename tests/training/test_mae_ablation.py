"""The ablation of maefuse: one budget, one base, and a program that goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.training.checkpoint import load_state  # noqa: E402
from ivfuse.training.stages import check_recipe  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ablation(load_program: Callable[[str], Any]) -> Any:
    return load_program("maefuse_ablation")


def test_every_configuration_can_run_on_the_same_budget(ablation: Any) -> None:
    content = yaml.safe_load((ROOT / "recipes/maefuse/cpu.yaml").read_text("utf-8"))
    recipes = {name: ablation.variant(content, name, 1000, 7) for name in ablation.NAMES}
    shared = ablation.base_recipe(content, 7).stages
    for recipe in recipes.values():
        check_recipe(recipe)
        assert recipe.stages[: len(shared)] == shared
        assert sum(s.steps for s in recipe.stages[len(shared) :]) == 1000
        assert not recipe.data.val  # nothing that is judged may choose
    assert {r.seed for r in recipes.values()} == {7}
    steps = [(s.name, s.steps, s.learn) for s in recipes["guided"].stages[len(shared) :]]
    assert steps == [
        ("cfm-align", 100, ["cfm"]),
        ("cfm-fusion", 400, ["cfm", "head"]),
        ("mfm-align", 100, ["mfm"]),
        ("mfm-fusion", 400, ["mfm", "head"]),
    ]
    assert [s.learn for s in recipes["open"].stages[-2:]] == [["cfm", "mfm"], ["cfm", "mfm", "head"]]
    assert len(recipes["direct"].stages) == len(shared) + 1
    assert [recipes[n].net.get("residual", True) for n in ablation.NAMES] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert recipes["infrared"].net["guide"] == "infrared"


def test_the_program_runs_from_data_to_tables_and_repeats_nothing(
    ablation: Any, data: Path, tmp_path: Path, mae_smoke: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "smoke.yaml"
    recipe.write_text(yaml.safe_dump(mae_smoke), encoding="utf-8")
    out = tmp_path / "out"
    options = ["--data", str(data), "-o", str(out), "--recipe", str(recipe), "--steps", "10", "--seeds", "1"]
    options += ["--judge", "val", "--only", "guided", "direct", "infrared"]
    ablation.main(options)
    tables = (out / "tables.md").read_text("utf-8")
    assert tables.count("| guided | 1 |") == len(ablation.GAMMAS)
    assert "| fusion loss at the end |" in tables
    lines = (out / "curves.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["guided", "5"],
        ["guided", "10"],
        ["direct", "10"],
        ["infrared", "10"],
    ]
    found = {
        name: load_state(out / f"{name}-steps10-seed1" / "last.ckpt")["weights"]
        for name in ablation.NAMES[:2]
    }
    base = load_state(out / "base-seed1" / "last.ckpt")["weights"]
    for weights in found.values():  # all began with the base, whose encoder and decoder stay as they are
        for key, value in base.items():
            if key.startswith(("encoder.", "decoder.")):
                assert torch.equal(weights[key], value), key
    assert not torch.equal(found["guided"]["mfm.mlp.fc1.weight"], found["direct"]["mfm.mlp.fc1.weight"])

    def refuse(*_: Any) -> Any:
        raise AssertionError("a finished configuration is judged again")

    monkeypatch.setattr(ablation, "judge", refuse)
    (out / "tables.md").unlink()
    ablation.main(options)
    assert (out / "tables.md").read_text("utf-8") == tables


def test_a_plot_is_drawn_where_it_can_be(
    ablation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    curves = {"guided": [[(5, 2.0), (10, 1.0)], [(5, 4.0), (10, 3.0)]], "direct": [[(5, 3.0)]]}
    imported = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
        return imported(name, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        ablation.write_curves(curves, tmp_path)
    assert not (tmp_path / "curves.png").exists()
    rows = (tmp_path / "curves.csv").read_text("utf-8").splitlines()
    assert rows[1:] == ["guided,5,3.0", "guided,10,2.0", "direct,5,3.0"]  # seeds are averaged
    pytest.importorskip("matplotlib")
    ablation.write_curves(curves, tmp_path)
    assert (tmp_path / "curves.png").stat().st_size > 1000
