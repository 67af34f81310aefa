"""Hostile requests to a server on 127.0.0.1: damaged images, forms and options, and killed workers."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from fuzz.mutations import mutate
from fuzz.seeds import corpus
from fuzz.targets import case_of
from fuzz.workers import CPU_SECONDS, MEMORY, Record
from ivfuse.server.messages import TOO_MUCH_MEMORY

BOUNDARY = "ivfuse-hostile"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
_KILL_EVERY = 100  # requests
_RESTARTING = (503,)  # what the request that a killed worker had begun may get
_VALUES = (
    "1e999", "nan", "-1", "1e308C..1e309C", "10C..40C", "40C..10C", ">1e17C", "-0", "\u202e", "", "x" * 101,
    "[]", "percentile", "plateau", "shared", "0.01K", "1e-300K", "iron", "average", "laplacian", "swift",
    "json", "png", "true", "EN,VIF,Qabf", "16", "9" * 60, "\x00", "../../etc/passwd",
)  # fmt: skip
_FIELDS = {
    "/api/fuse": (
        "window", "scale", "colormap", "highlight", "emissivity", "distance", "reflected", "humidity",
        "method", "strength", "gray", "metrics", "format", "encoding", "bits", "previews",
        "temperatures", "unknown",
    ),
    "/api/register": ("window", "scale", "parallax"),
    "/api/metrics": ("metrics", "convention"),
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A request of a form."""

    path: str
    body: bytes
    content_type: str = FORM


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    content_type: str
    body: bytes


class Server:
    """``ivfuse serve`` with the limits of the harness, as a process."""

    def __init__(self, log: IO[bytes]) -> None:
        command = [sys.executable, "-m", "ivfuse", "serve", "--port", "0", "--workers", "1"]
        command += ["--timeout", str(CPU_SECONDS), "--max-memory", str(MEMORY / 1e9)]
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if found is None:
            raise SystemExit("hostile: the server did not start")
        self.port = int(found[1])

    def ask(self, request: Request) -> Answer:
        """Send a request; its connection is closed afterwards."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=4 * CPU_SECONDS)
        try:
            line.request("POST", request.path, request.body, {"Content-Type": request.content_type})
            answer = line.getresponse()
            return Answer(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        finally:
            line.close()

    def workers(self) -> list[int]:
        """Process IDs of the workers."""
        pid = self.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def memory(self) -> int:
        """Largest resident memory of a worker so far, in bytes."""
        peaks = [0]
        for worker in self.workers():
            lines = Path(f"/proc/{worker}/status").read_text().splitlines()
            peaks += [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
        return max(peaks)

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def run(seed: int, numbers: range) -> Iterator[Record]:
    """Send the requests of a range, one after another; every hundredth time a worker is killed first."""
    with tempfile.TemporaryFile() as log:
        server = Server(log)
        sound = sound_request()
        try:
            for number in numbers:
                name = f"uploads-{seed}-{number}"
                if number % _KILL_EVERY == _KILL_EVERY - 1:
                    yield _after_a_kill(server, sound, name)
                else:
                    yield _record(server, name, request_of(seed, number))
            yield _judged(f"uploads-{seed}-end", server, server.ask(sound), must_succeed=True)
        finally:
            server.close()
        log.seek(0)
        text = log.read().decode(errors="replace")
        if "Traceback" in text:
            yield Record(f"uploads-{seed}-log", "failed", "traceback in the log", text[-4000:])


def _record(server: Server, name: str, request: Request) -> Record:
    started = time.monotonic()
    try:
        return _judged(name, server, server.ask(request), started)
    except (OSError, http.client.HTTPException) as error:
        return Record(name, "failed", f"no answer: {type(error).__name__}: {error}")


def _after_a_kill(server: Server, sound: Request, name: str) -> Record:
    """A killed worker must be replaced: a sound request succeeds, at the second attempt at the latest."""
    for worker in server.workers()[:1]:
        os.kill(worker, signal.SIGKILL)
    answer = server.ask(sound)
    return _judged(
        name, server, server.ask(sound) if answer.status in _RESTARTING else answer, must_succeed=True
    )


def _judged(
    name: str, server: Server, answer: Answer, started: float | None = None, *, must_succeed: bool = False
) -> Record:
    """200 with whole images, or 4xx with one sentence as JSON."""
    seconds = round(time.monotonic() - started, 3) if started is not None else 0.0
    problem = _problem(answer)
    if not problem and must_succeed and answer.status != 200:
        problem = f"status {answer.status} for a sound request"
    if problem:
        return Record(name, "failed", problem, answer.body[:2000].decode(errors="replace"), seconds)
    text = "" if answer.status == 200 else json.loads(answer.body)["error"]
    return Record(name, "refused" if text else "done", text, "", seconds, server.memory())


def _problem(answer: Answer) -> str:
    if answer.status == 200 and answer.content_type.startswith("image/"):
        return "" if _is_image(answer.body) else "half an image"
    try:
        content = json.loads(answer.body)
    except ValueError:
        return f"status {answer.status}, not JSON"
    if answer.status == 200:
        image = content.get("image")
        whole = not isinstance(image, str) or _is_image(base64.b64decode(image.rpartition(",")[2]))
        return "" if whole and b"NaN" not in answer.body else "half an image or no valid JSON"
    text = content.get("error") if isinstance(content, dict) else None
    if answer.status >= 500:
        return f"status {answer.status}: {text}"
    if not isinstance(text, str) or not text or len(text.splitlines()) != 1 or len(text) > 1000:
        return f"status {answer.status} without one sentence"
    return "memory: 413" if text == TOO_MUCH_MEMORY else ""


def _is_image(data: bytes) -> bool:
    return bool(data) and cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is not None


def sound_request() -> Request:
    images = corpus("images")
    return Request(
        "/api/fuse", form({"ir": images["gray-16.png"], "vi": images["color-8.png"]}, {"method": "average"})
    )


def request_of(seed: int, number: int) -> Request:
    """A request with damaged images, odd options, or a damaged body."""
    rng = random.Random(f"uploads-{seed}-{number}")
    images = corpus("images")
    path = rng.choice(("/api/fuse",) * 6 + ("/api/register", "/api/metrics"))
    files = {"ir": images["gray-16.png"], "vi": images["color-8.png"]}
    if path == "/api/metrics":
        files["fused"] = images["color-8.png"]
    fields = {"method": "average"} if path == "/api/fuse" else {}
    what = rng.random()
    if what < 0.7:
        hostile = case_of(rng.choice(("images", "images", "thermal")), seed, number)[1]
        files[rng.choice(list(files))] = hostile
        if rng.random() < 0.2:
            files = {"ir": hostile}
    if what > 0.6:
        for _ in range(rng.randrange(1, 4)):
            fields[rng.choice(_FIELDS[path])] = rng.choice(_VALUES)
    body = form(files, fields)
    if what > 0.85:
        body = mutate("form.bin", body, rng, [images["color.jpg"], body])
    kind = rng.choice(("text/plain", "multipart/form-data", FORM + "x")) if rng.random() < 0.02 else FORM
    return Request(path, body, kind)


def form(files: dict[str, bytes], fields: dict[str, str]) -> bytes:
    """A multipart body."""
    parts = []
    for name, value in fields.items():
        parts.append((f'name="{name}"', value.encode()))
    for name, data in files.items():
        parts.append((f'name="{name}"; filename="{name}.png"', data))
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
    body = b"".join(f"{head}{which}\r\n\r\n".encode() + data + b"\r\n" for which, data in parts)
    return body + f"--{BOUNDARY}--\r\n".encode()
