"""What Prometheus is told: requests, durations, processes, memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ivfuse.server.pool import Pool

_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60)


class Counters:
    """The registry of one application.

    Args:
        pool: whose state is told.
    """

    def __init__(self, pool: Pool) -> None:
        """Make all metrics."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ivfuse_requests", "Answered requests.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "ivfuse_request_seconds",
            "From the request to its answer, waiting included.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_OfPool(pool))


class Counting:
    """Middleware that counts requests under the pattern of their address: strangers cannot invent names.

    Args:
        app: what is counted.
        counters: where.
    """

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        """Remember both."""
        self.app, self.counters = app, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and count its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), "500"

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.counters.requests.labels(path, status).inc()
            self.counters.seconds.labels(path).observe(time.perf_counter() - started)


class _OfPool(Collector):
    """The state of the processes, asked when it is told."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        pool = self._pool
        gauge = GaugeMetricFamily
        yield gauge("ivfuse_workers", "Processes that work on images.", len(pool.workers))
        yield gauge("ivfuse_workers_alive", "Processes that run.", pool.alive)
        yield gauge("ivfuse_pending_requests", "Requests that wait or are worked on.", pool.pending)
        yield gauge("ivfuse_queue_limit", "Requests that may wait.", pool.queue)
        replaced = CounterMetricFamily(
            "ivfuse_workers_replaced", "Processes started anew.", labels=["reason"]
        )
        for reason, count in pool.replaced.items():
            replaced.add_metric([reason], count)
        yield replaced
        memory = gauge("ivfuse_worker_memory_bytes", "Resident memory of a process.", labels=["worker"])
        for number, worker in enumerate(pool.workers):
            memory.add_metric([str(number)], _resident(worker.pid))
        yield memory


def _resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
    except (OSError, StopIteration, ValueError):
        return 0
