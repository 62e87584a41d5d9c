"""The part of a value that begins at some element."""

from __future__ import annotations

from codegen.emitters.boxes import at, box
from codegen.emitters.text import call
from codegen.stepcode import Names, StepCode
from edgebn.program import Crop, Program


def emit(step: Crop, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_copy_box."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    origin = at(names.buffer(source.name), source.shape, step.starts)
    text = call("edgebn_copy_box", origin, names.buffer(target.name), box(target.shape, source, target))
    return StepCode(text, (), ("edgebn_move.h",))
