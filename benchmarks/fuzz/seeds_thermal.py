"""Thermal formats of cameras: files of FLIR, and files like those of DJI, InfiRay, HIKMICRO and Seek."""

from __future__ import annotations

import cv2
import numpy as np

from fuzz.seeds import made_by, seeds
from fuzz.seeds_images import HEIGHT, WIDTH, color
from ivfuse.synthetic.street import street_scene


@seeds("thermal")
def flir() -> dict[str, bytes]:
    made = made_by("synthetic_flir")
    celsius = 5 + 30 * street_scene(HEIGHT, WIDTH, 0).ir
    photo = np.ascontiguousarray(cv2.resize(color(), (2 * WIDTH, 2 * HEIGHT)))
    file = made.Flir(np.rint(made.counts_of(celsius)).astype(np.uint16), alignment=(1.2, 1, -1), photo=photo)
    files = {
        "raw": file,
        "png": file.with_(payload="png"),
        "png-straight": file.with_(payload="png-straight", orientation=6),
        "tiff": file.with_(payload="tiff", order=">", directory="<"),
        "photo-png": file.with_(photo_kind="png", chunk=1200),
        "photo-422": file.with_(photo_kind="422", zoom=2.0),
        "bare": file.with_(photo=None, alignment=None, palette=False),
        "conditions": file.with_(conditions={"emissivity": 0.9, "distance": 12.0, "humidity": 0.3}),
    }
    return {f"flir-{name}.jpg": each.jpeg() for name, each in files.items()}


@seeds("thermal")
def flir_frames() -> dict[str, bytes]:
    made = made_by("synthetic_flir")
    celsius = 5 + 30 * street_scene(HEIGHT, WIDTH, 1).ir
    file = made.Flir(np.rint(made.counts_of(celsius)).astype(np.uint16), photo=None)
    return {"flir.fff": file.block(), "flir.seq": b"".join(made.recording(file, 3))}


@seeds("thermal")
def dji() -> dict[str, bytes]:
    return {"dji.jpg": made_by("synthetic_dji").scene().jpeg()}


@seeds("thermal")
def irg() -> dict[str, bytes]:
    scene = street_scene(HEIGHT, WIDTH, 2)
    counts = np.rint(10 * (273.15 + 5 + 30 * scene.ir)).astype("<u2")
    photo = cv2.imencode(".jpg", np.rint(255 * scene.vi).astype(np.uint8))[1].tobytes()
    return {"infiray.irg": made_by("synthetic_makers").irg(counts, photo=photo)}


@seeds("thermal")
def further_makers() -> dict[str, bytes]:
    made = made_by("synthetic_makers")
    counts = np.rint(64 * (278.15 + 30 * street_scene(HEIGHT, WIDTH, 3).ir)).astype(np.uint16)
    return {
        "ijpeg.jpg": made.ijpeg(counts),
        "hikmicro.jpg": made.hikmicro(counts),
        "seek.hir": made.hir(21.5, 90),
    }
