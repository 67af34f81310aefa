"""Options of a fusion, shared by the Python API, the command line and the server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ivfuse.errors import UnknownNameError, UsageError, check_type
from ivfuse.fusion.emphasis import EMPHASES, EmphasisName
from ivfuse.fusion.method import Method
from ivfuse.runtime.devices import Device, Precision, Runtime
from ivfuse.runtime.limits import check_threads
from ivfuse.thermal.read import DEFAULT, ThermalOptions

if TYPE_CHECKING:
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.transform import Registration
    from ivfuse.thermal.render import RenderOptions

MIN_GAMMA, MAX_GAMMA = 0.1, 10.0
_NONE = type(None)
_NAMES = (str, os.PathLike, _NONE)
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "method_options": ((Mapping,), "a dictionary"),
    **dict.fromkeys(("runtime", "precision", "device"), ((str,), "a name")),
    "emphasis": ((str, _NONE), "a name or None"),
    "tile": ((Integral, _NONE), "a whole number or None"),
    **dict.fromkeys(("strength", "ir_gamma"), ((Real,), "a number")),
    **dict.fromkeys(("gray", "crop", "keep_frame", "full_size"), ((bool, np.bool_), "True or False")),
    "allow_damaged": ((bool, np.bool_, _NONE), "True, False or None"),
    "thermal": ((ThermalOptions,), "ThermalOptions"),
}


@dataclass(frozen=True)
class FuseOptions:
    """Options for fusing pairs.

    Attributes:
        method: a name of ``list_methods()``, an ``.onnx`` file with inputs ``ir`` and ``vi`` and output
            ``fused``, ``hf://owner/name[@revision]`` for a model of the Hugging Face Hub, a method object, or
            ``None`` for the default method.
        method_options: keyword arguments of a classical method.
        runtime: runtime of a learned method: ``auto`` (OpenVINO if it is installed), ``openvino`` or
            ``onnxruntime``.
        precision: compute precision of a learned method: ``auto``, ``fp32``, ``bf16`` or ``int8``.
        threads: number of CPU threads of a learned method, 1 to 1024; ``None`` lets the runtime choose.
        device: device of a learned method: ``auto`` (an NVIDIA GPU that ONNX Runtime can use, else the CPU),
            ``cpu``, ``cuda``, ``tensorrt``, ``openvino-gpu``, ``coreml`` or ``directml``.
        gray: whether to return the fused luma instead of color.
        thermal: options for reading thermal images: window, scale, conditions.
        render: a colormap or highlighted temperatures; ``None`` keeps the colors of the visible image.
        rig: transform from thermal to visible images: a registration, its file, control points, or ``"auto"``
            or the name of a transform model to register each pair; ``None`` stretches the thermal image over
            the visible image.
        crop: whether to crop to the part that the thermal image covers; requires a rig.
        keep_frame: whether to fuse the black or white frame of 8-bit thermal images that were warped before,
            as papers do; otherwise it is left out.
        strength: strength of the fusion, from 0 (the visible image) to 1 (the full fusion), linear and
            uniform over the image.
        emphasis: what the fused image is to bring out: ``balanced``, ``natural`` (the tones of the visible
            image), ``detail``, ``targets``, or ``none`` (the method's result as it is); ``None`` for that of
            the method. See :mod:`ivfuse.fusion.emphasis`.
        ir_gamma: exponent of the thermal image in [0, 1] as the method receives it: below 1 brightens it, so
            that what is barely warmer than its surroundings stands out; above 1 leaves the warmest only.
            Temperatures and colormaps are not affected.
        tile: largest side in pixels that is fused in one piece; ``None`` for that of the method.
        full_size: whether to run the method at the size of the visible image; otherwise one that allows it
            runs at half the resolution of the thermal image, and its result is carried up.
        allow_damaged: whether to use what can be decoded of damaged JPEG files, with a note, instead of
            raising an error; ``None`` for an error that does not suggest it.

    Raises:
        UsageError: if an option is out of range.
    """

    method: str | os.PathLike[str] | Method | None = None
    method_options: Mapping[str, Any] = field(default_factory=dict)
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    device: Device = "auto"
    gray: bool = False
    thermal: ThermalOptions = DEFAULT
    render: RenderOptions | None = None
    rig: Registration | Correspondences | str | os.PathLike[str] | None = None
    crop: bool = False
    keep_frame: bool = False
    strength: float = 1.0
    emphasis: EmphasisName | None = None
    ir_gamma: float = 1.0
    tile: int | None = None
    full_size: bool = False
    allow_damaged: bool | None = False

    def __post_init__(self) -> None:
        """Validate the options."""
        self._check_types()
        check_threads(self.threads)
        if not 0 <= self.strength <= 1:
            raise UsageError(field="strength", found=self.strength, expected="0 to 1")
        if self.emphasis is not None and self.emphasis not in EMPHASES:
            raise UnknownNameError("emphasis", self.emphasis, EMPHASES, field="emphasis")
        if not MIN_GAMMA <= self.ir_gamma <= MAX_GAMMA:
            raise UsageError(
                field="ir_gamma", found=self.ir_gamma, expected=f"{MIN_GAMMA:g} to {MAX_GAMMA:g}"
            )
        if self.tile is not None and self.tile < 1:
            raise UsageError(field="tile", found=self.tile, expected="1 or more pixels")
        if self.crop and self.rig is None:
            raise UsageError(field="crop", expected="a rig, points, or registration of each pair as well")

    def _check_types(self) -> None:
        for name, (kinds, expected) in _KINDS.items():
            check_type(name, getattr(self, name), kinds, expected)
        if not hasattr(self.method, "fuse"):
            check_type("method", self.method, _NAMES, "a name, a file, a method object or None")
        if not isinstance(self.rig, _NAMES):
            from ivfuse.registration.control_points import Correspondences
            from ivfuse.registration.transform import Registration

            expected = "a registration, its file, control points, the name of a model or None"
            check_type("rig", self.rig, (Registration, Correspondences), expected)
        if self.render is not None:
            from ivfuse.thermal.render import RenderOptions

            check_type("render", self.render, (RenderOptions,), "RenderOptions or None")

    def with_(self, **changes: Any) -> FuseOptions:
        """Return a copy with some options replaced.

        Raises:
            UnknownNameError: if there is no such option; the error lists similar names.
        """
        known = [each.name for each in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("option of the fusion", name, known, field=name)
        return replace(self, **changes)
