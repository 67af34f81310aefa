"""Which narrow numbers the processor computes faster in than float32."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")  # Linux alone tells


def bf16_is_faster() -> bool | None:
    """Whether networks run faster in bfloat16; ``None`` if the system does not tell.

    Instructions for it are not enough: without tiles (AMX), a processor of Intel was measured to need 1.5
    times the time of float32, one of AMD two thirds of it.
    """
    flags, vendor = _facts()
    if not flags:
        return None
    return "amx_bf16" in flags or ("avx512_bf16" in flags and vendor == "AuthenticAMD")


def int8_is_faster() -> bool:
    """Whether networks run faster in 8-bit integers: whether there are instructions to sum their products."""
    return bool(_facts()[0] & {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


def _facts() -> tuple[frozenset[str], str]:
    """Flags and vendor of the first processor; nothing where there is no such file."""
    try:
        lines = CPUINFO.read_text(encoding="ascii", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return frozenset(), ""
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return frozenset(facts.get("flags", facts.get("Features", "")).split()), facts.get("vendor_id", "")
