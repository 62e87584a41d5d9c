"""Operators that move or select elements of constants, or make them of numbers: position tables, masks and their indices."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgebn.formats.torch import shapes
from edgebn.formats.torch.archive import DTYPES, FLOATING
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.values import Dynamic, Static
from edgebn.graph import MAX_TENSOR_ELEMENTS

Folded = np.ndarray | tuple[np.ndarray, ...]


def check_size(node: Node, shape: tuple[int, ...]) -> None:
    """Refuse a shape that is negative or too large before anything of that shape is made."""
    if min(shape, default=0) < 0 or math.prod(shape) > MAX_TENSOR_ELEMENTS:
        raise node.damaged(f"it makes a constant of shape {shape}")


def converted(node: Node, array: np.ndarray) -> np.ndarray:
    """Return an array in the type that the node names, if it names one; all real numbers are float32."""
    if not node.has("dtype"):
        return array
    code = node.integer("dtype")
    if code in FLOATING:
        return np.asarray(array, np.float32)
    if code not in DTYPES:
        raise node.refuse("it makes a constant of a type that edgebn does not read")
    return np.asarray(array).astype(DTYPES[code])


def _axis(node: Node, rank: int, default: int | None = 0) -> int:
    axis = node.integer("dim", default)
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise node.damaged(f"its axis {axis} is outside a constant of {rank} axes")
    return axis % max(rank, 1)


def same(node: Node) -> np.ndarray:
    """Copies, and conversions to another type."""
    return converted(node, node.static("self"))


def copied(node: Node) -> np.ndarray:
    """Copies with memory of their own, which may be changed in place."""
    return np.array(same(node))


def overwritten(node: Node) -> np.ndarray:
    """fill_, zero_ and copy_: what is in a constant afterwards."""
    array = node.static("self")
    given = next((node.arguments[name] for name in ("value", "src") if name in node.arguments), 0)
    other = given.array if isinstance(given, Static) else np.asarray(given)
    return np.broadcast_to(other, array.shape).astype(array.dtype)


def filled(node: Node) -> np.ndarray:
    """full, ones, zeros and their like, and those of the size of another tensor."""
    name = node.op.split(".")[1].removeprefix("new_")
    like = name.endswith("_like")
    if like:
        other = node.value("self")
        size: tuple[int, ...] = other.shape if isinstance(other, Dynamic) else other.array.shape
    else:
        size = node.integers("size") or ()
    check_size(node, size)
    number = {"ones": 1.0, "zeros": 0.0}.get(name.removesuffix("_like"))
    if number is None:
        number = node.arguments.get("fill_value", node.arguments.get("value"))
        number = node.number("fill_value" if node.has("fill_value") else "value") if not isinstance(number, bool | int) else number
    if node.has("dtype"):
        return converted(node, np.full(size, number))
    kind = node.static("self").dtype if like and isinstance(node.value("self"), Static) else None
    return np.full(size, number, np.float32 if kind is None and not isinstance(number, bool | int) else kind)


def eye(node: Node) -> np.ndarray:
    """Ones on the diagonal of zeros."""
    rows = node.integer("n")
    columns = node.integer("m", rows)
    check_size(node, (rows, columns))
    return converted(node, np.eye(rows, columns, dtype=np.float32))


def arange(node: Node) -> np.ndarray:
    """Numbers from start to end in steps; whole ones where all three are."""
    start, step = (node.number(name, default) for name, default in (("start", 0.0), ("step", 1.0)))
    end = node.number("end")
    if step == 0 or not math.isfinite(end - start):
        raise node.damaged("its step is 0 or its bounds are not finite")
    check_size(node, (math.ceil((end - start) / step),))
    whole = all(isinstance(node.arguments.get(name, 0), int) for name in ("start", "end", "step") if node.has(name))
    made = np.arange(start, end, step)
    return converted(node, made) if node.has("dtype") else made.astype(np.int64 if whole else np.float32)


def linspace(node: Node) -> np.ndarray:
    """So many numbers from start to end, both included."""
    steps = node.integer("steps")
    check_size(node, (steps,))
    return converted(node, np.linspace(node.number("start"), node.number("end"), steps).astype(np.float32))


def expand(node: Node) -> np.ndarray:
    """Axes of size 1 copied, other axes put in front."""
    array = node.static("self")
    if node.has("other"):
        other = node.value("other")
        target = other.shape if isinstance(other, Dynamic) else other.array.shape
    else:
        wanted = node.integers("size") or ()
        own = (1,) * (len(wanted) - array.ndim) + array.shape
        target = tuple(size if asked == -1 else asked for size, asked in zip(own, wanted, strict=True))
    check_size(node, target)
    return np.broadcast_to(array, target)


def repeat(node: Node) -> np.ndarray:
    """Repeat and tile: the whole array again and again."""
    array = node.static("self")
    repeats = node.integers("repeats" if node.has("repeats") else "dims") or ()
    check_size(node, (array.size, *repeats))
    return np.tile(array, repeats)


def repeat_interleave(node: Node) -> np.ndarray:
    """Each element several times."""
    array, count = node.static("self"), node.integer("repeats")
    check_size(node, (array.size, count))
    return np.repeat(array, count, _axis(node, array.ndim)) if node.has("dim") else np.repeat(array.ravel(), count)


def slice_(node: Node) -> np.ndarray:
    """A slice along one axis."""
    array = node.static("self")
    index = [slice(None)] * array.ndim
    start, end = node.integer("start", 0), node.integer("end", 1 << 62)
    index[_axis(node, array.ndim)] = slice(start, end, node.integer("step", 1))
    return array[tuple(index)]


def narrow(node: Node) -> np.ndarray:
    """Some neighbours along one axis."""
    array = node.static("self")
    axis = _axis(node, array.ndim, None)
    start, length = node.integer("start"), node.integer("length")
    start += array.shape[axis] if start < 0 else 0
    if not 0 <= start <= start + length <= array.shape[axis]:
        raise node.damaged(f"it takes {length} elements from {start} on, of {array.shape[axis]}")
    return array[(slice(None),) * axis + (slice(start, start + length),)]


def select(node: Node) -> np.ndarray:
    """One index of an axis."""
    array = node.static("self")
    return array[(slice(None),) * _axis(node, array.ndim, None) + (node.integer("index"),)]


def index(node: Node) -> np.ndarray:
    """Indexing by constant arrays, of numbers or truth values."""
    array = node.static("self")
    indices = node.arguments.get("indices")
    listed = indices if isinstance(indices, list) else []
    if any(isinstance(item, Dynamic) for item in listed):
        raise node.refuse("its indices are computed by the network; edgebn selects by constants")
    kept = tuple(item.array if isinstance(item, Static) else slice(None) for item in listed)
    shapes_met = [item.shape for item in kept if isinstance(item, np.ndarray) and item.dtype.kind != "b"]
    check_size(node, (int(np.prod(np.broadcast_shapes(*shapes_met), dtype=np.int64)), max(array.shape, default=1)))
    return array[kept]


def index_select(node: Node) -> np.ndarray:
    """Indices of one axis."""
    array = node.static("self")
    return np.take(array, node.static("index"), axis=_axis(node, array.ndim, None))


def gather(node: Node) -> np.ndarray:
    """An index for each element of the result."""
    array = node.static("self")
    return np.take_along_axis(array, node.static("index"), axis=_axis(node, array.ndim, None))


def _all(node: Node, argument: str) -> list[np.ndarray]:
    return [value.array for value in node.values(argument) if isinstance(value, Static)]


def cat(node: Node) -> np.ndarray:
    """Arrays joined along an axis."""
    arrays = _all(node, "tensors")
    check_size(node, (sum(array.size for array in arrays),))
    return np.concatenate(arrays, axis=_axis(node, arrays[0].ndim))


def stack(node: Node) -> np.ndarray:
    """Arrays joined along a new axis."""
    arrays = _all(node, "tensors")
    check_size(node, (sum(array.size for array in arrays),))
    return np.stack(arrays, axis=node.integer("dim", 0))


def meshgrid(node: Node) -> tuple[np.ndarray, ...]:
    """Every array spread over the axes of all others."""
    arrays = _all(node, "tensors")
    check_size(node, tuple(array.size for array in arrays))
    order: str = node.text("indexing", "ij") if node.has("indexing") else "ij"
    if order not in ("ij", "xy"):
        raise node.damaged(f"its indexing is '{order}'")
    return tuple(np.meshgrid(*arrays, indexing="ij" if order == "ij" else "xy"))


def unbind(node: Node) -> tuple[np.ndarray, ...]:
    """Every index of an axis by itself."""
    array = node.static("self")
    return tuple(np.moveaxis(array, _axis(node, array.ndim), 0))


def split(node: Node) -> tuple[np.ndarray, ...]:
    """split, split_with_sizes and chunk."""
    array = node.static("self")
    axis = _axis(node, array.ndim)
    whole, lengths = array.shape[axis], node.integers("split_sizes")
    if lengths is None:
        each = -(-whole // max(node.integer("chunks"), 1)) if node.has("chunks") else node.integer("split_size")
        lengths = (each,) * (-(-whole // max(each, 1)))
    return tuple(np.split(array, np.cumsum(lengths)[:-1], axis))


def flip(node: Node) -> np.ndarray:
    """Axes the other way round."""
    return np.flip(node.static("self"), node.integers("dims")).copy()


def roll(node: Node) -> np.ndarray:
    """Elements that leave an axis come in again at its beginning."""
    return np.roll(node.static("self"), node.integers("shifts") or (), node.integers("dims") or None)


def pad(node: Node) -> np.ndarray:
    """Padding with one number, from the last axis on."""
    array, amounts = node.static("self"), node.integers("pad") or ()
    if node.text("mode", "constant") != "constant" or min(amounts, default=0) < 0 or len(amounts) > 2 * array.ndim:
        raise node.refuse("it pads a constant with copies or crops it; compute it before")
    sides = [(0, 0)] * array.ndim
    for place in range(len(amounts) // 2):
        sides[array.ndim - 1 - place] = (amounts[2 * place], amounts[2 * place + 1])
    check_size(node, tuple(size + before + after for size, (before, after) in zip(array.shape, sides, strict=True)))
    return np.pad(array, sides, constant_values=node.number("value", 0.0))


def reshaped(shape_of: Callable[[Node, tuple[int, ...]], tuple[int, ...]]) -> Callable[[Node], np.ndarray]:
    """Return the function of an operator that gives an array another shape."""

    def fold(node: Node) -> np.ndarray:
        array = node.static("self")
        return array.reshape(shape_of(node, array.shape))

    return fold


def like_other(node: Node, _: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of view_as and reshape_as."""
    other = node.value("other")
    return other.shape if isinstance(other, Dynamic) else other.array.shape


def permuted(node: Node) -> np.ndarray:
    """Axes in another order."""
    array = node.static("self")
    return array.transpose(shapes.permutation(node, array.ndim))


MOVES: dict[str, Callable[[Node], Folded]] = {
    "_to_copy": copied,
    "_unsafe_view": reshaped(shapes.view_shape),
    "alias": same,
    "arange": arange,
    "cat": cat,
    "chunk": split,
    "clone": copied,
    "concat": cat,
    "constant_pad_nd": pad,
    "contiguous": same,
    "copy": overwritten,
    "detach": same,
    "expand": expand,
    "expand_as": expand,
    "eye": eye,
    "fill": overwritten,
    "flatten": reshaped(shapes.flatten_shape),
    "flip": flip,
    "full": filled,
    "full_like": filled,
    "gather": gather,
    "index": index,
    "index_select": index_select,
    "lift_fresh_copy": copied,
    "linspace": linspace,
    "meshgrid": meshgrid,
    "movedim": permuted,
    "narrow": narrow,
    "new_full": filled,
    "new_ones": filled,
    "new_zeros": filled,
    "ones": filled,
    "ones_like": filled,
    "pad": pad,
    "permute": permuted,
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    "reshape": reshaped(shapes.view_shape),
    "reshape_as": reshaped(like_other),
    "roll": roll,
    "select": select,
    "slice": slice_,
    "split": split,
    "split_with_sizes": split,
    "squeeze": reshaped(shapes.squeeze_shape),
    "stack": stack,
    "swapaxes": permuted,
    "t": permuted,
    "tile": repeat,
    "to": same,
    "transpose": permuted,
    "unbind": unbind,
    "unflatten": reshaped(shapes.unflatten_shape),
    "unsqueeze": reshaped(shapes.unsqueeze_shape),
    "view": reshaped(shapes.view_shape),
    "view_as": reshaped(like_other),
    "zero": overwritten,
    "zeros": filled,
    "zeros_like": filled,
}
