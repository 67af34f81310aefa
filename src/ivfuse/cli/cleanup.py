"""Resources that a verb holds until it ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_stack: ContextVar[ExitStack] = ContextVar("resources")


@contextmanager
def releasing() -> Iterator[None]:
    """Release at the end of the block what :func:`hold` was given in it."""
    with ExitStack() as stack:
        token = _stack.set(stack)
        try:
            yield
        finally:
            _stack.reset(token)


def hold(resource: AbstractContextManager[T]) -> T:
    """Enter a context that the running verb leaves when it ends."""
    return _stack.get().enter_context(resource)
