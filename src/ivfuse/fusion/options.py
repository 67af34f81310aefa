"""What can be chosen about a fusion, once, for the Python API, the command line and the server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ivfuse.errors import UnknownNameError, UsageError
from ivfuse.fusion.method import Method
from ivfuse.runtime.onnx import Precision, Runtime
from ivfuse.thermal.read import DEFAULT, ThermalOptions
from ivfuse.thermal.render import RenderOptions

if TYPE_CHECKING:
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.transform import Registration


@dataclass(frozen=True)
class FuseOptions:
    """How pairs are fused.

    Attributes:
        method: a name of ``list_methods()``, an ``.onnx`` file with inputs ``ir`` and ``vi`` and output
            ``fused``, a method object, or ``None`` for the default method.
        method_options: keyword arguments of a classical method.
        runtime: of a learned method: ``auto`` (OpenVINO where it is installed), ``openvino``,
            ``onnxruntime``.
        precision: of a learned method: ``auto``, ``fp32`` or ``bf16``.
        threads: CPU threads of a learned method; ``None`` leaves it to the runtime.
        gray: give the fused luma instead of color.
        thermal: how thermal images are read: window, scale, conditions.
        render: a colormap, or hot areas to paint; ``None`` for the visible's colors.
        rig: where thermal images lie on visible ones: a registration, its file, control points, ``"auto"`` or
            the name of a transform model to register each pair; ``None`` stretches the thermal over the
            visible.
        crop: with a rig, keep only the part of the visible that the thermal covers.
        strength: 0 is the visible, 1 the full fusion, linear and the same everywhere between.
        tile: largest side, in pixels, that is fused in one piece; ``None`` for the method's own.

    Raises:
        UsageError: if an option makes no sense.
    """

    method: str | os.PathLike[str] | Method | None = None
    method_options: Mapping[str, Any] = field(default_factory=dict)
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    gray: bool = False
    thermal: ThermalOptions = DEFAULT
    render: RenderOptions | None = None
    rig: Registration | Correspondences | str | os.PathLike[str] | None = None
    crop: bool = False
    strength: float = 1.0
    tile: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no fusion can use."""
        if not 0 <= self.strength <= 1:
            raise UsageError(field="strength", found=self.strength, expected="0 to 1")
        if self.tile is not None and self.tile < 1:
            raise UsageError(field="tile", found=self.tile, expected="1 or more pixels")
        if self.crop and self.rig is None:
            raise UsageError(field="crop", expected="a rig, points, or registration of each pair as well")

    def with_(self, **changes: Any) -> FuseOptions:
        """The same with other values.

        Raises:
            UnknownNameError: if there is no such option; the message names the nearest.
        """
        known = [each.name for each in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("option of the fusion", name, known, field=name)
        return replace(self, **changes)
