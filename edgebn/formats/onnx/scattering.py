"""ScatterND and ScatterElements by constant places, Trilu, CumSum: what is put in or left out is known while reading."""

from __future__ import annotations

import numpy as np

from edgebn.formats import products
from edgebn.formats.computed_indices import ALONE
from edgebn.formats.onnx import weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static
from edgebn.layers import Concat, GatherND, Reshape, Select


def scatter_nd(node: Node, context: Context) -> Dynamic:
    """ScatterND: parts of a value are others, where constant indices of its first axes say."""
    indices = _indices(node)
    shape = _shape(node)
    columns = indices.shape[-1] if indices.ndim else 0
    if not 1 <= columns <= len(shape):
        raise node.damaged(f"its indices of shape {indices.shape} do not fit a value of shape {shape}")
    lengths = np.array(shape[:columns])
    if (indices < -lengths).any() or (indices >= lengths).any():
        raise node.damaged(f"its indices leave a value of shape {shape}")
    places = np.ravel_multi_index(tuple(np.moveaxis(indices % lengths, -1, 0)), tuple(lengths)).reshape(-1)
    return _put(node, context, places, int(np.prod(lengths)))


def scatter_elements(node: Node, context: Context) -> Dynamic:
    """ScatterElements: single elements are others, where constant indices along one axis say."""
    indices, shape = _indices(node), _shape(node)
    axis = context.resolved(node, node.integer("axis", 0), len(shape))
    if indices.ndim != len(shape) or (indices < -shape[axis]).any() or (indices >= shape[axis]).any():
        raise node.damaged(f"its indices of shape {indices.shape} do not fit a value of shape {shape}")
    where = tuple(indices % shape[axis] if place == axis else own for place, own in enumerate(np.indices(indices.shape)))
    return _put(node, context, np.ravel_multi_index(where, shape).reshape(-1), int(np.prod(shape)))


def _shape(node: Node) -> tuple[int, ...]:
    value = node.value(0)
    return value.array.shape if isinstance(value, Static) else value.shape


def _indices(node: Node) -> np.ndarray:
    if node.text("reduction", "none") != "none":
        raise node.refuse(f"it joins what it puts in with what is there ({node.text('reduction', 'none')}); edgebn puts in alone")
    return weights.whole_array(node, node.static(1, "indices"), "indices").astype(np.int64)


def _put(node: Node, context: Context, places: np.ndarray, count: int) -> Dynamic:
    """Append a value of `count` parts of which those at `places` are the updates', the last one where a place is named twice."""
    if not context.batch.single:
        raise context.apart(node, "it puts in along the batch axis")
    shape, sides = _shape(node), (node.value(0), node.value(2))
    whole = any(isinstance(side, Dynamic) and side.whole for side in sides)
    rest = int(np.prod(shape)) // count
    parts = []
    for name, rows, side in zip(("kept", "put"), (count, len(places)), sides, strict=True):
        if isinstance(side, Static):
            array = weights.whole_array(node, side.array, name) if whole else weights.real_array(node, side.array, name)
            if array.size != rows * rest:
                raise node.damaged(f"it puts {array.size} numbers into {rows} parts of {rest}")
            parts.append(context.array(node, array.reshape(rows, rest), name))
            continue
        value = node.dynamic(sides.index(side) * 2)
        if value.whole != whole or value.quantization is not None or value.tensor in context.vacant.rows:
            raise node.refuse("it puts values into others of another type, or rows of which some hold nothing")
        spread = context.spread(node, value)
        if int(np.prod(spread.shape)) != rows * rest:
            raise node.damaged(f"it puts a value of shape {spread.shape} into {rows} parts of {rest}")
        parts.append(context.moved(node, Reshape, spread, part=name, place=ALONE, shape=(rows, rest)))
    both = context.emit(node, Concat, *parts, part="both", place=ALONE, whole=whole, axis=0)
    wanted = np.arange(count, dtype=np.int32)
    wanted[places] = count + np.arange(len(places), dtype=np.int32)
    chosen = context.array(node, wanted[:, None], "places")
    picked = context.emit(node, GatherND, both, chosen, part="parts", place=ALONE, whole=whole)
    return context.reshape(node, picked, shape)


def trilu(node: Node, context: Context) -> Dynamic:
    """Trilu: matrices with zeros below or above a diagonal."""
    x, axes = context.along(node, node.dynamic(0), (-2, -1))
    diagonal = int(node.static_scalar(1, "diagonal") or 0) if node.has(1) else 0
    rows, columns = (context.batch.sample(x.shape, x.place)[axis] for axis in axes)
    ones = np.ones((rows, columns), np.int32)
    mask = context.array(node, np.triu(ones, diagonal) if node.integer("upper", 1) else np.tril(ones, diagonal), "mask")
    nothing = context.array(node, np.zeros((1, 1), np.int32 if x.whole else np.float32), "nothing")
    return context.emit(node, Select, mask, x, nothing, place=x.place, whole=x.whole)


def cum_sum(node: Node, context: Context) -> Dynamic:
    """CumSum along a constant axis: a product with a triangle of ones."""
    x = node.real(0)
    axis = context.resolved(node, int(node.static_scalar(1, "axis") or 0), len(x.shape))
    made: Dynamic = products.cumulative(
        node, context, x, axis, exclusive=bool(node.integer("exclusive", 0)), backwards=bool(node.integer("reverse", 0))
    )
    return made
