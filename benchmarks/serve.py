"""Load test of `ivfuse serve`: throughput, latency, memory, and the cost of a killed worker.

    python benchmarks/serve.py                                          # one minute, two clients, 640x480
    python benchmarks/serve.py --seconds 1800 --clients 4 --kill 60     # half an hour, one kill per minute
    python benchmarks/serve.py --sizes 640x480 320x256 1024x768 --methods swift laplacian

Starts a server (`--workers`, `--queue`), renders synthetic pairs, and has each client send one request after
another: two PNG files in, one PNG file out. A client that gets status 429 waits as long as it is told to.
Latency is measured by the clients, transfer included. "CPU ms" is processor time per answered request, which
other load on the machine affects little: of the server (HTTP, forms) and of its workers (decoding, fusion,
encoding). Memory is resident memory as reported by /metrics. The first `--warm` seconds do not count.
The clients use processor time as well.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from common import make_parser
from ivfuse.synthetic.street import street_scene

BOUNDARY = "ivfuse-load"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Responses:
    """Responses that the clients got: latencies of answered requests, statuses, error messages."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, seconds: float, body: bytes) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status == 200:
                self.seconds.append(seconds)
            elif status != 429:
                self.failures[json.loads(body)["error"]] += 1

    def clear(self) -> None:
        with self.lock:
            self.seconds.clear()
            self.statuses.clear()
            self.failures.clear()


@dataclass(frozen=True)
class Memory:
    """Resident memory in MB, at a time in seconds since the start."""

    second: float
    server: float
    workers: float


class Server:
    """`ivfuse serve` as a subprocess."""

    def __init__(self, workers: int, queue: int) -> None:
        command = [sys.executable, "-m", "ivfuse", "serve", "--port", "0"]
        command += ["--workers", str(workers), "--queue", str(queue)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start")
        self.port = int(found[1])
        while self.metric("ivfuse_workers_alive") < workers:
            time.sleep(0.1)

    def metrics(self) -> str:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request("GET", "/metrics")
        text = line.getresponse().read().decode()
        line.close()
        return text

    def metric(self, name: str) -> float:
        lines = self.metrics().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[ {{]", line))

    def memory(self, second: float) -> Memory:
        server, workers = (
            self.metric(name) / 1e6
            for name in ("process_resident_memory_bytes", "ivfuse_worker_memory_bytes")
        )
        return Memory(second, server, workers)

    def workers(self) -> list[int]:
        """Process IDs of the workers."""
        pid = self.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def cpu(self) -> tuple[float, float]:
        """Processor seconds used by the server and by its running workers."""
        return cpu_of(self.process.pid), sum(map(cpu_of, self.workers()))

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def cpu_of(pid: int) -> float:
    """Processor seconds used by a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def body_of(size: str, method: str) -> bytes:
    """The body of a request with a pair of this size."""
    width, height = map(int, size.split("x"))
    scene = street_scene(height, width)
    parts = []
    for name, pixels in (("ir", scene.ir), ("vi", scene.vi[..., ::-1])):
        png = cv2.imencode(".png", np.rint(pixels * 255).astype(np.uint8))[1].tobytes()
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.png"\r\n\r\n'
        parts.append(head.encode() + png + b"\r\n")
    if method:
        parts.append(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="method"\r\n\r\n{method}\r\n'.encode()
        )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def client(port: int, bodies: list[bytes], first: int, responses: Responses, stop: threading.Event) -> None:
    """Send one request after another until ``stop`` is set."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    number = first
    while not stop.is_set():
        started = time.perf_counter()
        line.request("POST", "/api/fuse", bodies[number % len(bodies)], headers)
        answer = line.getresponse()
        content = answer.read()
        responses.add(answer.status, time.perf_counter() - started, content)
        if answer.status == 429:
            stop.wait(float(answer.headers["Retry-After"]))
        number += 1
    line.close()


def monitor(server: Server, seconds: float, kill: float, killed: list[float]) -> list[Memory]:
    """Sample the memory, and kill a worker every ``kill`` seconds unless that is 0."""
    started_at, memory, next_kill = time.perf_counter(), [], kill
    step = max(1.0, seconds / 12)
    while (now := time.perf_counter() - started_at) < seconds:
        memory.append(server.memory(now))
        wake = started_at + min(seconds, now + step)
        while (left := wake - time.perf_counter()) > 0:
            if kill and time.perf_counter() - started_at >= next_kill:
                os.kill(server.workers()[0], signal.SIGKILL)
                killed.append(next_kill)
                next_kill += kill
            time.sleep(min(left, 0.2))
    return [*memory, server.memory(seconds)]


def report(
    responses: Responses, memory: list[Memory], seconds: float, cpu: list[float], killed: list[float]
) -> None:
    done = len(responses.seconds)
    p50, p95, p99 = np.percentile(responses.seconds, [50, 95, 99]) * 1000
    print(f"requests      {done} answered in {seconds:.0f} s: {done / seconds:.2f} per second")
    print(
        f"ms            p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f},"
        f" longest {max(responses.seconds) * 1000:.0f}"
    )
    if not killed:  # the processor time of dead processes is lost
        print(
            f"CPU ms        server {1000 * cpu[0] / done:.1f}, workers {1000 * cpu[1] / done:.1f} per request"
        )
    print(
        "statuses     ",
        ", ".join(f"{status}: {count}" for status, count in sorted(responses.statuses.items())),
    )
    if killed:
        print(f"killed        {len(killed)} times; requests lost: {sum(responses.failures.values())}")
    for sentence, count in responses.failures.items():
        print(f"  {count} x {sentence}")
    print("memory MB     second: server, workers")
    for each in memory:
        print(f"{each.second:14.0f}: {each.server:.0f}, {each.workers:.0f}")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm", type=float, default=10, help="seconds before the measurement starts")
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", type=int, default=16)
    parser.add_argument("--sizes", nargs="+", default=["640x480"])
    parser.add_argument("--methods", nargs="+", default=[""], help="default: the default method")
    parser.add_argument("--kill", type=float, default=0, help="kill a worker every so many seconds; 0: never")
    chosen = parser.parse_args()
    bodies = [body_of(size, method) for size in chosen.sizes for method in chosen.methods]
    server, responses = Server(chosen.workers, chosen.queue), Responses()
    stop, killed = threading.Event(), []
    clients = [
        threading.Thread(target=client, args=(server.port, bodies, number, responses, stop), daemon=True)
        for number in range(chosen.clients)
    ]
    try:
        for each in clients:
            each.start()
        time.sleep(chosen.warm)
        responses.clear()
        before, started_at = server.cpu(), time.perf_counter()
        memory = monitor(server, chosen.seconds, chosen.kill, killed)
        seconds = time.perf_counter() - started_at
        cpu = [after - start for after, start in zip(server.cpu(), before, strict=True)]
        stop.set()
        for each in clients:
            each.join(60)
        print(
            f"{chosen.clients} clients, {chosen.workers} workers, queue {chosen.queue};"
            f" {' '.join(chosen.sizes)}; {' '.join(chosen.methods) or 'default method'}\n"
        )
        report(responses, memory, seconds, cpu, killed)
    finally:
        server.close()


if __name__ == "__main__":
    main()
