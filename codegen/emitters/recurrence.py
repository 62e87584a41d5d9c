"""Recurrent cells in float32."""

from __future__ import annotations

import numpy as np

from codegen.emitters.text import call, float_literal, offset, struct
from codegen.stepcode import CArray, Names, StepCode
from edgebn.functions import CELLS
from edgebn.program import Program, Recurrence

# Functions of states: those of single elements by name, and the bounds of a clip.
FUNCTIONS = {
    "tanh": ("tanh", 0.0, 0.0),
    "sigmoid": ("sigmoid", 0.0, 0.0),
    "relu": ("clip", 0.0, np.inf),
    "identity": ("clip", -np.inf, np.inf),
}


def emit(step: Recurrence, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_recurrence_f32."""
    sequences, moments, width = program.buffers[step.inputs[0]].shape
    units = step.weight.shape[1]
    weight = CArray(names.array("weights"), "float", step.weight, f"{step.weight.shape}: of the state, gate by gate")
    bias = CArray(names.array("bias"), "float", step.bias, f"({units},): added to the candidate's product with the state")
    has_bias = step.cell == "gru" and step.reset_after
    first = dict(zip(("state", "memory"), map(names.buffer, step.inputs[1:]), strict=False))
    function, low, high = FUNCTIONS[step.function]
    slope = struct("edgebn_function_f32", alpha=float_literal(step.slope), beta=float_literal(0.5))
    bounds = struct("edgebn_function_f32", low=float_literal(low), high=float_literal(high))
    settings = struct(
        "edgebn_recurrence",
        weight=weight.name,
        bias=bias.name if has_bias else None,
        **first,
        gate=f"edgebn_apply_{step.gate}_f32",
        function=f"edgebn_apply_{function}_f32",
        gate_settings=slope,
        function_settings=bounds,
        limit=float_literal(step.limit),
        sequences=sequences,
        moments=moments,
        gates=CELLS[step.cell],
        units=units,
        backwards=step.backwards,
        gives_cell=step.gives_cell,
        reset_after=has_bias,
    )
    parts = [names.buffer(step.inputs[0]), names.buffer(step.output), offset(names.scratch, 0, "float")]
    text = call("edgebn_recurrence_f32", *parts, f"edgebn_{step.cell}_moment_f32", f"&{settings}")
    arrays = (weight, bias) if has_bias else (weight,)
    return StepCode(text, arrays, ("edgebn_recurrence_f32.h",), scratch=4 * (width + 2 * units))
