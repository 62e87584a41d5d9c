"""A graph with values that are int8 codes to a Program: buffers, the float32 edges, and one function a layer kind.

Layers between float32 values go to the functions of `float_steps.py`; a Quantize or Dequantize between the two becomes a step.
The graph is channels-last and canonical. `Graph.integer_rounding` decides the arithmetic: 'double' gives the bits of TensorFlow
Lite Micro, 'single' rounds once (models from onnxruntime). The functions are in `quantized_weighted.py`,
`quantized_norm.py`, `quantized_arithmetic.py`, `quantized_pools.py` and `quantized_movement.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebn.errors import QuantizationError, UnsupportedLayerError
from edgebn.graph import Graph
from edgebn.layers import Constant, Dequantize, Layer, Quantize
from edgebn.passes.lowering import (
    matrix_products,
    quantized_arithmetic,
    quantized_movement,
    quantized_norm,
    quantized_pools,
    quantized_weighted,
)
from edgebn.passes.lowering.float_part import FloatPart
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import Program

LOWERINGS: dict[str, Callable[[Lowering, Layer], None]] = {
    "Convolution": quantized_weighted.weighted,
    "Dense": quantized_weighted.weighted,
    "TransposedConvolution": quantized_weighted.weighted,
    "Add": quantized_arithmetic.add,
    "Multiply": quantized_arithmetic.multiply,
    "MatMul": matrix_products.code_product,
    "Binary": quantized_arithmetic.binary,
    "Activation": quantized_arithmetic.activation,
    "Quantize": quantized_arithmetic.requantize,
    "Softmax": quantized_arithmetic.softmax,
    "BatchNorm": quantized_norm.norm,
    "Normalization": quantized_norm.unit_norm,
    "Pool": quantized_pools.pool,
    "Reduce": quantized_pools.reduce,
    "Concat": quantized_movement.concat,
    "Pad": quantized_movement.pad,
    "Crop": quantized_movement.crop,
    "Gather": quantized_movement.gather,
    "Resize": quantized_movement.resize,
    "Transpose": quantized_movement.transpose,
    "Reshape": quantized_movement.reshape,
    "Identity": quantized_movement.reshape,
}

# Layers that move or compare values of any type alike, whose functions of `float_steps.py` serve codes too.
OF_ANY_TYPE = ("ArgExtreme", "GatherND", "Select")


def lower_quantized(graph: Graph) -> Program:
    """Return the Program of a quantised graph, or of one that is quantised in part.

    Parameters
    ----------
    graph : Graph
        Channels-last. float32 inputs that only Quantize layers of one quantisation read and float32 outputs that Dequantize layers
        make are absorbed (a session converts real numbers itself, ties to even, where TensorFlow Lite's QUANTIZE takes exact ties
        away from zero; a session fed with codes is untouched by that).

    Returns
    -------
    Program
        Its records speak of the graph's own layers, without multiply-accumulates.

    Raises
    ------
    UnsupportedLayerError
        A layer joins codes and real numbers, or has no int8 form; the message names it and the remedy.
    QuantizationError
        A sum could overflow.
    """
    state = Lowering.begin(graph)
    floats = FloatPart(state)
    for layer in graph.layers:
        if layer.output in state.done:
            continue
        codes = [state.is_codes(name) for name in (*layer.inputs, layer.output)]
        if not any(codes) or layer.kind in OF_ANY_TYPE:
            floats.lower(layer)
        elif isinstance(layer, Constant):
            state.constant(layer)
        elif isinstance(layer, Dequantize) and codes == [True, False]:
            floats.dequantize(layer)
        elif isinstance(layer, Quantize) and codes == [False, True]:
            floats.quantize(layer)
        else:
            _lower_integer(state, layer)
    return state.finish()


def _lower_integer(state: Lowering, layer: Layer) -> None:
    try:
        _refuse_float(state, layer)
        LOWERINGS[layer.kind](state, layer)
    except (QuantizationError, UnsupportedLayerError) as error:
        message, where = str(error), state.where(layer)
        named = type(error)(message if message.startswith(where) else f"{where}: {message}")
        named.layer = layer.name
        raise named from None


def _refuse_float(state: Lowering, layer: Layer) -> None:
    """Refuse a layer that joins real numbers with codes, or has no int8 form."""
    for name in (*layer.inputs, layer.output):
        if state.is_codes(name):
            continue
        raise UnsupportedLayerError(
            f"{state.where(layer)}: it joins codes with float32 values ('{name}'); quantise this layer too when the model is "
            "converted, or load the float32 model and let edgebn quantise it"
        )
    if layer.kind not in LOWERINGS:
        raise UnsupportedLayerError(
            f"{state.where(layer)}: edgebn has no int8 form of this layer; load the float32 model and let edgebn quantise it"
        )
