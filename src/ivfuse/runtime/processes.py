"""Worker processes that answer requests one at a time, with limits on their threads.

A worker that dies fails only its current request. Importing this module loads neither NumPy nor OpenCV.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ivfuse.runtime.limits import check_threads, given_pixel_limit, set_pixel_limit

DIED = "its worker process ended unexpectedly, possibly because memory ran out"
# How OpenCV, ONNX Runtime, OpenVINO and the system say it.
_NO_MEMORY = re.compile(
    r"bad.?alloc|insufficient memory|failed to allocate|cannot allocate memory|can't start new thread",
    re.IGNORECASE,
)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def available_cpus() -> int:
    """Return the number of CPUs that this process may use, which can be fewer than those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_environment(threads: int) -> dict[str, str]:
    """Return environment variables that limit the threads of linear algebra libraries in a new process."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def prepare_worker(threads: int | None) -> None:
    """Set up a worker inside its process; interrupts are ignored, because the parent closes its workers.

    Args:
        threads: number of threads of OpenCV, which ignores :func:`thread_environment`; ``None`` for the
            default of OpenCV.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads is not None:
        import cv2

        cv2.setNumThreads(threads)


def limit_memory(allowance: int) -> None:
    """Limit the memory of this process to what it has now and an allowance; further requests for memory fail.

    Args:
        allowance: bytes of private memory (heap, stacks and anonymous mappings) that it may take in addition.
            Ignored on systems that cannot limit it, which are those other than Linux.
    """
    try:
        import resource

        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        now = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = now + allowance if most == resource.RLIM_INFINITY else min(now + allowance, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    except (ImportError, OSError, StopIteration, ValueError):
        return


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that memory could not be allocated."""
    while error is not None:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


@dataclass(frozen=True)
class Reply:
    """The outcome of a request.

    Attributes:
        value: result of the handler; ``None`` after a failure.
        failure: reason for the failure in one line; empty if the handler returned a result.
        died: whether the worker process ended before it answered.
    """

    value: Any = None
    failure: str = ""
    died: bool = False


_DEATH = Reply(failure=DIED, died=True)


class Worker:
    """A process that builds a handler once and answers requests with it.

    Args:
        make: ``module:function`` that builds the handler inside the process.
        argument: argument of that function.
        threads: number of threads of OpenCV and the linear algebra libraries; ``None`` leaves it to the
            environment.

    Raises:
        UsageError: if the threads are not 1 to 1024.
    """

    def __init__(self, make: str, argument: Any, threads: int | None = None) -> None:
        """Store the settings; the process starts with the first request."""
        check_threads(threads)
        self._start_with = (make, argument, threads)
        self._process: Any = None
        self.connection: Connection | None = None

    def send(self, request: Any) -> None:
        """Send a request; :meth:`receive` returns its reply."""
        if self.connection is None:
            # spawn, not fork: OpenCV's thread pool does not survive a fork
            context = multiprocessing.get_context("spawn")
            self.connection, other = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(other, *self._start_with, given_pixel_limit()), daemon=True
            )
            with _environment_of(self._start_with[2]), _interrupts_blocked():
                self._process.start()
            other.close()
        with suppress(OSError):  # the process died between two requests; receive() reports it
            self.connection.send(request)

    def receive(self) -> Reply:
        """Wait for the reply to the last request; after a death the next request starts a new process."""
        try:
            reply: Reply = self.connection.recv() if self.connection else _DEATH
        except (EOFError, OSError):
            self.close()
            return _DEATH
        return reply

    def ask(self, request: Any) -> Reply:
        """Send a request and wait for its reply."""
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
    """Answer requests with a pool of workers.

    Args:
        make, argument, threads: as for :class:`Worker`.
        requests: requests to the handler.
        processes: number of workers; no more are started than there are requests.

    Yields:
        The index of a request and its reply, in the order of completion.
    """
    workers = [Worker(make, argument, threads) for _ in range(min(processes, len(requests)))]
    remaining = iter(enumerate(requests))
    busy: dict[int, int] = {}

    def assign(number: int) -> None:
        if (job := next(remaining, None)) is not None:
            busy[number] = job[0]
            workers[number].send(job[1])

    try:
        for number in range(len(workers)):
            assign(number)
        while busy:
            ready = wait([pipe for number in busy if (pipe := workers[number].connection)])
            for number in [each for each in busy if workers[each].connection in ready]:
                index, reply = busy.pop(number), workers[number].receive()
                assign(number)
                yield index, reply
    finally:
        for worker in workers:
            worker.close()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let processes that start meanwhile inherit a blocked SIGINT.

    Ctrl-C reaches all processes of a terminal. A new one that has not come to :func:`prepare_worker` yet
    would print the traceback of its imports.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it would start with the first worker, and unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment_of(threads: int | None) -> Iterator[None]:
    """Let processes that start meanwhile inherit the thread limit.

    Setting it inside the new process would be too late: unpickling its arguments can import NumPy.
    """
    variables = {} if threads is None else thread_environment(threads)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, make: str, argument: Any, threads: int | None, pixels: int | None) -> None:
    """Answer requests until the parent process closes the connection; its limit of pixels holds here too."""
    set_pixel_limit(pixels)
    handler, failure = _build(make, argument, threads)
    try:
        while True:
            request = connection.recv()
            connection.send(_answer(handler, request) if handler else Reply(failure=failure))
    except (EOFError, OSError):
        return


def _build(make: str, argument: Any, threads: int | None) -> tuple[Callable[[Any], Any] | None, str]:
    from ivfuse.errors import reason_of

    try:
        prepare_worker(threads)
        module, function = make.split(":")
        return getattr(import_module(module), function)(argument), ""
    except Exception as error:  # reported with every request: one bad method must not end the run
        return None, reason_of(error)


def _answer(handler: Callable[[Any], Any], request: Any) -> Reply:
    from ivfuse.errors import reason_of

    try:
        return Reply(handler(request))
    except Exception as error:  # a bad image must not end the run
        return Reply(failure=reason_of(error))
