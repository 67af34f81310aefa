"""Short queues between the threads of a video run: they end, can be stopped, may drop what is too fast."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

from ivfuse.errors import reason_of

T = TypeVar("T")

_POLL = 0.1  # seconds between looks at the stop signal while waiting


class Empty(Enum):
    """Why nothing came out of a lane."""

    ENDED = "ended"
    LATE = "late"


class StoppedError(Exception):
    """The run was stopped while a thread waited."""


class Lane(Generic[T]):
    """A queue of bounded length between two threads.

    Args:
        length: items that it holds; memory is bounded by it.
        stop: when set, waiting ends with :class:`StoppedError`.
        lossy: a full lane drops its oldest item instead of letting the sender wait; for cameras.
    """

    def __init__(self, length: int, stop: threading.Event, *, lossy: bool = False) -> None:
        """An empty lane."""
        self.dropped = 0
        self._items: deque[T] = deque()
        self._length = length
        self._stop = stop
        self._lossy = lossy
        self._ended = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Add an item; waits for room unless the lane is lossy.

        Raises:
            StoppedError: if nobody wants it any more.
        """
        with self._changed:
            if self._lossy and len(self._items) >= self._length:
                self._items.popleft()
                self.dropped += 1
            self._wait(lambda: len(self._items) < self._length or self._ended)
            if self._ended:
                raise StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def get(self, seconds: float | None = None) -> T | Empty:
        """The next item, ``ENDED`` after the last one, or ``LATE`` if none comes within the seconds."""
        with self._changed:
            if not self._wait(lambda: bool(self._items) or self._ended, seconds):
                return Empty.LATE
            if not self._items:
                return Empty.ENDED
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """No more items will come, or none are wanted."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], seconds: float | None = None) -> bool:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not ready():
            if self._stop.is_set():
                raise StoppedError
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self._changed.wait(_POLL)
        return True


class Worker(threading.Thread):
    """A thread that tells how it ended and what it cost.

    Args:
        name: for debuggers.
        work: what it does.

    Attributes:
        cpu: seconds of processor time, known when it has ended.
        failure: the exception that ended it, or ``None``.
    """

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        """Not started yet."""
        super().__init__(name=f"ivfuse-{name}", daemon=True)
        self._work = work
        self.cpu = 0.0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Do the work."""
        try:
            self._work()
        except StoppedError:
            pass
        except Exception as error:  # told to the thread that waits for this one
            self.failure = error
        self.cpu = time.thread_time()

    @property
    def reason(self) -> str:
        """Why it failed, in one line; "" if it did not."""
        return reason_of(self.failure) if self.failure else ""
