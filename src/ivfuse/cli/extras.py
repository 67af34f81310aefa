"""Reports a missing extra in one line that says how to install it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ivfuse.errors import MissingExtraError


@contextmanager
def training() -> Iterator[None]:
    """Wrap imports of ``ivfuse.training``."""
    with _extra("training", "train"):
        yield


@contextmanager
def serving() -> Iterator[None]:
    """Wrap imports of ``ivfuse.server``."""
    with _extra("the web server", "serve"):
        yield


@contextmanager
def clustering() -> Iterator[None]:
    """Wrap imports of ``ivfuse.cluster``."""
    with _extra("a run on a cluster", "cluster"):
        yield


@contextmanager
def _extra(feature: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ivfuse"):
            raise
        raise MissingExtraError(feature, extra) from error
