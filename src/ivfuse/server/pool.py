"""Worker processes for the event loop, and the bounded queue in front of them.

A worker that dies or exceeds its time fails its own request only and is replaced. Unlike the workers of
``runtime.processes``, these decode images of unknown origin: they exchange lines of JSON with the server
instead of pickles, so that a compromised one cannot run code in it, and they can be killed at a timeout.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ivfuse.runtime.processes import thread_environment
from ivfuse.server.problems import Problem

WORKER_COMMAND = (sys.executable, "-P", "-m", "ivfuse.server.worker")
_START_SECONDS = 120.0  # time in which a new worker must have loaded its libraries
_RESTART_PAUSE = 2.0  # seconds before a worker that could not start is tried again
_MAX_REPLY_BYTES = 1 << 20
_SMOOTHING = 0.2  # weight of the last request in the moving average of durations

Disconnected = Callable[[], Awaitable[bool]]


class WorkerDiedError(Exception):
    """A worker process ended before it replied."""


class Worker:
    """One worker process.

    Args:
        command: command line of the process.
        setup: its first message.
        threads: threads that its libraries may use.
    """

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any], threads: int) -> None:
        """Store the settings; :meth:`start` starts the process."""
        self._command, self._setup, self._threads = command, setup, threads
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Process ID; 0 if it is not running."""
        return self._process.pid if self._process is not None and self.alive else 0

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            WorkerDiedError: if it ends, or is not ready in time.
        """
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            limit=_MAX_REPLY_BYTES,
            env=os.environ | thread_environment(self._threads),
            start_new_session=True,  # an interrupt at the terminal goes to the server, which ends its workers
        )
        try:
            await asyncio.wait_for(self.ask(self._setup), _START_SECONDS)
        except TimeoutError as error:
            await self.kill()
            raise WorkerDiedError from error

    async def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message and wait for the reply.

        Raises:
            WorkerDiedError: if the process ended, or did not reply in JSON.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerDiedError
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
            reply: dict[str, Any] = json.loads(line)
        except (OSError, ValueError) as error:  # no line, half a line, or too long a one
            await self.kill()
            raise WorkerDiedError from error
        return reply

    async def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        """Ask the process to end, and kill it if it does not."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
            await self.kill()


class WorkerPool:
    """A fixed number of workers and a bounded number of waiting requests.

    Args:
        workers: number of workers.
        queue: number of requests that may wait.
        timeout: seconds that a request may wait, and again that a worker may take for it.
        setup: first message to each worker.
        threads: threads of each worker.
        command: command line of a worker; tests give another one.
    """

    def __init__(
        self,
        workers: int,
        queue: int,
        timeout: float,
        setup: Mapping[str, Any],
        threads: int = 1,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        """Create the workers; :meth:`start` starts them."""
        self.workers = [Worker(command, setup, threads) for _ in range(workers)]
        self.queue, self.timeout = queue, timeout
        self.pending = 0
        self.replaced = {"died": 0, "timeout": 0, "memory": 0}
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._restarts: set[asyncio.Task[None]] = set()
        self._mean_seconds = 1.0  # moving average of the durations of requests

    @property
    def alive(self) -> int:
        """Number of workers that are running."""
        return sum(worker.alive for worker in self.workers)

    async def start(self) -> None:
        """Start all workers and wait until the first one is ready.

        Raises:
            WorkerDiedError: if it cannot be started.
        """
        first, *others = self.workers
        await first.start()
        self._idle.put_nowait(first)
        for worker in others:
            self._restart(worker)

    async def close(self) -> None:
        """End all workers."""
        for task in self._restarts:
            task.cancel()
        await asyncio.gather(*(worker.close() for worker in self.workers))

    async def submit(
        self, message: Mapping[str, Any], disconnected: Disconnected | None = None
    ) -> dict[str, Any]:
        """Have a worker process a message, after the requests that already wait.

        Args:
            message: message to the worker.
            disconnected: tells whether the client is gone; then the work is not started.

        Raises:
            Problem: 429 if the queue is full, 503 if no worker became free in time or the worker ended,
                504 if it took too long, 408 if the client is gone.
        """
        self.check_capacity()
        self.pending += 1
        try:
            worker = await self._acquire()
            try:
                if disconnected is not None and await disconnected():
                    raise Problem(408, "The client disconnected before its request was processed.")
                return await self._process(worker, message)
            finally:
                self._release(worker)
        finally:
            self.pending -= 1

    def check_capacity(self) -> None:
        """Raise the problem of status 429 if the queue is full."""
        if self.pending < len(self.workers) + self.queue:
            return
        wait = max(1, round(self._mean_seconds * self.pending / len(self.workers)))
        raise Problem(
            429,
            f"All {len(self.workers)} workers are busy and {self.queue} requests are waiting;"
            f" please try again in {wait} s.",
            {"Retry-After": str(wait)},
        )

    async def _acquire(self) -> Worker:
        """Wait for an idle worker that is alive."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                worker = await asyncio.wait_for(self._idle.get(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise Problem(
                    503,
                    f"No worker became free within {self.timeout:g} s; please try again later.",
                    {"Retry-After": str(max(1, round(self.timeout)))},
                ) from None
            if worker.alive:
                return worker
            self.replaced["died"] += 1
            self._restart(worker)

    async def _process(self, worker: Worker, message: Mapping[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        try:
            reply = await asyncio.wait_for(worker.ask(message), self.timeout)
        except TimeoutError:
            self.replaced["timeout"] += 1
            await worker.kill()
            raise Problem(
                504, f"Processing took longer than the {self.timeout:g} s that the server allows."
            ) from None
        except asyncio.CancelledError:
            await worker.kill()  # its reply would be taken for that to the next request
            raise
        except WorkerDiedError:
            self.replaced["died"] += 1
            raise Problem(
                503, "The worker process ended unexpectedly; other requests are not affected."
            ) from None
        if reply.pop("replace", False):  # its memory is exhausted or fragmented
            self.replaced["memory"] += 1
            await worker.kill()
        self._mean_seconds += _SMOOTHING * (time.monotonic() - started - self._mean_seconds)
        return reply

    def _release(self, worker: Worker) -> None:
        if worker.alive:
            self._idle.put_nowait(worker)
        else:
            self._restart(worker)

    def _restart(self, worker: Worker) -> None:
        """Start a worker in the background, after which it is idle."""

        async def start() -> None:
            while True:
                try:
                    await worker.start()
                    break
                except (WorkerDiedError, OSError):
                    await asyncio.sleep(_RESTART_PAUSE)
            self._idle.put_nowait(worker)

        task = asyncio.get_running_loop().create_task(start())
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)
