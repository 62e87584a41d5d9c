"""Functions of two buffers with broadcasting: a step of 0 repeats. Steps are elements along (H, W, C) of each operand.

`function` is the place of a function's name in `functions.BINARY`. It is the same throughout a call, so that the compiler can make
a loop for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgebn.functions import BINARY
from edgebn.kernels.add import rescale
from edgebn.kernels.elements import INT8, INT16, Element, named
from edgebn.kernels.jit import kernel
from edgebn.kernels.primitives import load_f32, store_f32

Scalar = Callable[[Any, Any], Any]
# What each function of `functions.BINARY` makes of two numbers, float32 ones or codes in units that they share.
SCALARS: dict[str, Scalar] = {
    "subtract": lambda a, b: a - b,
    "divide": lambda a, b: a / b,
    "maximum": lambda a, b: max(a, b),  # noqa: PLW0108  # Numba types no builtin by itself
    "minimum": lambda a, b: min(a, b),  # noqa: PLW0108  # the same
    "squared_difference": lambda a, b: (a - b) * (a - b),
}
OF_REALS = ("divide",)  # which codes do not have


def _choice(names: Sequence[str]) -> Callable[[int, Any, Any], Any]:
    """Return what picks one of `names` by its place in `functions.BINARY`, the last where it is none before, and applies it."""
    first, number, others = kernel(SCALARS[names[0]]), list(BINARY).index(names[0]), names[1:]
    if not others:
        return kernel(lambda function, a, b: first(a, b))  # noqa: ARG005  # called as the others are
    rest = _choice(others)

    def choose(function: int, a: Any, b: Any) -> Any:
        return first(a, b) if function == number else rest(function, a, b)

    return kernel(choose)


_of_reals = _choice(list(BINARY))
_of_codes = _choice([name for name in BINARY if name not in OF_REALS])


@kernel
def binary_f32(
    function: int,
    a: int,
    a_row: int,
    a_pixel: int,
    a_channel: int,
    b: int,
    b_row: int,
    b_pixel: int,
    b_channel: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    low: float,
    high: float,
) -> None:
    """float32: clip(function(a, b), low, high)."""
    for y in range(rows):
        for x in range(columns):
            pa = a + (y * a_row + x * a_pixel) * 4
            pb = b + (y * b_row + x * b_pixel) * 4
            out = dst + y * dst_row + x * channels * 4
            for c in range(channels):
                va, vb = load_f32(pa, c * a_channel), load_f32(pb, c * b_channel)
                value = _of_reals(function, va, vb)
                store_f32(out, c, min(max(value, low), high))


def _binary(element: Element, suffix: str) -> tuple[Callable[..., None], ...]:
    """Return the kernels of one type of codes."""
    load, store, size = element.load, element.store, element.bytes

    @named(f"binary_{suffix}")
    def binary(
        function: int,
        a: int,
        a_row: int,
        a_pixel: int,
        a_channel: int,
        b: int,
        b_row: int,
        b_pixel: int,
        b_channel: int,
        dst: int,
        dst_row: int,
        rows: int,
        columns: int,
        channels: int,
        a_zero: int,
        b_zero: int,
        left_shift: int,
        a_multiplier: int,
        b_multiplier: int,
        multiplier: int,
        a_shift: int,
        b_shift: int,
        shift: int,
        zero_point: int,
        qmin: int,
        qmax: int,
    ) -> None:
        """Both operands in units they share, their function, and that in the output's scale; every step is rounded."""
        for y in range(rows):
            for x in range(columns):
                pa = a + (y * a_row + x * a_pixel) * size
                pb = b + (y * b_row + x * b_pixel) * size
                out = dst + y * dst_row + x * channels * size
                for c in range(channels):
                    va = rescale((load(pa, c * a_channel) - a_zero) << left_shift, a_multiplier, a_shift)
                    vb = rescale((load(pb, c * b_channel) - b_zero) << left_shift, b_multiplier, b_shift)
                    value = _of_codes(function, va, vb)
                    store(out, c, min(max(zero_point + rescale(value, multiplier, shift), qmin), qmax))

    return (binary,)


(binary_i8,) = _binary(INT8, "i8")
(binary_i16,) = _binary(INT16, "i16")
