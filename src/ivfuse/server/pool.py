"""Processes that work on images, and the queue before them.

A process that dies or takes too long fails its own request alone and is replaced. Messages are lines of JSON
over pipes: nothing that a process says can run code in the server.
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

from ivfuse.server.problems import Problem

COMMAND = (sys.executable, "-P", "-m", "ivfuse.server.worker")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_START = 120.0  # seconds that a new process may take to load its libraries
_PAUSE = 2.0  # seconds before a process that cannot start is tried again
_LONGEST = 1 << 20  # bytes of a message
_SMOOTH = 0.2  # weight of the last request in the mean duration

Gone = Callable[[], Awaitable[bool]]


class WorkerDiedError(Exception):
    """The process ended while it was asked."""


class Worker:
    """One process: started, asked, ended.

    Args:
        command: what to run.
        setup: its first message.
        threads: that its libraries may use.
    """

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any], threads: int) -> None:
        """Remember them; :meth:`start` starts it."""
        self._command, self._setup, self._threads = command, setup, threads
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """It was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its number; 0 if it does not run."""
        return self._process.pid if self._process is not None and self.alive else 0

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            WorkerDiedError: if it ends, or is not ready in time.
        """
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            limit=_LONGEST,
            env=os.environ | dict.fromkeys(_THREADS, str(self._threads)),
            start_new_session=True,  # an interrupt at the terminal is for the server, which ends its workers
        )
        try:
            await asyncio.wait_for(self.ask(self._setup), _START)
        except TimeoutError as error:
            await self.kill()
            raise WorkerDiedError from error

    async def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message and wait for the answer.

        Raises:
            WorkerDiedError: if it ended instead.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerDiedError
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
            reply: dict[str, Any] = json.loads(line)
        except (OSError, ValueError) as error:  # nothing, half a line, or too long a one
            await self.kill()
            raise WorkerDiedError from error
        return reply

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        """Let it end by itself, and at once if it does not."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
            await self.kill()


class Pool:
    """A fixed number of processes and a bounded number of requests that wait for one.

    Args:
        workers: processes.
        queue: requests that may wait.
        timeout: seconds that a request may wait, and again that it may be worked on.
        setup: the first message to each process.
        threads: of each process.
        command: what to run; another one in tests.
    """

    def __init__(
        self,
        workers: int,
        queue: int,
        timeout: float,
        setup: Mapping[str, Any],
        threads: int = 1,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Make the places; :meth:`start` fills them."""
        self.workers = [Worker(command, setup, threads) for _ in range(workers)]
        self.queue, self.timeout = queue, timeout
        self.pending = 0
        self.replaced = {"died": 0, "timeout": 0}
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()
        self._mean = 1.0  # seconds of a request, lately

    @property
    def full(self) -> bool:
        """No further request can wait."""
        return self.pending >= len(self.workers) + self.queue

    @property
    def alive(self) -> int:
        """Processes that run."""
        return sum(worker.alive for worker in self.workers)

    @property
    def busy(self) -> int:
        """Requests that are being worked on."""
        return min(self.pending, len(self.workers))

    async def start(self) -> None:
        """Start all processes, and wait until the first is ready.

        Raises:
            WorkerDiedError: if none can be started.
        """
        first, *others = self.workers
        await first.start()
        self._idle.put_nowait(first)
        for worker in others:
            self._renew(worker)

    async def close(self) -> None:
        """End all processes."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*(worker.close() for worker in self.workers))

    async def ask(self, message: Mapping[str, Any], gone: Gone | None = None) -> dict[str, Any]:
        """Have a request worked on.

        Args:
            message: what a process understands.
            gone: tells whether nobody waits for the answer any more; then the work is not begun.

        Raises:
            Problem: 429 if the queue is full, 503 if no process became free in time or the process ended,
                504 if it took too long, 408 if the client has gone.
        """
        self.refuse_if_full()
        self.pending += 1
        try:
            worker = await self._free_worker()
            try:
                if gone is not None and await gone():
                    raise Problem(408, "The client did not wait for the answer.")
                return await self._work(worker, message)
            finally:
                self._give_back(worker)
        finally:
            self.pending -= 1

    def refuse_if_full(self) -> None:
        """Raise the problem of status 429 if no further request can wait."""
        if self.full:
            wait = max(1, round(self._mean * self.pending / len(self.workers)))
            raise Problem(
                429,
                f"All {len(self.workers)} processes are busy and {self.queue} requests wait already;"
                f" please try again in {wait} s.",
                {"Retry-After": str(wait)},
            )

    async def _free_worker(self) -> Worker:
        """The next free process that is alive."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                worker = await asyncio.wait_for(self._idle.get(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise Problem(
                    503,
                    f"No process became free within {self.timeout:g} s; please try again later.",
                    {"Retry-After": str(max(1, round(self.timeout)))},
                ) from None
            if worker.alive:
                return worker
            self.replaced["died"] += 1
            self._renew(worker)

    async def _work(self, worker: Worker, message: Mapping[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        try:
            reply = await asyncio.wait_for(worker.ask(message), self.timeout)
        except TimeoutError:
            self.replaced["timeout"] += 1
            await worker.kill()
            raise Problem(
                504, f"This took longer than the {self.timeout:g} s that the server allows; it was stopped."
            ) from None
        except asyncio.CancelledError:
            await worker.kill()  # its answer would be taken for that to the next request
            raise
        except WorkerDiedError:
            self.replaced["died"] += 1
            raise Problem(
                503, "The process that worked on this ended unexpectedly; other requests are not affected."
            ) from None
        self._mean += _SMOOTH * (time.monotonic() - started - self._mean)
        return reply

    def _give_back(self, worker: Worker) -> None:
        if worker.alive:
            self._idle.put_nowait(worker)
        else:
            self._renew(worker)

    def _renew(self, worker: Worker) -> None:
        """Start a process in the background and have it join the free ones."""

        async def start() -> None:
            while True:
                try:
                    await worker.start()
                    break
                except (WorkerDiedError, OSError):
                    await asyncio.sleep(_PAUSE)
            self._idle.put_nowait(worker)

        task = asyncio.get_running_loop().create_task(start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
