"""A page on this machine that shows a running video, as a row of JPEG images (MJPEG).

The fusion only leaves its last frame here; images are made by the threads of those who watch, for as many
frames as they can take.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ivfuse.errors import OutputError
from ivfuse.video.frame import Frame

_HOST = "127.0.0.1"
_BOUNDARY = "ivfuse-frame"
_QUALITY = 80
_PAUSE = 0.04  # seconds between two images for one watcher: 25 a second are enough to watch
_LONGEST_SIDE = 1920  # pixels

_PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ivfuse</title>
<style>html,body{margin:0;height:100%;background:#181818}img{width:100%;height:100%;object-fit:contain}</style>
</head><body><img src="stream.mjpg" alt="the fused video, running"></body></html>
"""


class Latest:
    """The last frame, and its image once somebody has asked for it."""

    def __init__(self) -> None:
        """No frame yet."""
        self._changed = threading.Condition()
        self._encoding = threading.Lock()
        self._frame: Frame | None = None
        self._number = 0
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._closed = False

    def show(self, frame: Frame) -> None:
        """Leave a frame; returns at once, whoever watches."""
        with self._changed:
            self._frame = frame
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let all watchers go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def after(self, number: int, seconds: float = 1.0) -> tuple[int, bytes] | None:
        """The number and the JPEG of a frame later than ``number``.

        Returns:
            ``None`` if there is no more; the number unchanged and no bytes if none came in the time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number, seconds)
            if self._closed:
                return None
            latest, frame = self._number, self._frame
        if frame is None or latest <= number:
            return number, b""
        with self._encoding:  # one for all watchers
            if self._jpeg[0] < latest:
                self._jpeg = latest, _jpeg(frame)
            return self._jpeg


@contextmanager
def preview(
    port: int, announce: Callable[[str], Any] = lambda url: None
) -> Iterator[Callable[[Frame], None]]:
    """Serve the page while the block runs.

    Args:
        port: on 127.0.0.1; 0 takes a free one.
        announce: called with the address.

    Yields:
        What to call with each frame.

    Raises:
        OutputError: if the port is taken.
    """
    latest = Latest()
    handler = type("Handler", (_Handler,), {"latest": latest})
    try:
        server = ThreadingHTTPServer((_HOST, port), handler)
    except OSError as error:
        raise OutputError(
            f"preview: port {port} cannot be used: {error.strerror}; --port takes another"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    announce(f"http://{_HOST}:{server.server_address[1]}/")
    try:
        yield latest.show
    finally:
        latest.close()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers a watcher."""

    latest: Latest
    timeout = 10  # seconds; a watcher that takes nothing for so long is let go

    def do_GET(self) -> None:
        """The page, the running images, or the last image alone."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in ("127.0.0.1", "localhost"):  # another site's name that leads here
            self.send_error(403)
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _PAGE)
        elif self.path == "/frame.jpg":
            found = self.latest.after(0)
            if found and found[1]:
                self._send("image/jpeg", found[1])
            else:
                self.send_error(503, "no frame yet")
        elif self.path == "/stream.mjpg":
            self._stream()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal shows the progress."""

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Images until the watcher or the video is gone; those it is too slow for are never made."""
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        pause = threading.Event()
        try:
            while (found := self.latest.after(number)) is not None:
                number, jpeg = found
                if not jpeg:
                    continue
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                pause.wait(_PAUSE)
        except OSError:
            return


def _jpeg(frame: Frame) -> bytes:
    """A frame as a JPEG image of no more than ``_LONGEST_SIDE`` pixels."""
    import cv2
    import numpy as np

    from ivfuse.video.frame_conversion import to_pixels

    pixels = to_pixels(frame)
    share = _LONGEST_SIDE / max(pixels.shape[:2])
    if share < 1:
        pixels = np.asarray(
            cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8
        )
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(data)
