"""The ablations of MaeFuse's paper at small scale: guided training, the lock of CFM, the infrared guide.

    python benchmarks/maefuse_ablation.py --data DATA -o runs/mae-ablation [--steps 1500] [--seeds 1 2]

One training of encoder and decoder (the base, of the first seed); from its weights, for each seed and on
equal budgets of steps:

    guided            CFM aligned, CFM fused, MFM aligned, MFM fused, each module frozen when its turn is over
    direct            both modules by the fusion loss alone, from the first step
    guided-plain      as guided, without the residual to the mean of both codes (as the paper's modules are)
    direct-plain      as direct, likewise
    open              as guided, but CFM goes on learning beside MFM
    infrared          MFM guided by the infrared codes; aligned, then fused

The last state of each run is judged on sets that chose nothing, and again with the visible brightened to
over-exposure (v ** gamma), against the sources as they were. Written are `tables.md`, `curves.csv` and, where
matplotlib is installed, `curves.png`: the fusion loss over the steps, of CFM's and then of MFM's image.
Stop the program at any time and run it again: a training goes on, finished ones are not repeated.
"""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from ablation import Scores, kept_scores, mean_row, parse, ranked
from common import markdown_table
from ivfuse.metrics.evaluate import DEFAULT_METRICS, evaluate_arrays
from ivfuse.runtime.files import write_atomic
from ivfuse.training.checkpoint import load_model, load_state, save_state
from ivfuse.training.nets import build_net
from ivfuse.training.pairs import load_set
from ivfuse.training.recipe import PairSet, Recipe
from ivfuse.training.trainer import train
from ivfuse.training.validation import run

BASE = ("mask", "reconstruct")  # tasks of the stages that all configurations share
NAMES = ("guided", "direct", "guided-plain", "direct-plain", "open", "infrared")
GAMMAS = (1.0, 0.5, 0.25)
ALIGNED = 0.2  # the share of a module's steps that align it: 20 of 100, as in the paper's Algorithm 1
Curve = list[tuple[int, float]]  # steps since the base, fusion loss


def base_recipe(content: dict[str, Any], seed: int) -> Recipe:
    """The stages that all configurations share."""
    content = copy.deepcopy(content) | {"seed": seed}
    content["stages"] = [s for s in content["stages"] if s["task"] in BASE]
    content["data"]["val"] = []
    return Recipe.model_validate(content)


def variant(content: dict[str, Any], name: str, steps: int, seed: int) -> Recipe:
    """The recipe of configuration ``name``: the base's stages and ``steps`` more."""
    out = json.loads(base_recipe(content, seed).model_dump_json())
    model = next(s for s in reversed(content["stages"]) if s["task"] == "fuse" and not s.get("see"))
    if name.endswith("-plain"):
        out["net"]["residual"] = False
    if name == "infrared":
        out["net"]["guide"] = "infrared"

    def stage(title: str, task: str, learn: list[str], count: int, through: str | None = None) -> None:
        made = copy.deepcopy(model) | {"name": title, "task": task, "learn": learn, "through": through}
        made |= {"steps": max(1, count), "steps_per_epoch": max(1, count), "keep": "last", "ema": 0.0}
        made["optimizer"] = {k: v for k, v in model.get("optimizer", {}).items() if k != "rates"}
        out["stages"].append(made | ({"loss": [{"name": "mse"}]} if task == "align" else {}))

    if name.startswith("direct"):
        stage("mfm-fusion", "fuse", ["cfm", "mfm", "head"], steps)
    else:
        half = 0 if name == "infrared" else steps // 2
        later = ["cfm", "mfm"] if name == "open" else ["mfm"]
        if half:
            stage("cfm-align", "align", ["cfm"], round(ALIGNED * half), "cfm")
            stage("cfm-fusion", "fuse", ["cfm", "head"], half - round(ALIGNED * half), "cfm")
        rest = steps - half
        stage("mfm-align", "align", later, round(ALIGNED * rest))
        stage("mfm-fusion", "fuse", [*later, "head"], rest - round(ALIGNED * rest))
    return Recipe.model_validate(out)


def begin(recipe: Recipe, base: Path, out: Path) -> None:
    """Put the base's end into a configuration's folder, as if its own first stages had just ended."""
    if (out / "last.ckpt").exists():
        return
    state = load_state(base / "last.ckpt")
    torch.manual_seed(recipe.seed)  # parts that the base never taught begin as in any training of this seed
    fresh = build_net(recipe.method, recipe.variant, **recipe.net).state_dict()
    taught = ("encoder.", "decoder.", "reconstructor")
    weights = {k: state["weights"][k] if k.startswith(taught) else v for k, v in fresh.items()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "samples").mkdir(exist_ok=True)
    save_state(out / "last.ckpt", state | {"weights": weights})


def judge(weights: Path, data: Path, sets: list[str]) -> Scores:
    """Means of the eight metrics, on 8-bit images, with the visible as it is and over-exposed."""
    net, _ = load_model(weights)
    scores: Scores = {}
    for name in sets:
        pairs = load_set(data, PairSet(path=name))
        for gamma in GAMMAS:
            rows = []
            for pair in pairs:
                ir, vi = pair.as_float()
                rows.append(
                    evaluate_arrays(run(net, ir, vi**gamma, "cpu"), pair.ir, pair.vi, DEFAULT_METRICS)
                )
            scores[f"{name}, {gamma}"] = mean_row(rows)
    return scores


def curve(out: Path, recipe: Recipe) -> Curve:
    """The loss of a run's fusion stages from its log, over the steps since the base; alignment is a gap."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    found: Curve = []
    before = 0
    for stage in (s for s in recipe.stages if s.task not in BASE):
        if stage.task == "fuse":
            found += [
                (before + x["step"], x["loss"]) for x in lines if x["name"] == stage.name and "loss" in x
            ]
        before += stage.steps
    return found


def finished(recipe: Recipe, base: Path, data: Path, out: Path, sets: list[str]) -> tuple[Scores, Curve]:
    """Train (or go on, or not at all) and judge; the result is kept beside the run."""

    def judged(missing: list[str]) -> Scores:
        begin(recipe, base, out)
        behind = dict.fromkeys(key.rpartition(", ")[0] for key in missing)
        return judge(train(recipe, data, out), data, [*behind])

    wanted = [f"{name}, {gamma}" for name in sets for gamma in GAMMAS]
    return kept_scores(recipe, out, wanted, judged), curve(out, recipe)


def write_curves(curves: dict[str, list[Curve]], out: Path) -> None:
    """``curves.csv``, and ``curves.png`` if there is matplotlib; seeds are averaged."""
    rows = []
    for config, found in curves.items():
        shared = sorted(set.intersection(*({step for step, _ in c} for c in found)))
        rows += [(config, s, float(np.mean([dict(c)[s] for c in found]))) for s in shared]
    with (out / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("configuration", "step", "loss"), *rows])
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("no matplotlib: the curves are in curves.csv alone")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    for config in curves:
        points = [(step, loss) for name, step, loss in rows if name == config]
        axes.plot(*zip(*points, strict=True), label=config, marker="." if len(points) < 10 else None)
    axes.set(xlabel="steps since the base", ylabel="fusion loss", yscale="log")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(out / "curves.png", dpi=120, bbox_inches="tight")
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    args = parse(__doc__, "maefuse", NAMES, (1500, "of each configuration, beyond the base"), arguments)
    content = yaml.safe_load(args.recipe.read_text("utf-8"))
    results: dict[str, list[Scores]] = {}
    curves: dict[str, list[Curve]] = {}
    base = args.out / f"base-seed{args.seeds[0]}"
    train(base_recipe(content, args.seeds[0]), args.data, base)
    for seed in args.seeds:  # all configurations of one seed first: a table early
        for name in args.only:
            out = args.out / f"{name}-steps{args.steps}-seed{seed}"
            recipe = variant(content, name, args.steps, seed)
            scores, points = finished(recipe, base, args.data, out, args.judge)
            results.setdefault(name, []).append(scores)
            curves.setdefault(name, []).append(points)
    tables = [ranked(results, f"{name}, {gamma}") for name in args.judge for gamma in GAMMAS]
    ends = [(name, f"{np.mean([c[-1][1] for c in found]):.4f}") for name, found in curves.items()]
    tables.append(markdown_table(("configuration", "fusion loss at the end"), ends))
    text = f"{args.steps} steps, seeds {args.seeds}. Behind the set: the visible's gamma.\n\n" + "\n\n".join(
        tables
    )
    write_atomic(args.out / "tables.md", text + "\n")
    write_curves(curves, args.out)
    print("\n" + text)


if __name__ == "__main__":
    main()
