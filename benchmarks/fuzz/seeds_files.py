"""Files beside the images: recipes, weights, checkpoints, graphs, points, rigs, manifests and labels."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from fuzz.seeds import seeds

ROOT = Path(__file__).resolve().parents[2]


@seeds("files")
def recipes() -> dict[str, bytes]:
    paths = sorted((ROOT / "recipes").glob("*/smoke.yaml"))
    return {f"recipe-{path.parent.name}.yaml": path.read_bytes() for path in paths}


@seeds("files")
def weights() -> dict[str, bytes]:
    """Small networks: safetensors of a training, its checkpoint, and the exported graph."""
    import torch

    from ivfuse.training.checkpoint import save_model, save_state
    from ivfuse.training.export import write_graph
    from ivfuse.training.nets.crossfuse_cam import CrossFuseCam

    widths = {"shallow": 4, "middle": 8, "deep": 8, "growth": 4, "heads": 2, "window": 4}
    net = CrossFuseCam(**widths).eval()
    about = {"method": "crossfuse-cam", "variant": "fixed", "net": widths}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "net.safetensors", net.state_dict(), about)
        save_state(folder / "last.ckpt", {"weights": dict(net.state_dict()), "step": 3})
        old = {"_use_new_zipfile_serialization": False}
        torch.save({"weights": dict(net.state_dict())}, folder / "old.ckpt", **old)
        write_graph(net, folder / "net.onnx")
        names = {
            "weights.safetensors": "net.safetensors",
            "state.ckpt": "last.ckpt",
            "state-old.ckpt": "old.ckpt",
            "graph.onnx": "net.onnx",
        }
        return {new: (folder / file).read_bytes() for new, file in names.items()}


@seeds("files")
def registrations() -> dict[str, bytes]:
    rows = [(4, 4, 5, 6), (40, 5, 42, 7), (6, 30, 7, 31), (42, 31, 44, 33), (20, 15, 21, 17)]
    header = "ir_x,ir_y,vi_x,vi_y\n"
    table = header + "".join(",".join(map(str, row)) + "\n" for row in rows)
    points = [dict(zip(header.strip().split(","), row, strict=True)) for row in rows]
    return {"points.csv": table.encode(), "points.json": json.dumps(points).encode(), "rig.json": _rig()}


def _rig() -> bytes:
    import numpy as np

    from ivfuse.registration.transform import registration_of

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rig.json"
        registration_of(np.eye(3), (48, 36), (48, 36), "homography").save(path)
        return path.read_bytes()


@seeds("files")
def manifests() -> dict[str, bytes]:
    return {"manifest.toml": (ROOT / "src" / "ivfuse" / "weights" / "manifest.toml").read_bytes()}


@seeds("files")
def labels() -> dict[str, bytes]:
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 48, "height": 36}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 10, 12], "area": 120}],
        "categories": [{"id": 1, "name": "person"}],
    }
    box = "<bndbox><xmin>4</xmin><ymin>5</ymin><xmax>14</xmax><ymax>17</ymax></bndbox>"
    voc = "<annotation><filename>a.png</filename><size><width>48</width><height>36</height></size>"
    voc += f"<object><name>person</name>{box}</object></annotation>"
    return {
        "labels-coco.json": json.dumps(coco).encode(),
        "labels-voc.xml": voc.encode(),
        "labels-yolo.txt": b"0 0.5 0.5 0.2 0.3\n1 0.25 0.4 0.1 0.1\n",
    }
