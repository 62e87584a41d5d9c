"""Operators on constants alone, computed while reading: weights that a module reshapes, scales or adds before using them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgebn.formats.torch import shapes
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Static
from edgebn.graph import MAX_TENSOR_ELEMENTS

Fold = Callable[[Node], np.ndarray]


def _reshaped(shape_of: Callable[[Node, tuple[int, ...]], tuple[int, ...]]) -> Fold:
    def fold(node: Node) -> np.ndarray:
        array = node.static("self")
        return array.reshape(shape_of(node, array.shape))

    return fold


def _permuted(node: Node) -> np.ndarray:
    array = node.static("self")
    return array.transpose(shapes.permutation(node, array.ndim))


def _same(node: Node) -> np.ndarray:
    return node.static("self")


def _elementwise(function: Callable[[np.ndarray], np.ndarray]) -> Fold:
    return lambda node: _float32(function(node.static("self")))


def _float32(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float32) if np.asarray(array).dtype.kind == "f" else np.asarray(array)


def _number_or_array(node: Node, argument: str) -> np.ndarray:
    if isinstance(node.arguments.get(argument), Static):
        return node.static(argument)
    number = node.number(argument)
    return np.array(number, np.float32 if isinstance(node.arguments[argument], float) else np.int64)


def _binary(function: Callable[[np.ndarray, np.ndarray], np.ndarray], second: str = "other") -> Fold:
    def fold(node: Node) -> np.ndarray:
        first, other = _number_or_array(node, "self"), _number_or_array(node, second)
        if node.has("alpha"):
            other = other * np.float32(node.number("alpha"))
        np.broadcast_shapes(first.shape, other.shape)
        return _float32(function(first, other))

    return fold


def _reduced(function: Callable[..., np.ndarray]) -> Fold:
    def fold(node: Node) -> np.ndarray:
        array = node.static("self")
        axes = node.integers("dim") or None
        return _float32(function(array, axis=axes, keepdims=node.flag("keepdim", default=False)))

    return fold


def _filled(node: Node) -> np.ndarray:
    size = node.integers("size") or ()
    if min(size, default=1) < 0 or math.prod(size) > MAX_TENSOR_ELEMENTS:
        raise node.damaged(f"it makes a constant of shape {size}")
    number = {"aten.ones": 1.0, "aten.zeros": 0.0}.get(node.op.rpartition(".")[0])
    return np.full(size, node.number("fill_value") if number is None else number, np.float32)


FOLDS: dict[str, Fold] = {
    "_to_copy": _same,
    "_unsafe_view": _reshaped(shapes.view_shape),
    "abs": _elementwise(np.abs),
    "add": _binary(np.add),
    "alias": _same,
    "clone": _same,
    "contiguous": _same,
    "detach": _same,
    "div": _binary(np.true_divide),
    "exp": _elementwise(np.exp),
    "full": _filled,
    "flatten": _reshaped(shapes.flatten_shape),
    "lift_fresh_copy": _same,
    "mean": _reduced(np.mean),
    "mul": _binary(np.multiply),
    "ones": _filled,
    "neg": _elementwise(np.negative),
    "permute": _permuted,
    "pow": _binary(np.power, "exponent"),
    "reciprocal": _elementwise(np.reciprocal),
    "reshape": _reshaped(shapes.view_shape),
    "rsqrt": _elementwise(lambda array: 1 / np.sqrt(array)),
    "sigmoid": _elementwise(lambda array: 1 / (1 + np.exp(-array))),
    "sqrt": _elementwise(np.sqrt),
    "squeeze": _reshaped(shapes.squeeze_shape),
    "sub": _binary(np.subtract),
    "sum": _reduced(np.sum),
    "t": _permuted,
    "tanh": _elementwise(np.tanh),
    "to": _same,
    "transpose": _permuted,
    "unflatten": _reshaped(shapes.unflatten_shape),
    "unsqueeze": _reshaped(shapes.unsqueeze_shape),
    "view": _reshaped(shapes.view_shape),
    "zeros": _filled,
}
