"""float32 elementwise functions."""

from __future__ import annotations

from codegen.emitters.broadcasting import broadcast
from codegen.emitters.text import call, float_literal, struct
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Elementwise, Program


def emit(step: Elementwise, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_elementwise_f32, or of edgebn_binary_f32 for a PReLU, whose slope is a second operand."""
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    buffers = (names.buffer(source.name), names.buffer(target.name))
    headers = ("edgebn_elementwise_f32.h",)
    if step.function == "prelu":
        assert step.slope is not None
        shape = tuple(step.slope.shape)
        slope = CArray(names.array("slope"), "float", step.slope, f"{shape}: slope below zero")
        meets = broadcast(source.shape, shape, target.shape)
        limits = ("-EDGEBN_INFINITY", "EDGEBN_INFINITY")
        text = call("edgebn_binary_f32", buffers[0], slope.name, buffers[1], meets, "edgebn_prelu_f32", *limits)
        return StepCode(text, (slope,), headers, in_place=True)
    height, width, channels = target.shape
    numbers = {name: float_literal(getattr(step, name)) for name in ("low", "high", "alpha", "beta")}
    text = call(
        "edgebn_elementwise_f32",
        *buffers,
        height * width * channels,
        f"edgebn_apply_{step.function}_f32",
        struct("edgebn_function_f32", **numbers),
    )
    return StepCode(text, (), headers, in_place=True)
