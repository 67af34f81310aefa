"""HTTP/1.1 with the timeouts that uvicorn lacks: for request headers, and for responses that are not read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ivfuse.server.messages import TOO_SLOW

_BODY = json.dumps({"error": TOO_SLOW}).encode()
_RESPONSE = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


def protocol_with_timeouts(seconds: float) -> type[H11Protocol]:
    """Create uvicorn's HTTP protocol with timeouts.

    Args:
        seconds: time in which the headers of a request must arrive, and in which a response that was sent
            must be read.
    """

    class TimeoutProtocol(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._start_timer()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._stop_timer()
            elif self._timer is None and self.conn.trailing_data[0]:  # the beginning of a further request
                self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            if self.transport.get_write_buffer_size():
                self.loop.call_later(seconds, self.transport.abort)

        def _start_timer(self) -> None:
            self._timer = self.loop.call_later(seconds, self._on_timeout)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _on_timeout(self) -> None:
            self._timer = None
            if not self.transport.is_closing():
                if self.conn.trailing_data[0]:  # a client that has sent nothing gets no response
                    self.transport.write(_RESPONSE)
                self.transport.close()

    return TimeoutProtocol
