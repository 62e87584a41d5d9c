"""Functions of two buffers with broadcasting: the one loop, over a step of 0 where an operand repeats. Knows no function.

Steps of operands are elements along (H, W, C); the output's rows are `dst_row` bytes apart and its pixels adjacent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebn.kernels.elements import Element, named
from edgebn.kernels.jit import inlined
from edgebn.kernels.parameters import Operands


def broadcast(
    name: str, operand: Element, output: Element, parameters: type, function: Callable[[Any, Any, Any], Any]
) -> Callable[..., None]:
    """Return the kernel of a function (a, b, parameters) of elements of one type to those of another.

    `parameters` is the group of what it takes beside its operands.
    """
    load, store, size, output_size, compute = operand.load, output.store, operand.bytes, output.bytes, inlined(function)

    @named(name, parameters=parameters)
    def run(operands: Operands, parameters: Any) -> None:
        for y in range(operands.rows):
            for x in range(operands.columns):
                a = operands.a + (y * operands.a_row + x * operands.a_pixel) * size
                b = operands.b + (y * operands.b_row + x * operands.b_pixel) * size
                out = operands.dst + y * operands.dst_row + x * operands.channels * output_size
                for c in range(operands.channels):
                    store(out, c, compute(load(a, c * operands.a_channel), load(b, c * operands.b_channel), parameters))

    return run
