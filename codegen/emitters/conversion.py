"""float32 to int8 codes and back."""

from __future__ import annotations

from codegen.emitters.text import call, float_literal
from codegen.stepcode import Names, StepCode
from codegen.values import count
from edgebn.program import Buffer, Dequantize, Program, Quantize

HEADERS = ("edgebn_convert.h",)


def emit_quantize(step: Quantize, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_quantize_s8, which may write over its input: codes are smaller."""
    return StepCode(_call("edgebn_quantize_s8", step, program.buffers[step.output], names), (), HEADERS, in_place=True)


def emit_dequantize(step: Dequantize, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_dequantize_f32."""
    return StepCode(_call("edgebn_dequantize_f32", step, program.buffers[step.inputs[0]], names), (), HEADERS)


def _call(kernel: str, step: Quantize | Dequantize, codes: Buffer, names: Names) -> str:
    """Return the call; `codes` is the int8 side, whose scale and zero point count."""
    ends = names.buffer(step.inputs[0]), names.buffer(step.output)
    return call(kernel, *ends, count(codes), float_literal(codes.scale), codes.zero_point)
