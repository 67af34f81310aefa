"""Turns a missing extra into one line that says how to install it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ivfuse.errors import MissingExtraError


@contextmanager
def training() -> Iterator[None]:
    """Round imports of the learning room."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ivfuse"):
            raise
        raise MissingExtraError("what runs networks in PyTorch", "train") from error
