"""Security middleware: checks Host, Origin and bearer token of requests, sets headers on responses."""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ivfuse.server.problems import Problem, to_response
from ivfuse.server.settings import Settings, is_loopback

_RESPONSE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
MAX_HEADER_BYTES = 16_384  # of a request, its URL included
_DRAIN_SECONDS = 3.0  # how long a rejected body is still read, so that its sender can read the response


class SecurityMiddleware:
    """Middleware that enforces Host, Origin and bearer token, and sets security headers on all responses.

    Args:
        app: the wrapped application.
        settings: host, token and allowed origins.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Store both."""
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _RequestBody(receive, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400 and message["status"] != 408:
                    await body.drain()
                response_headers = MutableHeaders(scope=message)
                for name, value in _RESPONSE_HEADERS.items():
                    response_headers[name] = value
                if not body.complete:
                    response_headers["Connection"] = "close"
                is_api = scope["path"].startswith("/api/")
                response_headers["Cache-Control"] = "no-store" if is_api else "no-cache"
            await send(message)

        problem = self._check(scope, headers)
        app = to_response(problem) if problem else self.app
        await app(scope, body.receive, send_with_headers)

    def _check(self, scope: Scope, headers: Headers) -> Problem | None:
        """The reason to reject a request, or ``None``."""
        lines = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if lines + len(scope["raw_path"]) + len(scope["query_string"]) > MAX_HEADER_BYTES:
            return Problem(431, f"The headers are too long; expected {MAX_HEADER_BYTES} bytes at most.")
        host = headers.get("host", "")
        if self.settings.loopback and not self._is_own_host(host):
            # DNS rebinding: a foreign name that resolves to 127.0.0.1 would let that site's pages in
            return Problem(403, "This server accepts requests to localhost only; found another Host header.")
        origin = headers.get("origin")
        if origin and origin not in self.settings.cors and origin.partition("://")[2] != host:
            return Problem(403, "Pages of other sites may not call this server; see --cors.")
        if self.settings.token is None or not scope["path"].startswith(("/api/", "/metrics")):
            return None
        return self._check_token(headers, self.settings.token)

    @staticmethod
    def _check_token(headers: Headers, token: str) -> Problem | None:
        scheme, _, found = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(found.strip().encode("utf-8", "replace"), token.encode())
        if scheme.lower() == "bearer" and same:
            return None
        sentence = "This server requires a token; expected the header Authorization: Bearer TOKEN."
        return Problem(401, sentence, {"WWW-Authenticate": "Bearer"})

    def _is_own_host(self, host: str) -> bool:
        """Whether a Host header is a loopback one, or that of an allowed origin behind a reverse proxy."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or host in (urlsplit(origin).netloc for origin in self.settings.cors)


class _RequestBody:
    """The body of a request, and whether it has been received completely."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        # a client that waits for "100 Continue" has not sent anything yet
        self.complete = "expect" in headers or not (
            "content-length" in headers or "transfer-encoding" in headers
        )

    async def receive(self) -> Message:
        """Receive a message."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.complete = True
        return message

    async def drain(self) -> None:
        """Discard the rest, up to a time limit: closing a connection with unread bytes loses the response."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        with suppress(TimeoutError):
            while not self.complete:
                await asyncio.wait_for(self.receive(), max(0.0, deadline - time.monotonic()))
