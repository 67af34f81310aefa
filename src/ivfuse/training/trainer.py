"""One trainer for every recipe: stages, logs, samples, best and last states, exact resume.

A run lives in one folder: ``recipe.yaml``, ``last.ckpt`` (everything needed to go on), ``best.ckpt`` (weights
of the present stage's best epoch), ``log.jsonl``, ``tensorboard/``, ``samples/`` and, at the end,
``model.safetensors``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning_fabric import Fabric, seed_everything
from pydantic import ValidationError
from torch import Tensor, nn

from ivfuse.errors import InputError, OutputError, UsageError
from ivfuse.runtime.files import write_atomic
from ivfuse.training.checkpoint import load_fusing, load_state, save_model, save_state
from ivfuse.training.launch import launch
from ivfuse.training.log import Log
from ivfuse.training.mae_weights import read_encoder
from ivfuse.training.matching import MatchLoss, MatchSampler
from ivfuse.training.nets import build_net
from ivfuse.training.optimization import Average, clip_parts, learning_rate, make_optimizer
from ivfuse.training.pairs import Sampler, Sets, load_photos, load_training
from ivfuse.training.recipe import Recipe, StageRecipe
from ivfuse.training.seeing import ViewSampler
from ivfuse.training.stages import OFFERED, StageLoss, Through, check_recipe, set_learning
from ivfuse.training.validation import Validator

LOG_EVERY = 25

BatchSampler = Sampler | MatchSampler | ViewSampler
BatchLoss = Callable[..., tuple[Tensor, dict[str, Tensor]]]  # network, what the sampler draws, step


@dataclass
class _State:
    """Where a run is."""

    stage: int = 0
    step: int = 0
    best: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] | None = None
    optimizer: dict[str, Any] | None = None
    begun: dict[str, Tensor] | None = None  # weights at the stage's beginning, if it mixes them in


@dataclass
class _Run:
    """What does not change during a run."""

    recipe: Recipe
    out: Path
    fabric: Fabric
    net: nn.Module
    sets: Sets
    photos: Sets
    validator: Validator | None
    log: Log


@dataclass
class _Stage:
    """What does not change during a stage; ``wrapped``, ``steered``: Fabric's views of net and optimizer."""

    index: int
    recipe: StageRecipe
    parts: dict[str, list[nn.Parameter]]
    wrapped: Any
    optimizer: torch.optim.Optimizer
    steered: Any
    average: Average | None
    sampler: BatchSampler
    loss: BatchLoss


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
        accelerator, devices: as Lightning Fabric takes them (``cpu``, ``cuda``, ``auto``). Under ``torchrun``
            the processes that it started share each batch, on one machine or several.
        stop_after: leave after so many steps of this call, as a kill would (for tests and trials).

    Returns:
        The weights' file, ``out/model.safetensors`` (or the last state's if stopped before the end).

    Raises:
        InputError: data or weights (the encoder's, a teacher's) that cannot be used, or a folder with
            another recipe's run.
        OutputError: a folder that cannot be written.
        UnknownNameError, UsageError, ShapeError: a recipe that cannot run, see :func:`check_recipe`.
    """
    check_recipe(recipe)
    for teacher in {stage.teacher for stage in recipe.stages if stage.teacher}:
        load_fusing(Path(teacher))  # found missing or wrong now, not hours later
    fabric = launch(accelerator, devices, recipe.precision)
    _check_batches(recipe, fabric.world_size)
    net, state = _begin(recipe, out, fabric)
    leader = fabric.global_rank == 0
    with Log(out, (state.stage, state.step), active=leader) as log:
        several = f" and {fabric.world_size - 1} more processes" if fabric.world_size > 1 else ""
        log.say(f"{recipe.method} ({recipe.variant}) on {fabric.device}{several}, {recipe.precision}")
        validator = Validator(data, recipe.data) if recipe.data.val and leader else None
        sets = load_training(data, recipe.data)
        photos = load_photos(data, recipe.data) if _photos_needed(recipe, state) else []
        run = _Run(recipe, out, fabric, net, sets, photos, validator, log)
        left = stop_after
        for index in range(state.stage, len(recipe.stages)):
            left = _run_stage(run, index, state, left)
            if left is not None and left <= 0 and state.stage < len(recipe.stages):
                return out / "last.ckpt"
    about = {"method": recipe.method, "variant": recipe.variant, "net": recipe.net}
    if leader:
        save_model(out / "model.safetensors", net.state_dict(), about | {"recipe": recipe.model_dump()})
    fabric.barrier()
    return out / "model.safetensors"


def _begin(recipe: Recipe, out: Path, fabric: Fabric) -> tuple[nn.Module, _State]:
    """The network with the weights it begins or goes on with, and where the run was left."""
    encoder: dict[str, Tensor] = {}
    state = _State()
    if fabric.global_rank == 0:  # the only process that reads and writes the folder
        encoder = _encoder_weights(recipe, out)
        _claim(out, recipe)
        state = _restore(out / "last.ckpt")
    if fabric.world_size > 1:
        encoder, state = fabric.broadcast((encoder, state))
    seed_everything(recipe.seed, verbose=False)
    net = build_net(recipe.method, recipe.variant, **recipe.net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    if state.weights:
        net.load_state_dict(state.weights)
    elif encoder:
        net.get_submodule("encoder").load_state_dict(encoder)
    return net, state


def _run_stage(run: _Run, index: int, state: _State, left: int | None) -> int | None:
    """Train one stage to its end, or until ``left`` steps are used up; returns what is left of them."""
    stage = _begin_stage(run, index, state)
    for step in range(state.step, stage.recipe.steps):
        if left is not None:
            if left <= 0:
                return left
            left -= 1
        rate, loss, parts = _step(run, stage, step)
        state.stage, state.step = index, step + 1
        last = state.step == stage.recipe.steps
        if state.step % LOG_EVERY == 0 or last:
            run.log.step(index, stage.recipe, state.step, rate, *_over_processes(run.fabric, loss, parts))
        end_of_epoch = state.step % stage.recipe.steps_per_epoch == 0 or last
        if end_of_epoch:
            _end_epoch(run, stage, state)
        if (end_of_epoch or state.step % run.recipe.save_every == 0) and not last:
            _save(run, state, stage)
    _end_stage(run, stage, state)
    state.stage, state.step, state.best = index + 1, 0, None
    state.optimizer = state.average = state.begun = None
    _save(run, state, None)
    return left


def _begin_stage(run: _Run, index: int, state: _State) -> _Stage:
    """Freeze, make the optimizer, and take up what an interrupted run left."""
    recipe = run.recipe.stages[index]
    parts = set_learning(run.net, recipe.learn)
    optimizer = make_optimizer(parts, recipe.optimizer)
    wrapped, steered = run.fabric.setup(run.net, optimizer)
    for method in OFFERED:
        if hasattr(run.net, method):
            wrapped.mark_forward_method(method)
    average = Average(run.net, recipe.ema) if recipe.ema else None
    if recipe.mix < 1 and state.begun is None:
        state.begun = {name: value.clone() for name, value in run.net.state_dict().items()}
    if state.optimizer is not None:
        optimizer.load_state_dict(state.optimizer)
        if average and state.average:
            average.values = {k: v.to(run.fabric.device) for k, v in state.average.items()}
    sampler, loss = _sampler_and_loss(run, index, recipe)
    return _Stage(index, recipe, parts, wrapped, optimizer, steered, average, sampler, loss)


def _sampler_and_loss(run: _Run, index: int, recipe: StageRecipe) -> tuple[BatchSampler, BatchLoss]:
    """What draws a stage's batches, and the loss that takes them."""
    seed = (run.recipe.seed, index)
    sets = run.sets + run.photos if recipe.photos else run.sets
    if recipe.match:
        return MatchSampler(sets, recipe.match, seed, recipe.augment), MatchLoss(recipe.match)
    share = (run.fabric.global_rank, run.fabric.world_size)
    loss = StageLoss(recipe, seed, run.fabric.autocast, _teacher(run, recipe), share)
    crops: dict[str, Any] = {
        "crop": recipe.crop,
        "batch": recipe.batch,
        "seed": seed,
        "augment": recipe.augment,
    }
    if recipe.see:
        return ViewSampler(sets, recipe.see, device=run.fabric.device, **crops), loss.of_views
    return Sampler(sets, resize=recipe.resize, **crops), loss


def _teacher(run: _Run, recipe: StageRecipe) -> nn.Module | None:
    """The network that a stage imitates."""
    if recipe.teacher is None:
        return None
    net, _ = load_fusing(Path(recipe.teacher))
    net.to(run.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as above
    return net.requires_grad_(False)


def _step(run: _Run, stage: _Stage, step: int) -> tuple[float, Tensor, dict[str, Tensor]]:
    """One step of learning; returns the rate, the loss and its parts."""
    fabric, how = run.fabric, stage.recipe.optimizer
    rate = learning_rate(how, step, stage.recipe.steps)
    for group in stage.steered.param_groups:
        group["lr"] = learning_rate(how, step, stage.recipe.steps, group.get("factor", 1.0))
    drawn = stage.sampler.draw(step, fabric.global_rank, fabric.world_size)
    loss, parts = stage.loss(stage.wrapped, *(x.to(fabric.device) for x in drawn), step)
    fabric.backward(loss)
    if how.clip is not None and how.clip_parts:
        clip_parts(stage.parts, how.clip)
    elif how.clip is not None:
        fabric.clip_gradients(stage.wrapped, stage.steered, max_norm=how.clip)
    stage.steered.step()
    stage.steered.zero_grad(set_to_none=True)
    if stage.average:
        stage.average.update(run.net)
    return rate, loss, parts


def _over_processes(
    fabric: Fabric, loss: Tensor, parts: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The means of a loss and its parts over all processes, which have equal shares of the batch."""
    if fabric.world_size == 1:
        return loss, parts
    total = fabric.all_reduce(torch.stack([loss.detach(), *(part.detach() for part in parts.values())]))
    assert isinstance(total, Tensor)
    return total[0], dict(zip(parts, total[1:], strict=True))


def _end_epoch(run: _Run, stage: _Stage, state: _State) -> None:
    """Validate, write samples, keep the best."""
    recipe = stage.recipe
    if run.validator is None or recipe.task != "fuse":
        return
    present = {k: v.clone() for k, v in run.net.state_dict().items()}
    if stage.average:
        run.net.load_state_dict(stage.average.values)
    started = time.perf_counter()
    judged = Through(run.net, recipe.through) if recipe.through else run.net
    score = run.validator(judged, run.fabric.device)
    sample = run.out / "samples" / f"{recipe.name}-{state.step:06d}.png"
    run.validator.samples(judged, run.fabric.device, sample)
    if state.best is None or score.rank < state.best:
        state.best = score.rank
        save_state(run.out / "best.ckpt", {"stage": state.stage, "weights": run.net.state_dict()})
    run.log.score(state.stage, recipe, state.step, score, state.best, time.perf_counter() - started)
    run.net.load_state_dict(present)


def _end_stage(run: _Run, stage: _Stage, state: _State) -> None:
    """Leave in the network what the next stage (or the user) gets."""
    if stage.average:
        run.net.load_state_dict(stage.average.values)
    if stage.recipe.keep == "best" and stage.recipe.task == "fuse":
        best = None  # only the leading process has validated
        if run.fabric.global_rank == 0 and state.best is not None:
            best = load_state(run.out / "best.ckpt")["weights"]
        if (best := run.fabric.broadcast(best)) is not None:
            run.net.load_state_dict(best)
    if state.begun is not None:
        run.net.load_state_dict(_mixed(state.begun, run.net.state_dict(), stage.recipe.mix))


def _mixed(begun: dict[str, Tensor], trained: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """``share`` of the trained weights and the rest of the others; counters are the trained ones."""
    return {
        name: torch.lerp(begun[name].to(value), value, share) if value.is_floating_point() else value
        for name, value in trained.items()
    }


def _save(run: _Run, state: _State, stage: _Stage | None) -> None:
    """Write the run's state; between stages there is neither optimizer nor average."""
    if run.fabric.global_rank:
        return
    content = {
        "stage": state.stage,
        "step": state.step,
        "best": state.best,
        "weights": run.net.state_dict(),
        "average": stage.average.values if stage and stage.average else None,
        "optimizer": stage.optimizer.state_dict() if stage else None,
        "begun": state.begun,
    }
    save_state(run.out / "last.ckpt", content)


def _restore(path: Path) -> _State:
    if not path.exists():
        return _State()
    content = load_state(path)
    expected = {f.name for f in fields(_State)}
    if content.keys() | {"begun"} != expected:  # states of older versions lack this one
        raise InputError(
            f"{path}: holds {', '.join(sorted(content))}, expected {', '.join(sorted(expected))}"
        )
    return _State(**content)


def _claim(out: Path, recipe: Recipe) -> None:
    """Make the run's folder; the recipe in it must be this one."""
    file = out / "recipe.yaml"
    content = json.loads(recipe.model_dump_json())
    try:
        if file.exists():
            # Compared as recipes: one of an older version lacks keys that have defaults by now.
            if Recipe.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))) != recipe:
                raise InputError(f"{out}: holds a run of another recipe; choose another folder or delete it")
            return
        (out / "samples").mkdir(parents=True, exist_ok=True)
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError):
        raise InputError(f"{file}: not a recipe; choose another folder or delete it") from None
    except OSError as error:
        raise OutputError(f"{out}: cannot be made the folder of a run: {error.strerror}") from None
    write_atomic(file, yaml.safe_dump(content, sort_keys=False))


def _encoder_weights(recipe: Recipe, out: Path) -> dict[str, Tensor]:
    """What the encoder begins with, read before anything is written; a run that goes on needs no file."""
    if recipe.encoder_weights is None or (out / "last.ckpt").exists():
        return {}
    with torch.device("meta"):
        net = build_net(recipe.method, recipe.variant, **recipe.net)
    return read_encoder(net, Path(recipe.encoder_weights))


def _photos_needed(recipe: Recipe, state: _State) -> bool:
    return any(stage.photos for stage in recipe.stages[state.stage :])


def _check_batches(recipe: Recipe, world: int) -> None:
    """Every process must draw as many crops as the others."""
    for stage in recipe.stages:
        for batch in [kind.batch for kind in stage.match.batches] if stage.match else [stage.batch]:
            if batch % world:
                raise UsageError(f"stage {stage.name}: batch {batch} cannot be shared by {world} devices")
