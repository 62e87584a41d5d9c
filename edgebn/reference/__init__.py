"""The specification: every step of a program in plain NumPy, one sample at a time, slow and obvious.

Every engine is checked against this, byte for byte in int8 and within a stated tolerance in float32. It knows programs and
nothing of engines, readers or passes. Read it from here: `run` -> `run_steps` -> `STEPS`, one function a step class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adaptation import Observation
from edgebn.errors import ModelError
from edgebn.reference.arithmetic import add, affine, binary, curve, elementwise, lookup, matmul, multiply, rescale
from edgebn.reference.codes import dequantize, dequantize_step, quantize_real, quantize_step
from edgebn.reference.convolution import convolution, transposed_convolution
from edgebn.reference.detections import detection_post_process, non_max_suppression
from edgebn.reference.integers import arg_extreme, cast, gather_nd, integer_binary, select
from edgebn.reference.movement import concat, crop, pad, reshape, resize, transpose
from edgebn.reference.normalization import normalization, unit_norm
from edgebn.reference.pooling import pool
from edgebn.reference.recurrent import recurrence
from edgebn.reference.softmax import softmax
from edgebn.reference.statistics import Sums, observe

__all__ = ["STEPS", "Operands", "Sums", "dequantize", "initial_states", "quantize_real", "run", "run_step", "run_steps"]


@dataclass(frozen=True)
class Operands:
    """What a step's function is given besides the step: its inputs' values and the buffers they and the output live in."""

    values: tuple[np.ndarray, ...]  # each (H, W, C), float32, codes or int32
    inputs: tuple[p.Buffer, ...]
    output: p.Buffer
    watch: Callable[[np.ndarray], None] | None = None  # given the accumulators (rows, columns, channels) that the epilogue receives


# Step class to its specification: (step, operands) -> value of the output buffer, (H, W, C), in its dtype.
STEPS: dict[type[p.Step], Callable[[Any, Any], np.ndarray]] = {
    p.Convolution: convolution,
    p.TransposedConvolution: transposed_convolution,
    p.Affine: affine,
    p.Add: add,
    p.Multiply: multiply,
    p.MatMul: matmul,
    p.Binary: binary,
    p.Pool: pool,
    p.Lookup: lookup,
    p.Rescale: rescale,
    p.Curve: curve,
    p.Elementwise: elementwise,
    p.Softmax: softmax,
    p.Normalization: normalization,
    p.UnitNorm: unit_norm,
    p.Recurrence: recurrence,
    p.DetectionPostProcess: detection_post_process,
    p.NonMaxSuppression: non_max_suppression,
    p.Concat: concat,
    p.Pad: pad,
    p.Crop: crop,
    p.Resize: resize,
    p.Transpose: transpose,
    p.Reshape: reshape,
    p.Quantize: quantize_step,
    p.Dequantize: dequantize_step,
    p.Cast: cast,
    p.IntegerBinary: integer_binary,
    p.ArgExtreme: arg_extreme,
    p.Select: select,
    p.GatherND: gather_nd,
}


def initial_states(program: p.Program) -> dict[str, np.ndarray]:
    """Return what every state begins with, by the buffer that reads it, (H, W, C)."""
    return {state.reads: state.initial for state in program.states}


def run_steps(
    program: p.Program,
    inputs: Mapping[str, np.ndarray],
    sums: dict[str, Sums] | None = None,
    states: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Run one sample and return the value of every buffer.

    Parameters
    ----------
    program : Program
    inputs : mapping of str to ndarray, shape (H, W, C)
        Every input buffer by name, in its dtype: float32, or codes.
    sums : dict of str to Sums, optional
        Filled with what the adapted steps gather, by name.
    states : dict of str to ndarray, shape (H, W, C), optional
        What every state holds, as `initial_states` has it; the run replaces it by what it leaves. Left out, they hold what they
        begin with.

    Returns
    -------
    dict of str to ndarray, shape (H, W, C)
        Every buffer, constants and inputs included, in the buffer's dtype.
    """
    values = dict(program.constants) | (initial_states(program) if states is None else states)
    observations = {layer.observation.step: layer.observation for layer in program.adaptation.layers} if program.adaptation else {}
    for name in program.inputs:
        values[name] = np.asarray(inputs[name], program.buffers[name].dtype).reshape(program.buffers[name].shape)
    for step in program.steps:
        watch = _gatherer(step, observations[step.name], sums) if sums is not None and step.name in observations else None
        output, value = program.buffers[step.output], run_step(program, step, values, watch)
        if value.shape != output.shape or value.dtype != np.dtype(output.dtype):
            raise ModelError(
                f"{program.source}: step '{step.name}' gives {value.dtype} {value.shape}, but its buffer '{output.name}' is "
                f"{output.dtype} {output.shape}; the program is damaged, convert the model again"
            )
        values[step.output] = value
    if states is not None:
        states.update({state.reads: values[state.writes] for state in program.states})
    return values


def run_step(
    program: p.Program, step: p.Step, values: Mapping[str, np.ndarray], watch: Callable[[np.ndarray], None] | None = None
) -> np.ndarray:
    """Return what one step makes of its inputs in `values`; see `Operands` for `watch`."""
    buffers = tuple(program.buffers[name] for name in step.inputs)
    operands = Operands(tuple(values[name] for name in step.inputs), buffers, program.buffers[step.output], watch)
    return STEPS[type(step)](step, operands)


def _gatherer(step: Any, observation: Observation, sums: dict[str, Sums]) -> Callable[[np.ndarray], None]:
    def gather(acc: np.ndarray) -> None:
        sums[step.name] = observe(acc, step, observation)

    return gather


def run(
    program: p.Program, x: np.ndarray | Mapping[str, np.ndarray], states: dict[str, np.ndarray] | None = None
) -> np.ndarray | dict[str, np.ndarray]:
    """Run a batch as `Session.run` does: states go from each sample to the next.

    Parameters
    ----------
    program : Program
    x : ndarray, shape (N, ...), or mapping of str to such
        Real numbers, or codes, each input in its own type, where every input holds such. A mapping by
        input name where there are several inputs.
    states : dict of str to ndarray, optional
        As for `run_steps`; left out, the batch begins with the states' initial values.

    Returns
    -------
    ndarray, shape (N, ...), or dict of str to such
        Codes of the outputs that hold such where every input was given as codes, otherwise real numbers in float32; int32 outputs
        as they are.

    Raises
    ------
    ModelError
        A missing input, or a NaN that should become a code.
    """
    inputs = x if isinstance(x, Mapping) else {program.inputs[0]: x}
    missing = [name for name in program.inputs if name not in inputs]
    if missing:
        raise ModelError(f"{program.source}: no value was given for the input {missing[0]!r}; pass a dict with {program.inputs}")
    arrays = {name: p.signed_codes(program.buffers[name], np.asarray(inputs[name])) for name in program.inputs}
    as_codes = p.takes_codes(program) and all(array.dtype == program.buffers[name].dtype for name, array in arrays.items())
    count = len(arrays[program.inputs[0]])
    results: dict[str, np.ndarray] = {
        name: np.empty((count, *program.shapes[name]), p.result_dtype(program, name, as_codes=as_codes)) for name in program.outputs
    }
    held = initial_states(program) if states is None else states
    for i in range(count):
        sample = {}
        for name, array in arrays.items():
            buffer = program.buffers[name]
            is_real = p.holds_codes(buffer) and array.dtype != buffer.dtype
            sample[name] = quantize_real(array[i], buffer) if is_real else array[i]
        values = run_steps(program, sample, states=held)
        for name in program.outputs:
            buffer = program.buffers[name]
            value = dequantize(values[name], buffer) if p.holds_codes(buffer) and not as_codes else values[name]
            results[name][i] = value.reshape(program.shapes[name])
    return results if len(program.outputs) > 1 else results[program.outputs[0]]
