"""What every request passes before the application: host name, origin, token; headers for every answer."""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ivfuse.server.problems import Problem, answer
from ivfuse.server.settings import Settings, is_loopback

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LINGER = 3.0  # seconds that a refused body is still read, so that its sender gets to read the answer


class Guard:
    """Middleware that refuses strangers and puts headers on every answer.

    Args:
        app: what is guarded.
        settings: host, token and origins.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Remember both."""
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, headers)

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400 and message["status"] != 408:
                    await body.drain()
                put = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    put[name] = value
                if not body.ended:
                    put["Connection"] = "close"
                put["Cache-Control"] = "no-store" if scope["path"].startswith("/api/") else "no-cache"
            await send(message)

        problem = self._refusal(scope, headers)
        app = answer(problem) if problem else self.app
        await app(scope, body.receive, send_on)

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        """Why a request is not let in."""
        host = headers.get("host", "")
        if self.settings.loopback and not self._is_mine(host):
            # a foreign name that leads here is how a web page would reach a server on its visitor's computer
            return Problem(403, "This server answers only to localhost; the request named another host.")
        origin = headers.get("origin")
        if origin and origin not in self.settings.cors and origin.partition("://")[2] != host:
            return Problem(403, "Pages of other sites may not call this server; see --cors.")
        token = self.settings.token
        if token is None or not scope["path"].startswith(("/api/", "/metrics")):
            return None
        kind, _, shown = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(shown.strip().encode("utf-8", "replace"), token.encode())
        if kind.lower() == "bearer" and same:
            return None
        sentence = "This server asks for a token; expected the header Authorization: Bearer TOKEN."
        return Problem(401, sentence, {"WWW-Authenticate": "Bearer"})

    def _is_mine(self, host: str) -> bool:
        """Whether a host is this computer, or a site that was named, whose proxy hands requests on."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or host in (urlsplit(origin).netloc for origin in self.settings.cors)


class _Body:
    """The body of a request, and whether it was read to its end."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        # a client that waits for "100 Continue" has not sent anything yet
        self.ended = "expect" in headers or not (
            "content-length" in headers or "transfer-encoding" in headers
        )

    async def receive(self) -> Message:
        """Hand a message on."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.ended = True
        return message

    async def drain(self) -> None:
        """Read and forget what is left, for a while: a connection closed on unread bytes loses the answer."""
        deadline = time.monotonic() + _LINGER
        with suppress(TimeoutError):
            while not self.ended:
                await asyncio.wait_for(self.receive(), max(0.0, deadline - time.monotonic()))
