"""Concatenation along one axis, int8 codes through a table where the scales differ."""

from __future__ import annotations

from codegen.emitters.boxes import at, box
from codegen.emitters.text import call
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Concat, Program


def emit(step: Concat, program: Program, names: Names) -> StepCode:
    """Return one call of edgebn_copy_box or edgebn_translate_box_s8 an input."""
    target = program.buffers[step.output]
    start = [0, 0, 0]
    calls, arrays = [], []
    for i, (name, table) in enumerate(zip(step.inputs, step.tables or (None,) * len(step.inputs), strict=True)):
        source = program.buffers[name]
        to = at(names.buffer(target.name), target.shape, (start[0], start[1], start[2]))
        start[step.axis] += source.shape[step.axis]
        arguments = (names.buffer(name), to, box(source.shape, source, target))
        if table is None:
            calls.append(call("edgebn_copy_box", *arguments))
            continue
        array = CArray(names.array(f"{i}table"), "int8_t", table, f"(256): input {i}'s code + 128 to the output's code")
        arrays.append(array)
        calls.append(call("edgebn_translate_box_s8", *arguments, array.name))
    return StepCode("\n".join(calls), tuple(arrays), ("edgebn_move.h",))
