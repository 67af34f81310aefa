"""Turns a missing extra into one line that says how to install it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ivfuse.errors import MissingExtraError


@contextmanager
def training() -> Iterator[None]:
    """Round imports of the learning room."""
    with _extra("what runs networks in PyTorch", "train"):
        yield


@contextmanager
def serving() -> Iterator[None]:
    """Round imports of the serving room."""
    with _extra("the web server", "serve"):
        yield


@contextmanager
def _extra(feature: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ivfuse"):
            raise
        raise MissingExtraError(feature, extra) from error
