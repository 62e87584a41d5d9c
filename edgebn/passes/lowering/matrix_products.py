"""Products of two computed values as matrices: which shapes steps on (H, W, C) express, and the form on codes."""

from __future__ import annotations

from edgebn.errors import QuantizationError
from edgebn.layers import Layer, Shape
from edgebn.layers import MatMul as MatMulLayer
from edgebn.passes.graph.network import refuse
from edgebn.passes.integer.multipliers import double_rounding_multiply, single_rounding_multiply, wide_product
from edgebn.passes.lowering.float_lowering import FloatLowering
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import MATMUL_DEPTH, MatMul, hwc


def _check(source: str, layer: Layer, shapes: list[Shape]) -> None:
    """Refuse stacks of matrices that repeat along some of their axes only: (H, W, C) has one axis for all of them."""
    *inputs, output = (hwc(shape) for shape in shapes)
    if any(shape[0] not in (1, output[0]) for shape in inputs):
        raise refuse(
            source, layer, f"its inputs of shapes {tuple(shapes[:2])} repeat along some of their leading axes; expand them first"
        )


def float_product(lowering: FloatLowering, layer: Layer) -> None:
    """The float32 step."""
    assert isinstance(layer, MatMulLayer)
    _check(lowering.graph.source, layer, [lowering.network.shapes[name] for name in (*layer.inputs, layer.output)])
    lowering.add(MatMul(**lowering.common(layer)), layer)


def code_product(state: Lowering, layer: Layer) -> None:
    """The step on codes."""
    assert isinstance(layer, MatMulLayer)
    _check(state.graph.source, layer, [state.graph.tensors[name].shape for name in (*layer.inputs, layer.output)])
    a, b = (state.buffer(name) for name in layer.inputs)
    value, qmin, qmax = state.with_clips(layer)
    output = state.make(value)
    if output.dtype == "int16" and not state.double:
        raise QuantizationError(
            f"{state.where(layer)}: a product of two values has no int16 form; keep this layer in float32 or int8"
        )
    if a.shape[2] > MATMUL_DEPTH:
        raise QuantizationError(f"{state.where(layer)}: a sum of {a.shape[2]} products of codes can overflow 32 bits")
    codes, scales, where = (output.zero_point, qmin, qmax), (a.scale, b.scale), state.where(layer)
    if output.dtype == "int16":
        arithmetic = wide_product(scales, output.scale, codes, where)
    elif state.double:
        arithmetic = double_rounding_multiply(scales, output.scale, codes, where)
    else:
        arithmetic = single_rounding_multiply(scales, output.scale, codes, where, terms=a.shape[2])
    state.add(layer, MatMul(state.step_name(layer), (a.name, b.name), output.name, arithmetic))
