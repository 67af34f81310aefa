"""Metrics for Prometheus: requests, durations, workers and memory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ivfuse.server.pool import WorkerPool

_BUCKETS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60)  # seconds


class ServerMetrics:
    """The metrics of one application, in a registry of their own.

    Args:
        pool: the pool whose state is reported.
    """

    def __init__(self, pool: WorkerPool) -> None:
        """Create all metrics."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ivfuse_requests", "Answered requests.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "ivfuse_request_seconds",
            "Time from a request to its response, waiting included.",
            ["path"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_PoolCollector(pool))


class MetricsMiddleware:
    """Middleware that counts and times requests, labeled by route template to bound metric cardinality.

    Args:
        app: the wrapped application.
        metrics: metrics to update.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        """Store both."""
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count its response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), "500"

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_and_note_status)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(path, status).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)


class _PoolCollector(Collector):
    """Reads the state of a pool whenever metrics are exported."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        pool = self._pool
        gauge = GaugeMetricFamily
        yield gauge("ivfuse_workers", "Worker processes.", len(pool.workers))
        yield gauge("ivfuse_workers_alive", "Worker processes that are running.", pool.alive)
        yield gauge("ivfuse_pending_requests", "Requests that wait or are being processed.", pool.pending)
        yield gauge("ivfuse_queue_limit", "Requests that may wait.", pool.queue)
        replaced = CounterMetricFamily(
            "ivfuse_workers_replaced", "Workers that were replaced.", labels=["reason"]
        )
        for reason, count in pool.replaced.items():
            replaced.add_metric([reason], count)
        yield replaced
        memory = gauge("ivfuse_worker_memory_bytes", "Resident memory of a worker.", labels=["worker"])
        for number, worker in enumerate(pool.workers):
            memory.add_metric([str(number)], _resident_bytes(worker.pid))
        yield memory


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 on systems without /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
    except (OSError, StopIteration, ValueError):
        return 0
