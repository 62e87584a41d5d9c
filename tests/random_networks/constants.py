"""The ways in which files hold constants: as initializers, as Constant nodes, computed by nodes that no input reaches, as int8.

One table, operator to function; each makes the array (or one near it) by that operator, as exporters do, and returns its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tests.random_networks.drawing import Drawing

Way = Callable[["Drawing", np.ndarray], str]


def _identity(net: Drawing, array: np.ndarray) -> str:
    return net.static_node("Identity", net.initializer(array))


def _transpose(net: Drawing, array: np.ndarray) -> str:
    order = net.rng.permutation(array.ndim)
    return net.static_node(
        "Transpose", net.initializer(np.ascontiguousarray(array.transpose(order))), perm=np.argsort(order).tolist()
    )


def _reshape(net: Drawing, array: np.ndarray) -> str:
    return net.static_node("Reshape", net.initializer(array.reshape(-1)), net.initializer(np.array(array.shape, np.int64)))


def _flatten(net: Drawing, array: np.ndarray) -> str:
    net.need(array.ndim == 2 and array.shape[1] % 2 == 0)
    return net.static_node("Flatten", net.initializer(array.reshape(array.shape[0], -1, 2)), axis=1)


def _squeeze(net: Drawing, array: np.ndarray) -> str:
    return _axes(net, "Squeeze", net.initializer(array[np.newaxis]), [0])


def _unsqueeze(net: Drawing, array: np.ndarray) -> str:
    places = [axis for axis, length in enumerate(array.shape) if length == 1]
    net.need(places)
    return _axes(net, "Unsqueeze", net.initializer(array.squeeze(places[0])), [places[0]])


def _axes(net: Drawing, op: str, name: str, axes: list[int]) -> str:
    if net.opset >= 13:
        return net.static_node(op, name, net.initializer(np.array(axes, np.int64)))
    return net.static_node(op, name, axes=axes)


def _binary(op: str, number: float, inverse: Callable[[np.ndarray], np.ndarray], *, turned: bool = False) -> Way:
    """Return the way that computes the array from `inverse` of it and a number; `turned` puts the number first."""

    def make(net: Drawing, array: np.ndarray) -> str:
        names = [net.initializer(np.asarray(part, np.float32)) for part in (inverse(array), number)]
        return net.static_node(op, *(names[::-1] if turned else names))

    return make


def _negative(net: Drawing, array: np.ndarray) -> str:
    return net.static_node("Neg", net.initializer(-array))


def _positive(op: str, inverse: Callable[[np.ndarray], np.ndarray]) -> Way:
    """Return the way for arrays that are nowhere negative."""

    def make(net: Drawing, array: np.ndarray) -> str:
        net.need((array >= 0).all())
        return net.static_node(op, net.initializer(inverse(array)))

    return make


def _cast(net: Drawing, array: np.ndarray) -> str:
    return net.static_node("Cast", net.initializer(array.astype(np.float64)), to=1)


def _concat(net: Drawing, array: np.ndarray) -> str:
    axis = _longer(net, array)
    cut = net.size(1, array.shape[axis] - 1)
    parts = np.split(array, [cut], axis)
    return net.static_node("Concat", *(net.initializer(np.ascontiguousarray(part)) for part in parts), axis=axis)


def _slice(net: Drawing, array: np.ndarray) -> str:
    axis = _longer(net, array)
    longer = net.initializer(np.concatenate([array, array], axis))
    if net.opset < 10:
        return net.static_node("Slice", longer, starts=[0], ends=[array.shape[axis]], axes=[axis])
    return net.static_node(
        "Slice", longer, *(net.initializer(np.array([number], np.int64)) for number in (0, array.shape[axis], axis))
    )


def _gather(net: Drawing, array: np.ndarray) -> str:
    axis = _longer(net, array)
    order = net.rng.permutation(array.shape[axis])
    return net.static_node("Gather", net.initializer(np.take(array, order, axis)), net.initializer(np.argsort(order)), axis=axis)


def _longer(net: Drawing, array: np.ndarray) -> int:
    axes = [axis for axis, length in enumerate(array.shape) if length > 1]
    net.need(axes)
    return net.pick(axes)


def _expand(net: Drawing, array: np.ndarray) -> str:
    axis = _longer(net, array)
    shape = net.initializer(np.array(array.shape, np.int64))
    return net.static_node("Expand", net.initializer(np.take(array, [0], axis)), shape)


def _of_shape(net: Drawing, array: np.ndarray) -> str:
    from onnx import numpy_helper

    net.need(array.ndim)
    value = numpy_helper.from_array(array.reshape(-1)[:1])
    return net.static_node("ConstantOfShape", net.initializer(np.array(array.shape, np.int64)), value=value)


def _where(net: Drawing, array: np.ndarray) -> str:
    net.need(net.opset >= 11)  # Equal of real numbers
    filled = np.where(array == array.reshape(-1)[0], np.float32(0), array)
    same = net.static_node("Equal", net.initializer(filled), net.initializer(np.float32(0)))
    return net.static_node("Where", same, net.initializer(array), net.initializer(filled))


def _range(net: Drawing, array: np.ndarray) -> str:
    net.need(array.ndim == 1 and net.opset >= 11)
    numbers = (0, len(array), 1)
    places = net.static_node("Range", *(net.initializer(np.int64(number)) for number in numbers))
    return net.static_node("Gather", net.initializer(array), places)


def _product(net: Drawing, array: np.ndarray) -> str:
    net.need(1 <= array.ndim <= 3)
    pair = np.stack([array, np.ones_like(array)])
    return (
        net.static_node("ReduceProd", net.initializer(pair), axes=[0], keepdims=0)
        if net.opset < 18
        else net.static_node("ReduceProd", net.initializer(pair), net.initializer(np.array([0], np.int64)), keepdims=0)
    )


def _dequantized(net: Drawing, array: np.ndarray) -> str:
    net.need(net.opset >= 10 and array.ndim)
    along = net.opset >= 13 and net.chance(0.5)
    unsigned = net.chance(0.3)
    peak = np.abs(array).max(axis=tuple(range(1, array.ndim)) if along else None, keepdims=True)
    scale = np.maximum(peak, 0.1).astype(np.float32) / np.float32(127)
    codes = np.clip(np.rint(array / scale), -127, 127) + (128 if unsigned else 0)
    kind = np.uint8 if unsigned else np.int8
    scale = scale.reshape(-1) if along else scale.reshape(())
    zero_point = np.full(scale.shape, 128 if unsigned else 0, kind)
    names = [net.initializer(part) for part in (codes.astype(kind), scale, zero_point)]
    return net.static_node("DequantizeLinear", *names, **({"axis": 0} if along else {}))


WAYS: dict[str, Way] = {
    "Abs": _positive("Abs", np.negative),
    "Add": _binary("Add", 0.5, lambda array: array - np.float32(0.5)),
    "Cast": _cast,
    "Ceil": lambda net, array: net.static_node("Ceil", net.initializer(array * np.float32(4))),
    "Concat": _concat,
    "ConstantOfShape": _of_shape,
    "DequantizeLinear": _dequantized,
    "Div": _binary("Div", 4.0, lambda array: array * np.float32(4)),
    "Equal": _where,
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": lambda net, array: net.static_node("Floor", net.initializer(array * np.float32(4))),
    "Gather": _gather,
    "Identity": _identity,
    "Max": _binary("Max", -9.0, np.asarray, turned=True),
    "Min": _binary("Min", 9.0, np.asarray),
    "Mul": _binary("Mul", 2.0, lambda array: array / np.float32(2), turned=True),
    "Neg": _negative,
    "Range": _range,
    "ReduceProd": _product,
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": _positive("Sqrt", np.square),
    "Squeeze": _squeeze,
    "Sub": _binary("Sub", 0.5, lambda array: array + np.float32(0.5)),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
