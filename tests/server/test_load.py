"""Under load, and when things go wrong: a full queue, slow requests, processes that die; who is let in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .conftest import Running, running


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    """One worker that does as it is told, room for one more request, one second for each."""
    with running(slow=True, queue=1, timeout=1.0) as server:
        yield server


def ask(server: Running, ir: bytes, order: str) -> Any:
    return server.client.post("/api/fuse", files={"ir": ir}, data={"scale": order})


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_over_capacity_is_429_and_says_when_to_come_again(small: Running, ir: bytes) -> None:
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: ask(small, ir, "sleep 0.4"), range(6)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(200) == 2
    assert codes.count(429) == 4
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert "please try again in" in refused.json()["error"]
    assert ask(small, ir, "").status_code == 200


def test_a_request_over_its_time_is_504_and_its_process_is_replaced(small: Running, ir: bytes) -> None:
    before = small.state.pool.workers[0].pid
    answer = ask(small, ir, "sleep 30")
    assert (answer.status_code, "longer than the 1 s" in answer.json()["error"]) == (504, True)
    assert ask(small, ir, "").status_code == 200
    assert small.state.pool.workers[0].pid not in (0, before)


def test_waiting_for_too_long_is_503(small: Running, ir: bytes) -> None:
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask, small, ir, "sleep 0.97")
        wait_until(lambda: small.state.pool.pending == 1)
        small.state.pool.timeout = 0.1
        second = threads.submit(ask, small, ir, "").result()
        small.state.pool.timeout = 1.0
    assert first.result().status_code == 200
    assert (second.status_code, "No worker became free" in second.json()["error"]) == (503, True)


@pytest.mark.parametrize("order", ["die", "garble"])
def test_a_process_that_breaks_loses_its_own_request_alone(small: Running, ir: bytes, order: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        broken = threads.submit(ask, small, ir, order)
        wait_until(lambda: small.state.pool.pending == 1 or broken.done())
        waiting = threads.submit(ask, small, ir, "")
    assert (broken.result().status_code, waiting.result().status_code) == (503, 200)


def test_a_process_killed_in_the_middle_loses_its_own_request_alone(small: Running, ir: bytes) -> None:
    died = small.total("ivfuse_workers_replaced_total")
    with ThreadPoolExecutor(2) as threads:
        killed = threads.submit(ask, small, ir, "sleep 0.9")
        wait_until(lambda: small.state.pool.pending == 1)
        time.sleep(0.1)
        waiting = threads.submit(ask, small, ir, "")
        wait_until(lambda: small.state.pool.pending == 2)
        os.kill(small.state.pool.workers[0].pid, signal.SIGKILL)
    assert killed.result().status_code == 503
    assert "other requests are not affected" in killed.result().json()["error"]
    assert waiting.result().status_code == 200
    assert small.total("ivfuse_workers_replaced_total") == died + 1


def test_a_process_killed_while_idle_loses_nothing(small: Running, ir: bytes) -> None:
    ask(small, ir, "")
    os.kill(small.state.pool.workers[0].pid, signal.SIGKILL)
    wait_until(lambda: not small.state.pool.workers[0].alive)
    assert ask(small, ir, "").status_code == 200


def test_the_server_answers_while_its_process_works(small: Running, ir: bytes) -> None:
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(ask, small, ir, "sleep 0.8")
        wait_until(lambda: small.state.pool.pending == 1)
        started = time.perf_counter()
        assert small.client.get("/healthz").json()["pending"] == 1
        assert time.perf_counter() - started < 0.5
        assert busy.result().status_code == 200


def test_work_that_nobody_waits_for_is_not_begun(small: Running, ir: bytes) -> None:
    import httpx

    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(ask, small, ir, "sleep 0.6")
        wait_until(lambda: small.state.pool.pending == 1)
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{small.url}/api/fuse", files={"ir": ir}, data={"scale": "sleep 0.9"}, timeout=0.2)
        assert busy.result().status_code == 200
        started = time.perf_counter()
        assert ask(small, ir, "").status_code == 200
        assert time.perf_counter() - started < 0.5


def test_a_token_is_asked_for_where_there_is_one(ir: bytes) -> None:
    with running(slow=True, token="a secret", cors=("https://friend.example",)) as server:
        assert ask(server, ir, "").status_code == 200
        for shown in (
            {"Authorization": "Bearer a secre"},
            {"Authorization": "Basic a secret"},
            {"Authorization": "Bearer ü".encode()},
        ):
            answer = server.client.post("/api/fuse", files={"ir": ir}, headers=shown)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "token" in answer.json()["error"]
        for path, status in (("/api/methods", 401), ("/metrics", 401), ("/", 200), ("/healthz", 200)):
            assert server.client.get(path, headers={"Authorization": ""}).status_code == status
        behind_a_proxy = {"Host": "friend.example", "Origin": "https://friend.example"}
        assert server.client.get("/api/methods", headers=behind_a_proxy).status_code == 200
        friend = {"Origin": "https://friend.example"}
        allowed = server.client.post("/api/fuse", files={"ir": ir}, headers=friend)
        assert allowed.headers["access-control-allow-origin"] == "https://friend.example"
        ask_first = friend | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        assert server.client.options("/api/fuse", headers=ask_first).status_code == 200
        other = server.client.get("/healthz", headers={"Origin": "https://other.example"})
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers
    assert not server.state.folder.exists()
    assert not any(worker.alive for worker in server.state.pool.workers)


def test_origins_are_not_allowed_unless_named(small: Running) -> None:
    answer = small.client.get("/healthz", headers={"Origin": small.url})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
