"""Recipes are read strictly, and those that are shipped can run."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("torch")

from ivfuse.errors import InputError, ShapeError, UnknownNameError, UsageError  # noqa: E402
from ivfuse.training.optimization import learning_rate  # noqa: E402
from ivfuse.training.recipe import Loss, Optimizer, Recipe, load_recipe  # noqa: E402
from ivfuse.training.stages import check_recipe, loss_weight  # noqa: E402

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
        (lambda r: r["stages"][1].update(loss=[]), r"stages\.1: .*every other one or more losses"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["data"]["external"].update(kk=1), r"data\.external\.kk: Extra inputs"),
        (lambda r: r["data"]["external"].update(k=0), r"data\.external\.k: .*greater than 0"),
        (lambda r: r["data"]["external"].update(distance="median"), r"data\.external\.distance: "),
        (
            lambda r: r["data"]["external"].update(target=["trian"]),
            r"data: external\.target: 'trian' is none",
        ),
        (lambda r: r["stages"][1]["loss"][0].update(only="ir"), r"stages\.1: loss intensity_max: only=ir"),
        (
            lambda r: r["stages"][1]["optimizer"].update(rates={"heads": 2}),
            r"stages\.1: optimizer\.rates: 'heads' does not",
        ),
        (lambda r: r.update(precision="16-mixed"), "recipe: clip_parts cannot be used"),
    ],
)
def test_a_mistake_in_crossfuse_topk_s_keys_is_named(
    tmp_path: Path, topk_smoke: dict[str, Any], change: Any, message: str
) -> None:
    change(topk_smoke)
    with pytest.raises(InputError, match=rf"mine\.yaml: {message}"):
        load_recipe(write(tmp_path, topk_smoke))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: r["net"].update(stride=3), UsageError, "stride=3"),
        (lambda r: r["stages"][0].update(deep_only=0.5), UsageError, "CrossFuseTopk has no skips"),
        (lambda r: r["stages"][0]["loss"].append({"name": "blur"}), UnknownNameError, "unknown loss 'blur'"),
        (lambda r: r["stages"][0]["loss"][2].update(only="vi"), UsageError, "bands is of both modalities"),
        (lambda r: r["stages"][1]["loss"][3].update(options={"sigma": 1}), UsageError, "accepted: crop"),
    ],
)
def test_what_crossfuse_topk_cannot_do_is_found_before_the_first_step(
    topk_smoke: dict[str, Any], change: Any, error: type[Exception], message: str
) -> None:
    change(topk_smoke)
    with pytest.raises(error, match=message):
        check_recipe(Recipe.model_validate(topk_smoke))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["stages"][0].update(mask=1.0), r"stages\.0\.mask: .*less than 1, found 1\.0"),
        (
            lambda r: r["stages"][0].update(through="cfm"),
            r"stages\.0: through=cfm is for the tasks align and",
        ),
        (lambda r: r["stages"][3].update(photos=True), r"stages\.3: photos is for the tasks mask,"),
        (
            lambda r: r["data"].pop("photos"),
            r"recipe: a stage draws from photos, expected some in data\.photos",
        ),
        (
            lambda r: r["data"].update(train=[]),
            r"recipe: a stage draws from pairs, expected some in data\.train",
        ),
        (lambda r: r["data"]["photos"][0].update(wieght=1), r"data\.photos\.0\.wieght: Extra inputs"),
        (lambda r: r["stages"][0].update(task="masks"), r"stages\.0\.task: "),
        (lambda r: r.update(encoder_weights=3), r"encoder_weights: "),
    ],
)
def test_a_mistake_in_maefuse_s_keys_is_named(
    tmp_path: Path, mae_smoke: dict[str, Any], change: Any, message: str
) -> None:
    change(mae_smoke)
    with pytest.raises(InputError, match=rf"mine\.yaml: {message}"):
        load_recipe(write(tmp_path, mae_smoke))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda r: r["net"].update(guide="infrared"), UnknownNameError, "part of the network 'cfm'"),
        (lambda r: r["stages"][3].update(through="cmf"), UnknownNameError, "fusion module 'cmf'"),
        (lambda r: r["stages"][0].update(crop=40), ShapeError, "crops of 40x40, expected multiples of 16"),
        (lambda r: r["stages"][0].update(loss=[{"name": "mse"}]), UnknownNameError, "unknown loss 'mse'"),
        (lambda r: r["stages"][2].update(loss=[{"name": "ssim"}]), UnknownNameError, "unknown loss 'ssim'"),
        (
            lambda r: r["stages"][3]["loss"].append({"name": "decomposition"}),
            UsageError,
            "bands is of the whole network, expected no through",
        ),
        (lambda r: r.update(variant="paper"), UsageError, "unexpected keyword argument 'features'"),
    ],
)
def test_what_maefuse_cannot_do_is_found_before_the_first_step(
    mae_smoke: dict[str, Any], change: Any, error: type[Exception], message: str
) -> None:
    mae_smoke["stages"][3]["loss"] = list(mae_smoke["stages"][3]["loss"])  # YAML's aliases share one list
    change(mae_smoke)
    with pytest.raises(error, match=message):
        check_recipe(Recipe.model_validate(mae_smoke))


@pytest.mark.parametrize(
    ("task", "method"),
    [("mask", "reconstruct_masked"), ("align", "align_codes"), ("fuse", "forward_through")],
)
def test_tasks_are_asked_only_of_networks_that_have_them(
    smoke: dict[str, Any], task: str, method: str
) -> None:
    loss = {"mask": "hidden_mse", "align": "mse", "fuse": "ssim"}[task]
    through = {} if task == "mask" else {"through": "cam"}
    smoke["stages"][1] |= {"task": task, "loss": [{"name": loss}], **through}
    with pytest.raises(UsageError, match=f"stage fusion: CrossFuseCam has no {method}"):
        check_recipe(Recipe.model_validate(smoke))


def test_bands_are_asked_only_of_networks_that_have_them(smoke: dict[str, Any]) -> None:
    smoke["stages"][1]["loss"].append({"name": "decomposition"})
    with pytest.raises(UsageError, match="stage fusion: CrossFuseCam has no forward_bands"):
        check_recipe(Recipe.model_validate(smoke))


def test_the_rate_is_halved_again_and_again_down_to_a_floor() -> None:
    how = Optimizer(lr=8.0, schedule="step", halve_every=10, floor=1.5, rates={"encoder": 0.25})
    assert [learning_rate(how, step, 99) for step in (0, 9, 10, 19, 20, 30)] == [8, 8, 4, 4, 2, 1.5]
    assert [learning_rate(how, step, 99, 0.25) for step in (0, 9, 10)] == [2, 2, 1.5]


def test_the_paper_s_rates_are_those_of_its_release() -> None:
    first, second = (s.optimizer for s in load_recipe(RECIPES / "crossfuse-topk" / "paper.yaml").stages)
    epoch = 290
    # encoder and decoder at epochs 0, 39, 40, 80, 140; fusion layers at 40, 140
    assert learning_rate(first, 0, 1) == pytest.approx(1e-4)
    assert learning_rate(first, 39 * epoch, 1) == pytest.approx(5e-5)
    quarter = second.rates["encoder"]
    found = [learning_rate(second, (e - 40) * epoch, 1, quarter) for e in (40, 80, 140)]
    assert found == pytest.approx([2.5e-5, 6.25e-6, 1e-6])
    found = [learning_rate(second, (e - 40) * epoch, 1) for e in (40, 140)]
    assert found == pytest.approx([1e-4, 3.125e-6])


def test_a_weight_can_fall_by_a_cosine() -> None:
    falling, constant = Loss(name="blur", weight=0.1, schedule="cosine"), Loss(name="blur", weight=0.1)
    assert [loss_weight(falling, step, 100) for step in (0, 50, 100)] == pytest.approx([0.1, 0.05, 0])
    assert {loss_weight(constant, step, 100) for step in (0, 50, 100)} == {0.1}


def test_the_rate_warms_up_and_falls_as_the_recipe_says(smoke: dict[str, Any]) -> None:
    smoke["stages"][0]["optimizer"] = {"lr": 1.0, "warmup": 4, "schedule": "cosine"}
    smoke["stages"][1]["optimizer"] = {"lr": 1.0, "schedule": "drop", "drop_at": 0.5}
    cosine, drop = (stage.optimizer for stage in Recipe.model_validate(smoke).stages)
    assert [learning_rate(cosine, step, 104) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert learning_rate(cosine, 54, 104) == pytest.approx(0.505)
    assert learning_rate(cosine, 104, 104) == pytest.approx(0.01)
    assert [learning_rate(drop, step, 10) for step in (0, 4, 5, 9)] == [1.0, 1.0, 0.1, 0.1]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(9 * [f'*{before}'])}]\n" for before, name in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (5000 * "[" + 5000 * "]", "too deeply nested"),
        ("a: &a [*a]", "an alias in itself"),
        (f"seed: {5000 * '9'}", "Exceeds the limit"),
        (f"seed: 0x{6000 * 'f'}", "found a very large integer"),
        ("seed: 1999-99-99", "month must be"),
        (BOMB, "aliases stand for too many values"),
        (f"# {(1 << 20) * 'x'}", "more than 1048576 bytes"),
    ],
)
def test_a_hostile_recipe_is_refused_in_one_line_at_once(tmp_path: Path, content: str, reason: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(InputError, match=re.escape(reason)) as caught:
        load_recipe(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
