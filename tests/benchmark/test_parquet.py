"""Statistics over the rows of a cluster's workers are those of a run on one machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the extra cluster")
pytest.importorskip("fsspec", reason="needs the extra cluster")

from ivfuse.benchmark.parquet import ParquetColumns
from ivfuse.benchmark.plan import make_plan as plan_here
from ivfuse.benchmark.results import collect, reduce
from ivfuse.benchmark.run import run
from ivfuse.benchmark.statistics import GROUPS, bootstrap_mean, ranks_within, tied_ranks
from ivfuse.cluster.plan import make_plan
from ivfuse.cluster.run import carry_out
from ivfuse.cluster.sources import open_source
from ivfuse.cluster.work_compare import CompareWork
from ivfuse.fusion.emphasis import EmphasisName
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.read import read_visible


@pytest.mark.slow
def test_ranks_means_and_failures_are_those_of_one_machine(
    tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    for number in range(4):
        make_pair(*(tmp_path / "src" / kind / f"{number}.png" for kind in ("ir", "vi")), seed=number)
    (tmp_path / "src" / "ir" / "2.png").write_bytes(b"nothing")
    plan = plan_here([tmp_path / "src"], tmp_path / "report", "average,maximum", (), "EN,SSIM")
    here = collect(plan, run(plan, 1))
    metrics = tuple((name, tuple(plan.measured(name))) for name in plan.conventions)
    work = CompareWork((("average", "average"), ("maximum", "maximum")), metrics)
    done = make_plan(work, open_source(str(tmp_path / "src")), str(tmp_path / "out"), 3)
    assert carry_out(done).failed == 1
    columns = ParquetColumns({"src": done.folder.rows()}, dict(metrics))
    found = reduce(plan, columns, columns.problems())
    assert found.leaderboards[0].summaries == here.leaderboards[0].summaries
    assert found.leaderboards[0].image_rank == here.leaderboards[0].image_rank
    assert (found.overall, found.failed, found.pairs) == (here.overall, here.failed, here.pairs)
    assert {(each.method, each.pair) for each in found.problems} == {("average", "2"), ("maximum", "2")}
    few = reduce(replace(plan, sets=plan.sets), columns, (), {"src": [1, 3]})
    assert few.leaderboards[0].summaries == here.leaderboards[0].summaries
    values = here.leaderboards[0].values["average"]["EN"]
    assert np.array_equal(few.leaderboards[0].values["average"]["EN"], values[[1, 3]])


def test_sources_are_known_by_the_content_that_the_workers_read(
    tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    for number in range(12):  # by their names 10 comes before 2
        names = (tmp_path / "src" / kind / f"{number}.png" for kind in ("ir", "vi"))
        make_pair(*names, size=(8, 8), seed=number)
    (tmp_path / "src" / "ir" / "2.png").write_bytes(b"nothing")
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.put(str(tmp_path / "src"), "/ivfuse-sources/src", recursive=True)
    work = CompareWork((("average", "average"), ("maximum", "maximum")), (("default", ("EN",)),))
    places = [str(tmp_path / "src"), "memory://ivfuse-sources/src"]

    def measured(place: str) -> str:
        done = make_plan(work, open_source(place), str(tmp_path / "out"), 5)
        assert carry_out(done).failed == 1
        return ParquetColumns({"src": done.folder.rows()}, {}).sources("src").digest

    here = plan_here([tmp_path / "src"], tmp_path / "report", "average").protocol
    assert here is not None
    assert [measured(place) for place in places] == [here.sets[0].digest] * 2
    memory.pipe_file("/ivfuse-sources/src/vi/2.png", b"another")
    shutil.rmtree(tmp_path / "out")
    assert measured(places[1]) != here.sets[0].digest
    memory.rm("/ivfuse-sources", recursive=True)


def test_workers_fuse_with_the_emphasis_of_a_name(
    tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    make_pair(*(tmp_path / "src" / kind / "0.png" for kind in ("ir", "vi")), size=(40, 40), seed=0)
    methods = (("average", "average"), ("average@natural", "average"))
    emphases: tuple[tuple[str, EmphasisName], ...] = (("average@natural", "natural"),)
    work = CompareWork(methods, (("default", ("EN",)),), emphases=emphases)
    done = make_plan(work, open_source(str(tmp_path / "src")), str(tmp_path / "out"), 1)
    carry_out(done)
    rows = done.folder.rows().to_table(["method", "fused"]).to_pylist()
    kept = {row["method"]: row["fused"] for row in rows}
    for name, _ in methods:
        emphasis = dict(emphases).get(name)
        expected = Fuser("average", emphasis=emphasis).fuse(
            tmp_path / "src" / "ir" / "0.png", tmp_path / "src" / "vi" / "0.png", dtype=np.uint8
        )
        assert np.array_equal(read_visible(Path(done.folder.location) / kept[name]).stored, expected)


def test_ranks_of_many_blocks_are_those_of_each() -> None:
    table = np.random.default_rng(0).integers(0, 4, (50, 6)).astype(float)
    assert np.array_equal(ranks_within(table), np.stack([tied_ranks(-row) for row in table]))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_interval_of_many_values_is_that_of_the_normal_distribution(weighted: bool) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, 3 * GROUPS + 17)
    weights = rng.integers(1, 4, values.size).astype(float) if weighted else None
    low, high = bootstrap_mean(values, weights=weights)
    share = np.full(values.size, 1 / values.size) if weights is None else weights / weights.sum()
    mean, error = float(values @ share), 2 * float(np.sqrt((share**2).sum()))
    # 2000 resamples know the bounds to about 5 % of the standard error of the mean
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.15 * error)
