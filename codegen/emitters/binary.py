"""Function of two values: codes and float32."""

from __future__ import annotations

from codegen.emitters.broadcasting import broadcast, may_share_first
from codegen.emitters.text import call, float_literal, struct
from codegen.stepcode import Names, StepCode
from edgebn.program import Binary, Program


def emit(step: Binary, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_binary_s8 or edgebn_binary_f32."""
    a, b = (program.buffers[name] for name in step.inputs)
    shape = broadcast(a.shape, b.shape, program.buffers[step.output].shape)
    buffers = (names.buffer(a.name), names.buffer(b.name), names.buffer(step.output), shape)
    in_place = may_share_first(step, program)
    arithmetic = step.arithmetic
    if arithmetic is None:
        clip = (float_literal(step.post[0]), float_literal(step.post[1]))
        text = call("edgebn_binary_f32", *buffers, f"edgebn_{step.function}_f32", *clip)
        return StepCode(text, (), ("edgebn_elementwise_f32.h",), in_place=in_place)
    literal = struct(
        "edgebn_binary", zero0=a.zero_point, zero1=b.zero_point, unit=1 << arithmetic.shift, m0=arithmetic.m[0],
        m1=arithmetic.m[1], m2=arithmetic.m[2], e0=arithmetic.e[0], e1=arithmetic.e[1], e2=arithmetic.e[2],
        zero_point=arithmetic.zero_point, low=arithmetic.qmin, high=arithmetic.qmax,
    )  # fmt: skip
    kernel = "edgebn_binary_s16" if program.buffers[step.output].dtype == "int16" else "edgebn_binary_s8"
    text = call(kernel, *buffers, f"edgebn_{step.function}_s32", literal)
    return StepCode(text, (), (f"{kernel}.h",), in_place=in_place)
