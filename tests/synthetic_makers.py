"""Files of other makers for tests: InfiRay, HIKMICRO, Seek, and marks of formats that cannot be read."""

from __future__ import annotations

import io
import struct
import zipfile

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 64  # of the drawn picture


def drawn() -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 60, np.uint8))[1])


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def ijpeg(counts: np.ndarray, *, first: int | None = None, size: tuple[int, int] | None = None) -> bytes:
    """A JPEG of a phone camera, with a preview and the counts in APP3 segments."""
    height, width = size or counts.shape
    preview = np.full(counts.shape, 128 << 8 | 40, "<u2").tobytes()
    head = bytearray(80)
    head[4:10] = b"IJPEG\0"
    struct.pack_into("<Q", head, 32, len(preview) if first is None else first)
    struct.pack_into("<HH", head, 58, width, height)
    frames = preview + counts.astype("<u2").tobytes() + bytes(4000)
    parts = [segment(0xE3, frames[at : at + 5000]) for at in range(0, len(frames), 5000)]
    return b"\xff\xd8" + segment(0xE2, bytes(head)) + b"".join(parts) + drawn()[2:]


def hikmicro(counts: np.ndarray, *, size: tuple[int, int] | None = None) -> bytes:
    """A JPEG with counts after its end."""
    height, width = size or counts.shape
    head = bytearray(44)
    struct.pack_into("<4sHHIII", head, 0, b"HDRI", 0x1028, 0, 0, width, height)
    return drawn() + bytes(head) + counts.astype("<u2").tobytes() + b"trailer"


def hir(celsius: float, gray: int) -> bytes:
    """A file of a Seek Shot of one temperature and one gray."""
    jpeg = drawn()
    out = bytearray((len(jpeg) // 4096) * 4096 + 8192 + 65536)
    out[: len(jpeg)] = jpeg
    values = np.full((156, 206), (celsius + 40) * 64, "<u2").tobytes()
    out[-65536 : -65536 + len(values)] = values
    return bytes(out) + bytes([gray]) * (1440 * 1080) + bytes([128]) * (1440 * 1080 // 2)


def irg(counts: np.ndarray, *, mark: bytes = b"\xba\xab", photo: bytes = b"", flag: int = 0) -> bytes:
    """An IRG file of an InfiRay camera, with a JPEG file as its photo."""
    height, width = counts.shape
    head = bytearray(128)
    head[:4] = mark + b"\x80\0"
    struct.pack_into("<IHH", head, 4, counts.size, height, width)
    head[12] = flag
    struct.pack_into("<4I", head, 30, 9500, 2_981_500, 2_951_500, 5000)
    head[126:] = b"\xac\xca"
    coarse = np.clip(counts >> 4, 0, 255).astype(np.uint8)
    return bytes(head) + coarse.tobytes() + counts.astype("<u2").tobytes() + photo


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("other.json", "{}")
        archive.writestr(name, bytes(200_000))
    return out.getvalue()


def bmp(height: int, width: int) -> bytes:
    return bytes(cv2.imencode(".bmp", np.zeros((height, width, 3), np.uint8))[1])


def bmt() -> bytes:
    """Two images, the second after a gap, as Testo's cameras write."""
    return bmp(24, 32) + bytes(86) + bmp(48, 64)


def irb() -> bytes:
    return b"\xffIRB\0VARIOCAM" + bytes(200)
