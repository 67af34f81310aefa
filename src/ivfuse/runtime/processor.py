"""The processor: its name, and which narrow numbers it computes faster in than float32."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")  # Linux alone tells


def processor_name() -> str:
    """What its maker calls it; "" if the system does not tell."""
    return _facts().get("model name", "")


def bf16_is_faster() -> bool | None:
    """Whether networks run faster in bfloat16; ``None`` if the system does not tell.

    Instructions for it are not enough: without tiles (AMX), a processor of Intel was measured to need 1.5
    times the time of float32, one of AMD two thirds of it.
    """
    flags = _flags()
    if not flags:
        return None
    return "amx_bf16" in flags or ("avx512_bf16" in flags and _facts().get("vendor_id") == "AuthenticAMD")


def int8_is_faster() -> bool:
    """Whether networks run faster in 8-bit integers: whether there are instructions to sum their products."""
    return bool(_flags() & {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


def _flags() -> set[str]:
    facts = _facts()
    return set(facts.get("flags", facts.get("Features", "")).split())


def _facts() -> dict[str, str]:
    """What the system tells of the first processor; nothing where there is no such file."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
