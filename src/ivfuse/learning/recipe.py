"""Recipes: a whole training in one YAML file, read strictly: an unknown key is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ivfuse.errors import InputError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Loss(_Strict):
    """One term of a loss: a name of ``losses.py``, its weight and its options."""

    name: str
    weight: float = 1.0
    options: dict[str, float] = {}


class PairSet(_Strict):
    """A folder of pairs below the data root.

    Attributes:
        path: relative to the data root; holds ``ir/`` and ``vi/``.
        weight: how often, relative to the other sets, a training crop comes from this one.
        limit: use only this many pairs, evenly spread over the names.
    """

    path: str
    weight: float = Field(default=1.0, gt=0)
    limit: int | None = Field(default=None, gt=0)


class Data(_Strict):
    """What is trained on and what is validated on.

    Attributes:
        exclude_stems_of: training pairs whose names occur in these folders are left out, for sets that hold
            the same scenes in another size.
    """

    train: list[PairSet]
    val: list[PairSet] = []
    exclude_stems_of: list[str] = []


class Augment(_Strict):
    """Random changes of a crop.

    Attributes:
        flip: mirror left-right and up-down.
        turn: quarter turns.
        exposure: largest change of the gamma exponent, as a factor (0.5: from 1/1.5 to 1.5), in each
            modality alone.
        gain: largest shrinking of the value range (0.5: down to half of it, at a random offset), likewise.
        noise: largest standard deviation of added Gaussian noise, in units of the full range, likewise.
        chance: probability of each of the last three.
    """

    flip: bool = True
    turn: bool = False
    exposure: float = 0.0
    gain: float = 0.0
    noise: float = 0.0
    chance: float = 0.5


class Optimizer(_Strict):
    """Adam or AdamW, and the course of its learning rate (per step)."""

    name: Literal["adam", "adamw"] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine", "drop"] = "cosine"
    warmup: int = 0
    drop_at: float = 0.1  # "drop": the fraction of the steps after which the rate falls to a tenth
    clip: float | None = None  # gradient norm


class StageRecipe(_Strict):
    """One stage of a training.

    Attributes:
        task: ``reconstruct`` (each picture from its own features) or ``fuse``.
        learn: names of the network's parts that learn; all others are frozen.
        deep_only: reconstruct: the share of steps in which only the deep features may be used.
        keep: ``best`` goes on with (and ships) the epoch of the best validation score, ``last`` the last.
    """

    name: str
    task: Literal["reconstruct", "fuse"]
    learn: list[str] = Field(min_length=1)
    loss: list[Loss] = Field(min_length=1)
    steps: int = Field(gt=0)
    steps_per_epoch: int = Field(default=500, gt=0)
    batch: int = Field(default=8, gt=0)
    crop: int = Field(default=128, gt=0)
    resize: bool = (
        False  # resize whole pictures to the crop's size, ignoring the aspect ratio, as the release does
    )
    deep_only: float = Field(default=0.0, ge=0, le=1)
    optimizer: Optimizer = Optimizer()
    augment: Augment = Augment()
    ema: float = Field(default=0.0, ge=0, lt=1)
    keep: Literal["best", "last"] = "last"

    @model_validator(mode="after")
    def _losses_differ(self) -> StageRecipe:
        names = [term.name for term in self.loss]
        if len(set(names)) != len(names):
            raise ValueError(f"each loss can be named once, found {names}")
        return self


class Recipe(_Strict):
    """A whole training."""

    method: str
    variant: Literal["fixed", "paper"] = "fixed"
    net: dict[str, Any] = {}
    seed: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    save_every: int = Field(default=250, gt=0)
    data: Data
    stages: list[StageRecipe] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Recipe:
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"stages must have different names, found {names}")
        return self


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: the file is missing, is not YAML, or holds an unknown key or a value out of range; the
            message names the file and the key.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from None
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        said = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] == "value_error" else f", found {first.get('input')!r:.80}"
        raise InputError(f"{path}: {where}: {said}{found}") from None
