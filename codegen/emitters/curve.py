"""Functions of int16 codes."""

from __future__ import annotations

from codegen.emitters.text import call
from codegen.stepcode import CArray, Names, StepCode
from codegen.values import count
from edgebn.program import Curve, Program


def emit(step: Curve, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_curve_s16, edgebn_sigmoid_s16, edgebn_tanh_s16 or edgebn_rsqrt_s16."""
    ends = names.buffer(step.inputs[0]), names.buffer(step.output), count(program.buffers[step.output])
    if step.function == "rsqrt":
        text = call("edgebn_rsqrt_s16", *ends, step.multiplier, step.shift)
        return StepCode(text, (), ("edgebn_rsqrt_s16.h",), in_place=True)
    if step.function == "table":
        table = CArray(names.array("table"), "int16_t", step.table, "(513): the function at every 128th code")
        text = call("edgebn_curve_s16", *ends, table.name)
    else:
        table = CArray(names.array("table"), "uint16_t", step.table, "(256): sigmoid(i / 24) in units of 2^-16")
        text = call(f"edgebn_{step.function}_s16", *ends, table.name, step.multiplier, step.shift)
    return StepCode(text, (table,), ("edgebn_curve_s16.h",), in_place=True)
