"""How the loops of this package are compiled, and functions for their bodies that become vector instructions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

TINY = 1e-300  # least argument of the logarithm
_LN2 = math.log(2)
_ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
_MANTISSA = 52  # bits of the fraction


def loop(function: F) -> F:
    """Compile at the first call, or load what an earlier process compiled.

    Numba keeps it beside the module or, where that folder is not writable, in the user's folder for caches;
    files appear there at once or not at all, so that processes can share them. Division by zero gives
    infinity as in NumPy, since a test for it would end vectorization, and a product with a sum is rounded once.
    """
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
    try:
        compiled: F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written
        compiled = njit(**options)(function)
    return compiled


@intrinsic  # type: ignore[untyped-decorator]
def bits(_: Any, __: Any) -> Any:
    """Return the bits of a float64 as int64."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def from_bits(_: Any, __: Any) -> Any:
    """Return the float64 of the bits in an int64."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@loop
def logarithm(x: float) -> float:
    """Return ln(x) of a normal positive number, within 2 units in the last place.

    x = 2^e m with m in sqrt(1/2)..sqrt(2); ln(m) = 2 artanh(s) with s = (m - 1) / (m + 1), at most 0.172,
    whose series ends after s^21. No branch, so that a loop around it is vectorized.
    """
    pattern = bits(x)
    exponent = (pattern - _ROOT_HALF) >> _MANTISSA
    excess = from_bits(pattern - (exponent << _MANTISSA)) - 1.0
    s = excess / (2.0 + excess)
    z = s * s
    series = 2 / 21
    series = series * z + 2 / 19
    series = series * z + 2 / 17
    series = series * z + 2 / 15
    series = series * z + 2 / 13
    series = series * z + 2 / 11
    series = series * z + 2 / 9
    series = series * z + 2 / 7
    series = series * z + 2 / 5
    series = series * z + 2 / 3
    return exponent * _LN2 + (s * z * series + 2.0 * s)
