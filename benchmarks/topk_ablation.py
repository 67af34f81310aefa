"""What each part of crossfuse-topk's training is worth on scenes unlike the training set's.

    python benchmarks/topk_ablation.py --data DATA -o runs/ablation [--steps 4500] [--seeds 1 2]

Five trainings from one recipe, with equal budgets and several seeds each:

    roadscene     RoadScene alone
    external      and all patches of M3FD, as they are
    aligned       and its Top-K aligned patches instead
    blur          aligned, and the penalty of the paper's release on detail
    consistency   aligned, and views of the inputs

The last state of each run is judged, on sets that no training saw and that chose nothing. Stop the program at
any time and run it again: a training goes on, finished ones are not repeated. The tables are Markdown.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from ablation import Scores, kept_scores, mean_row, parse, ranked
from ivfuse.metrics.evaluate import DEFAULT_METRICS, evaluate_arrays
from ivfuse.training.checkpoint import load_model
from ivfuse.training.pairs import load_set
from ivfuse.training.recipe import PairSet, Recipe
from ivfuse.training.trainer import train
from ivfuse.training.validation import run

VIEWS = {
    "blur": {"name": "blur", "weight": 0.1, "schedule": "cosine"},
    "consistency": {"name": "consistency", "weight": 0.2, "options": {"crop": 64}},
}
NAMES = ("roadscene", "external", "aligned", *VIEWS)


def variant(base: dict[str, Any], name: str, steps: int, seed: int) -> Recipe:
    """The base recipe as configuration ``name``; its stages share ``steps`` as they share the recipe's."""
    content = copy.deepcopy(base) | {"seed": seed}
    data = content["data"]
    data["train"] = [x for x in data["train"] if x["path"] == "roadscene/train"]
    data["val"] = []
    if name == "roadscene":
        data.pop("external")
    elif name == "external":
        data["external"] |= {"k": None, "gamma": "none"}
    whole = sum(stage["steps"] for stage in content["stages"])
    for stage in content["stages"]:
        stage["steps"] = max(1, round(stage["steps"] * steps / whole))
        stage |= {"steps_per_epoch": stage["steps"], "keep": "last"}
        if stage["task"] == "fuse":
            given = {term["name"]: term for term in stage["loss"]}  # the base's own weights and options win
            stage["loss"] = [term for term in stage["loss"] if term["name"] not in VIEWS]
            stage["loss"] += [given.get(name, VIEWS[name])] if name in VIEWS else []
    return Recipe.model_validate(content)


def judge(weights: Path, data: Path, sets: list[str]) -> Scores:
    """Means of the eight metrics, on 8-bit images."""
    net, _ = load_model(weights)
    return {
        name: mean_row(
            [
                evaluate_arrays(run(net, *pair.as_float()), pair.ir, pair.vi, DEFAULT_METRICS)
                for pair in load_set(data, PairSet(path=name))
            ]
        )
        for name in sets
    }


def finished(recipe: Recipe, data: Path, out: Path, sets: list[str]) -> Scores:
    """Train (or go on, or not at all) and judge; the result is kept beside the run."""
    return kept_scores(recipe, out, sets, lambda missing: judge(train(recipe, data, out), data, missing))


def main(arguments: list[str] | None = None) -> None:
    args = parse(__doc__, "crossfuse-topk", NAMES, (4500, "of all stages together"), arguments)
    base = yaml.safe_load(args.recipe.read_text("utf-8"))
    results: dict[str, list[Scores]] = {}
    for seed in args.seeds:  # all configurations of one seed first: a table early
        for name in args.only:
            out = args.out / f"{name}-steps{args.steps}-seed{seed}"
            recipe = variant(base, name, args.steps, seed)
            results.setdefault(name, []).append(finished(recipe, args.data, out, args.judge))
    print(f"\n{args.steps} steps, seeds {args.seeds}; mean over seeds (largest less smallest).\n")
    print("\n\n".join(ranked(results, name, spread=True) for name in args.judge))


if __name__ == "__main__":
    main()
