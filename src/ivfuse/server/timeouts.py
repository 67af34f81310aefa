"""HTTP/1.1 with what uvicorn lacks: timeouts, errors in JSON, and room for new connections."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ivfuse.server.messages import TOO_SLOW

MAX_CONNECTIONS = 512  # of all clients; beyond, the oldest idle one is closed for a new one


def _response(status: HTTPStatus, sentence: str) -> bytes:
    body = json.dumps({"error": sentence}).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


_TOO_SLOW = _response(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW)
_MALFORMED = _response(HTTPStatus.BAD_REQUEST, "The request is malformed, or its headers are too long.")
_FULL = _response(HTTPStatus.SERVICE_UNAVAILABLE, "All connections are in use; please try again later.")


class _TimeoutProtocol(H11Protocol):
    """One connection; those of a server share the attributes, see :func:`protocol_with_timeouts`."""

    seconds: float
    most: int
    opened: dict[_TimeoutProtocol, None]  # in the order of their arrival

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.opened) >= self.most:
            idle = next((each for each in self.opened if each.is_idle()), None)
            if idle is None:
                transport.write(_FULL)
                transport.close()
                return
            idle.transport.abort()
            self.opened.pop(idle, None)
        self.opened[self] = None
        self._start_timer()

    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        self.transport.write(_MALFORMED)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._timer is None and self.conn.trailing_data[0]:  # the beginning of a further request
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.opened.pop(self, None)
        self._stop_timer()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.seconds, self.transport.abort)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            if self.conn.trailing_data[0]:  # a client that has sent nothing gets no response
                self.transport.write(_TOO_SLOW)
            self.transport.close()


def protocol_with_timeouts(seconds: float, most: int = MAX_CONNECTIONS) -> type[H11Protocol]:
    """Create uvicorn's HTTP protocol with timeouts and a number of connections.

    Args:
        seconds: time in which the headers of a request must arrive, and in which a response that was sent
            must be read.
        most: open connections. A further one takes the place of the oldest that has no request; if there is
            none, it is refused with status 503.
    """
    shared = {"seconds": seconds, "most": most, "opened": {}}
    return type("TimeoutProtocol", (_TimeoutProtocol,), shared)
