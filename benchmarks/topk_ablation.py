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

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from ivfuse.metrics.evaluate import DEFAULT_METRICS, evaluate_arrays, mean_ranks
from ivfuse.runtime.files import write_atomic
from ivfuse.training.checkpoint import load_model
from ivfuse.training.pairs import load_set
from ivfuse.training.recipe import PairSet, Recipe
from ivfuse.training.trainer import train
from ivfuse.training.validation import run

ROOT = Path(__file__).resolve().parents[1]
VIEWS = {
    "blur": {"name": "blur", "weight": 0.1, "schedule": "cosine"},
    "consistency": {"name": "consistency", "weight": 0.2, "options": {"crop": 64}},
}
JUDGED = DEFAULT_METRICS
NAMES = ("roadscene", "external", "aligned", *VIEWS)
Scores = dict[str, dict[str, float]]  # set -> metric -> mean over its pairs


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
    scores: Scores = {}
    for name in sets:
        rows = []
        for pair in load_set(data, PairSet(path=name)):
            rows.append(evaluate_arrays(run(net, *pair.as_float()), pair.ir, pair.vi, JUDGED))
        scores[name] = {m: float(np.nanmean([row[m] for row in rows])) for m in JUDGED}
    return scores


def finished(recipe: Recipe, data: Path, out: Path, sets: list[str]) -> Scores:
    """Train (or go on, or not at all) and judge; the result is kept beside the run."""
    file = out / "result.json"
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    same = known.get("recipe") == json.loads(recipe.model_dump_json())
    scores: Scores = known.get("scores", {}) if same else {}
    if missing := [name for name in sets if name not in scores]:
        scores |= judge(train(recipe, data, out), data, missing)
        write_atomic(file, json.dumps({"recipe": recipe.model_dump(mode="json"), "scores": scores}, indent=1))
    return {name: scores[name] for name in sets}


def markdown(results: dict[str, list[Scores]], name: str) -> str:
    """The table of one set: mean over seeds, and how far the seeds lie apart."""
    table = {
        config: {m: float(np.mean([r[name][m] for r in runs])) for m in JUDGED}
        for config, runs in results.items()
    }
    ranks = mean_ranks(table)
    lines = [
        f"| {name} | seeds | {' | '.join(JUDGED)} | mean rank |",
        "|" + "---|" * (len(JUDGED) + 3),
    ]
    for config, row in table.items():
        spread = {m: np.ptp([r[name][m] for r in results[config]]) for m in JUDGED}
        cells = [f"{row[m]:.3f} ({spread[m]:.3f})" for m in JUDGED]
        lines.append(f"| {config} | {len(results[config])} | {' | '.join(cells)} | {ranks[config]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "crossfuse-topk" / "cpu.yaml")
    parser.add_argument("--steps", type=int, default=4500, help="of all stages together")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--judge", nargs="+", default=["tno_val", "msrs640"], metavar="SET")
    parser.add_argument("--threads", type=int, help="of torch")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    base = yaml.safe_load(args.recipe.read_text("utf-8"))
    results: dict[str, list[Scores]] = {}
    for seed in args.seeds:  # all configurations of one seed first: a table early
        for name in args.only:
            out = args.out / f"{name}-steps{args.steps}-seed{seed}"
            recipe = variant(base, name, args.steps, seed)
            results.setdefault(name, []).append(finished(recipe, args.data, out, args.judge))
    print(f"\n{args.steps} steps, seeds {args.seeds}; mean over seeds (largest less smallest).\n")
    print("\n\n".join(markdown(results, name) for name in args.judge))


if __name__ == "__main__":
    main()
