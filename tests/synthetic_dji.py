"""DJI R-JPEG files for tests, with all parts that are read, and a library with the interface of DJI's SDK."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"'
    ' drone-dji:RelativeAltitude="+37.70" drone-dji:GimbalYawDegree="+91.30"'
    ' drone-dji:GimbalPitchDegree="-90.00" drone-dji:GimbalRollDegree="+0.00"'
    ' drone-dji:CalibratedFocalLength="758.33"/></x:xmpmeta>'
)


@dataclass(frozen=True)
class Dji:
    """A file to be.

    Attributes:
        counts: (H, W) uint16.
        drawn: the drawn image, (h, w) or (h, w, 3) uint8 in B, G, R order; ``None`` for the counts as gray.
        model: name of the camera.
        focal: focal length and its equivalent on 35 mm film, in mm; ``None`` for a file without a lens.
        position: latitude, longitude and altitude; ``None`` for a file without one.
        palette: description of the image.
        markers: kinds of the segments that hold the counts and a table.
    """

    counts: np.ndarray
    drawn: np.ndarray | None = None
    model: str = "M3T"
    focal: tuple[float, int] | None = (9.1, 40)
    position: tuple[float, float, float] | None = (-36.5, 119.25, 29.5)
    palette: str = "WhiteHot"
    markers: tuple[int, int] = (0xE3, 0xE5)
    chunk: int = 4000
    more: Sequence[tuple[int, bytes]] = field(default=())

    def with_(self, **changes: Any) -> Dji:
        return replace(self, **changes)

    def exif(self) -> bytes:
        exif = Image.Exif()
        exif[270], exif[271], exif[272], exif[306] = self.palette, "DJI", self.model, "2023:04:05 06:07:08"
        photo: dict[int, Any] = {36867: "2023:04:05 06:07:08", 37500: b"notes of the maker"}
        if self.focal:
            photo |= {37386: self.focal[0], 41989: self.focal[1], 41988: 1.0}
        exif.get_ifd(34665).update(photo)
        if self.position:
            latitude, longitude, altitude = self.position
            exif.get_ifd(34853).update({
                1: "NS"[latitude < 0], 2: degrees(latitude), 3: "EW"[longitude < 0], 4: degrees(longitude),
                5: bytes([altitude < 0]), 6: abs(altitude),
            })  # fmt: skip
        return exif.tobytes()

    def jpeg(self) -> bytes:
        raster = self.counts.astype("<u2").tobytes()
        drawn = self.drawn
        if drawn is None:
            drawn = cv2.normalize(self.counts, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        parts = [raster[at : at + self.chunk] for at in range(0, len(raster), self.chunk)]
        table = bytes(9000)
        segments = [(0xE1, self.exif()), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode())]
        segments += [(self.markers[0], part) for part in parts] + [(self.markers[1], table), *self.more]
        jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        put = b"".join(
            bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
            for marker, content in segments
        )
        return jpeg[:2] + put + jpeg[2:]

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.jpeg())
        return path


def degrees(angle: float) -> tuple[float, float, float]:
    minutes = abs(angle) % 1 * 60
    return float(int(abs(angle))), float(int(minutes)), round(minutes % 1 * 60, 4)


def scene(height: int = 64, width: int = 96) -> Dji:
    """A warm spot on a slope."""
    y, x = np.mgrid[:height, :width]
    spot = 900 * np.exp(-((y - height / 3) ** 2 + (x - width / 2) ** 2) / 60)
    return Dji((18_000 + 3 * x + y + spot).astype(np.uint16))


# The interface that dirp_api.h documents, with temperatures by a formula of the conditions. Macros choose
# what goes wrong; OLD is a version without float temperatures and without the temperature of the air.
LIBRARY_NAME = "libdirp.so"
LIBRARY = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { int32_t width, height; } resolution_t;
typedef struct {
    float distance, humidity, emissivity, reflection;
#ifndef OLD
    float ambient;
#endif
} parameters_t;
static parameters_t now = {5, 70, 1, 23
#ifndef OLD
    , 25
#endif
};

int32_t dirp_create_from_rjpeg(const uint8_t *data, int32_t size, void **handle) {
    printf("DJI Thermal SDK says hello on standard output\n");
    fflush(stdout);
#ifdef CRASH
    abort();
#endif
#ifdef HANG
    sleep(600);
#endif
#ifdef FAIL
    return -7;
#endif
    if (size < 4 || data[0] != 0xff || data[1] != 0xd8) return -7;
    *handle = &now;
    return 0;
}
int32_t dirp_get_rjpeg_resolution(void *handle, resolution_t *out) {
#ifdef HUGE
    out->width = out->height = 1 << 20;
#else
    out->width = 96;
    out->height = 64;
#endif
    return handle == &now ? 0 : -9;
}
int32_t dirp_get_measurement_params(void *handle, parameters_t *out) { *out = now; return 0; }
int32_t dirp_set_measurement_params(void *handle, const parameters_t *in) {
    if (in->distance < 1 || in->distance > 25) return -3;
    now = *in;
    return 0;
}
static float value(int32_t i) {
    float all = 20 + 5 * now.emissivity + now.distance / 100 + now.humidity / 1000 + now.reflection / 10;
#ifndef OLD
    all += now.ambient;
#endif
    return all + i;
}
#ifndef MISSING
#ifndef OLD
int32_t dirp_measure_ex(void *handle, float *out, int32_t size) {
    if (size != 96 * 64 * 4) return -8;
    for (int32_t i = 0; i < 96 * 64; i++) out[i] = value(i);
    return 0;
}
#endif
int32_t dirp_measure(void *handle, int16_t *out, int32_t size) {
    if (size != 96 * 64 * 2) return -8;
    for (int32_t i = 0; i < 96 * 64; i++) out[i] = (int16_t)(10 * value(i % 96));
    return 0;
}
#endif
int32_t dirp_destroy(void *handle) { return 0; }
__attribute__((destructor)) static void unload(void) { abort(); }  /* as the real one may */
"""
