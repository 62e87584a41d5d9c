"""How the two operands of a sum or product meet. Knows programs, no kernels."""

from __future__ import annotations

from codegen.emitters.text import struct
from edgebn.program import Hwc, Program, Step


def strides(shape: Hwc) -> Hwc:
    """Return elements from one row, column and channel to the next; 0 where the axis is repeated."""
    height, width, channels = shape
    return (width * channels if height > 1 else 0, channels if width > 1 else 0, 1 if channels > 1 else 0)


def broadcast(a: Hwc, b: Hwc, out: Hwc) -> str:
    """Return `edgebn_broadcast`; operands of the same shape become one long row, which makes the shortest loop."""
    if a == b == out:
        return struct("edgebn_broadcast", height=1, width=1, channels=out[0] * out[1] * out[2], a_c=1, b_c=1)
    (a_y, a_x, a_c), (b_y, b_x, b_c) = strides(a), strides(b)
    return struct(
        "edgebn_broadcast", height=out[0], width=out[1], channels=out[2],
        a_y=a_y, a_x=a_x, a_c=a_c, b_y=b_y, b_x=b_x, b_c=b_c,
    )  # fmt: skip


def may_share_first(step: Step, program: Program) -> bool:
    """Whether an elementwise step may write over its first input: no element of it is read again.

    The second operand, where it is the same value, is read before each element is written.
    """
    shapes = [program.buffers[name].shape for name in (*step.inputs, step.output)]
    return shapes[0] == shapes[-1] and (step.inputs[0] not in step.inputs[1:] or shapes[0] == shapes[1])
