"""The trainer: what a run leaves behind, and that an interrupted run ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.errors import InputError, OutputError, UsageError  # noqa: E402
from ivfuse.training import trainer  # noqa: E402
from ivfuse.training.checkpoint import load_model, load_state, read_model  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.optimization import Average  # noqa: E402
from ivfuse.training.recipe import Data, Recipe  # noqa: E402
from ivfuse.training.stages import set_learning  # noqa: E402
from ivfuse.training.validation import Score, Validator, run  # noqa: E402

STEPS = 10  # of both stages of the smoke recipe
Make = Callable[..., Path]


@pytest.fixture
def train(run: Make) -> Make:
    return run


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run of the smoke recipe, states saved often."""
    out: Path = tmp_path_factory.mktemp("runs") / "finished"
    trainer.train(Recipe.model_validate(often()), data, out, accelerator="cpu")
    return out


def often() -> dict[str, Any]:
    """The smoke recipe with a state every second step, so that kills fall between and on them."""
    import yaml

    recipes = Path(__file__).resolve().parents[2] / "recipes"
    content: dict[str, Any] = yaml.safe_load((recipes / "crossfuse-cam" / "smoke.yaml").read_text("utf-8"))
    return content | {"save_every": 2}


def brief(content: dict[str, Any], **stage: Any) -> dict[str, Any]:
    """Only the first stage, without validation."""
    data = {key: value for key, value in content["data"].items() if key != "val"}
    return content | {"stages": [content["stages"][0] | stage], "data": data}


def same_weights(a: Path, b: Path) -> bool:
    one, two = read_model(a)[0], read_model(b)[0]
    assert one.keys() == two.keys()
    return all(torch.equal(one[key], two[key]) for key in one)


# ------------------------------------------------------------------ what a run leaves behind


def test_a_run_makes_the_files_it_promises(finished: Path) -> None:
    found = {path.name for path in finished.iterdir()}
    assert found == {
        "recipe.yaml",
        "last.ckpt",
        "best.ckpt",
        "log.jsonl",
        "tensorboard",
        "samples",
        "model.safetensors",
    }
    assert next(path.name for path in (finished / "tensorboard").iterdir()).startswith("events.out.tfevents")
    names = sorted(path.name for path in (finished / "samples").iterdir())
    assert names == ["fusion-000003.png", "fusion-000006.png"]
    assert cv2.imread(str(finished / "samples" / names[0])).shape[1] == 1440


def test_the_log_tells_losses_and_scores_in_order(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text("utf-8").splitlines()]
    assert [(x["stage"], x["name"], x["step"], "rank" in x) for x in lines] == [
        (0, "autoencoders", 4, False),
        (1, "fusion", 3, True),
        (1, "fusion", 6, False),
        (1, "fusion", 6, True),
    ]
    assert {"loss", "mse_ir", "mse_vi", "ms_ssim_ir", "ms_ssim_vi", "lr"} <= lines[0].keys()
    assert {"loss", "intensity_max", "gradient_max", "information", "lr"} <= lines[2].keys()
    weights = {"intensity_max": 1, "gradient_max": 1, "information": 0.1}
    assert lines[2]["loss"] == pytest.approx(sum(w * lines[2][k] for k, w in weights.items()), rel=1e-5)
    assert {"val/SSIM", "val/Qabf", "val/VIF"} <= lines[3].keys()
    assert 1 <= lines[3]["rank"] <= 5


def test_the_weights_load_and_carry_the_recipe(finished: Path) -> None:
    net, about = load_model(finished / "model.safetensors")
    assert (about["method"], about["variant"], about["net"]["deep"]) == ("crossfuse-cam", "fixed", 8)
    assert Recipe.model_validate(about["recipe"]) == Recipe.model_validate(often())
    assert not net.training
    assert all(value.isfinite().all() for value in net.state_dict().values())


def test_frozen_parts_do_not_change_and_the_others_do(finished: Path, train: Make) -> None:
    after_first = load_state(train(often(), stop_after=4))["weights"]
    final = read_model(finished / "model.safetensors")[0]
    changed = {key.split(".")[0] for key in final if not torch.equal(final[key], after_first[key])}
    assert changed == {"cam", "decoder"}


def test_a_finished_run_is_not_repeated(finished: Path, data: Path) -> None:
    log, weights = finished / "log.jsonl", finished / "model.safetensors"
    before = log.read_text("utf-8"), weights.read_bytes()
    trainer.train(Recipe.model_validate(often()), data, finished, accelerator="cpu")
    assert (log.read_text("utf-8"), weights.read_bytes()) == before


# ------------------------------------------------------------------ interruptions


@pytest.mark.parametrize("stop", [1, 2, 4, 6, 7, 9])
def test_a_stopped_run_goes_on_exactly(finished: Path, train: Make, tmp_path: Path, stop: int) -> None:
    """Before the first state; inside stage 1; between the stages; round the end of an epoch."""
    assert train(often(), stop_after=stop).name == "last.ckpt"
    assert not (tmp_path / "run" / "model.safetensors").exists()
    weights = train(often())
    assert same_weights(weights, finished / "model.safetensors")
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == (finished / "log.jsonl").read_bytes()


def test_a_run_stopped_again_and_again_ends_the_same(finished: Path, train: Make, tmp_path: Path) -> None:
    for _ in range(STEPS):
        if train(often(), stop_after=3).name == "model.safetensors":
            break
    assert same_weights(tmp_path / "run" / "model.safetensors", finished / "model.safetensors")


def test_stopping_after_the_last_step_is_finishing(train: Make, smoke: dict[str, Any]) -> None:
    assert train(brief(smoke), stop_after=4).name == "model.safetensors"


def test_a_line_cut_off_by_a_kill_is_written_again(finished: Path, train: Make, tmp_path: Path) -> None:
    train(often(), stop_after=6)
    with (tmp_path / "run" / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"stage": 1, "name": "fusion", "step": 3, "ra')
    train(often())
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == (finished / "log.jsonl").read_bytes()


KILLED = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from ivfuse.training.recipe import load_recipe
from ivfuse.training.trainer import train
train(load_recipe(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), accelerator="cpu")
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_exactly(
    data: Path, train: Make, tmp_path: Path, smoke: dict[str, Any]
) -> None:
    content = brief(smoke, steps=100, steps_per_epoch=1000)
    whole = train(content, "whole")
    out, recipe = tmp_path / "killed", tmp_path / "mine.yaml"
    recipe.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(recipe), str(data), str(out)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while process.poll() is None and not (out / "last.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "model.safetensors").exists(), "it was too fast to be killed: raise the steps"
    assert 0 < load_state(out / "last.ckpt")["step"] < 100
    assert same_weights(train(content, "killed"), whole)
    assert (out / "log.jsonl").read_bytes() == (tmp_path / "whole" / "log.jsonl").read_bytes()


def test_another_recipe_in_the_folder_is_refused(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    train(brief(smoke), stop_after=1)
    with pytest.raises(InputError, match="run: holds a run of another recipe"):
        train(smoke | {"seed": 2})
    (tmp_path / "run" / "recipe.yaml").write_text("[", encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.yaml: not a recipe"):
        train(smoke)


def test_a_run_of_an_older_version_goes_on(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    """Its recipe lacks keys, and its optimizer facts, that have come since and have defaults."""
    whole = train(brief(smoke), "whole")
    train(brief(smoke) | {"save_every": 1}, stop_after=3)
    file, state = tmp_path / "run" / "recipe.yaml", tmp_path / "run" / "last.ckpt"
    text = file.read_text("utf-8")
    older = "".join(
        x for x in text.splitlines(True) if not x.strip().startswith(("schedule: constant", "floor"))
    )
    assert older != text
    file.write_text(older, encoding="utf-8")
    content = load_state(state)
    for group in content["optimizer"]["param_groups"]:
        del group["factor"]
    torch.save(content, state)
    assert same_weights(train(brief(smoke) | {"save_every": 1}), whole)


def test_a_state_that_is_none_is_named(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    train(brief(smoke), stop_after=1)
    torch.save({"weights": {}, "epoch": 3}, tmp_path / "run" / "last.ckpt")
    with pytest.raises(InputError, match=r"last\.ckpt: holds epoch, weights, expected average, begun, best"):
        train(brief(smoke))


def test_a_file_in_place_of_the_folder_is_refused(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="run: cannot be made the folder of a run"):
        train(brief(smoke))


def test_a_recipe_that_cannot_run_leaves_nothing(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    smoke["stages"][1]["loss"] = [{"name": "ssmi"}]
    with pytest.raises(ValueError, match="did you mean ssim"):
        train(smoke)
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------ choices of a recipe


def test_the_seed_decides_the_weights(train: Make, smoke: dict[str, Any]) -> None:
    content = brief(smoke, steps=2)
    runs = [train(content | {"seed": seed}, name) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert same_weights(runs[0], runs[1])
    assert not same_weights(runs[0], runs[2])


@pytest.mark.parametrize(("keep", "is_best"), [("best", True), ("last", False)])
def test_keep_chooses_the_epoch_that_is_shipped(
    train: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, is_best: bool
) -> None:
    ranks = iter((1.5, 2.5))

    class Falling:
        """Finds the first epoch better than the second."""

        def __init__(self, root: Path, data: Data) -> None: ...

        def __call__(self, net: Any, device: Any) -> Score:
            return Score(next(ranks), {"val": {"SSIM": 1.0}})

        def samples(self, net: Any, device: Any, path: Path) -> None: ...

    monkeypatch.setattr(trainer, "Validator", Falling)
    content = often()
    content["stages"][1]["keep"] = keep
    final = read_model(train(content))[0]
    best = load_state(tmp_path / "run" / "best.ckpt")["weights"]
    assert all(torch.equal(final[key], best[key]) for key in final) is is_best


def test_the_average_moves_by_its_decay() -> None:
    net = torch.nn.BatchNorm1d(1)
    average = Average(net, 0.75)
    with torch.no_grad():
        net.weight.fill_(5.0)
        net.num_batches_tracked.fill_(8)
    average.update(net)
    assert float(average.values["weight"]) == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert int(average.values["num_batches_tracked"]) == 8  # counts are taken over
    average.update(net)
    assert float(average.values["weight"]) == pytest.approx(0.75 * 2 + 0.25 * 5)


def test_what_is_shipped_is_the_average(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    plain = read_model(train(brief(smoke, steps=1), "plain"))[0]
    averaged = read_model(train(brief(smoke, steps=1, ema=0.9), "averaged"))[0]
    torch.manual_seed(smoke["seed"])
    start = build_net(smoke["method"], **smoke["net"]).state_dict()
    key = "reconstructor_ir.out.weight"
    assert not torch.equal(start[key], plain[key])
    assert torch.allclose(averaged[key], start[key].lerp(plain[key], 0.1), atol=1e-7)


def test_bf16_on_the_cpu_is_close_to_float32(train: Make, smoke: dict[str, Any], tmp_path: Path) -> None:
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        train(brief(smoke, steps=1) | {"precision": precision}, precision)
        lines = (tmp_path / precision / "log.jsonl").read_text("utf-8").splitlines()
        losses.append(json.loads(lines[0])["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02)  # bfloat16 has 8 bits
    assert losses[0] != losses[1]


def test_the_paper_variant_trains_too(train: Make, smoke: dict[str, Any]) -> None:
    smoke |= {"variant": "paper", "net": {"shallow": 2, "growth": 2, "deep": 4, "heads": 1}}
    smoke["data"].pop("val")  # its images are too small for this variant
    smoke["stages"][0] |= {"steps": 1}
    smoke["stages"][1] |= {"steps": 2, "crop": 136, "batch": 1, "ema": 0.0, "keep": "last"}
    net, about = load_model(train(smoke))
    assert about["variant"] == "paper"
    assert int(net.decoder.conv1[1].num_batches_tracked) == 2  # its BatchNorm learned in both steps


def test_a_batch_that_cannot_be_shared_by_the_devices_is_refused(smoke: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="stage autoencoders: batch 2 cannot be shared by 3 devices"):
        trainer._check_batches(Recipe.model_validate(smoke), 3)


# ------------------------------------------------------------------ validation


def test_a_validation_leaves_every_module_in_its_mode(small_net: Any) -> None:
    set_learning(small_net, ["decoder"])
    before = [module.training for module in small_net.modules()]
    assert len(set(before)) == 2
    gray = torch.rand(40, 40).numpy()
    run(small_net, gray, gray)
    assert [module.training for module in small_net.modules()] == before


def test_a_score_is_the_mean_rank_among_the_rivals(data: Path) -> None:
    class Mean(torch.nn.Module):
        """The rival ``average`` as a network."""

        def forward(self, ir: Any, vi: Any) -> Any:
            return (ir + vi) / 2

    class Flat(torch.nn.Module):
        """Always the same gray: some measures have no value for it."""

        def forward(self, ir: Any, vi: Any) -> Any:
            return torch.full_like(ir, 0.5)

    validator = Validator(data, Data.model_validate({"train": [], "val": [{"path": "val", "limit": 1}]}))
    average = validator(Mean(), torch.device("cpu"))
    assert average.means["val"] == pytest.approx(validator.rivals[0]["val"])
    assert 1.5 < average.rank < 5
    worst = validator(Flat(), torch.device("cpu"))
    assert average.rank < worst.rank <= 5


def test_a_stage_can_leave_a_mixture_of_its_first_and_last_weights(
    train: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = often()
    content["stages"] = content["stages"][:1]
    begun = build_net(content["method"], content["variant"], **content["net"])
    seen: list[dict[str, Any]] = []
    original = trainer._begin_stage

    def begin(run: Any, index: int, state: Any) -> Any:
        seen.append({name: value.clone() for name, value in run.net.state_dict().items()})
        return original(run, index, state)

    monkeypatch.setattr(trainer, "_begin_stage", begin)
    trained, _ = read_model(train(content, "whole"))
    content["stages"][0] = content["stages"][0] | {"mix": 0.25}
    train(content, "mixed", stop_after=3)
    mixed, _ = read_model(train(content, "mixed"))
    assert trained.keys() == begun.state_dict().keys()
    for name, value in trained.items():
        if value.is_floating_point():
            torch.testing.assert_close(mixed[name], 0.75 * seen[0][name] + 0.25 * value)
    assert any(not torch.equal(mixed[name], trained[name]) for name in trained)
