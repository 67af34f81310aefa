"""One trainer for every recipe: stages, logs, samples, best and last states, exact resume.

A run lives in one folder: ``recipe.yaml``, ``last.ckpt`` (everything needed to go on), ``best.ckpt`` (weights of the
present stage's best epoch), ``log.jsonl``, ``tensorboard/``, ``samples/`` and, at the end, ``model.safetensors``.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning_fabric import Fabric, seed_everything
from torch import Tensor, nn

from ivfuse.errors import InputError
from ivfuse.learning.checkpoint import load_state, save_model, save_state
from ivfuse.learning.log import Log
from ivfuse.learning.nets import build_net
from ivfuse.learning.pairs import PairImages, Sampler, load_training
from ivfuse.learning.recipe import Recipe, StageRecipe
from ivfuse.learning.stages import Average, StageLoss, learning_rate, make_optimizer, set_learning
from ivfuse.learning.validation import Validator

LOG_EVERY = 25


@dataclass
class _State:
    """Where a run is."""

    stage: int = 0
    step: int = 0
    best: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] | None = None
    optimizer: dict[str, Any] | None = None


@dataclass
class _Run:
    """What does not change during a run."""

    recipe: Recipe
    out: Path
    fabric: Fabric
    net: nn.Module
    sets: list[tuple[float, list[PairImages]]]
    validator: Validator | None
    log: Log


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    accelerator: str = "auto",
    devices: int = 1,
    stop_after: int | None = None,
) -> Path:
    """Run a recipe, from the beginning or from where ``out`` was left.

    Args:
        recipe: what to do.
        data: the root of the data sets that the recipe names.
        out: the run's folder; a run of another recipe in it is an error.
        accelerator, devices: as Lightning Fabric takes them (``cpu``, ``cuda``, ``auto``).
        stop_after: leave after so many steps of this call, as a kill would (for tests and trials).

    Returns:
        The weights' file, ``out/model.safetensors`` (or the last state's if stopped before the end).

    Raises:
        InputError: data that cannot be used, or a folder with another recipe's run.
    """
    _claim(out, recipe)
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=recipe.precision)
    if devices > 1:
        fabric.launch()
    seed_everything(recipe.seed, verbose=False)
    net = build_net(recipe.method, recipe.variant, **recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = _restore(out / "last.ckpt")
    if state.weights:
        net.load_state_dict(state.weights)
    leader = fabric.global_rank == 0
    with Log(out, (state.stage, state.step), active=leader) as log:
        log.say(f"{recipe.method} ({recipe.variant}) on {fabric.device}, {recipe.precision}")
        validator = Validator(data, recipe.data) if recipe.data.val and leader else None
        run = _Run(recipe, out, fabric, net, load_training(data, recipe.data), validator, log)
        left = stop_after
        for index in range(state.stage, len(recipe.stages)):
            left = _run_stage(run, index, state, left)
            if left is not None and left <= 0 and state.step:
                return out / "last.ckpt"
    about = {"method": recipe.method, "variant": recipe.variant, "net": recipe.net, "recipe": recipe.model_dump()}
    if leader:
        save_model(out / "model.safetensors", net.state_dict(), about)
    return out / "model.safetensors"


def _run_stage(run: _Run, index: int, state: _State, left: int | None) -> int | None:
    """Train one stage to its end, or until ``left`` steps are used up; returns what is left of them."""
    stage = run.recipe.stages[index]
    seed = (run.recipe.seed, index)
    parameters = set_learning(run.net, stage.learn)
    plain = make_optimizer(parameters, stage.optimizer)
    net, optimizer = run.fabric.setup(run.net, plain)
    if hasattr(run.net, "reconstruct"):
        net.mark_forward_method("reconstruct")
    average = Average(run.net, stage.ema) if stage.ema else None
    if state.optimizer is not None:
        plain.load_state_dict(state.optimizer)
        if average and state.average:
            average.values = {k: v.to(run.fabric.device) for k, v in state.average.items()}
    loss_of = StageLoss(stage, seed)
    sampler = Sampler(
        run.sets, crop=stage.crop, batch=stage.batch, seed=seed, augment=stage.augment, resize=stage.resize
    )
    for step in range(state.step, stage.steps):
        if left is not None:
            if left <= 0:
                return left
            left -= 1
        rate = learning_rate(stage.optimizer, step, stage.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        ir, vi = (x.to(run.fabric.device) for x in sampler.draw(step, run.fabric.global_rank, run.fabric.world_size))
        loss, parts = loss_of(net, ir, vi, step)
        run.fabric.backward(loss)
        if stage.optimizer.clip is not None:
            run.fabric.clip_gradients(net, optimizer, max_norm=stage.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if average:
            average.update(run.net)
        state.stage, state.step = index, step + 1
        if state.step % LOG_EVERY == 0 or state.step == stage.steps:
            run.log.step(index, stage, state.step, rate, loss, parts)
        end_of_epoch = state.step % stage.steps_per_epoch == 0 or state.step == stage.steps
        if end_of_epoch:
            _end_epoch(run, stage, state, average)
        if (end_of_epoch or state.step % run.recipe.save_every == 0) and state.step < stage.steps:
            _save(run, state, plain, average)
    _end_stage(run, stage, state, average)
    state.stage, state.step, state.best, state.optimizer, state.average = index + 1, 0, None, None, None
    _save(run, state, None, None)
    return left


def _end_epoch(run: _Run, stage: StageRecipe, state: _State, average: Average | None) -> None:
    """Validate, write samples, keep the best."""
    if run.validator is None or stage.task != "fuse":
        return
    present = {k: v.clone() for k, v in run.net.state_dict().items()}
    if average:
        run.net.load_state_dict(average.values)
    started = time.perf_counter()
    score = run.validator(run.net, run.fabric.device)
    run.validator.samples(run.net, run.fabric.device, run.out / "samples" / f"{stage.name}-{state.step:06d}.png")
    if state.best is None or score.rank < state.best:
        state.best = score.rank
        save_state(run.out / "best.ckpt", {"stage": state.stage, "weights": run.net.state_dict()})
    run.log.score(state.stage, stage, state.step, score, state.best, time.perf_counter() - started)
    run.net.load_state_dict(present)


def _end_stage(run: _Run, stage: StageRecipe, state: _State, average: Average | None) -> None:
    """Leave in the network what the next stage (or the user) gets."""
    if average:
        run.net.load_state_dict(average.values)
    if stage.keep == "best" and stage.task == "fuse" and state.best is not None:
        run.fabric.barrier()
        run.net.load_state_dict(load_state(run.out / "best.ckpt")["weights"])


def _save(run: _Run, state: _State, optimizer: torch.optim.Optimizer | None, average: Average | None) -> None:
    if run.fabric.global_rank:
        return
    content = {
        "stage": state.stage,
        "step": state.step,
        "best": state.best,
        "weights": run.net.state_dict(),
        "average": average.values if average else None,
        "optimizer": optimizer.state_dict() if optimizer else None,
    }
    save_state(run.out / "last.ckpt", content)


def _restore(path: Path) -> _State:
    return _State(**load_state(path)) if path.exists() else _State()


def _claim(out: Path, recipe: Recipe) -> None:
    """Make the run's folder; the recipe in it must be this one."""
    file = out / "recipe.yaml"
    content = json.loads(recipe.model_dump_json())
    if file.exists():
        if yaml.safe_load(file.read_text(encoding="utf-8")) != content:
            raise InputError(f"{out}: holds a run of another recipe; choose another folder or delete it")
        return
    (out / "samples").mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
