"""``--cluster`` and ``ivfuse manifest`` on the command line, with one small Ray session."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ivfuse.errors import InputError

Cli = Callable[..., Any]
needs_tables = pytest.mark.skipif(
    not (find_spec("pyarrow") and find_spec("fsspec")), reason="needs the extra cluster"
)


@pytest.fixture
def folder(tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]) -> Path:
    for number in range(4):
        names = [tmp_path / "src" / kind / f"{number}.png" for kind in ("ir", "vi")]
        make_pair(*names, size=(16, 24), seed=number)
    (tmp_path / "src" / "vi" / "2.png").write_bytes(b"nothing")
    return tmp_path / "src"


@needs_tables
def test_a_manifest_is_written_and_what_is_left_over_is_listed(
    ivfuse_cli: Cli, folder: Path, tmp_path: Path
) -> None:
    (folder / "vi" / "3.png").unlink()
    said = ivfuse_cli("manifest", folder, "-o", tmp_path / "pairs.csv")
    assert (said.code, said.out) == (0, f"{tmp_path}/pairs.csv: 3 pairs\n")
    assert said.err == f"no partner: {folder}/ir/3.png\n"
    lines = (tmp_path / "pairs.csv").read_text().splitlines()
    assert lines[:2] == ["id,ir,vi", "0,src/ir/0.png,src/vi/0.png"]


@needs_tables
def test_subfolders_are_entered_if_asked_for(
    ivfuse_cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ivfuse.cli import cluster_runs
    from ivfuse.cluster import sources

    def opened(location: str, *args: Any, recursive: bool = False, **options: Any) -> Any:
        raise InputError(f"{location}: subfolders {'entered' if recursive else 'left'}")

    monkeypatch.setattr(sources, "open_source", opened)
    monkeypatch.setattr(cluster_runs, "pool_of", lambda choices: nullcontext())
    words = ["-o", tmp_path / "out", "--cluster", "local"]
    for given in (["benchmark", "--data", folder], ["eval", folder, folder], ["fuse", folder]):
        assert "subfolders left" in ivfuse_cli(*given, *words).err
        assert "subfolders entered" in ivfuse_cli(*given, *words, "--recursive").err


@pytest.mark.slow
@needs_tables
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")
def test_pairs_are_fused_on_ray_as_on_one_machine_and_a_repeated_run_does_nothing(
    ivfuse_cli: Cli, folder: Path, tmp_path: Path
) -> None:
    assert ivfuse_cli("fuse", folder, "-o", tmp_path / "plain", "--method", "average", "-q").code == 1
    words = ["fuse", folder, "-o", tmp_path / "out", "--method", "average", "--cluster", "local"]
    words += ["--shard", 2, "--actors", 1, "--json"]
    said = ivfuse_cli(*words)
    assert said.code == 1
    report = json.loads(said.out)
    assert (report["done"], report["failed"], report["shards_reused"]) == (3, 1, 0)
    assert said.err.splitlines()[0].startswith("failed: 2: ")
    assert len(said.err.splitlines()) == 1  # nothing of Ray's own
    for path in (tmp_path / "plain").iterdir():
        (same,) = Path(report["run"]).rglob(path.name)
        assert same.read_bytes() == path.read_bytes()
    again = ivfuse_cli(*words)  # without a second session of Ray
    assert json.loads(again.out)["shards_reused"] == 2
    scores = ["eval", report["run"], "-o", tmp_path / "scores", "--metrics", "EN", "--cluster", "local"]
    refused = ivfuse_cli(*scores, "--images")
    assert (refused.code, refused.err) == (
        2,
        "ivfuse: error: --images: expected no such option together with --cluster\n",
    )


@needs_tables
def test_scores_on_a_cluster_bear_the_protocol_of_one_machine(
    ivfuse_cli: Cli, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from ivfuse.cli.cluster_options import ClusterChoices
    from ivfuse.cli.cluster_report import print_scores
    from ivfuse.cluster.plan import make_plan
    from ivfuse.cluster.run import carry_out
    from ivfuse.cluster.sources import open_source, with_fused
    from ivfuse.cluster.work_score import ScoreWork

    fused = tmp_path / "fused"
    ivfuse_cli("fuse", folder, "-o", fused, "--method", "average", "-q")  # but for the broken pair
    here = ivfuse_cli("eval", fused, folder, "--metrics", "SD,EN", "--json", "-q")
    work = ScoreWork(("EN", "SD"))
    plan = make_plan(work, with_fused(open_source(str(folder)), str(fused)), str(tmp_path / "out"), 3)
    summary = carry_out(plan)  # the executor without Ray
    capfd.readouterr()
    print_scores(plan, summary, work, ClusterChoices("local", None, None, 3, None, json=True, quiet=True))
    assert json.loads(capfd.readouterr().out)["protocol"] == json.loads(here.out)["protocol"]


@pytest.mark.slow
@needs_tables
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")
def test_a_cluster_measures_by_the_protocol_of_one_machine(
    ivfuse_cli: Cli, folder: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    settings = ["--metrics", "EN,SD", "--convention", "li", "--convention", "tang", "--seed", 4]
    words = ["benchmark", "--data", folder, "--methods", "average,maximum@natural", "--json", *settings]
    here = ivfuse_cli(*words, "-o", tmp_path / "here", "--jobs", 1)
    there = ivfuse_cli(*words, "-o", tmp_path / "there", "--cluster", "local", "--jobs", 1, "--shard", 3)
    assert (here.code, there.code) == (1, 1)  # one pair is broken, in both
    protocol = json.loads(here.out)["protocol"]
    assert json.loads(there.out)["protocol"] == protocol
    line = f"Protocol {protocol}, ivfuse"
    for name in ("index.html", "tables/tables.md", "tables/tables.tex"):
        texts = [(tmp_path / out / name).read_text(encoding="utf-8") for out in ("here", "there")]
        assert texts[0].count(line) == texts[1].count(line) > 0, name
    (rows,) = (tmp_path / "there" / "runs").glob("run-*/rows")
    metadata = pq.read_schema(rows / "_common_metadata").metadata
    assert metadata[b"ivfuse.protocol"].decode() == protocol


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["pairs.parquet"],
            "pairs.parquet: found a .parquet file, expected files or folders; or give --cluster",
        ),
        (["s3://bucket/x"], "s3://bucket/x: found a URL, expected files or folders; or give --cluster local"),
    ],
)
def test_sources_of_a_cluster_are_named_without_one(ivfuse_cli: Cli, words: list[str], said: str) -> None:
    found = ivfuse_cli("fuse", *words, "-o", "out")
    assert found.code == 2
    assert said in found.err


@needs_tables
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")
@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("nonsense", 2, "--cluster: found 'nonsense', expected local, auto or HOST:PORT"),
        ("127.0.0.1:1", 1, "127.0.0.1:1: no Ray cluster answers at this address"),
    ],
)
def test_a_bad_address_is_one_line(
    ivfuse_cli: Cli, folder: Path, tmp_path: Path, address: str, code: int, said: str
) -> None:
    found = ivfuse_cli("fuse", folder, "-o", tmp_path / "out", "--cluster", address)
    assert found.code == code
    assert found.err.startswith(f"ivfuse: error: {said}")
    assert not (tmp_path / "out").exists()


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('ray', 'pyarrow', 'fsspec'): sys.modules[name] = None\n"
        "from ivfuse.cli.app import main\n"
        f"main(['fuse', {str(folder)!r}, '-o', {str(tmp_path / 'out')!r}, '--cluster', 'local'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ivfuse: error: a run on a cluster needs more packages: pip install")
    assert "cluster]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@needs_tables
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")
def test_scores_need_fused_images(ivfuse_cli: Cli, folder: Path, tmp_path: Path) -> None:
    found = ivfuse_cli("eval", folder, "-o", tmp_path / "scores", "--cluster", "local")
    assert found.code == 1
    assert found.err.startswith(
        f"ivfuse: error: {folder}: no fused images found, expected the folder of a run"
    )
    assert not (tmp_path / "scores").exists()
