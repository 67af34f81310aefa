"""Time of `swift` against a network of 113 parameters, in one runtime: what deciding small is worth.

    python benchmarks/tiny_network.py [--runs 40] [--size 640x480]

The smallest published fusion networks have about a hundred parameters and work at full size.
The one here has two layers of 3x3, with random weights: it stands for their time, not for their images.
`swift` is measured as videos use it, with the graph at half the size, its emphasis, and gains that carry the
result up. Processor time of luma in one thread, least of all runs in turns.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from common import make_parser, markdown_table
from ivfuse.fusion.method import SizedMethod
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma
from ivfuse.synthetic.street import street_scene

LAYERS = ((2, 3), (3, 2))  # channels in and out; 57 + 56 parameters


def write_network(path: Path) -> int:
    """Write the graph; returns its number of parameters."""
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("Concat", ["ir", "vi"], ["x0"], axis=1)]
    weights = []
    for index, (inputs, outputs) in enumerate(LAYERS):
        for name, shape in (("w", (outputs, inputs, 3, 3)), ("b", (outputs,))):
            values = rng.normal(0, 0.2, shape).astype(np.float32)
            weights.append(numpy_helper.from_array(values, f"{name}{index}"))
        names = [f"x{index}", f"w{index}", f"b{index}"]
        nodes.append(helper.make_node("Conv", names, [f"y{index}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"y{index}"], [f"x{index + 1}"]))
    nodes.append(helper.make_node("ReduceMax", [f"x{len(LAYERS)}"], ["fused"], axes=[1]))
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, "height", "width"])
        for name in ("ir", "vi", "fused")
    ]
    graph = helper.make_graph(nodes, "tiny", ports[:2], ports[2:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return sum(int(np.prod(each.dims)) for each in weights)


def seconds(fuser: Fuser, ir: Gray, vi: Gray) -> float:
    """Processor time of one fusion, at the size at which the method works."""
    shape = fuser.reduced_shape(vi.shape, ir.shape, 1.0)
    if isinstance(fuser.method, SizedMethod):
        fuser.method.expect(shape or vi.shape)
    start = time.process_time()
    fuser.fuse_covered(ir, vi, None, shape)
    return time.process_time() - start


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--size", default="640x480")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    width, height = (int(side) for side in args.size.split("x"))
    scene = street_scene(height, width, 0, "night")
    ir, vi = scene.ir, luma(scene.vi)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.onnx"
        tiny = f"{write_network(path)} parameters, full size"
        fusers = {
            tiny: Fuser(str(path), threads=1, precision="fp32"),
            "swift": Fuser("swift", threads=1, precision="fp32"),
            "swift, 8 bits": Fuser("swift", threads=1, precision="int8"),
            "swift, full size": Fuser("swift", threads=1, precision="fp32", full_size=True),
        }
        least = dict.fromkeys(fusers, float("inf"))
        for _ in range(args.runs):
            for name, fuser in fusers.items():
                least[name] = min(least[name], seconds(fuser, ir, vi))
    rows = [(name, f"{1e3 * cpu:.1f}", f"{cpu / least[tiny]:.2f}") for name, cpu in least.items()]
    print(markdown_table(("network", "ms", "ratio"), rows))


if __name__ == "__main__":
    main()
