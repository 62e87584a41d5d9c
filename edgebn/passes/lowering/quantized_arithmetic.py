"""Add, multiply, elementwise functions and softmax of a quantised graph."""

from __future__ import annotations

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.functions import FUNCTIONS, prelu
from edgebn.layers import Activation, Constant, Layer, Quantization, Quantize, Softmax
from edgebn.layers import Add as AddLayer
from edgebn.layers import Binary as BinaryLayer
from edgebn.layers import Multiply as MultiplyLayer
from edgebn.passes.graph.network import check_broadcast
from edgebn.passes.graph.requantizations import same_codes
from edgebn.passes.integer import tflm_tables
from edgebn.passes.integer.multipliers import (
    binary_arithmetic,
    compared_codes,
    double_rounding_add,
    double_rounding_multiply,
    lookup_table,
    single_rounding_add,
    single_rounding_multiply,
    softmax_parameters,
)
from edgebn.passes.lowering import int16_functions, quantized_prelu
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import SOFTMAX_CODES, Add, Binary, Buffer, Lookup, Multiply, Rescale, hwc
from edgebn.program import Softmax as SoftmaxStep

CODE_TABLES = {"abs": tflm_tables.absolute, "rsqrt": tflm_tables.reciprocal_root, "sqrt": tflm_tables.root}
SOFTMAX_OUTPUT = Quantization.per_tensor(*SOFTMAX_CODES)


def add(state: Lowering, layer: Layer) -> None:
    """Sum of two values, with its clip."""
    assert isinstance(layer, AddLayer)
    a, b = _operands(state, layer)
    value, qmin, qmax = state.with_clips(layer, layer.low, layer.high)
    output = state.make(value)
    scales, ends = (a.scale, b.scale), (output.zero_point, qmin, qmax)
    for one, other in ((a, b), (b, a)):
        number = state.constants.get(other.name)
        if number is not None and number.size == 1 and output.dtype == "int8" and output.shape == one.shape and not state.double:
            table = _shifted_table(one, other, int(number.item()), output, (qmin, qmax))
            state.add(layer, Lookup(state.step_name(layer), (one.name,), output.name, table))
            return
    if state.double:
        arithmetic = double_rounding_add(scales, output.scale, ends, state.where(layer), state.is_wide(value))
    else:
        arithmetic = single_rounding_add(scales, output.scale, ends, state.where(layer))
    state.add(layer, Add(state.step_name(layer), (a.name, b.name), output.name, arithmetic=arithmetic))


def _shifted_table(source: Buffer, constant: Buffer, code: int, output: Buffer, ends: tuple[int, int]) -> np.ndarray:
    """Return the table (1, 256) of a sum with one number, in float32 as onnxruntime computes it.

    Scales may make every sum a tie (1 + erf(x) with scales of 2 / 255), where only the same arithmetic rounds the same way.
    """
    single = np.float32
    real = (np.arange(-128, 128) - source.zero_point).astype(single) * single(source.scale)
    real = real + single(code - constant.zero_point) * single(constant.scale)
    codes = np.rint(real / single(output.scale)) + single(output.zero_point)
    return np.clip(codes, *ends).astype(np.int8)[None]


def multiply(state: Lowering, layer: Layer) -> None:
    """Product of two values, with its clip."""
    assert isinstance(layer, MultiplyLayer)
    a, b = _operands(state, layer)
    value, qmin, qmax = state.with_clips(layer, layer.low, layer.high)
    output = state.make(value)
    arithmetic_of = double_rounding_multiply if state.double else single_rounding_multiply
    scales = (a.scale, b.scale)
    if state.is_unsigned(layer.output):  # LiteRT takes the product of both scales as a float32
        scales = (float(np.float32(a.scale) * np.float32(b.scale)), 1.0)
    arithmetic = arithmetic_of(scales, output.scale, (output.zero_point, qmin, qmax), state.where(layer))
    state.add(layer, Multiply(state.step_name(layer), (a.name, b.name), output.name, arithmetic=arithmetic))


def binary(state: Lowering, layer: Layer) -> None:
    """A function of two values, with its clip: TensorFlow Lite Micro's arithmetic in every file."""
    assert isinstance(layer, BinaryLayer)
    a, b = _operands(state, layer)
    value, qmin, qmax = state.with_clips(layer, layer.low, layer.high)
    codes = [state.quantizations[name] for name in (*layer.inputs, layer.output)]
    if state.double and layer.function in ("maximum", "minimum") and not all(same_codes(codes[0], other) for other in codes[1:]):
        raise UnsupportedLayerError(
            "its inputs and output differ in scale or zero point, which TensorFlow Lite's kernels overlook; convert the model again"
        )
    output = state.make(value)
    ends = (output.zero_point, qmin, qmax)
    wide = state.is_wide(value)
    arithmetic = binary_arithmetic(layer.function, (a.scale, b.scale), output.scale, ends, state.where(layer), wide)
    state.add(layer, Binary(state.step_name(layer), (a.name, b.name), output.name, layer.function, arithmetic=arithmetic))


def _operands(state: Lowering, layer: Layer) -> list[Buffer]:
    """Return the two buffers of a sum or product, which broadcast."""
    buffers = [state.buffer(name) for name in layer.inputs]
    shapes = [state.graph.tensors[name].shape for name in (*layer.inputs, layer.output)]
    check_broadcast(state.graph.source, layer, [buffer.shape for buffer in buffers], shapes)
    return buffers


def activation(state: Lowering, layer: Layer) -> None:
    """An elementwise function as a table."""
    assert isinstance(layer, Activation)
    source = state.buffer(layer.inputs[0])
    if layer.function == "prelu" and len(layer.inputs) == 2 and (state.is_wide(layer.output) or _differs_over_space(layer.slope)):
        quantized_prelu.parted(state, layer)
        return
    if state.is_wide(layer.output):
        int16_functions.activation(state, layer)
        return
    table = _double_table(state, layer) if state.double else _single_table(state, layer)
    output = state.make(layer.output)
    state.add(layer, Lookup(state.step_name(layer), (source.name,), output.name, table))


def _single_table(state: Lowering, layer: Activation) -> np.ndarray:
    source, after = state.buffer(layer.inputs[0]), state.quantizations[layer.output]
    if layer.function == "clip":
        low, high = state.clip_codes(layer.output, layer.low, layer.high)
        return state.requantizing_table(state.quantizations[layer.inputs[0]], after, low, high)
    output = state.scratch(layer.output, source.shape, after)
    del state.buffers[output.name]
    return lookup_table(lambda x: _function(layer, x), source, output)


def _function(layer: Activation, x: np.ndarray) -> np.ndarray:
    """The real function of x, shape (1, 256); PReLU gives one row a channel."""
    if layer.function == "prelu":
        return prelu(x, _channel_slopes(layer.slope)[:, None])
    return FUNCTIONS[layer.function](x, layer)


def _double_table(state: Lowering, layer: Activation) -> np.ndarray:
    before, after = state.quantizations[layer.inputs[0]], state.quantizations[layer.output]
    where = state.where(layer)
    if layer.function == "clip":
        low, high = state.clip_codes(layer.output, layer.low, layer.high)
        return tflm_tables.requantized(before, after, low, high)
    if layer.function == "sigmoid":
        return tflm_tables.sigmoid(before, after, where)
    if layer.function == "tanh":
        return tflm_tables.tanh(before, after, where)
    if layer.function == "leaky_relu":
        return tflm_tables.leaky_relu(before, after, layer.alpha)
    if layer.function == "hard_swish":
        return tflm_tables.hard_swish(before, after, where)
    if layer.function == "prelu" and len(layer.inputs) == 2:
        slope = state.graph.producer(layer.inputs[1])
        assert isinstance(slope, Constant)
        return tflm_tables.prelu(before, after, _channel_slopes(slope.value), state.quantizations[layer.inputs[1]])
    if layer.function in ("exp", "log") or layer.function.startswith("gelu"):
        return tflm_tables.by_formula(lambda x: FUNCTIONS[layer.function](x, layer), before, after)
    if layer.function in CODE_TABLES:
        return CODE_TABLES[layer.function](before, after)
    raise UnsupportedLayerError(f"'{layer.function}' has no int8 form in TensorFlow Lite; load the float32 model")


def _differs_over_space(slope: np.ndarray | None) -> bool:
    """Whether slopes are more than one, or one a channel."""
    return slope is not None and slope.size != (slope.shape[-1] if slope.ndim else 1)


def _channel_slopes(slope: np.ndarray | None) -> np.ndarray:
    """Return PReLU's slopes, one or one a channel; slopes that differ over space have no table."""
    assert slope is not None
    if _differs_over_space(slope):
        raise UnsupportedLayerError(
            f"its slopes of shape {slope.shape} differ over space; share them over height and width (shared_axes) to run in int8"
        )
    return slope.reshape(-1)


def requantize(state: Lowering, layer: Layer) -> None:
    """Codes to codes of another scale."""
    assert isinstance(layer, Quantize)
    if layer.compared:
        source, output = state.buffer(layer.inputs[0]), state.make(layer.output)
        step = Rescale(state.step_name(layer), (source.name,), output.name, *compared_codes(source.scale, state.where(layer)))
        state.add(layer, step)
        return
    if state.same(layer.inputs[0], layer.output):
        state.alias(layer, "vanished: input and output have the same scale")
        return
    source, output = state.buffer(layer.inputs[0]), state.make(layer.output)
    if "int16" in (source.dtype, output.dtype):
        state.rescaled(layer, source, output)
        return
    table = state.requantizing_table(state.quantizations[layer.inputs[0]], state.quantizations[layer.output])
    state.add(layer, Lookup(state.step_name(layer), (source.name,), output.name, table))


def softmax(state: Lowering, layer: Layer) -> None:
    """Softmax over the last axis, TensorFlow Lite Micro's integer algorithm; another output scale takes a table behind it."""
    assert isinstance(layer, Softmax)
    source = state.buffer(layer.inputs[0])
    shape = state.graph.tensors[layer.inputs[0]].shape
    if layer.axis != len(shape) - 1:
        raise UnsupportedLayerError(f"it runs along axis {layer.axis} of {shape}; in int8 edgebn runs along the last axis")
    if state.is_wide(layer.inputs[0]):
        int16_functions.softmax(state, layer)
        return
    multiplier, left_shift, diff_min = softmax_parameters(layer.beta, source.scale, state.where(layer))
    wanted = state.quantizations[layer.output]
    direct = same_codes(wanted, SOFTMAX_OUTPUT)
    output = state.make(layer.output)
    target = output if direct else state.scratch(f"{layer.name}/softmax", hwc(shape), SOFTMAX_OUTPUT)
    state.add(
        layer,
        SoftmaxStep(state.step_name(layer), (source.name,), target.name, layer.beta, multiplier, left_shift, diff_min),
    )
    if not direct:
        table = state.requantizing_table(SOFTMAX_OUTPUT, wanted)
        state.steps.append(Lookup(state.step_name(layer, "requantize"), (target.name,), output.name, table))
