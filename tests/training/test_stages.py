"""Stages: which terms a loss has, how they are weighted, how parts of a network learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.training.checkpoint import load_model, load_state, read_model  # noqa: E402
from ivfuse.training.loss_registry import LOSSES  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.optimization import clip_parts, make_optimizer  # noqa: E402
from ivfuse.training.recipe import Optimizer, Recipe, StageRecipe  # noqa: E402
from ivfuse.training.stages import StageLoss, set_learning  # noqa: E402


def stage(content: dict[str, Any], index: int) -> StageRecipe:
    return Recipe.model_validate(content).stages[index]


def topk() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_net("crossfuse-topk", width=4, blocks=1, heads=2, nodes=1, stride=2)


def pair() -> Any:
    return torch.rand(2, 2, 1, 48, 48, generator=torch.Generator().manual_seed(0)).unbind()


def test_the_loss_of_a_reconstruction_is_the_weighted_sum_of_its_terms(topk_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = topk(), pair()
    loss, parts = StageLoss(stage(topk_smoke, 0), (1, 0))(net, ir, vi, 0)
    (out_ir, out_vi), bands = net.reconstruct_bands(ir, vi)
    expected = {
        "dssim_ir": LOSSES["reconstruction"]["dssim"](out_ir, ir),
        "dssim_vi": LOSSES["reconstruction"]["dssim"](out_vi, vi),
        "mse_ir": LOSSES["reconstruction"]["mse"](out_ir, ir),
        "mse_vi": LOSSES["reconstruction"]["mse"](out_vi, vi),
        "decomposition": LOSSES["bands"]["decomposition"](bands),
        "gradient_vi": LOSSES["reconstruction"]["gradient"](out_vi, vi),  # of the visible alone
    }
    assert list(parts) == list(expected)
    for name, value in expected.items():
        assert torch.equal(parts[name], value), name
    weights = {"dssim": 5, "mse": 1, "decomposition": 2, "gradient": 5}
    total = sum(weights[name.split("_")[0]] * float(value.detach()) for name, value in expected.items())
    assert float(loss.detach()) == pytest.approx(total, rel=1e-6)


def test_the_loss_of_a_fusion_is_the_weighted_sum_of_its_terms(topk_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = topk(), pair()
    how = StageLoss(stage(topk_smoke, 1), (1, 1))
    loss, parts = how(net, ir, vi, 3)
    fused, bands = net.forward_bands(ir, vi)
    assert torch.equal(parts["gradient_max"], LOSSES["fusion"]["gradient_max"](fused, ir, vi))
    assert torch.equal(parts["decomposition"], LOSSES["bands"]["decomposition"](bands))
    assert list(parts) == ["intensity_max", "gradient_max", "decomposition", "blur", "consistency"]
    # blur is half-way down its cosine at step 3 of 6
    weights = (1, 10, 2, 0.05, 0.5)
    total = sum(w * float(v.detach()) for w, v in zip(weights, parts.values(), strict=True))
    assert float(loss.detach()) == pytest.approx(total, rel=1e-6)


def test_views_depend_on_seed_stage_and_step_alone(topk_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = topk(), pair()

    def views(seed: tuple[int, int], step: int) -> list[float]:
        torch.manual_seed(step + 77)  # the global state must not matter
        parts = StageLoss(stage(topk_smoke, 1), seed)(net, ir, vi, step)[1]
        return [float(parts[name].detach()) for name in ("blur", "consistency")]

    assert views((1, 1), 2) == views((1, 1), 2)
    for other in (views((1, 1), 3), views((2, 1), 2), views((1, 0), 2)):
        assert all(a != b for a, b in zip(views((1, 1), 2), other, strict=True))


def test_parts_learn_at_their_own_rates() -> None:
    net = topk()
    how = Optimizer(lr=1.0, rates={"encoder": 0.25}, weight_decay=0.1)
    optimizer = make_optimizer(set_learning(net, ["encoder", "head", "decoder"]), how)
    factor = {id(p): group["factor"] for group in optimizer.param_groups for p in group["params"]}
    for name, part in net.named_children():
        found = {factor.get(id(p)) for p in part.parameters()}
        assert found == {{"encoder": 0.25, "head": 1.0, "decoder": 1.0}.get(name)}
    assert {g["weight_decay"] for g in optimizer.param_groups} == {0.0, 0.1}


def test_gradients_are_clipped_part_by_part() -> None:
    net = topk()
    parts = set_learning(net, ["encoder", "head"])
    for part, size in (("encoder", 3.0), ("head", 1e-3)):
        for parameter in parts[part]:
            parameter.grad = torch.full_like(parameter, size)
    clip_parts(parts, 0.01)
    norms = {name: sum(float(p.grad.square().sum()) for p in found) ** 0.5 for name, found in parts.items()}
    assert norms["encoder"] == pytest.approx(0.01, rel=1e-3)
    assert norms["head"] == pytest.approx(
        min(0.01, 1e-3 * sum(p.numel() for p in parts["head"]) ** 0.5), rel=1e-3
    )


# ------------------------------------------------------------------ whole runs


def test_a_stopped_run_of_crossfuse_topk_goes_on_exactly(
    run: Any, topk_smoke: dict[str, Any], tmp_path: Path
) -> None:
    """External patches, bands, views, rates and clipping of parts: all a function of seed and step."""
    topk_smoke["save_every"] = 2
    whole = read_model(run(topk_smoke, "whole"))[0]
    for stop in (1, 3, 3, 2):  # inside stage 1, behind it, inside stage 2 twice
        assert run(topk_smoke, "pieces", stop_after=stop).name == "last.ckpt"
    pieces = read_model(run(topk_smoke, "pieces"))[0]
    assert all(torch.equal(whole[key], pieces[key]) for key in whole)
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in ("whole", "pieces")]
    assert logs[0] == logs[1]
    assert b'"consistency"' in logs[0]


def test_the_phases_teach_the_parts_that_they_name(
    run: Any, topk_smoke: dict[str, Any], tmp_path: Path
) -> None:
    run(topk_smoke, "run", stop_after=4)
    first = load_state(tmp_path / "run" / "last.ckpt")["weights"]
    weights = run(topk_smoke, "run")
    last = read_model(weights)[0]
    changed = {key.split(".")[0] for key in last if not torch.equal(first[key], last[key])}
    assert changed == {"encoder", "fuse_low", "fuse_high", "decoder", "head"}
    net, about = load_model(weights)
    assert (about["method"], about["variant"], net.align) == ("crossfuse-topk", "fixed", 4)


def test_the_paper_variant_trains_by_the_paper_s_stages(run: Any, topk_smoke: dict[str, Any]) -> None:
    import yaml

    recipes = Path(__file__).resolve().parents[2] / "recipes" / "crossfuse-topk"
    content = yaml.safe_load((recipes / "paper.yaml").read_text("utf-8"))
    content["net"] = {"width": 4, "blocks": 1, "heads": 2, "nodes": 1}
    content["data"] = {key: value for key, value in topk_smoke["data"].items() if key != "val"}
    for stage in content["stages"]:
        stage |= {"steps": 2, "batch": 2, "crop": 32}
    about = load_model(run(content, "paper"))[1]
    assert about["variant"] == "paper"


@pytest.mark.parametrize("method", ["crossfuse-topk", "maefuse"])  # together they have every kind of stage
def test_bf16_reaches_every_kind_of_stage(
    method: str, run: Any, smoke_of: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    content = smoke_of(method)
    content["data"].pop("val")
    content["stages"] = [s | {"steps": 1, "keep": "last"} for s in content["stages"]]
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        run(content | {"precision": precision}, precision)
        lines = (tmp_path / precision / "log.jsonl").read_text("utf-8").splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)  # bfloat16 has 8 bits
    assert all(a != b for a, b in zip(*losses, strict=True))
