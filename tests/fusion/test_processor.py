"""Which precision is chosen on which processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivfuse.fusion import registry
from ivfuse.fusion.manifest import load_manifest
from ivfuse.runtime import processor

INTEL, AMD = "vendor_id\t: GenuineIntel", "vendor_id\t: AuthenticAMD"


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize(
    ("text", "bf16", "int8"),
    [
        (f"{INTEL}\nflags\t: fpu avx512_bf16 avx512_vnni amx_bf16\n\nprocessor: 1", True, True),
        (f"{INTEL}\nflags\t: fpu avx512_bf16 avx512_vnni", False, True),
        (f"{AMD}\nflags\t: fpu avx512_bf16 avx512_vnni", True, True),
        (f"{INTEL}\nflags\t: fpu avx2", False, False),
        ("Features\t: fp asimd asimddp", False, True),
        (None, None, False),
    ],
)
def test_the_processor_tells_what_it_is_faster_with(
    cpuinfo: Path, text: str | None, bf16: bool | None, int8: bool
) -> None:
    if text is not None:
        cpuinfo.write_text(text, encoding="ascii")
    assert (processor.bf16_is_faster(), processor.int8_is_faster()) == (bf16, int8)


def test_videos_take_8_bits_where_weights_and_processor_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {name for name, entry in load_manifest().models.items() if entry.int8}
    for faster in (True, False):
        monkeypatch.setattr(registry, "int8_is_faster", lambda faster=faster: faster)
        for name in (*load_manifest().models, "average"):
            expected = "int8" if faster and name in quick else "auto"
            assert registry.quick_precision(name) == expected
