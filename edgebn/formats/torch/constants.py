"""Operators on constants alone, computed while reading: weights that a module scales or adds, positions, masks.

What only moves elements is in `constant_moves.py`, what layers do in `constant_layers.py`. Real numbers are float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.formats.torch import quantized
from edgebn.formats.torch.constant_layers import LAYERS
from edgebn.formats.torch.constant_moves import MOVES, Folded, check_size, converted
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Static

Fold = Callable[[Node], Folded | Static]
ROUNDINGS = {"floor": np.floor, "trunc": np.trunc}


def _elementwise(function: Callable[[np.ndarray], np.ndarray]) -> Fold:
    return lambda node: _float32(function(node.static("self")))


def _float32(array: Any) -> np.ndarray:
    return np.asarray(array, np.float32) if np.asarray(array).dtype.kind == "f" else np.asarray(array)


def _number_or_array(node: Node, argument: str) -> np.ndarray:
    """Return a tensor, or a number as an array without axes."""
    value = node.arguments.get(argument)
    if isinstance(value, Static):
        return node.static(argument)
    if isinstance(value, bool | int):
        return np.array(value)
    return np.array(node.number(argument), np.float32)


def _met(node: Node, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return arrays that broadcast to a size which may be made."""
    check_size(node, np.broadcast_shapes(*(array.shape for array in arrays)))
    return arrays


def _binary(function: Callable[[np.ndarray, np.ndarray], np.ndarray], second: str = "other") -> Fold:
    def fold(node: Node) -> np.ndarray:
        first, other = _number_or_array(node, "self"), _number_or_array(node, second)
        if node.has("alpha"):
            other = other * _number_or_array(node, "alpha")
        return _float32(function(*_met(node, first, other)))

    return fold


def _divided(node: Node) -> np.ndarray:
    """div, which may round its quotients; of whole numbers they stay whole then."""
    first, other = _met(node, _number_or_array(node, "self"), _number_or_array(node, "other"))
    mode = node.text("rounding_mode", "") if node.has("rounding_mode") else ""
    if not mode:
        return _float32(np.true_divide(first, other))
    if mode not in ROUNDINGS or not np.all(other):
        raise node.refuse(f"it rounds quotients by '{mode}' or divides by zero")
    quotients = ROUNDINGS[mode](np.true_divide(first, other))
    whole = all(array.dtype.kind in "iub" for array in (first, other))
    return quotients.astype(np.int64) if whole else _float32(quotients)


def _reduced(function: Callable[..., np.ndarray]) -> Fold:
    def fold(node: Node) -> np.ndarray:
        array = node.static("self")
        axes = node.integers("dim") or None
        return converted(node, _float32(function(array, axis=axes, keepdims=node.flag("keepdim", default=False))))

    return fold


def _norm(node: Node) -> np.ndarray:
    """linalg_vector_norm of order 1, 2 or infinity."""
    array, order = node.static("self"), node.number("ord", 2.0)
    functions: dict[float, Callable[..., np.ndarray]] = {
        1.0: np.sum,
        2.0: lambda x, **axes: np.sqrt(np.sum(np.square(x), **axes)),
        np.inf: np.max,
    }
    if order not in functions:
        raise node.refuse(f"its order is {order}; edgebn reads norms of order 1, 2 and infinity")
    axes = node.integers("dim") or None
    return _float32(functions[order](np.abs(array), axis=axes, keepdims=node.flag("keepdim", default=False)))


def _variance(node: Node) -> np.ndarray:
    """Var and std, of samples unless said."""
    array, axes = node.static("self").astype(np.float64), node.integers("dim") or None
    correction = node.number("correction", 1.0) if not node.has("unbiased") else float(node.flag("unbiased"))
    count = array.size if axes is None else int(np.prod([array.shape[axis] for axis in axes]))
    squares = np.square(array - array.mean(axis=axes, keepdims=True))
    variance = squares.sum(axis=axes, keepdims=True) / max(count - correction, 0)
    if not node.flag("keepdim", default=False):
        variance = np.squeeze(variance, axes)
    return _float32(np.sqrt(variance) if node.op.split(".")[1] == "std" else variance)


def _running(node: Node) -> np.ndarray:
    """Cumsum."""
    array = node.static("self")
    whole = array.astype(np.int64) if array.dtype.kind in "iub" else array.astype(np.float64)
    return converted(node, _float32(np.cumsum(whole, axis=node.integer("dim"))))


def _where(node: Node) -> np.ndarray:
    condition, first, other = _met(node, node.static("condition"), _number_or_array(node, "self"), _number_or_array(node, "other"))
    return _float32(np.where(condition, first, other))


def _masked(node: Node) -> np.ndarray:
    """masked_fill."""
    array, mask = _met(node, node.static("self"), node.static("mask"))
    return np.where(mask, _number_or_array(node, "value"), array).astype(array.dtype)


def _clamped(node: Node) -> np.ndarray:
    array = node.static("self")
    low, high = (_number_or_array(node, name) if node.has(name) else None for name in ("min", "max"))
    array = array if low is None else np.maximum(array, low)
    return _float32(array if high is None else np.minimum(array, high))


def _einsum(node: Node) -> np.ndarray:
    arrays = [value.array for value in node.values("tensors") if isinstance(value, Static)]
    sizes: dict[str, int] = {}
    equation = node.text("equation", "").replace(" ", "")
    for term, array in zip(equation.partition("->")[0].split(","), arrays, strict=True):
        sizes |= dict(zip(term, array.shape, strict=False))
    check_size(node, tuple(sizes.values()))  # of all products
    return _float32(np.einsum(equation, *(array.astype(np.float64) for array in arrays), optimize=True))


def _dropped(node: Node) -> np.ndarray:
    """Dropout at inference does nothing."""
    if node.flag("train", default=False):
        raise node.refuse("it is in training mode; export the module after .eval()")
    return node.static("input")


FOLDS: dict[str, Fold] = {
    **MOVES,
    **LAYERS,
    "__and__": _binary(np.bitwise_and),
    "__or__": _binary(np.bitwise_or),
    "abs": _elementwise(np.abs),
    "add": _binary(np.add),
    "amax": _reduced(np.max),
    "amin": _reduced(np.min),
    "atan": _elementwise(np.arctan),
    "bitwise_and": _binary(np.bitwise_and),
    "bitwise_not": _elementwise(np.invert),
    "bitwise_or": _binary(np.bitwise_or),
    "clamp": _clamped,
    "clamp_min": _clamped,
    "cos": _elementwise(np.cos),
    "cumsum": _running,
    "dequantize_per_channel": quantized.dequantized,
    "dequantize_per_tensor": quantized.dequantized,
    "div": _divided,
    "dropout": _dropped,
    "einsum": _einsum,
    "eq": _binary(np.equal),
    "exp": _elementwise(np.exp),
    "expm1": _elementwise(np.expm1),
    "floor": _elementwise(np.floor),
    "floor_divide": _binary(np.floor_divide),
    "ge": _binary(np.greater_equal),
    "gt": _binary(np.greater),
    "le": _binary(np.less_equal),
    "linalg_vector_norm": _norm,
    "log": _elementwise(np.log),
    "log1p": _elementwise(np.log1p),
    "log2": _elementwise(np.log2),
    "logical_and": _binary(np.logical_and),
    "logical_not": _elementwise(np.logical_not),
    "lt": _binary(np.less),
    "masked_fill": _masked,
    "maximum": _binary(np.maximum),
    "mean": _reduced(np.mean),
    "minimum": _binary(np.minimum),
    "mul": _binary(np.multiply),
    "ne": _binary(np.not_equal),
    "neg": _elementwise(np.negative),
    "pow": _binary(np.power, "exponent"),
    "prod": _reduced(np.prod),
    "quantize_per_channel": quantized.quantized,
    "quantize_per_tensor": quantized.quantized,
    "reciprocal": _elementwise(np.reciprocal),
    "relu": _elementwise(lambda array: np.maximum(array, 0)),
    "remainder": _binary(np.remainder),
    "rsqrt": _elementwise(lambda array: 1 / np.sqrt(array)),
    "rsub": _binary(lambda first, other: other - first),
    "sigmoid": _elementwise(lambda array: 1 / (1 + np.exp(-array))),
    "sin": _elementwise(np.sin),
    "sqrt": _elementwise(np.sqrt),
    "std": _variance,
    "sub": _binary(np.subtract),
    "sum": _reduced(np.sum),
    "tan": _elementwise(np.tan),
    "tanh": _elementwise(np.tanh),
    "var": _variance,
    "where": _where,
}
