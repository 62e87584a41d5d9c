"""Constant padding: the output is filled, then the input copied into its middle."""

from __future__ import annotations

import numpy as np

from codegen.emitters.boxes import at, box
from codegen.emitters.text import call
from codegen.stepcode import CArray, Names, StepCode
from codegen.values import ELEMENT
from edgebn.program import ELEMENT_BYTES, Pad, Program


def emit(step: Pad, program: Program, names: Names) -> StepCode:
    """Return the calls of edgebn_fill (where there is padding) and edgebn_copy_box."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    out = names.buffer(target.name)
    (top, _), (left, _), (front, _) = step.pads
    copy = call(
        "edgebn_copy_box", names.buffer(source.name), at(out, target.shape, (top, left, front)), box(source.shape, source, target)
    )
    if source.shape == target.shape:
        return StepCode(copy, (), ("edgebn_move.h",))
    value = CArray(names.array("value"), ELEMENT[target.dtype][0], np.array([step.value], target.dtype), "(1): what padding holds")
    height, width, channels = target.shape
    fill = call("edgebn_fill", out, value.name, ELEMENT_BYTES[target.dtype], height * width * channels)
    return StepCode(f"{fill}\n{copy}", (value,), ("edgebn_move.h",))
