"""Runs the application until it is interrupted."""

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
from ivfuse.server.settings import Settings
from ivfuse.server.timeouts import impatient

_KEEP_ALIVE = 15  # seconds that an idle connection stays open
_GRACE = 5  # seconds that requests may still take when the server is to end
_CONNECTIONS = 512  # at a time; more are refused
_HEADERS = 16_384  # bytes


def listen(settings: Settings) -> socket.socket:
    """A socket at the address and port.

    Raises:
        UsageError: if that cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen at {settings.host} port {settings.port}: {reason}") from error


def configured(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How an application is served: limits of connections, headers and time."""
    return uvicorn.Config(
        app,
        http=impatient(settings.patience),
        ws="none",
        lifespan="on",
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_HEADERS,
    )


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        settings: of the server.
        tell: called with the address of the page once it answers.

    Raises:
        UsageError: if the address or port cannot be had.
        IvfuseError: if no process that works on images can be started.
    """
    bound = listen(settings)
    server = uvicorn.Server(configured(create_app(settings), settings))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{bound.getsockname()[1]}"
    started, log = server.startup, logging.getLogger("uvicorn.error")

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        log.setLevel(
            logging.CRITICAL
        )  # a start that fails is told in one line below, after the process's own
        await started(sockets)
        log.setLevel(logging.WARNING)
        if server.started:
            tell(url)

    server.startup = startup  # type: ignore[method-assign]  # the address is told when it answers, not before
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both are how a server is meant to end
    try:
        # raised once everything is tidied up, or for a start that failed
        with suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=[bound])
    finally:
        bound.close()
    if not server.started:
        raise IvfuseError("the server could not start: no process that works on images runs; see above")
