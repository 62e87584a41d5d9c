"""float32 norms by the sample's own statistics."""

from __future__ import annotations

from codegen.emitters.text import call, float_literal
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Normalization, Program


def emit(step: Normalization, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_normalize_pixels_f32 or edgebn_normalize_groups_f32."""
    height, width, channels = program.buffers[step.output].shape
    arrays = (
        CArray(names.array("gamma"), "float", step.gamma, f"({channels},): factors"),
        CArray(names.array("beta"), "float", step.beta, f"({channels},): added"),
    )
    kernel = "edgebn_normalize_groups_f32" if step.groups else "edgebn_normalize_pixels_f32"
    arguments = [names.buffer(step.inputs[0]), names.buffer(step.output), height * width, channels]
    arguments += [step.groups] if step.groups else []
    arguments += [*(array.name for array in arrays), float_literal(step.epsilon), int(step.centred)]
    return StepCode(call(kernel, *arguments), arrays, ("edgebn_normalization_f32.h",), in_place=True)
