"""Worker processes that answer requests one at a time.

A worker that dies fails only the request it was working on. This module imports neither NumPy nor OpenCV, so
that a new process can set its thread counts before these libraries load.
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
_DIED = "the worker process ended unexpectedly, perhaps because it ran out of memory"


@dataclass(frozen=True)
class Reply:
    """The answer to a request: a value, or the reason for the failure."""

    value: Any = None
    failure: str = ""


class Worker:
    """A process that creates a request handler once and answers requests with it.

    Args:
        make: ``module:function`` that creates the handler inside the process.
        argument: the argument of that function.
        threads: number of threads of OpenCV and the linear algebra libraries; ``None`` leaves it to the
            environment.
    """

    def __init__(self, make: str, argument: Any, threads: int | None = None) -> None:
        """Store the settings; the process starts with the first request."""
        self._start_with = (make, argument, threads)
        self._process: Any = None
        self.connection: Connection | None = None

    def send(self, request: Any) -> None:
        """Send a request; :meth:`receive` returns its answer."""
        if self.connection is None:
            # Spawned instead of forked, because OpenCV's threads do not survive a fork.
            context = multiprocessing.get_context("spawn")
            self.connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other, *self._start_with), daemon=True)
            self._process.start()
            other.close()
        with suppress(OSError):  # the process died between two requests; receive() reports it
            self.connection.send(request)

    def receive(self) -> Reply:
        """Wait for the answer to the last request; if the process died, the next request starts a new one."""
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
    """Answer requests with several processes in parallel.

    Args:
        make: see :class:`Worker`.
        argument: see :class:`Worker`.
        requests: the requests.
        processes: number of processes.
        threads: see :class:`Worker`.

    Yields:
        The index of a request and its reply, in order of completion.
    """
    workers = [Worker(make, argument, threads) for _ in range(min(processes, len(requests)))]
    remaining = iter(enumerate(requests))
    busy: dict[int, int] = {}  # worker number -> index of its request

    def send_next(number: int) -> None:
        if (job := next(remaining, None)) is not None:
            busy[number] = job[0]
            workers[number].send(job[1])

    try:
        for number in range(len(workers)):
            send_next(number)
        while busy:
            ready = wait([pipe for number in busy if (pipe := workers[number].connection)])
            for number in [each for each in busy if workers[each].connection in ready]:
                index, reply = busy.pop(number), workers[number].receive()
                send_next(number)
                yield index, reply
    finally:
        for worker in workers:
            worker.close()


def _serve(connection: Connection, make: str, argument: Any, threads: int | None) -> None:
    """Answer requests until the parent closes the connection; interrupts are left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    handler, failure = _make_handler(make, argument, threads)
    try:
        while True:
            request = connection.recv()
            connection.send(_answer(handler, request) if handler else Reply(failure=failure))
    except (EOFError, OSError):
        return


def _make_handler(make: str, argument: Any, threads: int | None) -> tuple[Callable[[Any], Any] | None, str]:
    """Create the handler; returns ``None`` and the reason if that fails."""
    from ivfuse.errors import reason_of

    try:
        if threads is not None:
            import cv2

            cv2.setNumThreads(threads)
        module, function = make.split(":")
        return getattr(import_module(module), function)(argument), ""
    except Exception as error:  # reported with every request: one failing method must not end the run
        return None, reason_of(error)


def _answer(handler: Callable[[Any], Any], request: Any) -> Reply:
    from ivfuse.errors import reason_of

    try:
        return Reply(handler(request))
    except Exception as error:  # one unusable image must not end the run
        return Reply(failure=reason_of(error))
