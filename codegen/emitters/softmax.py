"""Softmax over the channels: codes and float32."""

from __future__ import annotations

from codegen.emitters.text import call, float_literal
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Program, Softmax, step_dtype


def emit(step: Softmax, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_softmax_s8 or edgebn_softmax_f32."""
    height, width, channels = program.buffers[step.output].shape
    buffers = (names.buffer(step.inputs[0]), names.buffer(step.output), height * width, channels)
    if step_dtype(step, program) == "float32":
        text = call("edgebn_softmax_f32", *buffers, float_literal(step.beta))
        return StepCode(text, (), ("edgebn_softmax_f32.h",), in_place=True)
    if step.tables is not None:
        tables = CArray(names.array("tables"), "int16_t", step.tables, "(2, 513): exp from -10 to 0, 1 / (1 + x) from 0 to 1")
        text = call("edgebn_softmax_s16", *buffers, tables.name, step.multiplier, step.left_shift)
        return StepCode(text, (tables,), ("edgebn_softmax_s16.h",), in_place=True)
    text = call("edgebn_softmax_s8", *buffers, step.multiplier, step.left_shift, step.diff_min)
    return StepCode(text, (), ("edgebn_softmax_s8.h",), in_place=True)
