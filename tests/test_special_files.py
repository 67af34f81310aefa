"""Devices and FIFOs, whose reading may never end, are refused wherever a file is expected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivfuse.errors import InputError
from ivfuse.image.read import read_visible
from ivfuse.registration.control_points import read_points
from ivfuse.registration.transform import load_rig
from ivfuse.thermal.formats.registry import format_of
from ivfuse.thermal.read import read_camera_file, read_raw, read_thermal

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


@pytest.mark.parametrize(
    "read", [read_visible, read_thermal, read_camera_file, read_raw, format_of, load_rig, read_points]
)
def test_a_fifo_is_refused_instead_of_waited_for(tmp_path: Path, read: Callable[[Any], Any]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: found a FIFO, expected a regular file"):
        read(tmp_path / "pipe")
    with pytest.raises(InputError, match="found a device, expected a regular file"):
        read("/dev/zero")
