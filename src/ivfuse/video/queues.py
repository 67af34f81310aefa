"""Bounded queues between the threads of a video run, and the threads themselves."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

from ivfuse.errors import reason_of

T = TypeVar("T")

_POLL_INTERVAL = 0.1  # seconds between checks of the stop event while waiting


class NoItem(Enum):
    """Why there is no next item."""

    ENDED = "ended"
    TIMEOUT = "timeout"


class StoppedError(Exception):
    """The queue was closed or the run aborted while a thread waited."""


class FrameQueue(Generic[T]):
    """A bounded queue between two threads.

    Args:
        capacity: number of items that it holds at most.
        stop: when set, waiting threads raise :class:`StoppedError`.
        drop_oldest: a full queue drops its oldest item instead of blocking the producer; for live sources.

    Attributes:
        dropped: number of items that were dropped.
    """

    def __init__(self, capacity: int, stop: threading.Event, *, drop_oldest: bool = False) -> None:
        """Create an empty queue."""
        self.dropped = 0
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._stop = stop
        self._drop_oldest = drop_oldest
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Append an item; blocks while the queue is full unless it drops its oldest item.

        Raises:
            StoppedError: if the queue was closed or the run aborted.
        """
        with self._changed:
            if self._drop_oldest and len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            self._wait(lambda: len(self._items) < self._capacity or self._closed)
            if self._closed:
                raise StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> T | NoItem:
        """Remove the next item; ``ENDED`` after the last one, ``TIMEOUT`` if none arrives in time.

        Raises:
            StoppedError: if the run was aborted.
        """
        with self._changed:
            if not self._wait(lambda: bool(self._items) or self._closed, timeout):
                return NoItem.TIMEOUT
            if not self._items:
                return NoItem.ENDED
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def drop_while(self, late: Callable[[T], bool]) -> None:
        """Drop the oldest items that are late, but never the newest one."""
        with self._changed:
            while len(self._items) > 1 and late(self._items[0]):
                self._items.popleft()
                self.dropped += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse further items; those in the queue can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not ready():
            if self._stop.is_set():
                raise StoppedError
            if deadline is not None and time.monotonic() >= deadline:
                return False
            left = _POLL_INTERVAL if deadline is None else deadline - time.monotonic()
            self._changed.wait(min(left, _POLL_INTERVAL))
        return True


class WorkerThread(threading.Thread):
    """A thread that records its processor time and the exception that ended it.

    Args:
        name: name of the thread, for debuggers.
        work: the function to run.

    Attributes:
        cpu: processor time in seconds, known after the thread has ended.
        failure: the exception that ended the thread, or ``None``.
    """

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        """Create the thread without starting it."""
        super().__init__(name=f"ivfuse-{name}", daemon=True)
        self._work = work
        self.cpu = 0.0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Run the function."""
        try:
            self._work()
        except StoppedError:
            pass
        except Exception as error:  # handled by the thread that joins this one
            self.failure = error
        self.cpu = time.thread_time()

    @property
    def reason(self) -> str:
        """Why the thread failed, in one line; "" if it did not."""
        return reason_of(self.failure) if self.failure else ""
