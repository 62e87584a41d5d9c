"""Functions of two buffers with broadcasting.

`function` is the place of a function's name in `functions.BINARY`. It is the same throughout a call, so that the compiler can make
a loop for each. Powers have a kernel of their own (`power.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edgebn.functions import BINARY, OF_REALS
from edgebn.kernels.add import rescale
from edgebn.kernels.broadcasting import broadcast
from edgebn.kernels.elements import FLOAT32, INT8, INT16
from edgebn.kernels.jit import kernel

Scalar = Callable[[Any, Any], Any]
# What functions of `functions.BINARY` make of two numbers, float32 ones or codes in units that they share.
SCALARS: dict[str, Scalar] = {
    "subtract": lambda a, b: a - b,
    "divide": lambda a, b: a / b,
    "maximum": lambda a, b: max(a, b),  # noqa: PLW0108  # Numba types no builtin by itself
    "minimum": lambda a, b: min(a, b),  # noqa: PLW0108  # the same
    "squared_difference": lambda a, b: (a - b) * (a - b),
}


def _choice(names: Sequence[str]) -> Callable[[int, Any, Any], Any]:
    """Return what picks one of `names` by its place in `functions.BINARY`, the last where it is none before, and applies it."""
    first, number, others = kernel(SCALARS[names[0]]), list(BINARY).index(names[0]), names[1:]
    if not others:
        return kernel(lambda function, a, b: first(a, b))  # noqa: ARG005  # called as the others are
    rest = _choice(others)

    def choose(function: int, a: Any, b: Any) -> Any:
        return first(a, b) if function == number else rest(function, a, b)

    return kernel(choose)


_of_reals = _choice(list(SCALARS))
_of_codes = _choice([name for name in BINARY if name not in OF_REALS])


class RealFunction(NamedTuple):
    """clip(function(a, b), low, high)."""

    function: int
    low: float
    high: float


class CodeFunction(NamedTuple):
    """Both operands in units they share, their function, and that in the output's scale; every step is rounded."""

    function: int
    a_zero: int
    b_zero: int
    left_shift: int
    a_multiplier: int
    b_multiplier: int
    multiplier: int
    a_shift: int
    b_shift: int
    shift: int
    zero_point: int
    qmin: int
    qmax: int


def _function_of_reals(a: float, b: float, scaling: RealFunction) -> float:
    return min(max(_of_reals(scaling.function, a, b), scaling.low), scaling.high)


def _function_of_codes(a: int, b: int, scaling: CodeFunction) -> int:
    va = rescale((a - scaling.a_zero) << scaling.left_shift, scaling.a_multiplier, scaling.a_shift)
    vb = rescale((b - scaling.b_zero) << scaling.left_shift, scaling.b_multiplier, scaling.b_shift)
    value = _of_codes(scaling.function, va, vb)
    return min(max(scaling.zero_point + rescale(value, scaling.multiplier, scaling.shift), scaling.qmin), scaling.qmax)


binary_f32 = broadcast("binary_f32", FLOAT32, FLOAT32, RealFunction, _function_of_reals)
binary_i8 = broadcast("binary_i8", INT8, INT8, CodeFunction, _function_of_codes)
binary_i16 = broadcast("binary_i16", INT16, INT16, CodeFunction, _function_of_codes)
