"""A batch norm of its own: codes and float32."""

from __future__ import annotations

import numpy as np

from codegen.emitters.adapting import does_adapt
from codegen.emitters.epilogue_f32 import epilogue_f32
from codegen.emitters.epilogue_s16 import epilogue_s16, reach
from codegen.emitters.text import call, epilogue_s8
from codegen.pack import accumulator_bound, pack_epilogue
from codegen.stepcode import Names, StepCode
from edgebn.program import Affine, IntEpilogue, Program


def emit(step: Affine, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_affine_s8 or edgebn_affine_f32."""
    height, width, channels = program.buffers[step.inputs[0]].shape
    buffers = (names.buffer(step.inputs[0]), names.buffer(step.output), height * width, channels)
    if isinstance(step.epilogue, IntEpilogue) and program.buffers[step.output].dtype == "int16":
        literal, arrays = epilogue_s16(step.epilogue, reach(step.epilogue, np.ones(channels, np.int64)), names)
        return StepCode(call("edgebn_affine_s16", *buffers, literal), arrays, ("edgebn_affine_s16.h",), in_place=True)
    if isinstance(step.epilogue, IntEpilogue):
        adapts = does_adapt(step, program)
        packed = pack_epilogue(step.epilogue, accumulator_bound(step.epilogue, 128), adapts=adapts)
        literal, arrays = epilogue_s8(packed, names)
        text = call("edgebn_affine_s8", *buffers, literal)
        if adapts:
            text = f"{call('edgebn_affine_observe_s8', buffers[0], height, width, channels, literal)}\n{text}"
        return StepCode(text, arrays, ("edgebn_affine_s8.h",), in_place=True)
    literal, table = epilogue_f32(step.epilogue, names)
    return StepCode(call("edgebn_affine_f32", *buffers, literal), (table,), ("edgebn_elementwise_f32.h",), in_place=True)
