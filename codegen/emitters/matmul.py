"""Product of two values as matrices: codes and float32."""

from __future__ import annotations

from codegen.emitters.multiply import rescaling
from codegen.emitters.text import call, struct
from codegen.stepcode import Names, StepCode
from edgebn.program import MatMul, Program


def emit(step: MatMul, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_matmul_s8, edgebn_matmul_s16 or edgebn_matmul_f32."""
    a, b, target = (program.buffers[name] for name in (*step.inputs, step.output))
    shape = struct(
        "edgebn_matrices", stacks=target.shape[0], rows=target.shape[1], depth=a.shape[2], columns=target.shape[2],
        a_stack=a.shape[1] * a.shape[2] if a.shape[0] > 1 else 0, b_stack=b.shape[1] * b.shape[2] if b.shape[0] > 1 else 0,
    )  # fmt: skip
    buffers = (names.buffer(a.name), names.buffer(b.name), names.buffer(target.name), shape)
    if step.arithmetic is None:
        return StepCode(call("edgebn_matmul_f32", *buffers), (), ("edgebn_matmul_f32.h",))
    kernel = "edgebn_matmul_s16" if target.dtype == "int16" else "edgebn_matmul_s8"
    return StepCode(call(kernel, *buffers, rescaling(a, b, step.arithmetic)), (), (f"{kernel}.h",))
