"""The ASGI application: routes, middleware and error handlers around one shared state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from ivfuse.server import api, pages, problems
from ivfuse.server.middleware import SecurityMiddleware
from ivfuse.server.pool import WORKER_COMMAND
from ivfuse.server.settings import Settings
from ivfuse.server.state import AppState
from ivfuse.server.telemetry import MetricsMiddleware

_DESCRIPTION = (
    "Fuses infrared and visible images. Send a pair to `POST /api/fuse` as a multipart form; the response"
    " is the fused image. Every response of status 400 and above is JSON with one sentence in `error`."
)


def create_app(settings: Settings, command: Sequence[str] = WORKER_COMMAND) -> FastAPI:
    """Create the application for any ASGI server; its workers start and stop with its lifespan.

    Args:
        settings: settings of the server.
        command: command line of a worker; tests give another one.
    """
    state = AppState(settings, command)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await state.start()
            yield
        finally:
            await state.stop()

    app = FastAPI(
        title="ivfuse",
        version=version("ivfuse"),
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # FastAPI's own pages load scripts from a CDN; pages.py serves one that does not
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.ivfuse = state
    problems.install(app)
    app.include_router(api.router)
    pages.install(app)
    app.add_middleware(SecurityMiddleware, settings=settings)
    app.add_middleware(MetricsMiddleware, metrics=state.metrics)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
            expose_headers=["Retry-After", "X-Ivfuse-Method", "X-Ivfuse-Seconds"],
        )
    return app
