"""Runs the application with uvicorn until it is interrupted."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from ivfuse.errors import IvfuseError, UsageError
from ivfuse.server.app import create_app
from ivfuse.server.middleware import MAX_HEADER_BYTES
from ivfuse.server.settings import Settings
from ivfuse.server.timeouts import protocol_with_timeouts

_KEEP_ALIVE = 15  # seconds that an idle connection stays open
_SHUTDOWN_GRACE = 5  # seconds that running requests may still take at shutdown


def listen(settings: Settings) -> socket.socket:
    """Open a listening socket at the address and port of the settings.

    Raises:
        UsageError: if the address is invalid or the port taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.host.strip("[]"), settings.port),
            family=family,
            backlog=512,
            reuse_port=settings.reuse_port,
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen at {settings.host} port {settings.port}: {reason}") from error


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Configuration of uvicorn: limits of connections, headers and time."""
    return uvicorn.Config(
        app,
        http=protocol_with_timeouts(settings.client_timeout),
        ws="none",
        lifespan="on",
        log_config=None,  # uvicorn's own closes the handlers of the whole process, and some their streams
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_SHUTDOWN_GRACE,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )


def run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        settings: settings of the server.
        on_ready: called with the URL of the page as soon as it is served.

    Raises:
        UsageError: if the address is invalid or the port taken.
        IvfuseError: if no worker process can be started.
    """
    listener = listen(settings)
    server = uvicorn.Server(uvicorn_config(create_app(settings), settings))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    start, log = server.startup, logging.getLogger("uvicorn.error")

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        log.setLevel(logging.CRITICAL)  # a failed start is reported in one line, below
        await start(sockets)
        log.setLevel(logging.WARNING)
        if server.started:
            on_ready(url)

    server.startup = startup  # type: ignore[method-assign]  # uvicorn has no callback for this moment
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals are a regular shutdown
    try:
        # raised after the cleanup, or because the start failed
        with suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=[listener])
    finally:
        listener.close()
    if not server.started:
        raise IvfuseError("the server could not start: no worker process is running; see above")
