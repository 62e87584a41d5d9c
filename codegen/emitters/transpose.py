"""Axes in another order."""

from __future__ import annotations

from codegen.emitters.text import call
from codegen.stepcode import Names, StepCode
from edgebn.program import ELEMENT_BYTES, Program, Transpose


def emit(step: Transpose, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_transpose."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    steps = (source.shape[1] * source.shape[2], source.shape[2], 1)
    strides = [steps[axis] for axis in step.permutation]
    arguments = (names.buffer(source.name), names.buffer(target.name), ELEMENT_BYTES[target.dtype], *target.shape, *strides)
    return StepCode(call("edgebn_transpose", *arguments), (), ("edgebn_move.h",))
