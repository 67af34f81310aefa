"""What the programs of ablations share: their arguments, results that are kept, and the table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import make_parser, markdown_table
from ivfuse.metrics.evaluate import DEFAULT_METRICS, mean_ranks
from ivfuse.runtime.files import write_atomic
from ivfuse.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, float]
Scores = dict[str, Row]  # what was judged -> metric -> mean over its pairs


def parse(
    doc: str | None, method: str, names: Sequence[str], steps: tuple[int, str], arguments: list[str] | None
) -> argparse.Namespace:
    """The options of an ablation.

    Args:
        doc: docstring of the program.
        method: whose recipe `cpu.yaml` is the base.
        names: of the configurations.
        steps: default of `--steps`, and its help.
        arguments: instead of those of the process.
    """
    parser = make_parser(doc)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / method / "cpu.yaml")
    parser.add_argument("--steps", type=int, default=steps[0], help=steps[1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--judge", nargs="+", default=["tno_val", "msrs640"], metavar="SET")
    parser.add_argument("--threads", type=int, help="of torch")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    return options


def mean_row(rows: Sequence[Row]) -> Row:
    """Mean of each of the eight metrics over pairs."""
    return {m: float(np.nanmean([row[m] for row in rows])) for m in DEFAULT_METRICS}


def kept_scores(
    recipe: Recipe, out: Path, wanted: Sequence[str], judge: Callable[[list[str]], Scores]
) -> Scores:
    """Scores from `result.json` of a run with the same recipe; what it lacks is judged and added.

    Args:
        recipe: of the run.
        out: folder of the run.
        wanted: keys of the scores.
        judge: trains if need be, and gives the scores of those that are missing.
    """
    file = out / "result.json"
    known: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    same = known.get("recipe") == json.loads(recipe.model_dump_json())
    scores: Scores = known.get("scores", {}) if same else {}
    if missing := [name for name in wanted if name not in scores]:
        scores |= judge(missing)
        write_atomic(file, json.dumps({"recipe": recipe.model_dump(mode="json"), "scores": scores}, indent=1))
    return {name: scores[name] for name in wanted}


def ranked(results: dict[str, list[Scores]], name: str, *, spread: bool = False) -> str:
    """The table of one set: means over the seeds, behind them the largest less the smallest if asked for."""
    rows = {
        config: {m: [scores[name][m] for scores in runs] for m in DEFAULT_METRICS}
        for config, runs in results.items()
    }
    ranks = mean_ranks(
        {config: {m: float(np.mean(v)) for m, v in row.items()} for config, row in rows.items()}
    )
    cells = [
        [
            config,
            str(len(results[config])),
            *(f"{np.mean(v):.3f}" + (f" ({np.ptp(v):.3f})" if spread else "") for v in row.values()),
            f"{ranks[config]:.2f}",
        ]
        for config, row in rows.items()
    ]
    return markdown_table([name, "seeds", *DEFAULT_METRICS, "mean rank"], cells)
