"""The options on how image files are read, which several verbs share, and what they come to."""

from __future__ import annotations

from typing import Annotated

import typer

from ivfuse.errors import UsageError

AllowDamaged = Annotated[
    bool, typer.Option("--allow-damaged", help="Use what can be decoded of damaged JPEG files.")
]
MaxPixels = Annotated[
    float | None,
    typer.Option(metavar="MP", help="Largest image in megapixels; else by the available memory."),
]


def limit_pixels(megapixels: float | None) -> None:
    """Set the limit of this process and of the workers that it starts, if one is given.

    Raises:
        UsageError: if it makes no sense.
    """
    if megapixels is None:
        return
    from ivfuse.runtime.limits import set_pixel_limit

    if not 1e-6 <= megapixels <= 1e6:
        raise UsageError(field="max_pixels", found=megapixels, expected="more than 0, in megapixels")
    set_pixel_limit(round(megapixels * 1e6))
