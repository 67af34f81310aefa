"""What whoever starts the server may choose, checked once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ivfuse.errors import UsageError
from ivfuse.runtime.processes import available_cpus

MB = 1_000_000
MP = 1_000_000


@dataclass(frozen=True)
class Settings:
    """How the server runs.

    Attributes:
        host: the address to listen at.
        port: 0 for any that is free.
        workers: processes that work on images; 0 for one for each processor, four at most.
        queue: requests that may wait for a process; more are refused.
        token: what clients have to show, or ``None``.
        cors: origins (``https://example.org``) whose pages may call the API.
        max_upload: bytes of one request, all its images together.
        max_pixels: of one image.
        timeout: seconds that a request may wait, and then be worked on.
        patience: seconds without a byte from a client before it is given up.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0
    queue: int = 16
    token: str | None = None
    cors: tuple[str, ...] = ()
    max_upload: int = 64 * MB
    max_pixels: int = 50 * MP
    timeout: float = 60.0
    patience: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: naming the option.
        """
        if self.workers < 0 or self.queue < 0:
            raise UsageError(
                f"--workers and --queue: found {self.workers} and {self.queue}, expected 0 or more"
            )
        if self.max_upload < 1 or self.max_pixels < 1 or not self.timeout > 0 or not self.patience > 0:
            raise UsageError("--max-upload, --max-pixels and --timeout: expected numbers above 0")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token):
            raise UsageError("--token: expected one or more printable ASCII characters")
        for origin in self.cors:
            _check_origin(origin)

    @property
    def processes(self) -> int:
        """How many processes work on images."""
        return self.workers or min(available_cpus(), 4)

    @property
    def threads(self) -> int:
        """Threads of each of them."""
        return max(1, available_cpus() // self.processes)

    @property
    def loopback(self) -> bool:
        """Only this computer can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this computer alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_origin(origin: str) -> None:
    """Refuse what no browser would ever send as an origin."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or origin != f"{parts.scheme}://{parts.netloc}"
    ):
        raise UsageError(f"--cors: found {origin!r}, expected an origin like https://example.org")
