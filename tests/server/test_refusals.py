"""What strangers send: every refusal is a status from 400 on with one sentence; nothing is left behind."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Running


def sentence(answer: Any) -> str:
    text = answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert "/tmp" not in text
    return str(text)


def png_of(width: int, height: int) -> bytes:
    """A small file that unpacks into an image of any size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    rows = zlib.compress(bytes((width + 1) * min(height, 4000)), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header(server: Running, vi: bytes) -> None:
    bomb = png_of(8000, 8000)
    assert len(bomb) < 100_000
    answer = server.fuse(bomb, vi)
    assert answer.status_code == 422
    assert "8000x8000" in sentence(answer)
    assert "expected 1x1 up to 1 megapixels" in sentence(answer)


def test_a_form_without_the_thermal_image_says_which_is_missing(server: Running, vi: bytes) -> None:
    answer = server.client.post("/api/fuse", files={"vi": ("vi.png", vi)})
    assert answer.status_code == 422
    assert sentence(answer) == "ir: the infrared image is missing."


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tiff", ".jpg"])
def test_the_limit_of_pixels_holds_for_every_format(
    server: Running, ir: bytes, encode: Callable[..., bytes], suffix: str
) -> None:
    large = encode(suffix, np.zeros((1001, 1000), np.uint8))
    answer = server.fuse(ir, large)
    assert (answer.status_code, "megapixels" in sentence(answer)) == (422, True)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 415, "empty file"),
        (b"GIF89a" + bytes(20), 415, "found no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "found no image"),
        (b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.", 415, "found no image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), 422, "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(30), 422, "JPEG"),
    ],
)
def test_files_of_the_wrong_kind_are_refused(
    server: Running, vi: bytes, content: bytes, status: int, words: str
) -> None:
    answer = server.fuse(content, vi)
    assert (answer.status_code, words in sentence(answer)) == (status, True), answer.text
    assert sentence(answer).startswith("infrared image: ")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".bmp", ".webp"])
def test_a_truncated_file_is_refused(
    server: Running, ir: bytes, encode: Callable[..., bytes], suffix: str
) -> None:
    whole = encode(suffix, np.random.default_rng(0).integers(0, 255, (60, 60), np.uint8))
    answer = server.fuse(ir, whole[: len(whole) // 2])
    assert answer.status_code == 422
    assert sentence(answer).startswith("visible image: ")
    assert "allow" not in sentence(answer)  # as elsewhere: a form has no such field


@pytest.mark.parametrize(
    "name", ["../../../tmp/stolen.png", "/etc/passwd", "..\\x.png", "a\0b.png", "", "." * 300]
)
def test_the_name_of_a_file_is_never_used(server: Running, ir: bytes, vi: bytes, name: str) -> None:
    answer = server.client.post("/api/fuse", files={"ir": (name or "x", ir), "vi": (name or "x", vi)})
    assert answer.status_code in (200, 400)
    assert not Path("/tmp/stolen.png").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "laplacien"}, "did you mean laplacian"),
        ({"window": "45C..10C"}, "whose lower bound is not below the upper bound"),
        ({"window": "10C..45C"}, "the file contains counts"),
        ({"window": "shared"}, "shared"),
        ({"scale": "much"}, "expected degrees per count"),
        ({"colormap": "irn"}, "did you mean iron"),
        ({"colormap": "camera"}, "colormap"),
        ({"highlight": ">40C"}, "the temperatures are unknown, expected a radiometric file, or scale"),
        ({"emissivity": "7"}, "emissivity"),
        ({"emissivity": "nan"}, "emissivity"),
        ({"bits": "12"}, "bits"),
        ({"bits": "16", "format": "jpeg"}, "16"),
        ({"metrics": "EN"}, "JSON"),
        ({"metrics": "ENN", "format": "json"}, "did you mean"),
        ({"color": "blue"}, "there is no such field"),
        ({"method": "x" * 5000}, "field"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(
    server: Running, ir: bytes, vi: bytes, fields: dict[str, str], words: str
) -> None:
    answer = server.fuse(ir, vi, **fields)
    assert answer.status_code in (400, 422), answer.text
    assert words in sentence(answer) or "cannot be read" in sentence(answer)
    assert "--" not in sentence(answer)


def test_text_in_the_place_of_a_image_is_refused(server: Running, ir: bytes) -> None:
    answer = server.client.post("/api/fuse", files={"ir": ir}, data={"vi": "text"})
    assert (answer.status_code, "expected a file" in sentence(answer)) == (422, True)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=a", 400),
        (b'--a\r\nContent-Disposition: form-data; name="ir"', "multipart/form-data; boundary=a", 422),
        (b"--a\r\n\r\n\r\n--a--\r\n", "multipart/form-data; boundary=a", 400),
        (b"--a--\r\n", "multipart/form-data; boundary=a", 422),
        (b"", "multipart/form-data; boundary=a; charset=nonsense", 422),
    ],
)
def test_a_body_that_is_no_form_is_refused(server: Running, body: bytes, kind: str, status: int) -> None:
    answer = server.client.post("/api/fuse", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, status)
    sentence(answer)


@pytest.mark.parametrize("size", [3_200_000, 20_000_000])
def test_too_much_is_refused_whether_its_length_is_told_or_not(server: Running, size: int) -> None:
    large = b"x" * size
    told = server.client.post("/api/fuse", files={"ir": large})
    chunks = (large[at : at + 65_536] for at in range(0, len(large), 65_536))
    kind = {"Content-Type": "multipart/form-data; boundary=a"}
    head = b'--a\r\nContent-Disposition: form-data; name="ir"; filename="x"\r\n\r\n'
    untold = server.client.post("/api/fuse", content=(each for each in (head, *chunks)), headers=kind)
    for answer in (told, untold):
        assert answer.status_code == 413
        assert "3 MB at most" in sentence(answer)


def test_more_files_and_fields_than_there_are_names_for_are_refused(server: Running, ir: bytes) -> None:
    many = server.client.post("/api/fuse", files=[("ir", ir)] * 9)
    assert (many.status_code, "Too many files" in sentence(many)) == (400, True)
    twice = server.client.post("/api/fuse", files=[("ir", ir)] * 2)
    assert (twice.status_code, "twice" in sentence(twice)) == (422, True)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"]
)
def test_only_the_page_s_own_files_are_given_out(server: Running, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        said = line.makefile("rb").read()
    assert said.split(b" ")[1] == b"404"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0",
        b"POST /api/fuse HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=a\r\n"
        b"Content-Length: 1000\r\n\r\n--a\r\n",
    ],
)
def test_a_slow_client_is_told_so_and_given_up(server: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        started = time.monotonic()
        line.sendall(sent)
        said = line.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in said
    assert time.monotonic() - started < 5


def test_a_name_that_leads_here_from_elsewhere_is_refused(server: Running) -> None:
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "[", ""):
        assert server.client.get("/", headers={"Host": host}).status_code in (400, 403)
    assert server.client.get("/", headers={"Host": "localhost:1"}).status_code == 200


def test_pages_of_other_sites_may_not_call(server: Running, ir: bytes, vi: bytes) -> None:
    files = {"ir": ir, "vi": vi}
    for origin in ("https://evil.example", "null", "http://[", "127.0.0.1"):
        answer = server.client.post("/api/fuse", files=files, headers={"Origin": origin})
        assert (answer.status_code, "--cors" in sentence(answer)) == (403, True)
    assert server.client.post("/api/fuse", files=files, headers={"Origin": server.url}).status_code == 200


@given(data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_images_never_break_the_server(
    server: Running, ir: bytes, flir: Any, data: st.DataObject
) -> None:
    image = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) * 50
    suffix = data.draw(st.sampled_from([".png", ".tiff", ".jpg", ".webp", ".bmp", "flir"]))
    if suffix == "flir":
        whole = flir.Flir(image, photo=np.zeros((30, 40, 3), np.uint8)).jpeg()
    else:
        deep = suffix in (".png", ".tiff")
        whole = cv2.imencode(suffix, image if deep else (image >> 8).astype(np.uint8))[1].tobytes()
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    vi = None if suffix == "flir" else ir
    answer = server.fuse(bytes(damaged[:cut]), vi, method="average", format="json", previews="true")
    assert answer.status_code in (200, 415, 422), answer.text
    if answer.status_code != 200:
        sentence(answer)


def test_nothing_is_left_behind(server: Running) -> None:
    folder = server.state.folder
    assert folder.stat().st_mode & 0o777 == 0o700
    deadline = time.monotonic() + 5
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(folder.iterdir())
    assert json.loads(server.client.get("/healthz").text)["pending"] == 0


def responses_on(line: socket.socket) -> tuple[int, Any]:
    """The status and the JSON body of the response on a connection that is closed after it."""
    received = b""
    while part := line.recv(65_536):
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 100_000 * b"x", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + 20_000 * b"x" + b"\r\n\r\n", 431),
    ],
)
def test_malformed_and_overlong_headers_are_refused_in_json(
    server: Running, request_bytes: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(request_bytes)
        found, body = responses_on(line)
    assert (found, list(body)) == (status, ["error"])


def test_idle_connections_give_way_to_new_ones(server: Running) -> None:
    lines = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(600)]
    try:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=10) as answer:
            assert answer.status == 200
    finally:
        for line in lines:
            line.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_request_that_exceeds_the_memory_of_a_worker_is_413_and_the_worker_is_replaced(
    start: Callable[..., Any], vi: bytes, encode: Callable[..., bytes]
) -> None:
    large = encode(".png", np.zeros((5000, 5000), np.uint8))
    with start(max_memory=30_000_000, max_pixels=50_000_000) as small:
        before = small.state.pool.workers[0].pid
        answer = small.fuse(large, vi, method="average")
        assert (answer.status_code, "more memory" in sentence(answer)) == (413, True)
        assert small.fuse(vi, vi, method="average").status_code == 200
        assert small.state.pool.workers[0].pid not in (0, before)
        assert small.state.pool.replaced["memory"] == 1


def test_what_the_server_lacks_packages_for_is_not_implemented(start: Callable[..., Any], vi: bytes) -> None:
    pixels = np.linspace(0, 1, 40 * 56, dtype=np.float16).tobytes()
    tags = {256: 56, 257: 40, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: 40, 279: len(pixels), 339: 3}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    half = b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries
    with start(prelude="import sys; sys.modules['imagecodecs'] = None") as server:
        answer = server.fuse(half + bytes(4), vi)
        assert answer.status_code == 501
        assert "16-bit float" in sentence(answer)
        assert sentence(answer).endswith("which this server lacks (formats).")
        assert "pip" not in sentence(answer)
        assert server.fuse(vi, vi).status_code == 200
