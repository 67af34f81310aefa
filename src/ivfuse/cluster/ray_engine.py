"""Carries out shards on Ray: Ray Data with a pool of actors, each of which has one warm session.

Ray schedules the actors, restarts those that are lost and repeats their shards. Only numbers of shards and
reports pass through its object store; pairs and images do not.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from ivfuse.cluster.shard import Job, ShardReport, ShardWorker
from ivfuse.errors import IvfuseError, OutputError, UsageError, fault_of
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.processes import available_cpus

LOCAL = "local"
OBJECT_STORE = 100_000_000  # bytes; only numbers and reports pass through it
_REACH = 5.0  # seconds in which the address of a cluster must answer

# Set before Ray is imported: no reports to its makers, no colored logs, no lines of its C++ core.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Pool:
    """A pool of actors on a cluster; an executor of :func:`ivfuse.cluster.run.carry_out`.

    Attributes:
        actors: most actors.
        threads: CPUs and threads of each.
        gpus: GPUs of each, 0 or 1.
    """

    actors: int
    threads: int
    gpus: int = 0

    def __call__(self, job: Job, shards: Sequence[int]) -> Iterator[ShardReport]:
        """Carry out shards in any order.

        Raises:
            OutputError: if results cannot be written.
            IvfuseError: if the cluster fails.
        """
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        count = min(self.actors, len(shards))
        reports = ray.data.from_items(list(shards), override_num_blocks=len(shards)).map_batches(
            ShardActor,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count),
            num_cpus=self.threads,
            num_gpus=self.gpus or None,
        )
        try:
            for row in reports.iter_rows():
                yield ShardReport(**{**row, "reasons": tuple(row["reasons"])})
        except Exception as error:  # Ray wraps the errors of actors in its own
            raise _own_error(error) from error


class ShardActor:
    """What Ray Data calls with batches of one shard.

    Args:
        job: the run.
    """

    def __init__(self, job: Job) -> None:
        """Build the session."""
        self.worker = ShardWorker(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Carry out the shards of a batch and return the columns of their reports."""
        reports = [asdict(self.worker.run(int(number))) for number in batch["item"]]
        columns: dict[str, Any] = {name: [each[name] for each in reports] for name in reports[0]}
        columns["reasons"] = [list(each["reasons"]) for each in reports]
        return columns


def require_ray(address: str) -> None:
    """Check, before any work, that Ray is installed and an address is one.

    Raises:
        ModuleNotFoundError: if Ray is not installed.
        UsageError: if the address is malformed.
        IvfuseError: if nothing answers there.
    """
    if find_spec("ray") is None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")
    if address != LOCAL:
        _check_reachable(address)


@contextmanager
def connected(
    address: str, actors: int | None = None, threads: int | None = None, *, quiet: bool = True
) -> Iterator[Pool]:
    """Connect to a cluster, or start one on this machine, for the duration of a block.

    Args:
        address: ``local`` for this machine, ``auto`` or ``HOST:PORT`` of a cluster that it belongs to.
        actors: most actors; by default one per GPU where there are any, else one per CPU.
        threads: threads of each actor; by default the CPUs are divided among the actors.
        quiet: whether to keep Ray's own messages off the terminal; standard output is discarded meanwhile.

    Raises:
        IvfuseError: if the cluster cannot be reached or started.
        UsageError: if the threads are not 1 to 1024.
    """
    check_threads(threads)
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})
    import ray
    import ray.data  # configures its loggers

    if quiet:
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    temporary, stack = None, ExitStack()
    if quiet:  # Ray prints what befalls its nodes to standard output, from a thread and without a setting
        stack.enter_context(redirect_stdout(io.StringIO()))
    try:
        if address == LOCAL:
            # Not in the default folder: sockets have paths of at most 107 bytes, and nothing is left behind.
            temporary = tempfile.mkdtemp(prefix="ivf-", dir="/tmp" if os.path.isdir("/tmp") else None)
            _start(temporary, actors, threads)
        else:
            _join(address)
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield _pool(resources, actors, threads)
    finally:
        with suppress(Exception):
            ray.shutdown()
        stack.close()
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _start(folder: str, actors: int | None, threads: int | None) -> None:
    import ray

    cpus = max(available_cpus(), (actors or 1) * (threads or 1))
    try:
        with _silent():
            ray.init(
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=OBJECT_STORE,
                _temp_dir=folder,
            )
    except Exception as error:  # Ray raises errors of many kinds
        raise IvfuseError(f"Ray could not be started on this machine: {fault_of(error)}") from error


def _join(address: str) -> None:
    import ray

    try:
        with _silent():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:  # as above
        raise IvfuseError(f"{address}: cannot connect to this Ray cluster: {fault_of(error)}") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Discard what the C++ core writes to standard error, which has no setting that silences it."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_reachable(address: str) -> None:
    """Check that something listens at an address: Ray would try for a minute.

    Raises:
        UsageError: if the address is malformed.
        IvfuseError: if nothing answers.
    """
    if address == "auto":
        return
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise UsageError(field="cluster", found=repr(address), expected="local, auto or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    except OSError as error:
        reason = fault_of(error)
        raise IvfuseError(f"{address}: no Ray cluster answers at this address: {reason}") from error


def _pool(resources: dict[str, float], actors: int | None, threads: int | None) -> Pool:
    """Divide the CPUs, or the GPUs, of a cluster among actors."""
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    count = actors or gpus or max(1, cpus // (threads or 1))
    return Pool(count, threads or max(1, cpus // count), 1 if gpus and count <= gpus else 0)


def _own_error(error: Exception) -> IvfuseError:
    """The error of this package that Ray wrapped, or one line about another."""
    cause: BaseException | None = error
    seen = 0
    while cause is not None and seen < 10:
        if isinstance(cause, IvfuseError):
            return cause
        inner = getattr(cause, "cause", None)
        cause, seen = inner if isinstance(inner, BaseException) else cause.__cause__, seen + 1
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    known = next((line for line in reversed(lines) if line.startswith("ivfuse.errors.")), None)
    if known:
        return OutputError(known.partition(": ")[2])
    return IvfuseError(f"the cluster failed: {lines[-1] if lines else type(error).__name__}")
