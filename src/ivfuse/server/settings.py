"""Settings of the server, validated once at the start."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ivfuse.errors import UsageError
from ivfuse.runtime.devices import Device, choose
from ivfuse.runtime.processes import available_cpus

MB = 1_000_000
GB = 1_000_000_000
MP = 1_000_000
_MOST_WORKERS = 4  # started by default; more gain little, since each keeps the models in memory


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    Attributes:
        host: address to listen on.
        port: TCP port; 0 for any free one.
        workers: worker processes; 0 for one per CPU, at most four.
        queue: requests that may wait for a worker; further ones are rejected.
        token: bearer token that API clients must send, or ``None``.
        cors: origins (``https://example.org``) whose pages may call the API.
        max_upload: size limit of a request body, all its images together, in bytes.
        max_pixels: size limit of one image, in pixels.
        max_memory: memory that a worker may take for one request, in bytes; enforced on Linux.
        timeout: seconds that a request may wait for a worker, and again that the worker may take.
        client_timeout: seconds without a byte from a client after which its request is abandoned.
        reuse_port: whether further servers may listen at the same port (Linux); the system
            divides connections among them.
        device: device of learned methods, see :class:`ivfuse.fusion.options.FuseOptions`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0
    queue: int = 16
    token: str | None = None
    cors: tuple[str, ...] = ()
    max_upload: int = 64 * MB
    max_pixels: int = 50 * MP
    max_memory: int = 6 * GB
    timeout: float = 60.0
    client_timeout: float = 10.0
    reuse_port: bool = False
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Reject invalid settings.

        Raises:
            UsageError: naming the field.
            IvfuseError: if the machine does not have the device.
        """
        choose("auto", "auto", self.device)
        if self.reuse_port and not hasattr(socket, "SO_REUSEPORT"):
            raise UsageError(field="reuse_port", expected="a system that has it, such as Linux")
        for field in ("workers", "queue"):
            if getattr(self, field) < 0:
                raise UsageError(field=field, found=getattr(self, field), expected="0 or more")
        for field in ("max_upload", "max_pixels", "max_memory", "timeout", "client_timeout"):
            if not getattr(self, field) > 0:
                raise UsageError(field=field, found=getattr(self, field), expected="a number above 0")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token):
            raise UsageError(field="token", expected="one or more printable ASCII characters")
        for origin in self.cors:
            _check_origin(origin)

    @property
    def worker_count(self) -> int:
        """Number of worker processes."""
        return self.workers or min(available_cpus(), _MOST_WORKERS)

    @property
    def worker_threads(self) -> int:
        """Threads of each worker; the CPUs are shared evenly."""
        return max(1, available_cpus() // self.worker_count)

    @property
    def loopback(self) -> bool:
        """Whether only this computer can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is a loopback one."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_origin(origin: str) -> None:
    """Reject what no browser sends as an origin."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or origin != f"{parts.scheme}://{parts.netloc}"
    ):
        raise UsageError(field="cors", found=repr(origin), expected="an origin like https://example.org")
