"""A small set of street scenes, and one benchmark of it that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.benchmark.plan import Plan, make_plan
from ivfuse.benchmark.report.page import write_page
from ivfuse.benchmark.results import Results, collect
from ivfuse.benchmark.run import Outcome, run
from ivfuse.benchmark.tables import write_tables
from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

HOURS = ("night", "day", "dusk")
METRICS = "EN,SD,SCD,Qabf"


@dataclass(frozen=True)
class Done:
    """A finished benchmark."""

    plan: Plan
    outcome: Outcome
    results: Results
    page: str


def scenes(root: Path, count: int = 3, size: tuple[int, int] = (48, 64)) -> Path:
    """Write pairs ``s1``, ``s2``, ... below ``root/ir`` and ``root/vi``."""
    for number in range(count):
        scene = street_scene(*size, seed=number, time=HOURS[number % 3])  # type: ignore[arg-type]
        write_image(root / "ir" / f"s{number + 1}.png", scene.ir)
        write_image(root / "vi" / f"s{number + 1}.png", scene.vi)
    return root


def bring(folder: Path, data: Path, leave_out: str = "", shrink: str = "") -> Path:
    """Write the visible images of a set as results of another program."""
    folder.mkdir(parents=True)
    for path in sorted((data / "vi").iterdir()):
        if path.stem != leave_out:
            image = cv2.imread(str(path))
            image = image[:20, :30] if path.stem == shrink else image
            assert cv2.imwrite(str(folder / f"{path.stem}_fused.png"), np.ascontiguousarray(image))
    return folder


@pytest.fixture
def benchmark() -> Callable[..., Done]:
    """Run a benchmark in this process (methods run in their own)."""
    return carry_out


def carry_out(roots: list[Path], out: Path, methods: str = "average,maximum", **choices: Any) -> Done:
    """Plan, run and report."""
    choices.setdefault("metrics", METRICS)
    plan = make_plan(roots, out, methods, **choices)
    outcome = run(plan, jobs=1)
    results = collect(plan, outcome)
    write_tables(results, out / "tables")
    write_page(results, out / "index.html")
    return Done(plan, outcome, results, (out / "index.html").read_text(encoding="utf-8"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pairs."""
    return scenes(tmp_path / "streets")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Two methods and a brought one that lacks an image and has a mis-sized one, under two conventions."""
    root = tmp_path_factory.mktemp("finished")
    streets = scenes(root / "streets")
    other = bring(root / "other", streets, leave_out="s1", shrink="s3")
    return carry_out([streets], root / "report", fused=[f"other={other}"], conventions=["default", "cddfuse"])
