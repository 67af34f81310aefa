"""Radiometric JPEG, FFF and SEQ files for tests, built record by record as FLIR's cameras lay them out."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

R1, R2, B, F, O = 16000.0, 0.0125, 1430.0, 1.0, -5000  # noqa: E741  # of an invented camera
ALPHA1, ALPHA2, BETA1, BETA2, X = 0.006569, 0.01262, -0.002276, -0.00667, 1.9
ZERO_C = 273.15


def counts_of(celsius: np.ndarray | float) -> np.ndarray:
    """What the invented camera counts of a black body."""
    kelvin = np.asarray(celsius, np.float64) + ZERO_C
    return R1 / (R2 * (np.exp(B / kelvin) - F)) - O


@dataclass(frozen=True)
class Flir:
    """A radiometric JPEG file to be.

    ``order`` is that of the records, ``directory`` that of their directory; ``payload`` is raw, png (bytes
    swapped, as cameras write it), png-straight, tiff or jpeg-ls; ``photo_kind`` is jpeg, png or 422;
    ``taken`` is in seconds since 1970; ``position`` is latitude, longitude and altitude.
    """

    counts: np.ndarray
    order: str = "<"
    directory: str = ">"
    payload: str = "raw"
    photo: np.ndarray | None = None
    photo_kind: str = "jpeg"
    alignment: tuple[float, int, int] | None = None
    zoom: float = 1.0
    conditions: dict[str, float] = field(default_factory=dict)
    palette: bool = True
    orientation: int = 1
    chunk: int = 60_000
    taken: float = 1_700_000_000.25
    position: tuple[float, float, float] | None = None

    def with_(self, **changes: Any) -> Flir:
        return replace(self, **changes)

    def camera_record(self) -> bytes:
        record = bytearray(0x3A0)
        height, width = self.counts.shape
        struct.pack_into(self.order + "HHH", record, 0, 2, width, height)
        said = {"emissivity": 1.0, "distance": 0.0, "reflected": 20.0, "atmospheric": 20.0,
                "window_temperature": 20.0, "window_transmission": 1.0, "humidity": 0.5}  # fmt: skip
        said |= self.conditions
        places = {"emissivity": 0x20, "distance": 0x24, "reflected": 0x28, "atmospheric": 0x2C,
                  "window_temperature": 0x30, "window_transmission": 0x34, "humidity": 0x3C}  # fmt: skip
        for name, at in places.items():
            kelvin = ZERO_C if name in ("reflected", "atmospheric", "window_temperature") else 0.0
            struct.pack_into(self.order + "f", record, at, said[name] + kelvin)
        for at, value in ((0x58, R1), (0x5C, B), (0x60, F), (0x30C, R2), (0x70, ALPHA1), (0x74, ALPHA2),
                          (0x78, BETA1), (0x7C, BETA2), (0x80, X), (0x90, 423.15), (0x94, 253.15),
                          (0x1B4, 25.0), (0x36C, self.zoom)):  # fmt: skip
            struct.pack_into(self.order + "f", record, at, value)
        struct.pack_into(self.order + "i", record, 0x308, O)
        for at, text in ((0xD4, b"Invented T1"), (0x104, b"4711"), (0x170, b"L25")):
            record[at : at + len(text)] = text
        struct.pack_into(self.order + "i", record, 0x338, int(np.median(self.counts)))
        milliseconds = round(self.taken * 1000)
        struct.pack_into(self.order + "IIh", record, 0x384, *divmod(milliseconds, 1000), -60)
        return bytes(record)

    def raw_record(self) -> bytes:
        height, width = self.counts.shape
        head = struct.pack(self.order + "HHH", 2, width, height).ljust(32, b"\0")
        counts = self.counts.astype(np.uint16)
        if self.payload == "raw":
            return head + counts.astype(self.order + "u2").tobytes()
        if self.payload == "png":
            counts = counts.byteswap()
        if self.payload == "jpeg-ls":
            import imagecodecs

            return head + bytes(imagecodecs.jpegls_encode(counts))
        suffix = ".tiff" if self.payload == "tiff" else ".png"
        return head + cv2.imencode(suffix, counts)[1].tobytes()

    def photo_record(self) -> bytes:
        assert self.photo is not None
        height, width = self.photo.shape[:2]
        head = struct.pack(self.order + "HHH", 3, width, height).ljust(32, b"\0")
        bgr = self.photo[..., ::-1]
        if self.photo_kind == "jpeg":
            return head + cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
        y, cr, cb = cv2.split(cv2.cvtColor(np.ascontiguousarray(bgr), cv2.COLOR_BGR2YCrCb))
        if self.photo_kind == "png":
            return head + cv2.imencode(".png", cv2.merge([cr, cb, y]))[1].tobytes()  # R, G, B hold Y, Cb, Cr
        chroma = np.where(np.arange(width) % 2 == 0, cb, np.roll(cr, 1, axis=1))
        return head + np.stack([y, chroma], axis=-1).astype(np.uint8).tobytes()

    def palette_record(self) -> bytes:
        colors = np.zeros((16, 3), np.uint8)
        colors[:, 0] = np.linspace(16, 235, 16)
        colors[:, 1:] = 128
        return bytes([16]).ljust(0x50, b"\0") + b"Grays".ljust(0x20, b"\0") + colors.tobytes()

    def gps_record(self) -> bytes:
        """As cameras write it: absolute values, with letters for their signs."""
        assert self.position is not None
        record = bytearray(0xB8)
        latitude, longitude, altitude = self.position
        struct.pack_into(self.order + "I", record, 0, 1)
        record[0x08:0x0C] = b"S\0W\0" if latitude < 0 else b"N\0E\0"
        struct.pack_into(self.order + "ddf", record, 0x10, abs(latitude), abs(longitude), altitude)
        record[0x58:0x5D] = b"WGS84"
        return bytes(record)

    def records(self) -> list[tuple[int, bytes]]:
        records = [(0x20, self.camera_record()), (0x01, self.raw_record())]
        if self.palette:
            records.append((0x22, self.palette_record()))
        if self.alignment is not None:
            records.append((0x2A, struct.pack("<f6h", *self.alignment, 0, 9, 0, 9).ljust(96, b"\0")))
        if self.photo is not None:
            records.append((0x0E, self.photo_record()))
        if self.position is not None:
            records.append((0x2B, self.gps_record()))
        return records

    def block(self) -> bytes:
        """The FLIR block: header, directory, records."""
        records = self.records()
        at, entries, body = 64 + 32 * (len(records) + 1), [], b""
        for kind, record in records:
            entry = struct.pack(
                self.directory + "HHIIIIIII", kind, 1, 100, 1, at + len(body), len(record), 0, 0, 0
            )
            entries.append(entry)
            body += record
        entries.append(bytes(32))  # cameras leave free entries
        header = b"FFF\0" + bytes(16) + struct.pack(self.directory + "III", 100, 64, len(entries))
        return header.ljust(64, b"\0") + b"".join(entries) + body

    def jpeg(self) -> bytes:
        """The whole file: a drawn image with the block before it, in chunks."""
        return with_segments(self.drawn(), [(0xE1, chunk) for chunk in self.chunks()])

    def chunks(self) -> list[bytes]:
        block = self.block()
        parts = [block[at : at + self.chunk] for at in range(0, len(block), self.chunk)]
        return [b"FLIR\0\1" + bytes([number, len(parts) - 1]) + part for number, part in enumerate(parts)]

    def drawn(self) -> bytes:
        drawn = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes()
        if self.orientation == 1:
            return drawn
        exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, self.orientation, 0, 0)
        return with_segments(drawn, [(0xE1, exif)])

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.jpeg())
        return path


def recording(first: Flir, frames: int, *, rate: float = 30.0) -> list[bytes]:
    """The blocks of a SEQ file; frame N has N counts more than the first."""
    return [
        first.with_(counts=first.counts + index, taken=first.taken + index / rate).block()
        for index in range(frames)
    ]


def with_segments(jpeg: bytes, segments: list[tuple[int, bytes]]) -> bytes:
    """A JPEG file with segments put in at its beginning."""
    put = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content for marker, content in segments
    )
    return jpeg[:2] + put + jpeg[2:]
