"""The application: addresses, and the way of a request from its form to a process and back."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from ivfuse.server import api, pages, problems
from ivfuse.server.middleware import Guard
from ivfuse.server.pool import COMMAND, Gone, Pool
from ivfuse.server.problems import Problem
from ivfuse.server.settings import Settings
from ivfuse.server.telemetry import Counters, Counting

_ABOUT = (
    "Fuses infrared and visible images. Send a pair to `POST /api/fuse` as a multipart form; the fused"
    " image comes back. Every answer of 400 and above is JSON with one sentence in `error`."
)


class Workplace:
    """What the requests of one application share: settings, processes, counters, the private folder.

    Args:
        settings: of the server.
        command: of the processes; another one in tests.
    """

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        """Make what needs no event loop."""
        setup = {"threads": settings.threads, "max_pixels": settings.max_pixels}
        self.settings = settings
        self.pool = Pool(
            settings.processes, settings.queue, settings.timeout, setup, settings.threads, command
        )
        self.counters = Counters(self.pool)
        self.samples: dict[tuple[str, str], bytes] = {}
        self.sampling = asyncio.Lock()
        self._folder: Path | None = None
        self._open = 0

    async def open(self) -> None:
        """Make the private folder and start the processes."""
        self._folder = Path(tempfile.mkdtemp(prefix="ivfuse-serve-"))
        await self.pool.start()

    async def close(self) -> None:
        """End the processes and remove the folder."""
        await self.pool.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Path]:
        """A folder for one request, gone when it is answered.

        Raises:
            Problem: of status 429 if the queue is full, or too many bodies are being read.
        """
        self.pool.refuse_if_full()
        if self._open >= 2 * (len(self.pool.workers) + self.pool.queue):
            raise Problem(429, "Too many uploads at a time; please try again in 2 s.", {"Retry-After": "2"})
        self._open += 1
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder
        finally:
            self._open -= 1
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def work(self, message: dict[str, Any], gone: Gone | None = None) -> dict[str, Any]:
        """Have a process do something.

        Raises:
            Problem: if it cannot or will not.
        """
        reply = await self.pool.ask(message, gone)
        if "problem" in reply:
            raise Problem(*reply["problem"])
        done: dict[str, Any] = reply["done"]
        return done


def create_app(settings: Settings, command: Sequence[str] = COMMAND) -> FastAPI:
    """The application, to be run by any ASGI server; its processes start and end with it.

    Args:
        settings: of the server.
        command: of the processes that work on images; another one in tests.
    """
    place = Workplace(settings, command)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await place.open()
            yield
        finally:
            await place.close()

    app = FastAPI(
        title="ivfuse",
        version=version("ivfuse"),
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # they would load programs from other sites; pages.py has one of its own
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.place = place
    problems.install(app)
    app.include_router(api.router)
    pages.install(app)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Counting, counters=place.counters)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
            expose_headers=["Retry-After", "X-Ivfuse-Method", "X-Ivfuse-Seconds"],
        )
    return app
