"""HTTP/1.1 with time limits that uvicorn leaves open: headers that never end, answers that nobody reads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_ANSWER = json.dumps({"error": "The request came too slowly; please try again on a faster line."}).encode()
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_ANSWER), _ANSWER)
)


def impatient(patience: float) -> type[H11Protocol]:
    """The protocol with a limit.

    Args:
        patience: seconds in which the headers of a request have to be there, and an answer to be taken.
    """

    class Impatient(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._stop()
            elif self._waiting is None and self.conn.trailing_data[0]:  # the beginning of a further request
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            if self.transport.get_write_buffer_size():
                self.loop.call_later(patience, self.transport.abort)

        def _wait(self) -> None:
            self._waiting = self.loop.call_later(patience, self._too_slow)

        def _stop(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _too_slow(self) -> None:
            self._waiting = None
            if not self.transport.is_closing():
                if self.conn.trailing_data[0]:  # to a client that has said nothing there is nothing to say
                    self.transport.write(_TOO_SLOW)
                self.transport.close()

    return Impatient
