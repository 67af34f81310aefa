"""Quantization of a graph to 8-bit integers: convolutions at half the time, nearly the same image.

Weights become int8 per channel, activations uint8 between the extremes that they take over calibration pairs.
The last convolutions of features, which give the weights and steps of the blend, and all that follows stay in
float32, so that smooth skies do not become steps.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from ivfuse.errors import IvfuseError
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma, resize_to
from ivfuse.image.pairing import FilePair
from ivfuse.image.read import read_visible
from ivfuse.runtime.files import replacing
from ivfuse.runtime.onnx import open_session
from ivfuse.thermal.read import read_thermal

MOST_PAIRS = 16  # for calibration; the extremes of more change little
SIDE = 640  # larger images are cropped: all activations of a picture are held at once
TOLERANCE = 3 / 255  # mean difference from the graph in float32

Feed = dict[str, Any]


def quantize(graph: Path, pairs: Sequence[FilePair], out: Path) -> float:
    """Write a graph whose convolutions but the last ones compute in 8-bit integers.

    Args:
        graph: an ONNX file as :func:`ivfuse.training.export.export_onnx` writes it.
        pairs: of which up to 16, evenly spread, show what activations are like.
        out: the file to write.

    Returns:
        The mean absolute difference of both graphs over these pairs, for images in [0, 1].

    Raises:
        InputError: if an image cannot be read.
        IvfuseError: if there are no pairs, or the graphs differ by more than 3 levels of 255 on average.
    """
    if not pairs:
        raise IvfuseError("found no pairs to calibrate by, expected at least one")
    exact = open_session(graph)
    inputs = [each.name for each in exact.get_inputs()]
    step = -(-len(pairs) // MOST_PAIRS)
    feeds = [_feed(pair, inputs) for pair in pairs[::step]]
    with replacing(out) as part, TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(part),
            _Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_exact(prepared),
        )
        difference = _difference(exact, open_session(part), feeds)
        if not difference <= TOLERANCE:
            raise IvfuseError(
                f"{out}: in 8 bits the image differs by {255 * difference:.1f} levels on average, "
                f"expected at most {255 * TOLERANCE:.0f}"
            )
    return difference


class _Feeds(CalibrationDataReader):  # type: ignore[misc]
    """The inputs one by one, as the quantizer asks for them."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self.left = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self.left, None)


def _feed(pair: FilePair, inputs: Sequence[str]) -> Feed:
    vi = luma(read_visible(pair.vi).pixels)
    ir = resize_to(read_thermal(pair.ir).pixels, *vi.shape)
    feed: Feed = {"ir": _batch(ir[:SIDE, :SIDE]), "vi": _batch(vi[:SIDE, :SIDE])}
    if "level" in inputs:
        feed["level"] = np.full((1, 1, 1, 1), ir.mean(), np.float32)
    return feed


def _batch(image: Gray) -> Any:
    return np.ascontiguousarray(image, np.float32)[None, None]


def _exact(graph: Path) -> list[str]:
    """Convolutions of features that none follows, and those of one channel: these work on images."""
    model = onnx.load(graph).graph
    inputs = {each.name: each.dims[1] for each in model.initializer if len(each.dims) == 4}
    exact = []
    followed: set[str] = set()  # values that a convolution of features depends on
    for node in reversed(model.node):  # nodes come after those that they depend on
        features = node.op_type == "Conv" and inputs[node.input[1]] > 1
        needed = not followed.isdisjoint(node.output)
        if node.op_type == "Conv" and not (features and needed):
            exact.append(node.name)
        if features or needed:
            followed.update(node.input)
    return exact


def _difference(exact: Any, rounded: Any, feeds: Sequence[Feed]) -> float:
    found = [np.abs(exact.run(None, feed)[0] - rounded.run(None, feed)[0]).mean() for feed in feeds]
    return float(np.mean(found))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice to prepare the graph, which was done."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
