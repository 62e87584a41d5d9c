"""Operators that select elements: slices, single indices, parts of an axis, lists of indices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.formats.computed_indices import ALONE, along_axis, by_element, constant_indices
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static, Value
from edgebn.layers import Reshape


def slice_(node: Node, context: Context) -> Dynamic:
    """A slice."""
    x = node.dynamic("self")
    axis = context.resolved(node, node.integer("dim", 0), len(x.shape))
    step = node.integer("step", 1)
    if step < 1:
        raise node.damaged(f"its step is {step}")
    begin, stop, _ = slice(node.integer("start", 0), node.integer("end", x.shape[axis])).indices(x.shape[axis])
    if step == 1:
        return _cut(node, context, x, axis, begin, stop - begin)
    return context.slice(node, x, {axis: range(begin, stop, step)})


def narrow(node: Node, context: Context) -> Dynamic:
    """A number of neighbours along an axis."""
    x, length = node.dynamic("self"), node.integer("length")
    axis = context.resolved(node, node.integer("dim"), len(x.shape))
    begin = context.resolved(node, node.integer("start"), x.shape[axis])
    if begin + length > x.shape[axis]:
        raise node.damaged(f"it takes {length} from {begin} on of an axis of {x.shape[axis]}")
    return _cut(node, context, x, axis, begin, length)


def _cut(node: Node, context: Context, x: Dynamic, axis: int, begin: int, length: int, output: int = 0) -> Dynamic:
    """Take `length` elements of one axis."""
    if length == x.shape[axis]:
        return replace(x, view=node.outputs[output])
    starts, lengths = [0] * len(x.shape), list(x.shape)
    starts[axis], lengths[axis] = begin, length
    return context.crop(node, x, starts, lengths, output=output)


def select(node: Node, context: Context) -> Dynamic:
    """One index of an axis: a crop without that axis."""
    x = node.dynamic("self")
    axis = context.resolved(node, node.integer("dim"), len(x.shape))
    index = context.resolved(node, node.integer("index"), x.shape[axis])
    return context.gather(node, x, axis, np.array(index))


def unbind(node: Node, context: Context) -> tuple[Value, ...]:
    """Every index of an axis by itself."""
    x = node.dynamic("self")
    axis = context.resolved(node, node.integer("dim", 0), len(x.shape))
    if len(node.outputs) != x.shape[axis]:
        raise node.damaged(f"it makes {len(node.outputs)} outputs of an axis of {x.shape[axis]}")
    return tuple(context.gather(node, x, axis, np.array(index), output=index) for index in range(x.shape[axis]))


def split(node: Node, context: Context) -> tuple[Value, ...]:
    """split, split_with_sizes and chunk: one crop an output."""
    x = node.dynamic("self")
    axis = context.resolved(node, node.integer("dim", 0), len(x.shape))
    whole = x.shape[axis]
    lengths = node.integers("split_sizes")
    if lengths is None:
        each = -(-whole // max(node.integer("chunks"), 1)) if node.has("chunks") else node.integer("split_size")
        if each < 1:
            raise node.damaged(f"it splits into parts of {each}")
        lengths = tuple(min(each, whole - start) for start in range(0, whole, each))
    if len(lengths) != len(node.outputs) or sum(lengths) != whole or min(lengths) < 0:
        raise node.damaged(f"its parts {lengths} do not fit an axis of {whole} and {len(node.outputs)} outputs")
    parts, begin = [], 0
    for output, length in enumerate(lengths):
        parts.append(_cut(node, context, x, axis, begin, length, output))
        begin += length
    return tuple(parts)


def unfold(node: Node, context: Context) -> Dynamic:
    """Windows of one axis, `step` apart, each along a new last axis."""
    x, size, step = node.dynamic("self"), node.integer("size"), node.integer("step")
    axis = context.resolved(node, node.integer("dimension"), len(x.shape))
    if size < 1 or step < 1 or size > x.shape[axis]:
        raise node.damaged(f"it takes windows of {size}, {step} apart, of an axis of {x.shape[axis]}")
    count = (x.shape[axis] - size) // step + 1
    picked = np.add.outer(np.arange(count) * step, np.arange(size)).ravel()
    windows = context.select(node, x, {axis: picked}, "takes windows along", part="windows")
    apart = context.reshape(node, windows, (*x.shape[:axis], count, size, *x.shape[axis + 1 :]), part="apart")
    order = [place for place in range(len(apart.shape)) if place != axis + 1]
    moved: Dynamic = context.transpose(node, apart, [*order, axis + 1])
    return moved


def index_select(node: Node, context: Context) -> Dynamic:
    """Indices of an axis, constant or computed."""
    x = node.dynamic("self")
    axis = context.resolved(node, node.integer("dim"), len(x.shape))
    value = node.value("index")
    if isinstance(value, Dynamic):
        return _computed(node, context, x, axis, value)
    return context.gather(node, x, axis, np.atleast_1d(_indices(node, node.static("index"), x.shape[axis])))


def index(node: Node, context: Context) -> Dynamic:
    """Indexing along one axis with constants, x[:, [0, 2]], or whole numbers that the network computes."""
    x, indices = node.dynamic("self"), node.arguments.get("indices")
    listed = indices if isinstance(indices, list) else []
    named = [axis for axis, item in enumerate(listed) if item is not None]
    if len(named) != 1 or named[0] >= len(x.shape):
        raise node.refuse(f"it indexes {len(named)} axes at once; edgebn selects along one: index them one after the other")
    item = listed[named[0]]
    if isinstance(item, Dynamic):
        return _computed(node, context, x, named[0], item)
    if not isinstance(item, Static):
        raise node.damaged("its indices are no tensor")
    return context.gather(node, x, named[0], _indices(node, item.array, x.shape[named[0]]))


def _computed(node: Node, context: Context, x: Dynamic, axis: int, indices: Dynamic) -> Dynamic:
    """Append what picks along an axis by indices that the network computes, of a network of one sample."""
    if indices.truth or not indices.whole:
        raise node.refuse("it selects by a mask, of which any number may be true; edgebn selects by indices")
    if not context.batch.single:
        raise context.apart(node, "it picks by indices that the network computes")
    indices = context.spread(node, indices)
    count = int(np.prod(indices.shape, dtype=np.int64))
    rows = context.moved(node, Reshape, indices, part="rows", place=ALONE, shape=(count, 1))
    picked: Dynamic = along_axis(node, context, context.spread(node, x), axis, rows, indices.shape)
    return picked


def gather(node: Node, context: Context) -> Dynamic:
    """Each element from its own place but for the index along one axis."""
    x, value = node.dynamic("self"), node.value("index")
    axis = context.resolved(node, node.integer("dim"), len(x.shape))
    if isinstance(value, Static):
        array = _indices(node, value.array, x.shape[axis])
        value = context.constant(node, constant_indices(node, context, x, array), "indices")
    picked: Dynamic = by_element(node, context, x, axis, value)
    return picked


def _indices(node: Node, array: np.ndarray, length: int) -> np.ndarray:
    if array.dtype.kind == "b":
        raise node.refuse("it selects by a mask; edgebn selects by constant indices")
    if array.dtype.kind != "i" or array.size == 0 or array.min() < -length or array.max() >= length:
        raise node.damaged(f"its indices do not fit an axis of {length}")
    return array % length
