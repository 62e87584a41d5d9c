"""Product of two values: codes and float32."""

from __future__ import annotations

from codegen.emitters.broadcasting import broadcast, may_share_first
from codegen.emitters.text import call, float_literal, struct
from codegen.stepcode import Names, StepCode
from edgebn.program import Buffer, IntMultiply, Multiply, Program


def emit(step: Multiply, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_multiply_s8 or edgebn_binary_f32."""
    a, b = (program.buffers[name] for name in step.inputs)
    shape = broadcast(a.shape, b.shape, program.buffers[step.output].shape)
    buffers = (names.buffer(a.name), names.buffer(b.name), names.buffer(step.output), shape)
    in_place = may_share_first(step, program)
    arithmetic = step.arithmetic
    if arithmetic is None:
        clip = (float_literal(step.post[0]), float_literal(step.post[1]))
        text = call("edgebn_binary_f32", *buffers, "edgebn_product_f32", *clip)
        return StepCode(text, (), ("edgebn_elementwise_f32.h",), in_place=in_place)
    kind, header = ("s16", "binary") if program.buffers[step.output].dtype == "int16" else ("s8", "multiply")
    text = call(f"edgebn_multiply_{kind}", *buffers, rescaling(a, b, arithmetic))
    return StepCode(text, (), (f"edgebn_{header}_{kind}.h",), in_place=in_place)


def rescaling(a: Buffer, b: Buffer, arithmetic: IntMultiply) -> str:
    """Return `edgebn_multiply`: how products of codes of two buffers become codes of the output."""
    return struct(
        "edgebn_multiply", zero0=a.zero_point, zero1=b.zero_point, m=f"INT64_C({arithmetic.m})", r=f"INT64_C({arithmetic.r})",
        s=arithmetic.s, neg=arithmetic.neg, zero_point=arithmetic.zero_point, low=arithmetic.qmin, high=arithmetic.qmax,
    )  # fmt: skip
