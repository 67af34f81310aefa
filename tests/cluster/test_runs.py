"""Runs without Ray: finished exactly once, equal to the run on one machine, failures as rows."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow", reason="needs the extra cluster")
fsspec = pytest.importorskip("fsspec", reason="needs the extra cluster")

from ivfuse.cluster import shard as shards  # noqa: E402
from ivfuse.cluster.plan import RunPlan, make_plan  # noqa: E402
from ivfuse.cluster.run import RunSummary, TooManyFailures, carry_out  # noqa: E402
from ivfuse.cluster.sources import open_source  # noqa: E402
from ivfuse.cluster.work import SOURCE_DIGESTS  # noqa: E402
from ivfuse.cluster.work_fuse import FuseWork  # noqa: E402
from ivfuse.cluster.work_score import ScoreWork  # noqa: E402
from ivfuse.cluster.work_window import WindowWork, merged_window  # noqa: E402
from ivfuse.errors import UsageError  # noqa: E402
from ivfuse.fusion.batch import fuse_pairs  # noqa: E402
from ivfuse.fusion.options import FuseOptions  # noqa: E402
from ivfuse.fusion.outputs import FusedImage  # noqa: E402
from ivfuse.fusion.pipeline import Fuser  # noqa: E402
from ivfuse.image.pairing import pair_folder  # noqa: E402
from ivfuse.thermal.read import ThermalOptions, read_raw  # noqa: E402
from ivfuse.thermal.shared_window import shared_window  # noqa: E402

WORK = FuseWork(FuseOptions(method="average"))


def plan(source: Path | str, out: Path | str, work: Any = WORK, **options: Any) -> RunPlan:
    return make_plan(work, open_source(str(source)), str(out), **{"shard_size": 3, **options})


def rows(run: RunPlan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.folder.rows().to_table().to_pylist()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture
def plain(folder: Path, tmp_path: Path) -> dict[str, bytes]:
    """What the run on one machine writes, by name."""
    pairs = pair_folder(folder).pairs
    fuse_pairs(Fuser("average"), pairs, FusedImage(tmp_path / "plain", ".png"))
    return contents(tmp_path / "plain")


def test_a_run_writes_the_images_of_the_run_on_one_machine_and_a_row_per_pair(
    folder: Path, tmp_path: Path, plain: dict[str, bytes]
) -> None:
    run = plan(folder, tmp_path / "out")
    summary = carry_out(run)
    assert (summary.pairs, summary.done, summary.failed) == (7, 7, 0)
    assert contents(tmp_path / "out") == plain
    found = rows(run)
    assert [row["id"] for row in found] == [str(number) for number in range(7)]
    assert {(row["status"], row["height"], row["width"], row["method"]) for row in found} == {
        ("done", 16, 24, "average")
    }
    assert all(Path(run.folder.location, row["fused"]).is_file() for row in found)


@pytest.mark.parametrize("tar", [False, True])
def test_a_store_holds_the_same_images(store: str, folder: Path, plain: dict[str, bytes], tar: bool) -> None:
    run = plan(folder, f"{store}/out", tar=tar)
    carry_out(run)
    memory = fsspec.filesystem("memory")
    found: dict[str, bytes] = {}
    for path in memory.find("/ivfuse-test/out"):
        if path.endswith(".png"):
            found[path.rpartition("/")[2]] = memory.cat_file(path)
        if path.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(memory.cat_file(path))) as archive:
                found |= {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    assert found == plain
    again = list(open_source(run.folder.location, needed=("id", "ir", "vi", "fused")).checked())
    assert len(again) == 7


def test_a_repeated_run_does_what_is_missing_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    run = plan(folder, tmp_path / "out")
    for number, _ in enumerate(shards.ShardWorker(_job(run)).run(n) for n in (0, 2)):
        assert number < 2
    location = Path(run.folder.location)
    before = {path: path.stat().st_mtime_ns for path in location.rglob("*") if path.is_file()}
    again = plan(folder, tmp_path / "out")
    assert again.folder == run.folder
    assert again.missing == (1,)
    seen: list[int] = []
    summary = carry_out(again, on_shard=lambda report: seen.append(report.shard))
    assert (seen, summary.reused, summary.done) == ([1], 2, 7)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert plan(folder, tmp_path / "out").missing == ()


def _job(run: RunPlan) -> shards.Job:
    return shards.Job(run.work, run.folder.location, run.facts.tar)


def test_an_attempt_that_ended_before_its_rows_leaves_nothing(
    folder: Path, tmp_path: Path, plain: dict[str, bytes]
) -> None:
    run = plan(folder, tmp_path / "out")
    place = Path(run.folder.files_of(0, False))
    place.mkdir(parents=True)
    (place / "0.png").write_bytes(b"half")
    (place / "stranger.png").write_bytes(b"of a lost attempt")
    carry_out(run)
    assert contents(tmp_path / "out") == plain


def test_another_option_method_or_list_of_pairs_is_another_run(folder: Path, tmp_path: Path) -> None:
    runs = {plan(folder, tmp_path / "out").facts.run}
    for options in (FuseOptions(method="maximum"), FuseOptions(method="average", gray=True)):
        runs.add(plan(folder, tmp_path / "out", FuseWork(options)).facts.run)
    runs.add(plan(folder, tmp_path / "out", replace(WORK, suffix=".jpg")).facts.run)
    (folder / "ir" / "6.png").unlink()
    runs.add(plan(folder, tmp_path / "out").facts.run)
    assert len(runs) == 5


def test_broken_pairs_are_rows_with_a_reason_and_no_more_than_allowed(folder: Path, tmp_path: Path) -> None:
    (folder / "vi" / "1.png").write_bytes(b"nothing")
    (folder / "ir" / "4.png").write_bytes((folder / "ir" / "4.png").read_bytes()[:60])
    run = plan(folder, tmp_path / "out")
    summary = carry_out(run, max_failures=2)
    bad = {row["id"]: row["reason"] for row in rows(run) if row["status"] == "failed"}
    assert (summary.failed, set(bad)) == (2, {"1", "4"})
    assert "not an image" in bad["1"]
    assert all(not row["fused"] for row in rows(run) if row["id"] in bad)
    with pytest.raises(TooManyFailures, match="2 pairs failed, expected at most 1; the first: 1:"):
        carry_out(plan(folder, tmp_path / "other"), max_failures=1)
    with pytest.raises(TooManyFailures):  # those of finished shards count as well
        carry_out(plan(folder, tmp_path / "out"), max_failures=1)


def test_reasons_in_a_store_name_the_source_and_no_copy(store: str, folder: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    (folder / "vi" / "1.png").write_bytes(b"nothing")
    memory.put(str(folder), "/ivfuse-test/src", recursive=True)
    run = plan(f"{store}/src", tmp_path / "out")
    carry_out(run)
    [reason] = [row["reason"] for row in rows(run) if row["status"] == "failed"]
    assert re.match(r"memory://\S*/src/vi/1\.png: not an image", reason)


def test_a_pair_that_ends_its_process_fails_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)  # where the process finds the class below
    run = plan(folder, tmp_path / "out", Deadly(WORK.options))
    for _ in range(shards.CAREFUL_AFTER):  # as attempts that were killed leave it
        run.folder.begin_attempt(0)
    report = shards.ShardWorker(_job(run)).run(0)
    assert (report.done, report.failed) == (2, 1)
    assert "its worker process ended unexpectedly" in report.reasons[0]
    for row in rows(run):  # what was measured is known of the failed pair too
        assert row["vi_sha256"] == sha256((folder / "vi" / f"{row['id']}.png").read_bytes()).hexdigest()


class Deadly(FuseWork):
    """Ends its process at the pair 1; its rows state the content of the files."""

    @property
    def columns(self) -> Any:
        return pa.schema([*SOURCE_DIGESTS, *super().columns])

    def session(self, threads: int) -> Any:
        import os

        session = super().session(threads)
        read: Callable[..., Any] = session.read

        def deadly(pair: Any, folder: Path) -> Any:
            return os._exit(1) if pair.id == "1" else read(pair, folder)

        session.read = deadly  # type: ignore[method-assign]
        return session


def test_scores_of_a_run_are_those_of_one_machine(
    folder: Path, tmp_path: Path, plain: dict[str, bytes]
) -> None:
    from ivfuse.image.pairing import match_fused
    from ivfuse.metrics.folder import score_files

    run = plan(folder, tmp_path / "out")
    carry_out(run)
    work = ScoreWork(("EN", "SSIM", "targets_lost"))
    source = open_source(run.folder.location, needed=("id", "ir", "vi", "fused"))
    scored = make_plan(work, source, str(tmp_path / "scores"), 4)
    summary: RunSummary = carry_out(scored)
    assert summary.done == 7
    triples = match_fused(pair_folder(folder), tmp_path / "plain").triples
    expected = score_files(triples, work.names)
    for row, one in zip(rows(scored), expected, strict=True):
        assert one.scores is not None
        assert row["default/EN"] == one.scores.values["EN"]
        assert row["default/SSIM"] == one.scores.values["SSIM"]
        assert row["default/targets_lost#"] == one.scores.counts["targets_lost"]


def test_one_window_for_a_series_is_that_of_one_machine(folder: Path, tmp_path: Path) -> None:
    options = ThermalOptions(window="shared")
    run = plan(folder, tmp_path / "out", WindowWork(options), shard_size=2)
    carry_out(run)
    raws = [read_raw(path, options) for path in sorted((folder / "ir").iterdir())]
    assert merged_window(run.folder) == shared_window((raw.values, raw.degrees) for raw in raws)


def test_a_pair_can_have_a_window_of_its_own(folder: Path, tmp_path: Path) -> None:
    lines = [f"{n},{folder}/ir/{n}.png,{folder}/vi/{n}.png,{'20..60' if n == 1 else ''}" for n in range(2)]
    (tmp_path / "pairs.csv").write_text("\n".join(["id,ir,vi,window", *lines]))
    run = plan(tmp_path / "pairs.csv", tmp_path / "out")
    carry_out(run)
    window = [(row["thermal_low"], row["thermal_high"], row["thermal_unit"]) for row in rows(run)]
    assert window == [(None, None, None), (20.0, 60.0, "counts")]
    fused = Fuser("average", thermal=ThermalOptions(window=(20, 60)))
    fused.fuse_files(folder / "ir" / "1.png", folder / "vi" / "1.png", tmp_path / "1.png")
    assert contents(tmp_path / "out")["1.png"] == (tmp_path / "1.png").read_bytes()


def test_a_size_of_shards_out_of_range_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shard: found 0, expected 1 to 100000 pairs"):
        plan(folder, tmp_path / "out", shard_size=0)


def test_a_method_object_cannot_be_sent_to_workers(folder: Path, tmp_path: Path) -> None:
    work = FuseWork(FuseOptions(method=Fuser("average").method))
    with pytest.raises(UsageError, match="a cluster needs the name"):
        plan(folder, tmp_path / "out", work)
