"""Functions of int16 codes: clips, leaky ReLU, sigmoid, tanh and softmax as TensorFlow Lite Micro has them, others as LiteRT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.functions import FUNCTIONS
from edgebn.layers import Activation, Softmax
from edgebn.passes.integer.int16_tables import SIGMOID, SOFTMAX, UNIT, code_table, curve_input, reciprocal_root
from edgebn.passes.integer.multipliers import below_zero, double_rounding_multiply, wide_softmax_parameters
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import CODE_RANGES, Curve, Rescale
from edgebn.program import Softmax as SoftmaxStep

# Functions that are tables: their formula's value, the real number, and the least that the output holds, to what the table holds.
TABLES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "exp": lambda y, _, __: y,
    "gelu": lambda y, _, __: y,
    "gelu_tanh": lambda y, _, __: y,
    "log": lambda y, x, least: np.where(x <= 0, least, y),
}


def activation(state: Lowering, layer: Activation) -> None:
    """An elementwise function of int16 codes."""
    source, output = state.buffer(layer.inputs[0]), state.make(layer.output)
    where = state.where(layer)
    if source.dtype != "int16":
        raise UnsupportedLayerError(f"it makes int16 codes of {source.dtype} codes; edgebn runs it within one type")
    if layer.function == "clip":
        state.rescaled(layer, source, output, state.clip_codes(layer.output, layer.low, layer.high))
    elif layer.function in ("leaky_relu", "abs"):
        alpha = -1.0 if layer.function == "abs" else float(layer.alpha)
        ends = (output.zero_point, *CODE_RANGES["int16"])
        above = double_rounding_multiply((source.scale, 1.0), output.scale, ends, where)
        below = below_zero(alpha, source.scale, output.scale, ends, where)
        state.add(layer, Rescale(state.step_name(layer), (source.name,), output.name, above, below))
    elif layer.function in ("sigmoid", "tanh"):
        if output.scale != UNIT:
            raise UnsupportedLayerError(f"its int16 output has the scale {output.scale:.6g}, where TensorFlow Lite has 1/32768")
        step = Curve(
            state.step_name(layer), (source.name,), output.name, layer.function, SIGMOID, *curve_input(source.scale, where)
        )
        state.add(layer, step)
    elif layer.function == "rsqrt":
        parameters = reciprocal_root(source.scale, output.scale, where)
        step = Curve(state.step_name(layer), (source.name,), output.name, "rsqrt", np.zeros(1, np.int16), *parameters)
        state.add(layer, step)
    elif layer.function in TABLES:
        bounded, least = TABLES[layer.function], CODE_RANGES["int16"][0] * output.scale
        table = code_table(lambda x: bounded(FUNCTIONS[layer.function](x, layer), x, least), source.scale, output.scale)
        state.add(layer, Curve(state.step_name(layer), (source.name,), output.name, "table", table))
    else:
        raise UnsupportedLayerError(f"'{layer.function}' has no int16 form in TensorFlow Lite Micro; load the float32 model")


def softmax(state: Lowering, layer: Softmax) -> None:
    """Softmax over the last axis."""
    source, output = state.buffer(layer.inputs[0]), state.make(layer.output)
    if output.dtype != "int16" or output.scale != UNIT:
        raise UnsupportedLayerError(f"its {output.dtype} output has the scale {output.scale:.6g}, where int16 has 1/32768")
    multiplier, left_shift = wide_softmax_parameters(layer.beta, source.scale, state.where(layer))
    state.add(
        layer, SoftmaxStep(state.step_name(layer), (source.name,), output.name, layer.beta, multiplier, left_shift, tables=SOFTMAX)
    )
