"""Any operator on constants, computed by the reference implementation that the package `onnx` brings: positions, tables, masks.

`static.py` has what exporters write into nearly every file; this is for the rest of ONNX. Sizes are inferred before anything of
that size is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Static, check_elements

MAX_ELEMENTS = 1 << 22  # of an input or an output: the reference implementation is written to be read, not to be fast
MAX_PRODUCTS = 1 << 32  # of the elements of an output by those of an input, beyond which a damaged file would never end

# What gives other numbers whenever it is asked.
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Dropout")
# Each element of their outputs takes many of their inputs.
PRODUCTS = ("Conv", "ConvInteger", "ConvTranspose", "Einsum", "Gemm", "MatMul", "MatMulInteger", "QLinearConv", "QLinearMatMul")
# Their outputs have sizes that depend on their numbers, and at most an entry for each of these.
BY_NUMBERS = ("NonZero", "Compress")


def evaluate(node: Node) -> tuple[Static, ...]:
    """Compute a node of the standard operator set all of whose inputs are constants.

    Raises
    ------
    UnsupportedLayerError
        When its numbers are random, or it is too large to be computed while reading.
    ModelError
        When its inputs contradict each other.
    """
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    arrays = [None if value is None else value.array for value in node.inputs if value is None or isinstance(value, Static)]
    if node.op in RANDOM or not arrays:
        raise node.refuse("all its inputs are constants, and edgebn does not compute it while reading; simplify the model first")
    if any(array is not None and (array.dtype.hasobject or array.size > MAX_ELEMENTS) for array in arrays):
        raise node.refuse(f"it works on constants of more than {MAX_ELEMENTS} numbers; simplify the model first")
    names = ["" if array is None else f"input{place}" for place, array in enumerate(arrays)]
    outputs = [f"output{place}" if name else "" for place, name in enumerate(node.outputs)]
    constants = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    attributes = {name: _attribute(value) for name, value in node.attributes.items() if value is not None}
    proto = helper.make_node(node.op, names, outputs, **attributes)
    _check_sizes(node, proto, constants, [name for name in outputs if name])
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(_model(node, proto, constants, stored=False)).run(None, constants)
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise node.refuse(f"ONNX's reference cannot compute it of its constants ({str(error)[:120]}); simplify it first") from None
    found = dict(zip([name for name in outputs if name], results, strict=True))
    if not all(isinstance(array, np.ndarray | np.generic) for array in found.values()):
        raise node.refuse("it makes something else than arrays of its constants")
    return tuple(Static(np.asarray(found[name])) if name else Static(np.zeros(0, np.float32)) for name in outputs)


def _attribute(value: Any) -> Any:
    """Return an attribute as onnx.helper takes it."""
    from onnx import numpy_helper

    return numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _model(node: Node, proto: Any, constants: dict[str, np.ndarray], *, stored: bool) -> Any:
    """Return a model of one node whose inputs are the graph's, or constants that are `stored` in it."""
    from onnx import helper, numpy_helper

    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    inputs = [helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in tensors]
    outputs = [helper.make_empty_tensor_value_info(name) for name in proto.output if name]
    graph = helper.make_graph([proto], "constant", [] if stored else inputs, outputs, tensors if stored else [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)])


def _check_sizes(node: Node, proto: Any, constants: dict[str, np.ndarray], outputs: list[str]) -> None:
    from onnx import shape_inference

    if node.op in BY_NUMBERS:
        return
    try:
        graph = shape_inference.infer_shapes(_model(node, proto, constants, stored=True), strict_mode=True).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise node.damaged(f"its constants do not fit together ({reason[:160]})") from None
    summed = max((array.size for array in constants.values()), default=0)  # in one number of the output, at most
    if node.op in ("MatMul", "Gemm"):
        summed = (1, *next(iter(constants.values())).shape)[-2 if node.op == "Gemm" and node.integer("transA", 0) else -1]
    if node.op == "Conv":
        summed = int(np.prod(list(constants.values())[1].shape[1:], dtype=np.int64))
    known = {entry.name: entry.type.tensor_type for entry in (*graph.output, *graph.value_info)}
    for name in outputs:
        kind = known.get(name)
        if kind is None or not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in kind.shape.dim):
            raise node.refuse("the size of what it makes of its constants is not to be seen beforehand; simplify the model first")
        shape = tuple(int(dim.dim_value) for dim in kind.shape.dim)
        try:
            check_elements(shape, f"the result of '{node.name}'")
        except ModelError as error:
            raise node.damaged(str(error)) from None
        elements = int(np.prod(shape, dtype=np.int64))
        if elements > MAX_ELEMENTS or (node.op in PRODUCTS and elements * summed > MAX_PRODUCTS):
            raise node.refuse(
                f"it makes a constant of shape {shape}, which is too large to compute while reading; simplify it first"
            )
