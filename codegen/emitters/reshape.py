"""The same elements under another shape: nothing to do where the memory is shared, else one copy."""

from __future__ import annotations

from codegen.emitters.boxes import ELEMENT_BYTES
from codegen.emitters.text import call
from codegen.stepcode import Names, StepCode
from edgebn.program import Program, Reshape


def emit(step: Reshape, program: Program, names: Names) -> StepCode:
    """Return a memmove, which does nothing when source and target are the same memory."""
    height, width, channels = program.buffers[step.output].shape
    nbytes = height * width * channels * ELEMENT_BYTES[program.dtype]
    source, target = names.buffer(step.inputs[0]), names.buffer(step.output)
    return StepCode("" if source == target else call("memmove", target, source, nbytes), (), ("edgebn_move.h",), in_place=True)
