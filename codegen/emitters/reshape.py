"""The same elements under another shape: nothing to do where the memory is shared, else one copy."""

from __future__ import annotations

from codegen.emitters.text import call
from codegen.stepcode import Names, StepCode
from codegen.values import size_of
from edgebn.program import Program, Reshape


def emit(step: Reshape, program: Program, names: Names) -> StepCode:
    """Return a memmove, which does nothing when source and target are the same memory."""
    nbytes = size_of(program.buffers[step.output])
    source, target = names.buffer(step.inputs[0]), names.buffer(step.output)
    return StepCode("" if source == target else call("memmove", target, source, nbytes), (), ("edgebn_move.h",), in_place=True)
