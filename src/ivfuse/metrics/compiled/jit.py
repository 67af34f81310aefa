"""How the loops of this package are compiled, and what Numba lacks for their bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def loop(function: F) -> F:
    """Compile at the first call, or load what an earlier process compiled.

    Numba keeps it beside the module or, where that folder is not writable, in the user's folder for caches;
    files appear there at once or not at all, so that processes can share them. It compiles again after a
    change of the function's own file only, so that loops call none of another file. Division by zero gives
    infinity as in NumPy, since a test for it would end vectorization; a product and a sum are rounded once.
    """
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
    try:
        compiled: F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written
        compiled = njit(**options)(function)
    return compiled


def _bits(_: Any, __: Any) -> Any:
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _from_bits(_: Any, __: Any) -> Any:
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


# The bits of a float64 as int64, and the float64 of such; inside of loops only.
bits = cast(Callable[[float], int], intrinsic(_bits))
from_bits = cast(Callable[[int], float], intrinsic(_from_bits))
