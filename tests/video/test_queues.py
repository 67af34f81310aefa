"""Queues between threads: bounded, closable, and never waiting after a stop."""

from __future__ import annotations

import threading
import time

import pytest

from ivfuse.video.queues import FrameQueue, NoItem, StoppedError, WorkerThread


def test_items_come_out_in_order_and_then_it_ends() -> None:
    queue: FrameQueue[int] = FrameQueue(3, threading.Event())
    for item in range(3):
        queue.put(item)
    queue.close()
    assert [queue.get() for _ in range(4)] == [0, 1, 2, NoItem.ENDED]


def test_a_full_queue_drops_its_oldest_items_on_request() -> None:
    queue: FrameQueue[int] = FrameQueue(3, threading.Event(), drop_oldest=True)
    for item in range(5):
        queue.put(item)
    assert queue.dropped == 2
    assert [queue.get() for _ in range(3)] == [2, 3, 4]


def test_an_empty_queue_times_out() -> None:
    queue: FrameQueue[int] = FrameQueue(3, threading.Event())
    assert queue.get(timeout=0) is NoItem.TIMEOUT


def test_a_short_wait_is_short() -> None:
    queue: FrameQueue[int] = FrameQueue(3, threading.Event())
    started = time.monotonic()
    for _ in range(20):
        assert queue.get(timeout=0.001) is NoItem.TIMEOUT
    assert time.monotonic() - started < 1  # the stop event is checked ten times a second


def test_late_items_are_dropped_but_the_newest_is_kept() -> None:
    queue: FrameQueue[int] = FrameQueue(5, threading.Event())
    for item in range(5):
        queue.put(item)
    queue.drop_while(lambda item: item < 2)
    assert queue.get() == 2
    queue.drop_while(lambda item: True)
    assert queue.dropped == 3
    assert queue.get() == 4
    queue.drop_while(lambda item: True)
    assert queue.get(timeout=0) is NoItem.TIMEOUT


def test_a_closed_queue_takes_nothing() -> None:
    queue: FrameQueue[int] = FrameQueue(3, threading.Event())
    queue.close()
    with pytest.raises(StoppedError):
        queue.put(1)


def test_a_stop_wakes_those_who_wait() -> None:
    stop = threading.Event()
    queue: FrameQueue[int] = FrameQueue(1, stop)
    queue.put(1)
    waiting = WorkerThread("test", lambda: queue.put(2))
    waiting.start()
    stop.set()
    waiting.join(10)
    assert not waiting.is_alive()
    assert waiting.failure is None


def test_a_thread_that_fails_keeps_the_reason() -> None:
    def fail() -> None:
        raise ValueError("bad luck")

    thread = WorkerThread("test", fail)
    thread.start()
    thread.join(10)
    assert isinstance(thread.failure, ValueError)
    assert "bad luck" in thread.reason
