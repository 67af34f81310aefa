"""Files are written completely or not at all, under any name, and killed writers leave nothing for good."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ivfuse.errors import InputError
from ivfuse.runtime.files import make_folder, part_of, sha256_of, write_atomic

KILLED = """
import os, signal, sys
from pathlib import Path
from ivfuse.runtime.files import replacing
with replacing(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "name", [255 * "x", 251 * "x" + ".png", 85 * "\u6f22", 63 * "\U0001f600", "a\nb.png"]
)
def test_a_name_of_any_length_that_the_system_allows_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.name != "posix", reason="this system does not tell which processes run")
def test_the_part_of_a_killed_run_is_removed_by_the_next_run_and_that_of_a_running_one_stays(
    tmp_path: Path,
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "image.png")], check=False)
    assert done.returncode < 0
    (left,) = tmp_path.iterdir()
    folder = left.with_name(left.name.replace("image", "folder"))
    folder.mkdir()
    (folder / "half").write_bytes(b"half")
    running = part_of(tmp_path / "image.png")
    running.write_bytes(b"half")
    others = [tmp_path / "mine.part", tmp_path / ".image.png.part", tmp_path / ".image.png.0123abcd.part"]
    for path in others:
        path.write_bytes(b"of someone else")
    make_folder(tmp_path)
    assert not left.exists()
    assert not folder.exists()
    assert set(tmp_path.iterdir()) == {running, *others}


def test_the_part_of_another_machine_is_removed_after_a_day(tmp_path: Path) -> None:
    parts = [tmp_path / f".image.png.{8 * digit}-1-0123abcd.part" for digit in "0f"]
    for part in parts:
        part.write_bytes(b"half")
    before = time.time() - 2 * 86_400
    os.utime(parts[0], (before, before))
    make_folder(tmp_path)
    assert list(tmp_path.iterdir()) == parts[1:]


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert (
        sha256_of(tmp_path / "file")  # FIPS 180-2, B.1
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(InputError, match=r"missing: cannot be read: No such file"):
        sha256_of(tmp_path / "missing")
