"""Recipes are read strictly, and those that are shipped can run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("torch")

from ivfuse.errors import InputError, ShapeError, UnknownNameError, UsageError  # noqa: E402
from ivfuse.learning.recipe import Recipe, load_recipe  # noqa: E402
from ivfuse.learning.stages import check_recipe, learning_rate  # noqa: E402

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SHIPPED = sorted(RECIPES.rglob("*.yaml"))


def write(folder: Path, content: Any) -> Path:
    file = folder / "mine.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return file


def test_there_are_recipes() -> None:
    assert {path.stem for path in SHIPPED} >= {"cpu", "smoke"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_shipped_recipe_can_run(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.method == path.parent.name
    check_recipe(recipe)


@pytest.mark.parametrize(
    ("where", "key"),
    [((), "sede"), (("data",), "trian"), (("stages", 1), "stepz"), (("stages", 0, "augment"), "flop")],
)
def test_an_unknown_key_is_named_with_its_file(
    tmp_path: Path, smoke: dict[str, Any], where: tuple[Any, ...], key: str
) -> None:
    part: Any = smoke
    for step in where:
        part = part[step]
    part[key] = 1
    file = write(tmp_path, smoke)
    place = re.escape(".".join(str(x) for x in (*where, key)))
    with pytest.raises(InputError, match=rf"mine\.yaml: {place}: Extra inputs are not permitted"):
        load_recipe(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["stages"][0].update(steps=0), r"stages\.0\.steps: .*greater than 0, found 0"),
        (lambda r: r["stages"][1].update(ema=1.0), r"stages\.1\.ema: .*less than 1"),
        (lambda r: r["stages"][1].update(name="autoencoders"), r"recipe: stages must have different names"),
        (lambda r: r["stages"][1].update(loss=[{"name": "ssim"}] * 2), r"stages\.1: .*once, found \['ssim'"),
        (lambda r: r["stages"][1].update(loss=[]), r"stages\.1\.loss: .*at least 1"),
        (lambda r: r["stages"][1].update(learn=[]), r"stages\.1\.learn: .*at least 1"),
        (lambda r: r.update(precision="bf16"), r"precision: "),
        (lambda r: r.update(stages=[]), r"stages: .*at least 1"),
        (lambda r: r.pop("data"), r"data: Field required"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(
    tmp_path: Path, smoke: dict[str, Any], change: Any, message: str
) -> None:
    change(smoke)
    with pytest.raises(InputError, match=rf"mine\.yaml: {message}") as caught:
        load_recipe(write(tmp_path, smoke))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["stages: [", "\t- a: b", "- 1", "", "just words"])
def test_what_is_no_recipe_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: ") as caught:
        load_recipe(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such recipe"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="not a readable YAML file"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: r.update(method="crossfuse-cma"), UnknownNameError, "did you mean crossfuse-cam"),
        (lambda r: r["net"].update(depth=3), UsageError, "depth"),
        (lambda r: r["net"].update(heads=3), UsageError, "heads=3, expected a divisor of deep=8"),
        (lambda r: r["stages"][1].update(learn=["decodre"]), UnknownNameError, "did you mean decoder"),
        (lambda r: r["stages"][1]["loss"][0].update(name="ssmi"), UnknownNameError, "did you mean ssim"),
        (lambda r: r["stages"][0]["loss"][0].update(options={"gain": 1}), UsageError, "accepted: scale"),
        (
            lambda r: r.update(variant="paper", net={"shallow": 2, "growth": 2, "deep": 4, "heads": 1}),
            ShapeError,
            "the paper variant needs 136",
        ),
    ],
)
def test_a_mistake_in_any_stage_is_found_before_the_first_step(
    smoke: dict[str, Any], change: Any, error: type[Exception], message: str
) -> None:
    change(smoke)
    with pytest.raises(error, match=message):
        check_recipe(Recipe.model_validate(smoke))


def test_the_rate_warms_up_and_falls_as_the_recipe_says(smoke: dict[str, Any]) -> None:
    smoke["stages"][0]["optimizer"] = {"lr": 1.0, "warmup": 4, "schedule": "cosine"}
    smoke["stages"][1]["optimizer"] = {"lr": 1.0, "schedule": "drop", "drop_at": 0.5}
    cosine, drop = (stage.optimizer for stage in Recipe.model_validate(smoke).stages)
    assert [learning_rate(cosine, step, 104) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert learning_rate(cosine, 54, 104) == pytest.approx(0.505)
    assert learning_rate(cosine, 104, 104) == pytest.approx(0.01)
    assert [learning_rate(drop, step, 10) for step in (0, 4, 5, 9)] == [1.0, 1.0, 0.1, 0.1]
