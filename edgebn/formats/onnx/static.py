"""Operators on constants, computed while reading: shape arithmetic of exporters, weights that are reshaped before use.

One table, operator to function; each function takes the node and its arrays and returns the array. Sizes are checked first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Codes, Static, check_elements
from edgebn.layers import Quantization

Arrays = list[np.ndarray]


def _broadcast(function: Callable[..., np.ndarray]) -> Callable[[Node, Arrays], np.ndarray]:
    def run(node: Node, arrays: Arrays) -> np.ndarray:
        check_elements(np.broadcast_shapes(*(array.shape for array in arrays)), f"the result of '{node.name}'")
        result = arrays[0]
        for array in arrays[1:]:
            result = function(result, array)
        return np.asarray(result)

    return run


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if np.issubdtype(a.dtype, np.integer):  # ONNX divides whole numbers towards zero
        if (b == 0).any():
            raise ModelError("its divisor is zero")
        return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)
    return a / b


def _axes(node: Node, arrays: Arrays, index: int = 1) -> tuple[int, ...] | None:
    attribute = node.integers("axes")
    if attribute is not None:
        return attribute
    return tuple(int(axis) for axis in arrays[index].ravel()) if len(arrays) > index else None


def _constant(node: Node, _: Arrays) -> np.ndarray:
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        value = node.attributes.get(name)
        if value is not None:
            if name == "value":
                return np.asarray(value)
            return np.array(value, np.float32 if "float" in name else np.int64)
    raise node.refuse("it holds no number")


def _cast(node: Node, arrays: Arrays) -> np.ndarray:
    from onnx import helper

    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.integer("to", 1)))
    if dtype.hasobject:
        raise node.refuse("it makes strings")
    return arrays[0].astype(dtype)


def _gather(node: Node, arrays: Arrays) -> np.ndarray:
    data, indices = arrays
    axis = node.integer("axis", 0)
    rest = data.size // max(data.shape[axis], 1)
    check_elements((indices.size, rest), f"the result of '{node.name}'")
    return np.take(data, indices.astype(np.int64), axis=axis)


def _slice(node: Node, arrays: Arrays) -> np.ndarray:
    data = arrays[0]
    if node.opset < 10:
        starts, ends = node.integers("starts") or (), node.integers("ends") or ()
        axes = node.integers("axes") or tuple(range(len(starts)))
        steps: tuple[int, ...] = (1,) * len(starts)
    else:
        lists = [tuple(int(number) for number in array.ravel()) for array in arrays[1:]]
        starts, ends = lists[0], lists[1]
        axes = lists[2] if len(lists) > 2 else tuple(range(len(starts)))
        steps = lists[3] if len(lists) > 3 else (1,) * len(starts)
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        bound = None if step < 0 and end < -data.shape[axis] else end
        index[axis] = slice(start, bound, step)
    return data[tuple(index)]


def _squeeze(node: Node, arrays: Arrays) -> np.ndarray:
    axes = _axes(node, arrays)
    return np.squeeze(arrays[0], axis=axes)


def _unsqueeze(node: Node, arrays: Arrays) -> np.ndarray:
    return np.expand_dims(arrays[0], _axes(node, arrays) or ())


def _reshape(node: Node, arrays: Arrays) -> np.ndarray:
    data, target = arrays
    keep_zero = node.integer("allowzero", 0)
    shape = [data.shape[place] if size == 0 and not keep_zero else int(size) for place, size in enumerate(target.ravel())]
    return data.reshape(shape)


def _flatten(node: Node, arrays: Arrays) -> np.ndarray:
    axis = node.integer("axis", 1)
    leading = int(np.prod(arrays[0].shape[:axis], dtype=np.int64))
    return arrays[0].reshape(leading, -1)


def _constant_of_shape(node: Node, arrays: Arrays) -> np.ndarray:
    shape = tuple(int(size) for size in arrays[0].ravel())
    check_elements(shape, f"the result of '{node.name}'")
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    return np.broadcast_to(value.reshape(-1)[0], shape)  # one number in memory, however large the shape


def _range(node: Node, arrays: Arrays) -> np.ndarray:
    start, limit, delta = (array.reshape(()) for array in arrays)
    if delta == 0 or not np.isfinite([float(start), float(limit), float(delta)]).all():
        raise node.damaged("its step is zero or not a number")
    count = max(int(np.ceil((float(limit) - float(start)) / float(delta))), 0)
    check_elements((count,), f"the result of '{node.name}'")
    return (start + delta * np.arange(count)).astype(start.dtype)


def _expand(node: Node, arrays: Arrays) -> np.ndarray:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(int(size) for size in arrays[1].ravel()))
    check_elements(shape, f"the result of '{node.name}'")
    return np.broadcast_to(arrays[0], shape)


def _concat(node: Node, arrays: Arrays) -> np.ndarray:
    check_elements((sum(array.size for array in arrays),), f"the result of '{node.name}'")
    return np.concatenate(arrays, axis=node.integer("axis", 0))


def _transpose(node: Node, arrays: Arrays) -> np.ndarray:
    return np.transpose(arrays[0], node.integers("perm"))


def _where(node: Node, arrays: Arrays) -> np.ndarray:
    check_elements(np.broadcast_shapes(*(array.shape for array in arrays)), f"the result of '{node.name}'")
    return np.where(arrays[0].astype(bool), arrays[1], arrays[2])


def _product(node: Node, arrays: Arrays) -> np.ndarray:
    axes = _axes(node, arrays)
    product = np.prod(arrays[0], axis=axes, keepdims=True, dtype=arrays[0].dtype)
    return product if node.integer("keepdims", 1) else np.squeeze(product, axes)


def _cumulative_sum(node: Node, arrays: Arrays) -> np.ndarray:
    data, axis = arrays[0], int(arrays[1].reshape(()))
    if not -data.ndim <= axis < data.ndim:
        raise node.damaged(f"its axis {axis} is outside a constant of {data.ndim} axes")
    turned = np.flip(data, axis) if node.integer("reverse", 0) else data
    total = np.cumsum(turned, axis=axis, dtype=data.dtype)
    if node.integer("exclusive", 0):
        total = total - turned
    return np.flip(total, axis) if node.integer("reverse", 0) else total


def _elementwise(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Node, Arrays], np.ndarray]:
    return lambda _, arrays: np.asarray(function(arrays[0]))


STATIC: dict[str, Callable[[Node, Arrays], np.ndarray]] = {
    "Abs": _elementwise(np.abs),
    "Add": _broadcast(np.add),
    "Cast": _cast,
    "Ceil": _elementwise(np.ceil),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Cos": _elementwise(np.cos),
    "CumSum": _cumulative_sum,
    "Div": _broadcast(_divide),
    "Exp": _elementwise(np.exp),
    "Equal": _broadcast(np.equal),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _elementwise(np.floor),
    "Gather": _gather,
    "Identity": _elementwise(lambda array: array),
    "Log": _elementwise(np.log),
    "Max": _broadcast(np.maximum),
    "Min": _broadcast(np.minimum),
    "Mul": _broadcast(np.multiply),
    "Neg": _elementwise(np.negative),
    "Not": _elementwise(np.logical_not),
    "Pow": _broadcast(np.power),
    "Range": _range,
    "Reciprocal": _elementwise(np.reciprocal),
    "ReduceProd": _product,
    "Reshape": _reshape,
    "Sin": _elementwise(np.sin),
    "Slice": _slice,
    "Sqrt": _elementwise(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _broadcast(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}


def fold(node: Node) -> Static:
    """Compute a node of `STATIC` all of whose inputs are constants.

    Raises
    ------
    ModelError
        When its inputs contradict each other.
    """
    arrays = [value.array for value in node.inputs if isinstance(value, Static)]
    if any(array.dtype.hasobject for array in arrays):
        raise node.refuse("it works on strings")
    try:
        with np.errstate(all="ignore"):
            array = STATIC[node.op](node, arrays)
    except ModelError as error:
        raise ModelError(str(error) if str(error).startswith(node.source) else f"{node.where}: {error}") from None
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise node.damaged(f"its constants do not fit together ({error})") from None
    first = node.inputs[0] if node.inputs else None
    codes = _moved_codes(node, first.codes) if isinstance(first, Static) and first.codes is not None else None
    return Static(array, codes)


def _moved_codes(node: Node, codes: Codes) -> Codes | None:
    """Follow the integers behind a dequantised weight through an exporter's transposition."""
    quantization = codes.quantization
    if node.op == "Identity":
        return codes
    if node.op == "Transpose":
        permutation = node.integers("perm") or tuple(reversed(range(codes.array.ndim)))
        axis = None if quantization.axis is None else permutation.index(quantization.axis)
        moved = Quantization(quantization.scale, quantization.zero_point, axis)
        return Codes(np.transpose(codes.array, permutation), moved)
    if node.op == "Reshape" and quantization.axis is None:
        return Codes(_reshape(node, [codes.array, node.static(1, "shape")]), quantization)
    return None
