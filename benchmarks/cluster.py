"""Proof of runs on a cluster, with three simulated nodes on this machine (docs/results/cluster.md).

    python benchmarks/cluster.py same --pairs 20000
    python benchmarks/cluster.py killed --pairs 4000
    python benchmarks/cluster.py broken --pairs 2000
    python benchmarks/cluster.py overhead --pairs 320
    python benchmarks/cluster.py memory --pairs 1000 20000

Each prints one JSON object. Pairs are synthetic; everything is written below a temporary folder and removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import make_parser

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import cv2
import numpy as np

METHOD = "laplacian"
CLI = [sys.executable, "-m", "ivfuse"]


def make_pairs(folder: Path, count: int, size: tuple[int, int] = (64, 64), broken: float = 0.0) -> list[str]:
    """Write synthetic pairs, and return the names of those that were broken."""
    rng = np.random.default_rng(1)
    texture = cv2.GaussianBlur(rng.random((size[0] + 128, size[1] + 128), dtype=np.float32), (0, 0), 2)
    texture = np.uint8(255 * (texture - texture.min()) / np.ptp(texture))
    bad = []
    for kind in ("ir", "vi"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        y, x, v, w = rng.integers(0, 128, 4)
        ir = texture[y : y + size[0], x : x + size[1]]
        vi = np.dstack([texture[v : v + size[0], w : w + size[1]]] * 3)
        cv2.imwrite(str(folder / "ir" / f"{number:07d}.png"), ir)
        path = folder / "vi" / f"{number:07d}.png"
        cv2.imwrite(str(path), vi)
        if rng.random() < broken:
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2] if number % 2 else b"nothing")
            bad.append(f"{number:07d}")
    return bad


@contextmanager
def simulated(nodes: int = 3, cpus: int = 1) -> Iterator[Any]:
    """A Ray cluster of simulated nodes on this machine, with a head that works on nothing."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ivf-", dir="/tmp")
    memory = 100_000_000
    Path("/tmp/ray").mkdir(exist_ok=True)  # Cluster notes its address there
    head = {"num_cpus": 0, "object_store_memory": memory, "temp_dir": folder, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    workers = [cluster.add_node(num_cpus=cpus, object_store_memory=memory) for _ in range(nodes)]
    cluster.wait_for_nodes()
    try:
        yield cluster, workers
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def fuse(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``ivfuse fuse``."""
    command = [*CLI, "fuse", str(source), "-o", str(out), "--method", METHOD, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "--json" in options and not done.stdout.startswith("{"):
        raise SystemExit(f"{' '.join(command)}: {done.stdout!r} {done.stderr}")
    return done


def images(folder: Path) -> dict[str, str]:
    """Digest of each image by its name."""
    found: dict[str, str] = {}
    for path in folder.rglob("*.png"):
        if ".part" in str(path):
            continue
        assert path.name not in found, path
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def rows(out: Path) -> list[dict[str, Any]]:
    """All rows of the only run in a folder."""
    import pyarrow.dataset as ds

    (run,) = out.glob("run-*")
    return ds.dataset(run / "rows").to_table(columns=["id", "status", "reason"]).to_pylist()


def same(folder: Path, pairs: int) -> dict[str, Any]:
    """(a) The output of three nodes is byte-equal to that of the plain folder run."""
    make_pairs(folder / "src", pairs)
    started = time.perf_counter()
    plain = fuse(folder / "src", folder / "plain", "--quiet")
    middle = time.perf_counter()
    with simulated() as (cluster, _):
        begun = time.perf_counter()
        done = fuse(folder / "src", folder / "out", "--cluster", cluster.address, "--json")
        ended = time.perf_counter()
    report = json.loads(done.stdout)
    one, many = images(folder / "plain"), images(folder / "out")
    return {
        "pairs": pairs,
        "exit": [plain.returncode, done.returncode],
        "done": report["done"],
        "byte_equal": sum(one[name] == many.get(name) for name in one),
        "more": len(many.keys() - one.keys()),
        "rows": len({row["id"] for row in rows(folder / "out")}),
        "plain_s": round(middle - started, 1),
        "cluster_s": round(ended - begun, 1),
    }


def killed(folder: Path, pairs: int) -> dict[str, Any]:
    """(b) A node is killed, then the driver; the run is repeated: nothing is lost, nothing is there twice."""
    make_pairs(folder / "src", pairs)
    fuse(folder / "src", folder / "plain", "--quiet")
    facts: dict[str, Any] = {"pairs": pairs}
    with simulated() as (cluster, workers):
        options = ["--method", METHOD, "--cluster", cluster.address, "--shard", "50", "--json"]
        command = [*CLI, "fuse", str(folder / "src"), "-o", str(folder / "out"), *options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        driver = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
        _wait(folder, pairs // 50 // 4, driver)
        cluster.remove_node(workers[0], allow_graceful=False)
        facts["node_killed_after_shards"] = _finished(folder)
        _wait(folder, pairs // 50 // 2, driver)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        facts["driver_killed_after_shards"] = before = _finished(folder)
        times = {path.name: path.stat().st_mtime_ns for path in folder.glob("out/run-*/rows/*.parquet")}
        again = fuse(folder / "src", folder / "out", "--cluster", cluster.address, "--shard", "50", "--json")
    report = json.loads(again.stdout)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("out/run-*/rows/*.parquet")}
    one, many = images(folder / "plain"), images(folder / "out")
    names = [row["id"] for row in rows(folder / "out")]
    return facts | {
        "shards": -(-pairs // 50),
        "reused": report["shards_reused"],
        "finished_shards_untouched": all(after[name] == times[name] for name in times),
        "reused_at_least_those_seen": report["shards_reused"] >= before,
        "done": report["done"],
        "byte_equal": sum(one[name] == many.get(name) for name in one),
        "rows": len(names),
        "unique_rows": len(set(names)),
        "parts_left": len(list((folder / "out").rglob("*.part"))),
    }


def _finished(folder: Path) -> int:
    return len(list(folder.glob("out/run-*/rows/*.parquet")))


def _wait(folder: Path, shards: int, driver: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 900
    while _finished(folder) < shards and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert driver.poll() is None, "the driver ended before it could be killed: give more pairs"


def broken(folder: Path, pairs: int) -> dict[str, Any]:
    """(c) Exactly the broken pairs are rows with a reason."""
    bad = make_pairs(folder / "src", pairs, broken=0.01)
    with simulated() as (cluster, _):
        done = fuse(folder / "src", folder / "out", "--cluster", cluster.address, "--json")
    found = [row for row in rows(folder / "out") if row["status"] != "done"]
    return {
        "pairs": pairs,
        "broken": len(bad),
        "exit": done.returncode,
        "exactly_those": sorted(row["id"] for row in found) == bad,
        "all_with_a_reason": all(row["reason"] for row in found),
        "example": found[0]["reason"].replace(str(folder), "") if found else "",
    }


def overhead(folder: Path, pairs: int, rounds: int = 10) -> dict[str, Any]:
    """(d) Time per pair at 640x480 with one thread, in turns: the folder run and a shard of 32; then Ray.

    Rounds alternate, and the fastest of each is compared, since other programs share the processors. On Ray
    it is the share of the actors' time, between the first and the last report, without work on a shard.
    """
    from ivfuse.cluster.plan import make_plan
    from ivfuse.cluster.ray_engine import connected
    from ivfuse.cluster.run import carry_out
    from ivfuse.cluster.shard import Job, ShardWorker
    from ivfuse.cluster.sources import open_source
    from ivfuse.cluster.work_fuse import FuseWork
    from ivfuse.fusion.batch import fuse_pairs
    from ivfuse.fusion.options import FuseOptions
    from ivfuse.fusion.outputs import FusedImage
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.image.pairing import pair_folder

    make_pairs(folder / "src", pairs, (480, 640))
    work = FuseWork(FuseOptions(method="swift"))
    found = pair_folder(folder / "src").pairs[:32]
    plan = make_plan(work, open_source(str(folder / "src")), str(folder / "out"), 32)
    worker = ShardWorker(Job(work, plan.folder.location, False, 1))
    fuser = Fuser("swift", threads=1)
    walls: dict[str, list[float]] = {"folder": [], "shard": []}
    processor: dict[str, list[float]] = {"folder": [], "shard": []}
    for number in range(rounds):
        image = FusedImage(folder / f"plain{number}", ".png")
        for name in walls:
            wall, cpu = time.perf_counter(), time.process_time()
            if name == "folder":
                fuse_pairs(fuser, found, image)
            else:
                worker.run(0)
            walls[name].append(time.perf_counter() - wall)
            processor[name].append(time.process_time() - cpu)
    idle, rate = {}, {}
    for actors in (1, 2):
        seen: list[tuple[float, float]] = []
        with connected("local", actors, 1) as pool:
            plan = make_plan(work, open_source(str(folder / "src")), str(folder / f"ray{actors}"), 32)
            carry_out(
                plan,
                pool,
                threads=1,
                on_shard=lambda r: seen.append((time.perf_counter(), r.seconds)),  # noqa: B023
            )
        elapsed = seen[-1][0] - seen[0][0] + seen[0][1]
        idle[actors] = round(1 - sum(seconds for _, seconds in seen) / (actors * elapsed), 3)
        rate[actors] = round(pairs / elapsed, 1)
    ms = {name: 1000 * min(some) / 32 for name, some in walls.items()}
    return {
        "pairs": pairs,
        "ms_per_pair": {name: round(value, 2) for name, value in ms.items()},
        "ms_per_pair_median": {n: round(1000 * float(np.median(some)) / 32, 2) for n, some in walls.items()},
        "cpu_ms_per_pair": {n: round(1000 * min(some) / 32, 2) for n, some in processor.items()},
        "overhead_of_a_shard": round(ms["shard"] / ms["folder"] - 1, 3),
        "pairs_per_s_by_actors": rate,
        "idle_share_by_actors": idle,
    }


DRIVER = """
import json, resource, sys
from ivfuse.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps({"exit": code, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def memory(folder: Path, pairs: list[int]) -> dict[str, Any]:
    """(e) Peak memory of the driver for different numbers of pairs, in the same shards of 50."""
    make_pairs(folder / "src", max(pairs))
    done = subprocess.run(
        [*CLI, "manifest", str(folder / "src"), "-o", str(folder / "all.csv"), "-q"], check=True
    )
    lines = (folder / "all.csv").read_text().splitlines()
    found = {}
    for count in pairs:
        part = folder / f"{count}.csv"
        part.write_text("\n".join(lines[: count + 1]) + "\n")
        with simulated() as (cluster, _):
            words = ["fuse", str(part), "-o", str(folder / f"out{count}"), "--method", METHOD, "--quiet"]
            words += ["--cluster", cluster.address, "--shard", "50"]
            done = subprocess.run(
                [sys.executable, "-c", DRIVER, *words], capture_output=True, text=True, check=True
            )
        found[count] = round(json.loads(done.stdout.splitlines()[-1])["peak_mib"], 1)
    return {"peak_mib_of_the_driver": found}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("proof", choices=("same", "killed", "broken", "overhead", "memory"))
    parser.add_argument("--pairs", type=int, nargs="+", default=[1000])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ivfuse-cluster-"))
    try:
        proof = globals()[options.proof]
        found = proof(folder, options.pairs if options.proof == "memory" else options.pairs[0])
        print(json.dumps({options.proof: found, "load": os.getloadavg()}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
