"""Guided training: masks, photographs, alignment, fusion by some modules; all of it resumes exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.errors import InputError, UsageError  # noqa: E402
from ivfuse.training import trainer  # noqa: E402
from ivfuse.training.checkpoint import load_state, read_model  # noqa: E402
from ivfuse.training.loss_registry import LOSSES  # noqa: E402
from ivfuse.training.nets import build_net, vit  # noqa: E402
from ivfuse.training.pairs import load_photos  # noqa: E402
from ivfuse.training.recipe import Recipe  # noqa: E402
from ivfuse.training.stages import StageLoss, Through  # noqa: E402

NAMES = ["pretrain", "decoder", "cfm-align", "cfm-fusion", "mfm-align", "mfm-fusion", "joint"]


def net_of(content: dict[str, Any]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_net("maefuse", **content["net"])


def pair() -> Any:
    return torch.rand(2, 4, 1, 48, 48, generator=torch.Generator().manual_seed(0)).unbind()


def loss_of(content: dict[str, Any], name: str, seed: int = 1) -> StageLoss:
    recipe = Recipe.model_validate(content)
    index = [stage.name for stage in recipe.stages].index(name)
    return StageLoss(recipe.stages[index], (seed, index))


# ------------------------------------------------------------------ losses of stages


def test_masks_depend_on_seed_stage_and_step_alone(mae_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = net_of(mae_smoke), pair()

    def hidden(seed: int, step: int) -> Any:
        torch.manual_seed(step + 77)  # the global state must not matter
        return loss_of(mae_smoke, "pretrain", seed).outputs(net, ir, vi, step)[2]

    first = hidden(1, 2)
    assert first.shape == (4, 9)
    assert first.sum(1).tolist() == [7.0] * 4  # 75 % of nine patches, and two whole ones seen
    assert torch.equal(first, hidden(1, 2))
    assert not torch.equal(first, hidden(1, 3))
    assert not torch.equal(first, hidden(2, 2))
    stage = Recipe.model_validate(mae_smoke).stages[0]
    assert not torch.equal(first, StageLoss(stage, (1, 5)).outputs(net, ir, vi, 2)[2])  # as another stage
    assert len({tuple(row.tolist()) for row in first}) > 1  # each image has its own


def test_either_image_of_a_pair_is_taken(mae_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = net_of(mae_smoke), pair()
    loss = loss_of(mae_smoke, "pretrain")
    seen = set()
    for step in range(6):
        truth = loss.outputs(net, ir, vi, step)[1]
        for i in range(4):
            sides = [bool(torch.equal(truth[i], vit.patchify(x)[i])) for x in (ir, vi)]
            assert sum(sides) == 1
            seen.add(sides.index(True))
    assert seen == {0, 1}


def test_the_loss_of_masking_is_of_hidden_patches_alone() -> None:
    truth = torch.rand(2, 5, 8, generator=torch.Generator().manual_seed(0))
    hidden = torch.tensor([[1.0, 0, 1, 0, 0], [0, 1, 0, 0, 1]])
    guess = truth + 0.5 * hidden[..., None] + 9 * (1 - hidden)[..., None]
    assert float(LOSSES["mask"]["hidden_mse"](guess, truth, hidden, normalize=0)) == pytest.approx(0.25)
    levelled = (truth - truth.mean(-1, keepdim=True)) / truth.std(-1, keepdim=True)
    found = LOSSES["mask"]["hidden_mse"](levelled + 9 * (1 - hidden)[..., None], truth, hidden)
    assert float(found) < 1e-8


def test_the_loss_of_an_alignment_is_the_distance_to_the_mean(mae_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = net_of(mae_smoke), pair()
    for name, through in (("cfm-align", "cfm"), ("mfm-align", "mfm")):
        loss, parts = loss_of(mae_smoke, name)(net, ir, vi, 0)
        found, mean = net.align_codes(ir, vi, through)
        assert list(parts) == ["mse"]
        assert float(loss.detach()) == pytest.approx(float((found - mean).square().mean().detach()), rel=1e-5)


def test_a_stage_through_cfm_is_trained_and_judged_without_mfm(mae_smoke: dict[str, Any]) -> None:
    net, (ir, vi) = net_of(mae_smoke).eval(), pair()
    with torch.no_grad():
        early = net.forward_through(ir, vi, "cfm")
        assert torch.equal(loss_of(mae_smoke, "cfm-fusion").outputs(net, ir, vi, 0), early)
        judged = Through(net, "cfm")
        assert torch.equal(judged(ir, vi), early)
        level = torch.full((4, 1, 1, 1), 0.2)
        assert torch.equal(judged(ir, vi, level), net.forward_through(ir, vi, "cfm", level))
        assert (early - net(ir, vi)).abs().max() > 1e-4
    assert judged.takes_level


def test_views_of_a_stage_through_cfm_are_fused_through_cfm(mae_smoke: dict[str, Any]) -> None:
    mae_smoke["stages"][3]["loss"] = [{"name": "consistency"}]
    net, (ir, vi) = net_of(mae_smoke), pair()
    before = float(loss_of(mae_smoke, "cfm-fusion")(net, ir, vi, 0)[0].detach())
    with torch.no_grad():
        for parameter in net.mfm.parameters():
            parameter.add_(1)
    assert float(loss_of(mae_smoke, "cfm-fusion")(net, ir, vi, 0)[0].detach()) == before


def test_photographs_are_paired_with_themselves(data: Path, mae_smoke: dict[str, Any]) -> None:
    how = Recipe.model_validate(mae_smoke).data
    [(weight, photos)] = load_photos(data, how)
    assert (weight, len(photos)) == (0.5, 2)
    assert all((photo.ir == photo.vi).all() for photo in photos)
    mae_smoke["data"]["photos"] = [{"path": "train/vi", "limit": 2}]
    limited = load_photos(data, Recipe.model_validate(mae_smoke).data)[0][1]
    assert [photo.name for photo in limited] == ["0", "3"]
    for path, message in (("train", "train: no images to use"), ("none", "none")):
        mae_smoke["data"]["photos"] = [{"path": path}]
        with pytest.raises(InputError, match=message):
            load_photos(data, Recipe.model_validate(mae_smoke).data)


# ------------------------------------------------------------------ whole runs


def test_a_stopped_run_goes_on_exactly_in_every_kind_of_stage(
    run: Any, mae_smoke: dict[str, Any], tmp_path: Path
) -> None:
    mae_smoke["save_every"] = 2
    whole = read_model(run(mae_smoke, "whole"))[0]
    for stop in (1, 3, 3, 2, 3, 3):
        assert run(mae_smoke, "pieces", stop_after=stop).name == "last.ckpt"
    pieces = read_model(run(mae_smoke, "pieces"))[0]
    assert all(torch.equal(whole[key], pieces[key]) for key in whole)
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in ("whole", "pieces")]
    assert logs[0] == logs[1]
    lines = [json.loads(line) for line in logs[0].splitlines()]
    assert list(dict.fromkeys(line["name"] for line in lines)) == NAMES
    assert {line["name"] for line in lines if "rank" in line} == {"cfm-fusion", "mfm-fusion", "joint"}


def test_photographs_are_drawn_by_the_stages_that_ask_for_them(
    run: Any, mae_smoke: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[int]] = []

    class Recorded(trainer.Sampler):
        def __init__(self, sets: Any, **options: Any) -> None:
            drawn.append([len(pairs) for _, pairs in sets])
            super().__init__(sets, **options)

    monkeypatch.setattr(trainer, "Sampler", Recorded)
    del mae_smoke["data"]["val"]
    mae_smoke["stages"] = mae_smoke["stages"][:4]
    run(mae_smoke, "run")
    assert drawn == [[4, 2], [4, 2], [4], [4]]


def test_each_stage_teaches_the_parts_that_it_names(
    run: Any, mae_smoke: dict[str, Any], tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(mae_smoke["seed"])
        before = build_net("maefuse", **mae_smoke["net"]).state_dict()
    for stage in mae_smoke["stages"]:
        run(mae_smoke, "run", stop_after=stage["steps"])
        after = load_state(tmp_path / "run" / "last.ckpt")["weights"]
        changed = {key.split(".")[0] for key in after if not torch.equal(after[key], before[key])}
        assert changed == set(stage["learn"]), stage["name"]
        before = after


def test_the_guide_can_be_the_infrared(run: Any, mae_smoke: dict[str, Any]) -> None:
    mae_smoke["net"]["guide"] = "infrared"
    mae_smoke["stages"] = mae_smoke["stages"][4:6]
    del mae_smoke["data"]["photos"], mae_smoke["data"]["val"]
    weights = read_model(run(mae_smoke, "run"))[0]
    assert not [key for key in weights if key.startswith("cfm.")]


def test_the_paper_variant_trains_by_the_paper_s_stages(run: Any, mae_smoke: dict[str, Any]) -> None:
    import yaml

    recipes = Path(__file__).resolve().parents[2] / "recipes" / "maefuse"
    content = yaml.safe_load((recipes / "paper.yaml").read_text("utf-8"))
    small = {"dim": 16, "depth": 1, "heads": 2, "decoder_dim": 8, "decoder_depth": 1, "decoder_heads": 2}
    content["net"] = small | {"fusion_heads": 2, "side": 48}
    content["data"] = {"train": mae_smoke["data"]["train"]}
    for stage in content["stages"]:
        stage |= {"steps": 1, "batch": 2, "crop": 48}
    assert read_model(run(content, "paper"))[1]["variant"] == "paper"


def test_a_run_begins_with_the_encoder_of_a_file_and_needs_it_no_more_to_go_on(
    run: Any, mae_smoke: dict[str, Any], tmp_path: Path
) -> None:
    source = run(mae_smoke | {"seed": 9}, "source")
    kept = tmp_path / "encoder.safetensors"
    kept.write_bytes(source.read_bytes())
    content = mae_smoke | {"stages": mae_smoke["stages"][1:4], "encoder_weights": str(kept)}
    run(content, "run", stop_after=4)
    kept.unlink()
    final, given = read_model(run(content, "run"))[0], read_model(source)[0]
    encoder = [key for key in final if key.startswith("encoder.")]
    assert all(torch.equal(final[key], given[key]) for key in encoder)
    assert not torch.equal(final["decoder.paint.weight"], given["decoder.paint.weight"])


def test_encoder_weights_that_cannot_be_used_leave_no_run(
    run: Any, mae_smoke: dict[str, Any], smoke: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"none\.pth: no such file"):
        run(mae_smoke | {"encoder_weights": str(tmp_path / "none.pth")}, "run")
    with pytest.raises(UsageError, match="CrossFuseCam has no transformer encoder"):
        run(smoke | {"encoder_weights": str(tmp_path / "none.pth")}, "run")
    assert not (tmp_path / "run").exists()
