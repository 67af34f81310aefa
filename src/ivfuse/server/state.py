"""State shared by all requests of one application: settings, worker pool, metrics and the upload folder."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from ivfuse.server.pool import WORKER_COMMAND, Disconnected, WorkerPool
from ivfuse.server.problems import Problem
from ivfuse.server.settings import Settings
from ivfuse.server.telemetry import ServerMetrics


class AppState:
    """State shared by all requests of one application.

    Args:
        settings: settings of the server.
        command: command line of a worker; tests give another one.

    Attributes:
        samples: encoded images of the synthetic sample, by time of day and spectrum, rendered on demand.
        sample_lock: held while a sample is rendered.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = WORKER_COMMAND) -> None:
        """Create what needs no event loop."""
        self.settings = settings
        self.pool = WorkerPool(
            settings.worker_count,
            settings.queue,
            settings.timeout,
            {
                "threads": settings.worker_threads,
                "device": settings.device,
                "max_pixels": settings.max_pixels,
                "max_memory": settings.max_memory,
            },
            settings.worker_threads,
            command,
        )
        self.metrics = ServerMetrics(self.pool)
        self.samples: dict[tuple[str, str], bytes] = {}
        self.sample_lock = asyncio.Lock()
        self.folder: Path | None = None
        self._open_folders = 0

    async def start(self) -> None:
        """Create the upload folder, readable by its user only, and start the workers."""
        self.folder = Path(tempfile.mkdtemp(prefix="ivfuse-serve-"))
        await self.pool.start()

    async def stop(self) -> None:
        """Stop the workers and delete the upload folder."""
        await self.pool.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @asynccontextmanager
    async def request_folder(self) -> AsyncIterator[Path]:
        """A folder for the files of one request, deleted when the request has been answered.

        Raises:
            Problem: with status 429 if the queue is full or too many bodies are being received.
        """
        self.pool.check_capacity()
        if self._open_folders >= 2 * (len(self.pool.workers) + self.pool.queue):
            raise Problem(429, "Too many concurrent uploads; please try again in 2 s.", {"Retry-After": "2"})
        self._open_folders += 1
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield folder
        finally:
            self._open_folders -= 1
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def run_job(
        self, message: dict[str, Any], disconnected: Disconnected | None = None
    ) -> dict[str, Any]:
        """Run a job in a worker; see :meth:`ivfuse.server.jobs.JobRunner.run` for the message.

        Raises:
            Problem: if the job fails, or no worker could run it.
        """
        reply = await self.pool.submit(message, disconnected)
        if "problem" in reply:
            raise Problem(*reply["problem"])
        result: dict[str, Any] = reply["result"]
        return result


def state_of(request: Request) -> AppState:
    """The state of the application that a request belongs to."""
    state: AppState = request.app.state.ivfuse
    return state


State = Annotated[AppState, Depends(state_of)]
