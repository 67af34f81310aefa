"""Methods that allow it decide at half the resolution of the thermal, and the result is carried up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.reduced import reduced_shape
from ivfuse.image.arrays import Gray
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.registration.transform import Registration

INFO = MethodInfo("mean", "learned", "the mean of both", "none", reducible=True)


class Mean:
    """A method that remembers the shapes it was given."""

    def __init__(self, *, reducible: bool = True) -> None:
        self.info = replace(INFO, reducible=reducible)
        self.shapes: list[tuple[int, ...]] = []

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        self.shapes.append(vi.shape)
        return (ir + vi) / 2


def pair() -> tuple[np.ndarray, np.ndarray]:
    """A smooth thermal of 160x120 and a visible of 1600x1200 with an edge and detail."""
    y, x = np.mgrid[:120, :160].astype(np.float32)
    ir = (0.5 + 0.3 * np.sin(x / 25) * np.cos(y / 25)).astype(np.float32)
    y, x = np.mgrid[:1200, :1600]
    vi = 0.3 + 0.3 * (x > 801) + 0.05 * (x // 8 % 2)
    return ir, vi.astype(np.float32)


@pytest.mark.parametrize(
    ("visible", "thermal", "covered", "expected"),
    [
        ((480, 640), (480, 640), 1, (240, 320)),
        ((480, 640), (120, 160), 1, (240, 320)),  # the network needs to see the scene
        ((240, 320), (240, 320), 1, None),
        ((768, 1024), (480, 640), 1, (192, 256)),
        ((720, 1280), (512, 640), 1, (180, 320)),  # 4 divides both sides; 3 does not
        ((1080, 1920), (512, 640), 1, (216, 384)),
        ((1080, 1920), (512, 640), 0.4, (360, 640)),  # the thermal's pixels are smaller
        ((1079, 1919), (512, 640), 1, (216, 384)),
        ((1080, 1920), (1080, 1920), 1, (540, 960)),
        ((2160, 3840), (512, 640), 1, (216, 384)),
        ((6000, 8000), (6000, 8000), 1, (750, 1000)),  # bounded
        ((273, 513), (273, 513), 1, (138, 258)),  # even sides
    ],
)
def test_the_shape_follows_the_thermals_resolution(
    visible: tuple[int, int], thermal: tuple[int, int], covered: float, expected: tuple[int, int] | None
) -> None:
    assert reduced_shape(visible, thermal, covered) == expected


def test_a_reducible_method_sees_small_images_and_the_result_is_as_in_full_size() -> None:
    ir, vi = pair()
    method, full = Mean(), Mean()
    found = Fuser(method).fuse(ir, vi)
    expected = Fuser(full, full_size=True, tile=2000).fuse(ir, vi)
    assert (method.shapes, full.shapes) == ([(240, 320)], [(1200, 1600)])
    assert found.shape == vi.shape
    assert np.abs(found - expected).mean() < 0.01  # faint detail passes; the mean halves it
    assert np.abs(found - expected)[:, 790:810].mean() < 0.01  # no halo at the edge


def test_other_methods_run_in_full_size() -> None:
    method = Mean(reducible=False)
    Fuser(method, tile=2000).fuse(*pair())
    assert method.shapes == [(1200, 1600)]


def test_without_strength_the_visible_stays_exactly() -> None:
    ir, vi = pair()
    assert np.array_equal(Fuser(Mean(), strength=0).fuse(ir, vi), vi)


def test_the_visible_stays_where_the_thermal_does_not_reach() -> None:
    ir, vi = pair()
    rig = Registration(((5, 0, 300), (0, 5, 200), (0, 0, 1)), (160, 120), (1600, 1200))
    method = Mean()
    found = Fuser(method, rig=rig).fuse(ir, vi)
    assert method.shapes == [(240, 320)]
    np.testing.assert_allclose(found[:150], vi[:150], atol=1e-5)
    assert np.abs(found - vi)[400:500, 500:700].max() > 0.02


def test_hidden_parts_of_the_thermal_do_not_change_the_shape_and_keep_the_visible_exactly() -> None:
    ir, vi = pair()
    hidden = np.zeros(vi.shape, bool)
    hidden[:, 500:] = True
    method = Mean()
    fuser = Fuser(method)
    read = fuser.read(ir, vi)
    found = fuser.fuse_pair(replace(read, coverage=(~hidden).astype(np.float32)))
    assert method.shapes == [(240, 320)]
    assert np.array_equal(found[hidden], vi[hidden])


def test_strength_mixes_what_was_carried_up_with_the_visible() -> None:
    ir, vi = pair()
    whole, half = (Fuser(Mean(), strength=strength).fuse(ir, vi) for strength in (1, 0.5))
    np.testing.assert_allclose(half, (whole + vi) / 2, atol=1e-6)


def test_the_user_is_told(tmp_path: Path) -> None:
    ir, vi = pair()
    write_image(tmp_path / "ir.png", ir)
    write_image(tmp_path / "vi.png", vi)
    files = tmp_path / "ir.png", tmp_path / "vi.png", tmp_path / "out.png"
    assert "fused at 320x240, carried up to 1600x1200" in Fuser(Mean()).fuse_files(*files).notes
    assert not any("carried" in note for note in Fuser(Mean(), full_size=True).fuse_files(*files).notes)


def test_the_command_has_an_option_for_full_size(tmp_path: Path, ivfuse_cli: Callable[..., Any]) -> None:
    ir, vi = pair()
    write_image(tmp_path / "ir.png", ir)
    write_image(tmp_path / "vi.png", vi)
    outs = []
    for options in ([], ["--full-size"]):
        out = tmp_path / f"out{len(options)}.png"
        done = ivfuse_cli(
            "fuse", tmp_path / "ir.png", tmp_path / "vi.png", "-o", out, "--method", "swift", *options
        )
        assert done.code == 0, done.err
        outs.append(read_visible(out).pixels)
    assert outs[0].shape == outs[1].shape == (1200, 1600)
    assert not np.array_equal(*outs)
