"""Recipes: a whole training in one YAML file, read strictly: an unknown key is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ivfuse.errors import InputError
from ivfuse.registration.refine import SHARPNESS
from ivfuse.training.recipe_yaml import read_yaml

Offset = tuple[float, float]  # right and down


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Loss(_Strict):
    """One term of a loss: a name of ``losses.py`` or ``losses_views.py``, its weight and its options.

    Attributes:
        schedule: the course of the weight over the stage: ``constant``, or by a ``cosine`` down to nothing.
        only: reconstruct: of this modality alone; both if None.
    """

    name: str
    weight: float = 1.0
    options: dict[str, float] = {}
    schedule: Literal["constant", "cosine"] = "constant"
    only: Literal["ir", "vi"] | None = None


class PairSet(_Strict):
    """A folder of pairs below the data root.

    Attributes:
        path: relative to the data root; holds ``ir/`` and ``vi/``.
        weight: how often, relative to the other sets, a training crop comes from this one.
        limit: use only this many pairs, evenly spread over the names.
        size: width and height that the pairs are brought to, for sets whose aspect was lost.
        corners: where the infrared's corners belong, for sets whose own alignment is off: right and down from
            where they are, in percent of the width, clockwise from the upper left.
    """

    path: str
    weight: float = Field(default=1.0, gt=0)
    limit: int | None = Field(default=None, gt=0)
    size: tuple[int, int] | None = None
    corners: tuple[Offset, Offset, Offset, Offset] | None = None


class PhotoSet(_Strict):
    """A folder of photographs below the data root, for stages that take single images.

    Attributes:
        path: relative to the data root; holds image files, color or gray.
        weight, limit: as of a set of pairs.
    """

    path: str
    weight: float = Field(default=1.0, gt=0)
    limit: int | None = Field(default=None, gt=0)


class External(_Strict):
    """Patches of another set, chosen and corrected to look like the training sets; see ``alignment.py``.

    Attributes:
        path: relative to the data root; holds ``ir/`` and ``vi/``.
        weight: as of a training set; each patch is an image of it.
        target: the training sets to look like, by their paths; all of them if empty.
        limit: as of a training set.
        k: how many patches are kept, nearest first; None keeps all.
        patch, stride: side of the patches and of their grid, in pixels.
        distance: ``mean`` (the paper), ``wasserstein`` or ``chi2``.
        gamma: one exponent per channel for the ``set``, per ``cluster`` of the target, or ``none``.
        clusters: of the target's patches, for ``cluster``.
        bounds: smallest and largest gamma.
        truncate: cut the corrected levels off as the release does, instead of rounding.
    """

    path: str
    weight: float = Field(default=1.0, gt=0)
    target: list[str] = []
    limit: int | None = Field(default=None, gt=0)
    k: int | None = Field(default=1000, gt=0)
    patch: int = Field(default=64, gt=0)
    stride: int = Field(default=200, gt=0)
    distance: Literal["mean", "wasserstein", "chi2"] = "mean"
    gamma: Literal["set", "cluster", "none"] = "set"
    clusters: int = Field(default=4, gt=0)
    bounds: tuple[float, float] = (0.2, 5.0)
    truncate: bool = False


class Data(_Strict):
    """What is trained on and what is validated on.

    Attributes:
        external: patches of another set that are trained on besides.
        photos: photographs, seen by the stages with ``photos: true`` alone.
        exclude_stems_of: training pairs whose names occur in these folders are left out, for sets that hold
            the same scenes in another size.
    """

    train: list[PairSet]
    val: list[PairSet] = []
    exclude_stems_of: list[str] = []
    external: External | None = None
    photos: list[PhotoSet] = []

    @model_validator(mode="after")
    def _targets_are_trained_on(self) -> Data:
        known = [spec.path for spec in self.train]
        for path in self.external.target if self.external else ():
            if path not in known:
                raise ValueError(f"external.target: {path!r} is none of the training sets {known}")
        return self


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
    """Adam or AdamW, and the course of its learning rate (per step).

    Attributes:
        schedule: ``constant``; ``cosine`` down to 1 %; ``drop`` to a tenth; ``step``: halved again and again.
        warmup: steps of a linear rise at the start.
        drop_at: drop: the fraction of the steps after which the rate falls.
        halve_every: step: the steps after which the rate is halved each time.
        floor: no rate falls below it (but in the warm-up).
        rates: a factor of the rate for parts of the network, by their names; 1 for the others.
        clip: largest norm of the gradients.
        clip_parts: clip the gradients of each part by themselves.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine", "drop", "step"] = "cosine"
    warmup: int = 0
    drop_at: float = 0.1
    halve_every: int = Field(default=10_000, gt=0)
    floor: float = Field(default=0.0, ge=0)
    rates: dict[str, float] = {}
    clip: float | None = None
    clip_parts: bool = False


class MatchBatch(_Strict):
    """A kind of batch of the task ``match``: crops of a side, and blocks in each, of a side, in pixels."""

    crop: int = Field(gt=0)
    batch: int = Field(gt=0)
    block: int = Field(gt=0)
    blocks: int = Field(gt=0)

    @model_validator(mode="after")
    def _block_fits(self) -> MatchBatch:
        if self.block > self.crop:
            raise ValueError(f"block {self.block} does not fit into crop {self.crop}")
        return self


class Match(_Strict):
    """What the task ``match`` learns from: pairs, scaled and turned together and warped against each other.

    Of the stage's ``augment``, ``gain`` is the largest loss of light here.

    Attributes:
        batches: their kinds, all equally often.
        largest: root of the area of the images that crops are taken from, at most, in pixels.
        reach: of the shifts, in pixels.
        turn: standard deviation of the turn of both, in degrees.
        bend: standard deviation of the corners' differing shifts, in parts of the crop.
        sharpness: of likelihoods, exp(sharpness * correlation); that of registration by default.
        outliers: share of blocks whose shift nothing explains.
        unrelated: weight of the loss over blocks of different scenes.
    """

    batches: list[MatchBatch] = Field(min_length=1)
    largest: float = Field(default=460, gt=0)
    reach: int = Field(default=6, gt=1)
    turn: float = 10.0
    bend: float = 0.018
    sharpness: float = Field(default=SHARPNESS, gt=0)
    outliers: float = Field(default=0.03, gt=0, lt=1)
    unrelated: float = 0.1


Weather = Literal["haze", "rain", "snow", "dark", "glare", "grain"]


class See(_Strict):
    """Crops with their warm targets, some seen through weather: batches of a stage that learns to see.

    Attributes:
        sides: of the shorter side of the pictures, in pixels: each is held in all that suit it.
        streets: so many synthetic streets are learned from too.
        streets_weight: as of a training set.
        weather: the share of pairs that is seen through each: haze, rain, snow, dark, glare, grain.
        knowable: the share of the clean level that is asked for in a kind of weather, where it is not the
            usual one: 0 asks for the level that is seen, 1 for that of the clean image.
        thermal: the chance of each fault of the thermal: blur, less contrast, noise, stripes.
    """

    sides: list[int] = [192, 320, 480]
    streets: int = Field(default=0, ge=0)
    streets_weight: float = Field(default=0.1, gt=0)
    weather: dict[Weather, float] = {}
    knowable: dict[Weather, Annotated[float, Field(ge=0, le=1)]] = {}
    thermal: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _shares_fit(self) -> See:
        if any(share < 0 for share in self.weather.values()) or sum(self.weather.values()) > 1:
            raise ValueError("weather: shares of 0 or more, 1 together at most")
        return self


class StageRecipe(_Strict):
    """One stage of a training.

    Attributes:
        task: ``mask`` (guess hidden patches of single images: infrared, visible or photographs),
            ``reconstruct`` (each image from its own features), ``align`` (fused codes near the mean of both
            sources'), ``fuse``, or ``match`` (where blocks of one image lie in the other; the matcher).
        learn: names of the network's parts that learn; all others are frozen.
        through: align, fuse: the fusion module whose code is used, those behind it are passed by; None: all.
        mask: mask: the share of patches that is hidden.
        photos: mask, reconstruct, match: draw from ``data.photos`` too.
        match: match: what is learned from; its losses, crops and batches are there.
        see: fuse: draw crops with targets and weather, which the losses of seeing are about.
        teacher: fuse: a file of weights whose network the loss ``imitation`` follows.
        deep_only: reconstruct: the share of steps in which only the deep features may be used.
        mix: share of the trained weights in what the stage leaves; the rest are those that it began with.
            Their mean often does better than either (Wortsman et al., CVPR 2022).
        keep: ``best`` goes on with (and ships) the epoch of the best validation score, ``last`` the last.
    """

    name: str
    task: Literal["mask", "reconstruct", "align", "fuse", "match"]
    learn: list[str] = Field(min_length=1)
    loss: list[Loss] = []
    match: Match | None = None
    see: See | None = None
    steps: int = Field(gt=0)
    steps_per_epoch: int = Field(default=500, gt=0)
    batch: int = Field(default=8, gt=0)
    crop: int = Field(default=128, gt=0)
    resize: bool = (
        False  # resize whole images to the crop's size, ignoring the aspect ratio, as the release does
    )
    through: str | None = None
    mask: float = Field(default=0.75, gt=0, lt=1)
    photos: bool = False
    teacher: str | None = None
    deep_only: float = Field(default=0.0, ge=0, le=1)
    optimizer: Optimizer = Optimizer()
    augment: Augment = Augment()
    ema: float = Field(default=0.0, ge=0, lt=1)
    mix: float = Field(default=1.0, gt=0, le=1)
    keep: Literal["best", "last"] = "last"

    @model_validator(mode="after")
    def _losses_differ(self) -> StageRecipe:
        names = [term.name for term in self.loss]
        if (self.task == "match") != (self.match is not None) or bool(names) == (self.task == "match"):
            raise ValueError("the task match has the key match, every other one or more losses")
        if len(set(names)) != len(names):
            raise ValueError(f"each loss can be named once, found {names}")
        for term in self.loss:
            if term.only and self.task != "reconstruct":
                raise ValueError(f"loss {term.name}: only={term.only} is for the task reconstruct")
        if self.through and self.task not in ("align", "fuse"):
            raise ValueError(f"through={self.through} is for the tasks align and fuse")
        if self.teacher and self.task != "fuse":
            raise ValueError(f"teacher={self.teacher} is for the task fuse")
        if self.see and self.task != "fuse":
            raise ValueError("see is for the task fuse")
        if self.photos and self.task not in ("mask", "reconstruct", "match"):
            raise ValueError("photos is for the tasks mask, reconstruct and match")
        if unknown := [part for part in self.optimizer.rates if part not in self.learn]:
            raise ValueError(f"optimizer.rates: {unknown[0]!r} does not learn, expected one of {self.learn}")
        return self


class Recipe(_Strict):
    """A whole training.

    Attributes:
        encoder_weights: a file that the network's encoder begins with: a checkpoint of the MAE release, or
            weights of another run.
    """

    method: str
    variant: Literal["fixed", "paper"] = "fixed"
    net: dict[str, Any] = {}
    encoder_weights: str | None = None
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
        if not self.data.photos and any(s.photos for s in self.stages):
            raise ValueError("a stage draws from photos, expected some in data.photos")
        if not self.data.train and not all(s.photos for s in self.stages):
            raise ValueError("a stage draws from pairs, expected some in data.train")
        if self.precision == "16-mixed" and any(s.optimizer.clip_parts for s in self.stages):
            raise ValueError(
                "clip_parts cannot be used with the precision 16-mixed, whose gradients are scaled"
            )
        return self


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: the file is missing or larger than 1 MiB, is not YAML, or holds an unknown key or a value
            out of range; the message names the file and the key.
    """
    path = Path(path)
    raw = read_yaml(path)
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        said = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] == "value_error" else f", found {_quoted(first.get('input')):.80}"
        raise InputError(f"{path}: {where}: {said}{found}") from None


def _quoted(value: Any) -> str:
    """A value of a recipe for a message."""
    try:
        return repr(value)
    except ValueError:  # a hexadecimal integer of more digits than Python converts to decimal
        return "a very large integer"
