"""A value of a wrong type gives one line that names the parameter, and no error of Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ivfuse
from ivfuse import Fuser, RenderOptions, ThermalOptions, UnknownNameError, UsageError

GRAY = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", 5),
        ("method", b"average"),
        ("method_options", 5),
        ("runtime", None),
        ("precision", 8),
        ("threads", "two"),
        ("threads", 1.5),
        ("threads", True),
        ("device", 0),
        ("gray", "no"),
        ("thermal", "10C..45C"),
        ("render", "iron"),
        ("rig", 5),
        ("crop", 1),
        ("strength", "1"),
        ("strength", None),
        ("emphasis", 1),
        ("ir_gamma", "x"),
        ("tile", "512"),
        ("full_size", None),
        ("allow_damaged", "yes"),
    ],
)
def test_options_of_another_type_are_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{name}: found .*{value}.*, expected "):
        ivfuse.fuse(GRAY, GRAY, **{"method": "average", name: value})


@pytest.mark.parametrize("name", ["strength", "ir_gamma", "tile", "threads", "gray"])
def test_numbers_of_numpy_are_numbers(name: str) -> None:
    value = {"tile": np.int64(32), "threads": np.int32(1), "gray": np.bool_(True)}.get(name, np.float32(0.5))
    assert ivfuse.fuse(GRAY, GRAY, **{"method": "average", name: value}).shape == GRAY.shape


@pytest.mark.parametrize("value", [None, {}, b"x.png"])
def test_what_is_no_image_is_named(value: Any) -> None:
    fuser = Fuser("average")
    for call in (lambda: fuser.fuse(value, GRAY), lambda: ivfuse.register(value, GRAY)):
        with pytest.raises(UsageError, match=r"^ir: found .*, expected a path"):
            call()
    for call in (lambda: fuser.fuse(GRAY, value), lambda: ivfuse.register(GRAY, value)):
        with pytest.raises(UsageError, match=r"^vi: found .*, expected "):
            call()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ThermalOptions(window=5), "window"),  # type: ignore[arg-type]
        (lambda: ThermalOptions(window=("a", "b")), "window"),  # type: ignore[arg-type]
        (lambda: ThermalOptions(window=(1,)), "window"),  # type: ignore[arg-type]
        (lambda: ThermalOptions(scale=5), "scale"),  # type: ignore[arg-type]
        (lambda: RenderOptions(5), "colormap"),  # type: ignore[arg-type]
        (lambda: RenderOptions("iron", 5), "highlight"),  # type: ignore[arg-type]
        (lambda: ivfuse.load_rig(None), "path"),  # type: ignore[arg-type]
        (lambda: ivfuse.read_thermal(GRAY, 5), "options"),  # type: ignore[arg-type]
        (lambda: Fuser("average", options=5), "options"),  # type: ignore[arg-type]
        (lambda: Fuser("average").fuse(GRAY, GRAY, dtype="wide"), "dtype"),
        (lambda: Fuser("average").fuse_files("a.png", "b.png", None), "out"),  # type: ignore[arg-type]
        (lambda: ivfuse.evaluate(GRAY, GRAY, GRAY, metrics=5), "metrics"),  # type: ignore[arg-type]
    ],
)
def test_other_arguments_are_named_too(make: Any, name: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name}: found .*, expected "):
        make()


def test_a_name_of_another_type_is_unknown() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 5; known: affine"):
        ivfuse.register(GRAY, GRAY, model=5)  # type: ignore[arg-type]
