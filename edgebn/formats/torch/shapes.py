"""Operators that move elements: shapes, axes, padding, concatenation, blocks of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgebn.formats.channels_first import blocks_to_pixels, pixels_to_blocks
from edgebn.formats.torch import windows
from edgebn.formats.torch.archive import INTEGERS, TRUTH
from edgebn.formats.torch.choosing import integers_or_reals
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static
from edgebn.layers import MAX_EXTENT, MAX_PICKED, Cast, Concat, Identity, Reshape, Transpose

Shape = tuple[int, ...]


def view_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape that view and reshape give a value, one size of -1 worked out."""
    target = list(node.integers("size" if node.has("size") else "shape") or ())
    return _worked_out(node, target, math.prod(shape))


def _worked_out(node: Node, target: list[int], elements: int) -> Shape:
    known = math.prod(size for size in target if size != -1)
    if target.count(-1) > 1 or any(size < -1 for size in target):
        raise node.damaged(f"its shape {tuple(target)} leaves more than one size open")
    if -1 in target:
        if known == 0 or elements % known:
            raise node.damaged(f"its shape {tuple(target)} does not fit {elements} elements")
        target[target.index(-1)] = elements // known
    return tuple(target)


def flatten_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape after axes start_dim to end_dim became one."""
    start, end = (_axis(node, node.integer(name, default), len(shape)) for name, default in (("start_dim", 0), ("end_dim", -1)))
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def unflatten_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape after one axis became several."""
    axis = _axis(node, node.integer("dim"), len(shape))
    inner = _worked_out(node, list(node.integers("sizes") or ()), shape[axis])
    return (*shape[:axis], *inner, *shape[axis + 1 :])


def squeezed_axes(node: Node, shape: Shape) -> set[int]:
    """Return the axes of size 1 that squeeze leaves out: the named ones, or all."""
    named = node.integers("dim")
    axes = range(len(shape)) if named is None else {_axis(node, axis, len(shape)) for axis in named}
    return {axis for axis in axes if axis < len(shape) and shape[axis] == 1}


def squeeze_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape without the named axes of size 1, or without all of them."""
    left_out = squeezed_axes(node, shape)
    return tuple(size for axis, size in enumerate(shape) if axis not in left_out)


def unsqueeze_shape(node: Node, shape: Shape) -> Shape:
    """Return the shape with a new axis of size 1, counted in the result."""
    axis = _axis(node, node.integer("dim"), len(shape) + 1)
    return (*shape[:axis], 1, *shape[axis:])


def permutation(node: Node, rank: int) -> tuple[int, ...]:
    """Return the order of axes that permute, transpose and t ask for."""
    op = node.op.split(".")[1]
    if op == "permute":
        order = tuple(_axis(node, axis, rank) for axis in node.integers("dims") or ())
    elif op in ("movedim", "moveaxis"):
        order = _moved(node, rank)
    elif op == "numpy_T":
        order = tuple(reversed(range(rank)))
    else:
        order = _swapped(node, rank, -2 if op == "mT" else 0, -1)
    if sorted(order) != list(range(rank)):
        raise node.damaged(f"its order of axes {order} does not fit a value of {rank} axes")
    return order


def _swapped(node: Node, rank: int, first: int, second: int) -> tuple[int, ...]:
    """Return the order of axes after two, named by the node or these, changed places."""
    for names in (("dim0", "dim1"), ("axis0", "axis1")):
        if node.has(names[0]):
            first, second = node.integer(names[0]), node.integer(names[1])
    order = list(range(rank))
    if rank:
        first, second = _axis(node, first, rank), _axis(node, second, rank)
        order[first], order[second] = order[second], order[first]
    return tuple(order)


def _moved(node: Node, rank: int) -> tuple[int, ...]:
    """Return the order of axes after some moved to other places and the rest stayed in theirs."""
    sources, targets = ([_axis(node, axis, rank) for axis in node.integers(name) or ()] for name in ("source", "destination"))
    rest = iter(axis for axis in range(rank) if axis not in sources)
    return tuple(sources[targets.index(place)] if place in targets else next(rest, -1) for place in range(rank))


def _axis(node: Node, axis: int, rank: int) -> int:
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise node.damaged(f"its axis {axis} is outside a value of {rank} axes")
    return axis % max(rank, 1)


def _reshaped(node: Node, context: Context, full: Shape, axis: int | None = None) -> Dynamic:
    """Give a value another shape, in which `axis` is the batch's unless that is worked out."""
    x = node.dynamic("self")
    if full == x.shape:
        return replace(x, view=node.outputs[0])
    return context.reshape(node, x, full, axis=axis)


def reshape(node: Node, context: Context) -> Dynamic:
    """The same elements under another shape."""
    return _reshaped(node, context, view_shape(node, node.dynamic("self").shape))


def reshape_as(node: Node, context: Context) -> Dynamic:
    """The same elements under the shape of another value (view_as, reshape_as)."""
    other = node.value("other")
    return _reshaped(node, context, other.shape if isinstance(other, Dynamic) else other.array.shape)


def ravel(node: Node, context: Context) -> Dynamic:
    """All axes become one."""
    return _reshaped(node, context, (math.prod(node.dynamic("self").shape),))


def flatten(node: Node, context: Context) -> Dynamic:
    """Axes start_dim to end_dim become one."""
    return _reshaped(node, context, flatten_shape(node, node.dynamic("self").shape))


def unflatten(node: Node, context: Context) -> Dynamic:
    """One axis becomes several."""
    return _reshaped(node, context, unflatten_shape(node, node.dynamic("self").shape))


def squeeze(node: Node, context: Context) -> Dynamic:
    """Leave out axes of size 1."""
    x = node.dynamic("self")
    left_out, batch = squeezed_axes(node, x.shape), x.place.axis
    axis = None if batch is None else batch - sum(axis < batch for axis in left_out)
    return _reshaped(node, context, squeeze_shape(node, x.shape), axis)


def unsqueeze(node: Node, context: Context) -> Dynamic:
    """A new axis of size 1."""
    x, batch = node.dynamic("self"), node.dynamic("self").place.axis
    new = _axis(node, node.integer("dim"), len(x.shape) + 1)
    return _reshaped(node, context, unsqueeze_shape(node, x.shape), None if batch is None else batch + (new <= batch))


def transpose(node: Node, context: Context) -> Dynamic:
    """permute, transpose, t, mT, movedim and swapaxes, and their other names."""
    x = node.dynamic("self")
    return context.transpose(node, x, permutation(node, len(x.shape)))


def cat(node: Node, context: Context) -> Dynamic:
    """Concatenation of values and constants."""
    values = node.values("tensors")
    if len(values) == 1:
        return replace(node.dynamic("tensors") if isinstance(values[0], Static) else values[0], memory=node.outputs[0])
    operands = [np.asarray(value.array) if isinstance(value, Static) else value for value in values]
    return _joined(node, context, operands, node.integer("dim", 0))


def stack(node: Node, context: Context) -> Dynamic:
    """Concatenation along a new axis."""
    values = node.values("tensors")
    rank = len(next(value for value in values if isinstance(value, Dynamic)).shape)
    new = _axis(node, node.integer("dim", 0), rank + 1)
    raised: list[Dynamic | np.ndarray] = []
    for index, value in enumerate(values):
        if isinstance(value, Static):
            raised.append(np.expand_dims(value.array, new))
        else:
            shape, batch = (*value.shape[:new], 1, *value.shape[new:]), value.place.axis
            axis = None if batch is None else batch + (new <= batch)
            raised.append(context.reshape(node, value, shape, axis=axis, part=f"raised{index}"))
    return _joined(node, context, raised, new)


def _joined(node: Node, context: Context, operands: list[Dynamic | np.ndarray], dim: int) -> Dynamic:
    met, axis, place = context.joined(node, operands, dim)
    whole = node.kind in (*INTEGERS, TRUTH)
    parts = []
    for index, item in enumerate(met):
        if isinstance(item, np.ndarray):
            held = integers_or_reals(node, "tensors", item)
            parts.append(context.constant(node, held if whole else held.astype(np.float32), f"part{index}"))
        elif item.whole and not whole:  # beside real numbers, whole ones become real
            parts.append(context.emit(node, Cast, item, part=f"real{index}", place=item.place, to="float32"))
        else:
            parts.append(item)
    return context.emit(node, Concat, *parts, axis=axis, place=place)


def channel_shuffle(node: Node, context: Context) -> Dynamic:
    """The channels (axis 1) of several groups in turn."""
    x, groups = node.dynamic("self"), node.integer("groups")
    if len(x.shape) < 2 or x.place.axis == 1 or not 0 < groups <= x.shape[1] or x.shape[1] % groups:
        raise node.damaged(f"its {groups} groups do not fit an input of shape {x.shape}")
    batch, channels, *rest = x.shape
    split = context.reshape(node, x, (batch, groups, channels // groups, *rest), axis=x.place.axis, part="groups")
    turned = context.transpose(node, split, (0, 2, 1, *range(3, len(split.shape))), part="turned")
    return context.reshape(node, turned, x.shape, axis=x.place.axis)


def pad(node: Node, context: Context) -> Dynamic:
    """Padding with a constant or with copies, from the last axis on; negative amounts crop."""
    x = node.dynamic("self")
    mode = node.text("mode", "constant")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise node.damaged(f"its mode '{mode}' is not one that PyTorch defines")
    amounts = node.integers("pad") or ()
    rank = len(x.shape)
    if len(amounts) % 2 or len(amounts) > 2 * rank:
        raise node.damaged(f"its amounts {amounts} do not fit an input of shape {x.shape}")
    sides = _sides(amounts, rank)
    if mode != "constant":
        return context.pad_copies(node, x, sides, mode)
    value = node.number("value", 0.0)
    if not np.isfinite(value):
        raise node.refuse(f"it pads with {value}; edgebn pads with finite numbers")
    return context.pad(node, x, sides, value)


def border_pad(node: Node, context: Context) -> Dynamic:
    """reflection_pad1d and 2d, replication_pad1d and 2d: padding with copies, from the last axis on."""
    x, amounts = node.dynamic("self"), node.integers("padding") or ()
    if not amounts or len(amounts) % 2 or len(amounts) > 2 * len(x.shape):
        raise node.damaged(f"its amounts {amounts} do not fit an input of shape {x.shape}")
    mode = "reflect" if node.op.split(".")[1].startswith("reflection") else "edge"
    return context.pad_copies(node, x, _sides(amounts, len(x.shape)), mode)


def _sides(amounts: Sequence[int], rank: int) -> list[tuple[int, int]]:
    """Return (before, after) of every axis; PyTorch counts pairs of amounts from the last axis on."""
    sides = [(0, 0)] * rank
    for place in range(len(amounts) // 2):
        sides[rank - 1 - place] = (amounts[2 * place], amounts[2 * place + 1])
    return sides


def expand(node: Node, context: Context) -> Dynamic:
    """Expansion (expand, expand_as): axes of size 1 copied, other axes put in front."""
    x = node.dynamic("self")
    if node.has("other"):
        other = node.value("other")
        target = other.shape if isinstance(other, Dynamic) else other.array.shape
    else:
        wanted = node.integers("size") or ()
        own = (1,) * (len(wanted) - len(x.shape)) + x.shape
        target = tuple(size if asked == -1 else asked for size, asked in zip(own, wanted, strict=True))
    if target == x.shape:
        return replace(x, view=node.outputs[0])
    return context.expand(node, x, target)


def repeat(node: Node, context: Context) -> Dynamic:
    """Repeat (repeat and tile): the value as a whole, again and again along each axis; others are put in front."""
    x = node.dynamic("self")
    repeats = node.integers("repeats" if node.has("repeats") else "dims")
    if repeats is None:
        raise node.damaged("it does not say how often it repeats its input")
    repeats = (1,) * (len(x.shape) - len(repeats)) + tuple(repeats)
    if len(repeats) > len(x.shape):
        more, batch = len(repeats) - len(x.shape), x.place.axis
        x = context.reshape(node, x, (1,) * more + x.shape, axis=None if batch is None else batch + more, part="raised")
    return context.tile(node, x, repeats)


def repeat_interleave(node: Node, context: Context) -> Dynamic:
    """Each element of an axis several times."""
    x = node.dynamic("self")
    if not node.has("dim"):
        raise node.refuse("it flattens its input first; name the axis")
    axis, count = _axis(node, node.integer("dim"), len(x.shape)), node.integer("repeats")
    if not 1 <= count <= MAX_PICKED // max(x.shape[axis], 1):
        raise node.refuse(f"it makes {count} copies of an axis of {x.shape[axis]}")
    return context.select(node, x, {axis: np.repeat(np.arange(x.shape[axis]), count)})


def flip(node: Node, context: Context) -> Dynamic:
    """Axes the other way round."""
    x = node.dynamic("self")
    axes = [_axis(node, axis, len(x.shape)) for axis in node.integers("dims") or ()]
    return context.select(node, x, {axis: np.arange(x.shape[axis])[::-1] for axis in axes})


def roll(node: Node, context: Context) -> Dynamic:
    """Elements that leave an axis at its end come in again at its beginning."""
    x = node.dynamic("self")
    shifts, dims = node.integers("shifts") or (), node.integers("dims") or ()
    if not shifts or len(shifts) != len(dims):
        raise node.refuse("it rolls a flattened value; name the axes")
    picked: dict[int, np.ndarray] = {}
    for shift, dim in zip(shifts, dims, strict=True):
        axis = _axis(node, dim, len(x.shape))
        picked[axis] = np.roll(picked.get(axis, np.arange(x.shape[axis])), shift)
    return context.select(node, x, picked)


def pixel_shuffle(node: Node, context: Context) -> Dynamic:
    """Blocks of channels become blocks of pixels."""
    factor = node.integer("upscale_factor")
    x = _image(node, context, factor)
    if x.shape[1] % factor**2:
        raise node.damaged(f"its factor {factor} does not divide the channels of an input of shape {x.shape}")
    return _rearranged(node, context, x, blocks_to_pixels(x.shape[1:], factor, blocks_first=False))


def pixel_unshuffle(node: Node, context: Context) -> Dynamic:
    """Blocks of pixels become blocks of channels."""
    factor = node.integer("downscale_factor")
    x = _image(node, context, factor)
    if x.shape[2] % factor or x.shape[3] % factor:
        raise node.damaged(f"its factor {factor} does not divide an input of shape {x.shape}")
    return _rearranged(node, context, x, pixels_to_blocks(x.shape[1:], factor, blocks_first=False))


def _image(node: Node, context: Context, factor: int) -> Dynamic:
    x = context.image(node, node.dynamic("self"))
    if len(windows.spatial(node, x)) != 2 or not 0 < factor <= MAX_EXTENT:
        raise node.refuse(f"it moves blocks of {factor} x {factor} pixels of a value of shape {x.shape}; edgebn does so in images")
    return x


def _rearranged(node: Node, context: Context, x: Dynamic, plan: tuple[Shape, Shape, Shape]) -> Dynamic:
    shape, order, last = plan
    x = context.emit(node, Identity, x, part="image", channels_first=True)
    x = context.emit(node, Reshape, x, part="blocks", shape=shape)
    x = context.emit(node, Transpose, x, part="moved", permutation=order)
    x = context.emit(node, Reshape, x, part="joined", shape=last)
    return context.emit(node, Identity, x, channels_first=True)
