"""A local web page that shows the running video as a stream of JPEG images (MJPEG).

Fusion only stores its latest frame here. The threads of the viewers encode it, as often as they can keep up.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from ivfuse.errors import OutputError
from ivfuse.video.frame import Frame
from ivfuse.video.frame_conversion import to_opencv

_HOST = "127.0.0.1"
_BOUNDARY = "ivfuse-frame"
_JPEG_QUALITY = 80
_MIN_INTERVAL = 0.02  # seconds between two images for one viewer
_MAX_SIDE = 1920  # pixels; larger frames are downsampled
_SEND_BUFFER = 1 << 16  # bytes; a slow viewer gets the latest image, not all those that fit a larger buffer
_VIEWER_TIMEOUT = 10  # seconds after which a viewer that reads nothing is disconnected

_PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ivfuse</title>
<style>html,body{margin:0;height:100%;background:#181818}img{width:100%;height:100%;object-fit:contain}</style>
</head><body><img src="stream.mjpg" alt="the fused video, running"></body></html>
"""


class LatestFrame:
    """Holds the latest frame, and its JPEG once a viewer has asked for it."""

    def __init__(self) -> None:
        """Start without a frame."""
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._frame: Frame | None = None
        self._number = 0
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._closed = False

    def update(self, frame: Frame) -> None:
        """Replace the frame; returns at once, however many viewers there are."""
        with self._changed:
            self._frame = frame
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Disconnect all viewers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_for_jpeg(self, number: int, timeout: float = 1.0) -> tuple[int, bytes] | None:
        """Wait for a frame later than ``number``.

        Returns:
            Its number and its JPEG; ``number`` and no bytes after the timeout; ``None`` after the last frame.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number, timeout)
            if self._closed:
                return None
            latest, frame = self._number, self._frame
        if frame is None or latest <= number:
            return number, b""
        with self._encoding:  # one JPEG for all viewers
            if self._jpeg[0] < latest:
                self._jpeg = latest, _encode_jpeg(frame)
            return self._jpeg


@contextmanager
def preview(
    port: int, announce: Callable[[str], object] = lambda url: None
) -> Iterator[Callable[[Frame], None]]:
    """Serve the page while the block runs.

    Args:
        port: on 127.0.0.1; 0 chooses a free one.
        announce: called with the address of the page.

    Yields:
        A function to call with each frame.

    Raises:
        OutputError: if the port is in use.
    """
    latest = LatestFrame()
    handler = type("Handler", (_Handler,), {"latest": latest})
    try:
        server = _Server((_HOST, port), handler)
    except OSError as error:
        raise OutputError(
            f"preview: port {port} cannot be used: {error.strerror}", hint="{port} 0 chooses a free one"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    announce(f"http://{_HOST}:{server.server_address[1]}/")
    try:
        yield latest.update
    finally:
        latest.close()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Answers each viewer in a thread, which ends with its connection."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore viewers that disconnect; show other errors as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one viewer."""

    latest: LatestFrame
    timeout = _VIEWER_TIMEOUT
    disable_nagle_algorithm = True  # the end of an image does not wait for an acknowledgment

    def do_GET(self) -> None:
        """Send the page, the running images, or the latest image alone."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in ("127.0.0.1", "localhost"):  # DNS rebinding by another site
            self.send_error(403)
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _PAGE)
        elif self.path == "/frame.jpg":
            found = self.latest.wait_for_jpeg(0)
            if found and found[1]:
                self._send("image/jpeg", found[1])
            else:
                self.send_error(503, "no frame yet")
        elif self.path == "/stream.mjpg":
            self._stream()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal shows the progress."""

    def _send(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Send images until the viewer disconnects or the video ends; a slow viewer skips frames."""
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        number = 0
        try:
            while (found := self.latest.wait_for_jpeg(number)) is not None:
                number, jpeg = found
                if not jpeg:
                    continue
                due = time.monotonic() + _MIN_INTERVAL
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(max(0.0, due - time.monotonic()))
        except OSError:
            return


def _encode_jpeg(frame: Frame) -> bytes:
    """Encode a frame as a JPEG of at most ``_MAX_SIDE`` pixels per side."""
    import cv2

    pixels = to_opencv(frame)
    scale = _MAX_SIDE / max(pixels.shape[:2])
    if scale < 1:
        resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(resized, np.uint8)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(data)
