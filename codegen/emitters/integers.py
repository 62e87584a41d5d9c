"""Steps that make or read int32: casts, comparisons, whole-number arithmetic, where an extreme stands, choices, indexing."""

from __future__ import annotations

import math

from codegen.emitters.broadcasting import broadcast, may_share_first, strides
from codegen.emitters.text import call, struct
from codegen.stepcode import Names, StepCode
from codegen.values import count
from edgebn.program import ELEMENT_BYTES, ArgExtreme, Cast, GatherND, IntegerBinary, Program, Select

HEADERS = ("edgebn_integers.h",)
_SUFFIX = {"float32": "f32", "int32": "s32", "int8": "s8"}


def emit_cast(step: Cast, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_cast_s32 or edgebn_cast_f32, which both may write over their input."""
    output = program.buffers[step.output]
    ends = names.buffer(step.inputs[0]), names.buffer(step.output)
    return StepCode(call(f"edgebn_cast_{_SUFFIX[output.dtype]}", *ends, count(output)), (), HEADERS)


def emit_binary(step: IntegerBinary, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_compare_f32 or edgebn_binary_s32."""
    a, b = (program.buffers[name] for name in step.inputs)
    shape = broadcast(a.shape, b.shape, program.buffers[step.output].shape)
    buffers = (names.buffer(a.name), names.buffer(b.name), names.buffer(step.output), shape)
    if a.dtype == "float32":
        return StepCode(call("edgebn_compare_f32", *buffers, f"edgebn_{step.function}_f32"), (), HEADERS)
    text = call("edgebn_binary_s32", *buffers, f"edgebn_whole_{step.function}")
    return StepCode(text, (), HEADERS, in_place=may_share_first(step, program))


def emit_arg_extreme(step: ArgExtreme, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_arg_extreme_s8, _s32 or _f32."""
    source = program.buffers[step.inputs[0]]
    sizes = math.prod(source.shape[: step.axis]), source.shape[step.axis], math.prod(source.shape[step.axis + 1 :]), step.count or 1
    ends = names.buffer(source.name), names.buffer(step.output)
    kernel = f"edgebn_arg_extreme_{_SUFFIX[source.dtype]}"
    return StepCode(call(kernel, *ends, *sizes, int(step.function == "min"), int(step.last)), (), HEADERS)


def emit_select(step: Select, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_select."""
    condition, a, b = (program.buffers[name] for name in step.inputs)
    output = program.buffers[step.output]
    (a_y, a_x, a_c), (b_y, b_x, b_c) = strides(a.shape), strides(b.shape)
    height, width, channels = output.shape
    shape = struct(
        "edgebn_broadcast", height=height, width=width, channels=channels, a_y=a_y, a_x=a_x, a_c=a_c, b_y=b_y, b_x=b_x, b_c=b_c
    )
    buffers = (names.buffer(name) for name in (*step.inputs, step.output))
    return StepCode(call("edgebn_select", *buffers, shape, *strides(condition.shape), ELEMENT_BYTES[output.dtype]), (), HEADERS)


def emit_gather_nd(step: GatherND, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_gather_nd."""
    values, indices = (program.buffers[name] for name in step.inputs)
    output = program.buffers[step.output]
    element = ELEMENT_BYTES[values.dtype]
    sizes = {f"size{place}": 0 for place in range(3)} | {f"step{place}": 0 for place in range(3)}
    for place in range(indices.shape[2] - step.first):
        axis = step.axis + place
        sizes |= {f"size{place}": values.shape[axis], f"step{place}": math.prod(values.shape[axis + 1 :]) * element}
    parts = struct("edgebn_parts", count=output.shape[1], pitch=indices.shape[2], part=output.shape[2] * element, **sizes)
    first = names.buffer(indices.name) + (f" + {step.first}" if step.first else "")
    return StepCode(call("edgebn_gather_nd", names.buffer(values.name), first, names.buffer(output.name), parts), (), HEADERS)
