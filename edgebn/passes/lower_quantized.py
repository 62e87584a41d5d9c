"""A graph whose values are int8 codes to an int8 Program: buffers, the float32 edges, and one function a layer kind.

The graph is channels-last and canonical. `Graph.integer_rounding` decides the arithmetic: 'double' gives the bits of TensorFlow
Lite Micro, 'single' rounds once (models from onnxruntime). The functions are in `quantized_weighted.py`,
`quantized_norm.py`, `quantized_arithmetic.py`, `quantized_pools.py` and `quantized_movement.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebn.errors import QuantizationError, UnsupportedLayerError
from edgebn.graph import Graph
from edgebn.layers import Constant, Layer
from edgebn.passes import quantized_arithmetic, quantized_movement, quantized_norm, quantized_pools, quantized_weighted
from edgebn.passes.quantized_state import Lowering
from edgebn.program import Program

LOWERINGS: dict[str, Callable[[Lowering, Layer], None]] = {
    "Convolution": quantized_weighted.weighted,
    "Dense": quantized_weighted.weighted,
    "TransposedConvolution": quantized_weighted.weighted,
    "Add": quantized_arithmetic.add,
    "Multiply": quantized_arithmetic.multiply,
    "Activation": quantized_arithmetic.activation,
    "Quantize": quantized_arithmetic.requantize,
    "Softmax": quantized_arithmetic.softmax,
    "BatchNorm": quantized_norm.norm,
    "Pool": quantized_pools.pool,
    "Reduce": quantized_pools.reduce,
    "Concat": quantized_movement.concat,
    "Pad": quantized_movement.pad,
    "Crop": quantized_movement.crop,
    "Resize": quantized_movement.resize,
    "Transpose": quantized_movement.transpose,
    "Reshape": quantized_movement.reshape,
    "Identity": quantized_movement.reshape,
}


def lower_quantized(graph: Graph) -> Program:
    """Return the int8 Program of a quantised graph.

    Parameters
    ----------
    graph : Graph
        Channels-last; every value int8 codes, but for float32 inputs that only Quantize layers read and float32 outputs that
        Dequantize layers make: these two are absorbed (a session converts real numbers itself, ties to even, where
        TensorFlow Lite's QUANTIZE takes exact ties away from zero; a session fed with codes is untouched by that).

    Returns
    -------
    Program
        dtype 'int8'; its records speak of the graph's own layers, without multiply-accumulates.

    Raises
    ------
    UnsupportedLayerError
        A layer between int8 layers runs in float32, or has no int8 form; the message names it and the remedy.
    QuantizationError
        A sum could overflow.
    """
    state = Lowering.begin(graph)
    for layer in graph.layers:
        if layer.output in state.done:
            continue
        if isinstance(layer, Constant):
            state.constant(layer)
            continue
        _refuse_float(state, layer)
        try:
            LOWERINGS[layer.kind](state, layer)
        except (QuantizationError, UnsupportedLayerError) as error:
            message, where = str(error), state.where(layer)
            raise type(error)(message if message.startswith(where) else f"{where}: {message}") from None
    return state.finish()


def _refuse_float(state: Lowering, layer: Layer) -> None:
    """Refuse a layer that works on real numbers amid an int8 network, or has no int8 form."""
    for name in (*layer.inputs, layer.output):
        if state.is_codes(name):
            continue
        raise UnsupportedLayerError(
            f"{state.where(layer)}: it works on float32 values ('{name}') inside an int8 network; quantise this layer too when the "
            "model is converted, or load the float32 model and let edgebn quantise it"
        )
    if layer.kind not in LOWERINGS:
        raise UnsupportedLayerError(
            f"{state.where(layer)}: edgebn has no int8 form of this layer; load the float32 model and let edgebn quantise it"
        )
