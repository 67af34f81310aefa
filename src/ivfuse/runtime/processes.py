"""Processes that answer requests one at a time; one that dies fails its request alone.

This module imports neither NumPy nor OpenCV, so that a new process can set its threads before they load.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_DIED = "its process ended unexpectedly, perhaps for want of memory"


@dataclass(frozen=True)
class Reply:
    """What became of a request: a value, or why there is none."""

    value: Any = None
    failure: str = ""


class Worker:
    """A process of its own that makes a handler once and answers requests with it.

    Args:
        make: ``module:function`` that makes the handler in the process.
        argument: what the function is called with.
        threads: threads of linear algebra and of OpenCV; ``None`` leaves them to the environment.
    """

    def __init__(self, make: str, argument: Any, threads: int | None = None) -> None:
        """Remember what to start; the process starts with the first request."""
        self._start_with = (make, argument, threads)
        self._process: Any = None
        self.connection: Connection | None = None

    def send(self, request: Any) -> None:
        """Hand over a request; its answer is fetched by :meth:`receive`."""
        if self.connection is None:
            # started afresh, not forked: OpenCV's threads do not survive a fork
            context = multiprocessing.get_context("spawn")
            self.connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other, *self._start_with), daemon=True)
            self._process.start()
            other.close()
        with suppress(OSError):  # it died between two requests; receive says so
            self.connection.send(request)

    def receive(self) -> Reply:
        """The answer to the request that was sent; after a death the next request starts a new process."""
        try:
            reply: Reply = self.connection.recv() if self.connection else Reply(failure=_DIED)
        except (EOFError, OSError):
            self.close()
            return Reply(failure=_DIED)
        return reply

    def ask(self, request: Any) -> Reply:
        """Send a request and wait for its answer."""
        self.send(request)
        return self.receive()

    def close(self) -> None:
        """End the process."""
        if self.connection is not None:
            self.connection.close()
            self._process.join(timeout=2)
            if self._process.is_alive():
                self._process.terminate()
            self.connection = None


def ask_all(
    make: str, argument: Any, requests: Sequence[Any], processes: int, threads: int | None = 1
) -> Iterator[tuple[int, Reply]]:
    """Answer requests by several processes.

    Args:
        make, argument, threads: as for :class:`Worker`.
        requests: what to ask.
        processes: how many at a time.

    Yields:
        Index of a request and its answer, as they are done.
    """
    workers = [Worker(make, argument, threads) for _ in range(min(processes, len(requests)))]
    left = iter(enumerate(requests))
    busy: dict[int, int] = {}

    def give(number: int) -> None:
        if (job := next(left, None)) is not None:
            busy[number] = job[0]
            workers[number].send(job[1])

    try:
        for number in range(len(workers)):
            give(number)
        while busy:
            ready = wait([pipe for number in busy if (pipe := workers[number].connection)])
            for number in [each for each in busy if workers[each].connection in ready]:
                index, reply = busy.pop(number), workers[number].receive()
                give(number)
                yield index, reply
    finally:
        for worker in workers:
            worker.close()


def _serve(connection: Connection, make: str, argument: Any, threads: int | None) -> None:
    """Answer requests until the other side is gone; an interrupt is left to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    handler, fault = _made(make, argument, threads)
    try:
        while True:
            request = connection.recv()
            connection.send(_answer(handler, request) if handler else Reply(failure=fault))
    except (EOFError, OSError):
        return


def _made(make: str, argument: Any, threads: int | None) -> tuple[Callable[[Any], Any] | None, str]:
    from ivfuse.errors import reason_of

    try:
        if threads is not None:
            import cv2

            cv2.setNumThreads(threads)
        module, function = make.split(":")
        return getattr(import_module(module), function)(argument), ""
    except Exception as error:  # told with every request: one bad method must not end the run
        return None, reason_of(error)


def _answer(handler: Callable[[Any], Any], request: Any) -> Reply:
    from ivfuse.errors import reason_of

    try:
        return Reply(handler(request))
    except Exception as error:  # a bad image must not end the run
        return Reply(failure=reason_of(error))
