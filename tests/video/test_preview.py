"""The preview page: reachable from this machine only, and never slowing the fusion down."""

from __future__ import annotations

import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

import ivfuse.video.preview
from ivfuse.errors import OutputError
from ivfuse.video.frame import Frame
from ivfuse.video.preview import LatestFrame, preview


def frame(level: int, size: tuple[int, int] = (48, 64)) -> Frame:
    return Frame((np.full(size, level, np.uint8),), 0, level)


def get(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
        return bytes(answer.read())


def test_the_page_and_the_last_frame_are_served() -> None:
    urls: list[str] = []
    with preview(0, urls.append) as show:
        assert b"stream.mjpg" in get(urls[0])
        show(frame(10))
        show(frame(200))
        image = cv2.imdecode(np.frombuffer(get(urls[0] + "frame.jpg"), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (48, 64)
        assert image.mean() == pytest.approx(200, abs=2)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(urls[0] + "etc/passwd")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(urls[0], Host="example.com")
    assert urls[0].startswith("http://127.0.0.1:")


def test_a_viewer_sees_frame_after_frame() -> None:
    urls: list[str] = []
    with preview(0, urls.append) as show:
        show(frame(1))
        with urllib.request.urlopen(urls[0] + "stream.mjpg", timeout=5) as stream:
            assert "multipart/x-mixed-replace" in stream.headers["Content-Type"]
            for level in (2, 3):
                data = b""
                while b"\xff\xd9" not in data:
                    data += stream.read(1)
                show(frame(level))


def test_a_viewer_that_reads_nothing_does_not_slow_the_fusion() -> None:
    urls: list[str] = []
    noise = np.random.default_rng(0).integers(0, 255, (480, 640)).astype(np.uint8)
    with preview(0, urls.append) as show:
        address = urls[0].removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((address[0], int(address[1]))) as lazy:
            lazy.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            started = time.thread_time(), time.perf_counter()
            for index in range(300):
                show(Frame((noise,), index / 30, index))
                time.sleep(0.001)
            assert time.thread_time() - started[0] < 0.1
            assert time.perf_counter() - started[1] < 5


@pytest.mark.parametrize("request_text", [b"", b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"])
def test_a_viewer_that_disconnects_says_nothing_on_the_terminal(
    request_text: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    urls: list[str] = []
    with preview(0, urls.append):
        address = urls[0].removeprefix("http://").rstrip("/").split(":")
        for _ in range(5):
            with socket.create_connection((address[0], int(address[1]))) as viewer:
                viewer.sendall(request_text)
                reset = struct.pack("ii", 1, 0)  # closed at once, whatever is still to be read
                viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        time.sleep(0.2)
        assert b"stream.mjpg" in get(urls[0])
    assert capsys.readouterr().err == ""


def test_a_slow_viewer_gets_few_old_images(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = threading.Semaphore(0)
    encode = ivfuse.video.preview._encode_jpeg

    def counted(frame: Frame) -> bytes:
        encoded.release()
        return encode(frame)

    monkeypatch.setattr("ivfuse.video.preview._encode_jpeg", counted)
    urls: list[str] = []
    noise = np.random.default_rng(0).integers(0, 255, (480, 640)).astype(np.uint8)
    with preview(0, urls.append) as show, socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect(("127.0.0.1", int(urls[0].rstrip("/").rpartition(":")[2])))
        lazy.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        sent = 0
        show(Frame((noise,), 0, 0))
        while sent < 10 and encoded.acquire(timeout=5 if not sent else 0.25):
            sent += 1
            show(Frame((noise,), sent, sent))
        assert 1 <= sent <= 3  # images of 200 kB, of which the system would buffer many


def test_without_viewers_no_image_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(frame: Frame) -> bytes:
        raise AssertionError("nobody asked")

    monkeypatch.setattr("ivfuse.video.preview._encode_jpeg", fail)
    latest = LatestFrame()
    for level in range(100):
        latest.update(frame(level))


def test_large_frames_are_shown_smaller() -> None:
    latest = LatestFrame()
    latest.update(frame(9, (40, 4000)))
    found = latest.wait_for_jpeg(0)
    assert found is not None
    assert cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_GRAYSCALE).shape[1] == 1920


def test_images_show_the_frame_without_visible_artifacts() -> None:
    latest = LatestFrame()
    gradient = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    latest.update(Frame((gradient,), 0, 0))
    found = latest.wait_for_jpeg(0)
    assert found is not None
    image = cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.abs(image.astype(int) - gradient).max() <= 4


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=f"port {port} cannot be used"), preview(port):
            pass


def test_the_command_serves_while_it_runs(
    clips: Any, ivfuse_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ivfuse_cli("video", *clips, "--preview", "--port", "0", "--method", "average")
    assert said.code == 0, said.err
    assert "preview: http://127.0.0.1:" in said.err
    assert "nothing written: 12 frames" in said.out
