"""The registration options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ivfuse.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from ivfuse.fusion.align import Auto
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.transform import Registration

PANEL = "Registration"

RigFile = Annotated[
    Path | None,
    typer.Option(
        "--rig",
        metavar="FILE",
        help="Warp the thermal by a registration file from `ivfuse register`.",
        rich_help_panel=PANEL,
    ),
]
Register = Annotated[
    str | None,
    typer.Option(
        "--register",
        metavar="MODEL",
        help="Register each pair by itself: auto (homography), translation, similarity, affine, homography.",
        rich_help_panel=PANEL,
    ),
]
Points = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Warp the thermal by control points, CSV or JSON: ir_x,ir_y,vi_x,vi_y.",
        rich_help_panel=PANEL,
    ),
]
Crop = Annotated[
    bool,
    typer.Option(
        "--crop", help="Crop to the largest rectangle that the thermal covers.", rich_help_panel=PANEL
    ),
]

KeepFrame = Annotated[
    bool,
    typer.Option(
        "--keep-frame",
        help="Fuse the black or white frame of 8-bit thermal images that were warped before, as papers do.",
        rich_help_panel=PANEL,
    ),
]


def rig(
    file: Path | None, register: str | None, points: Path | None
) -> Registration | Correspondences | Auto | None:
    """Resolve the registration options into the one that was given.

    Raises:
        UsageError: if several were given.
        UnknownNameError: if there is no such model.
        InputError: if a file cannot be used.
    """
    options = {"--rig": file, "--register": register, "--points": points}
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: give one of them")
    if file is not None:
        from ivfuse.registration.transform import load_rig

        return load_rig(file)
    if points is not None:
        from ivfuse.registration.control_points import read_points

        return read_points(points)
    if register is None:
        return None
    from ivfuse.fusion.align import AUTO

    for name in AUTO:
        if name == register.strip().lower():
            return name
    raise UnknownNameError("model", register, AUTO, field="register")
