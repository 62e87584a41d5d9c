"""Operators that move or select elements: shapes, axes, padding, cropping, concatenation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgebn.formats.channels_first import blocks_to_pixels, pixels_to_blocks
from edgebn.formats.onnx import integers, suppression, weights
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node
from edgebn.formats.onnx.values import Dynamic, Static, Value
from edgebn.layers import MAX_EXTENT, Concat, Identity, Reshape, Transpose


def _full_shape(node: Node, context: Context) -> tuple[tuple[int, ...], bool]:
    """Return the shape of the input, an open batch counting as 1, and whether only a run tells how many rows there are."""
    value = node.value(0)
    if isinstance(value, Dynamic):
        return value.shape, value.tensor in context.vacant.rows
    return value.array.shape, value.counts_rows


def shape(node: Node, context: Context) -> Static:
    """Shape: known while reading, an open batch counts as 1."""
    full, counts_rows = _full_shape(node, context)
    start, end = node.integer("start", 0), node.attributes.get("end")
    return Static(np.array(full[start : end if isinstance(end, int) else None], np.int64), counts_rows=counts_rows)


def size(node: Node, context: Context) -> Static:
    """Size: how many elements."""
    full, counts_rows = _full_shape(node, context)
    return Static(np.array(np.prod(full, dtype=np.int64)), counts_rows=counts_rows)


def reshape(node: Node, context: Context) -> Dynamic:
    """Reshape: 0 copies a size (unless allowzero), one -1 is worked out."""
    x = node.dynamic(0)
    target = list(node.static_ints(1, "shape") or ())
    keep_zero = node.integer("allowzero", 0)
    for place, wanted in enumerate(target):
        if wanted == 0 and not keep_zero:
            if place >= len(x.shape):
                raise node.damaged(f"its shape {tuple(target)} copies an axis that its input of shape {x.shape} lacks")
            target[place] = x.shape[place]
    if target.count(-1) > 1 or any(wanted < -1 for wanted in target):
        raise node.damaged(f"its shape {tuple(target)} leaves more than one size open")
    if -1 in target:
        elements = int(np.prod(x.shape, dtype=np.int64))
        known = 1
        for wanted in target:
            known *= wanted if wanted != -1 else 1
        if known == 0 or elements % known:
            raise node.damaged(f"its shape {tuple(target)} does not fit an input of shape {x.shape}")
        target[target.index(-1)] = elements // known
    return context.reshape(node, x, tuple(target))


def flatten(node: Node, context: Context) -> Dynamic:
    """Flatten into two axes, before and from `axis` on."""
    x = node.dynamic(0)
    axis = node.integer("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise node.damaged(f"its axis {axis} is outside an input of shape {x.shape}")
    axis += len(x.shape) if axis < 0 else 0
    leading = int(np.prod(x.shape[:axis], dtype=np.int64))
    rest = int(np.prod(x.shape[axis:], dtype=np.int64))
    return context.reshape(node, x, (leading, rest))


def _axes(node: Node) -> tuple[int, ...] | None:
    return node.integers("axes") if node.opset < 13 else node.static_ints(1, "axes")


def squeeze(node: Node, context: Context) -> Dynamic:
    """Squeeze: leave out axes of size 1; an open batch stays unless it is named."""
    x = node.dynamic(0)
    axes, batch = _axes(node), x.place.axis
    if axes is None:
        places = {axis for axis, length in enumerate(x.shape) if length == 1 and (context.batch.single or axis != batch)}
    else:
        places = {context.resolved(node, axis, len(x.shape)) for axis in axes}
    if any(x.shape[axis] != 1 for axis in places):
        raise node.damaged(f"its axes {axes} are not all of size 1 in an input of shape {x.shape}")
    if batch in places and not context.batch.single:
        raise context.along_batch(node, "leaves out")
    rest = tuple(length for axis, length in enumerate(x.shape) if axis not in places)
    return context.reshape(node, x, rest, axis=None if batch is None else batch - sum(axis < batch for axis in places))


def unsqueeze(node: Node, context: Context) -> Dynamic:
    """Unsqueeze: new axes of size 1, counted in the result."""
    x = node.dynamic(0)
    axes, batch = _axes(node) or (), x.place.axis
    rank = len(x.shape) + len(axes)
    places = {context.resolved(node, axis, rank) for axis in axes}
    if len(places) != len(axes):
        raise node.damaged(f"its axes {axes} name one twice")
    kept = [axis for axis in range(rank) if axis not in places]
    shape = tuple(1 if axis in places else x.shape[kept.index(axis)] for axis in range(rank))
    return context.reshape(node, x, shape, axis=None if batch is None else kept[batch])


def transpose(node: Node, context: Context) -> Dynamic:
    """Transpose."""
    x = node.dynamic(0)
    permutation = node.integers("perm") or tuple(reversed(range(len(x.shape))))
    if sorted(permutation) != list(range(len(x.shape))):
        raise node.damaged(f"its perm {permutation} does not fit an input of shape {x.shape}")
    made = context.transpose(node, x, permutation)
    if permutation == (0, *range(2, len(x.shape)), 1):
        context.channels_first[made.tensor] = x
    return made


def concat(node: Node, context: Context) -> Dynamic:
    """Concat of values and constants; codes must share one scale."""
    held = [value for value in node.inputs if not (isinstance(value, Static) and value.empty)]
    if 0 < len(held) < len(node.inputs):
        return concat(replace(node, inputs=tuple(held)), context)
    if len(node.inputs) == 1:
        return context.identity(node, node.dynamic(0))
    operands: list[Dynamic | np.ndarray] = []
    array_of = weights.whole_array if integers.reads_integers(node) else weights.real_array
    for index in range(len(node.inputs)):
        value = node.value(index)
        operands.append(value if isinstance(value, Dynamic) else array_of(node, value.array, f"input {index}"))
    met, axis, place = context.joined(node, operands, node.integer("axis", 1))
    parts = []
    for index, item in enumerate(met):
        if isinstance(item, np.ndarray):
            stored = node.value(index)
            assert isinstance(stored, Static)
            item = context.constant(node, stored, item, f"part{index}")
        parts.append(item)
    if any(not same_codes(parts[0], part) for part in parts[1:]):
        raise node.refuse("its inputs are integers with different scales; dequantise them first, as onnxruntime's quantizer does")
    if len({part.whole for part in parts}) > 1:
        raise node.refuse("its inputs are real numbers and whole ones; cast them to one type")
    return context.moved(node, Concat, *parts, axis=axis, place=place)


def same_codes(a: Dynamic, b: Dynamic) -> bool:
    """Whether two values are both float32, or codes that mean the same."""
    if a.quantization is None or b.quantization is None:
        return a.quantization is b.quantization
    return (
        np.array_equal(a.quantization.scale, b.quantization.scale)
        and np.array_equal(a.quantization.zero_point, b.quantization.zero_point)
        and a.shift == b.shift
    )


def pad(node: Node, context: Context) -> Dynamic:
    """Pad with one constant, which is a code where the value is codes, or with copies; negative amounts crop."""
    x = node.dynamic(0)
    mode = node.text("mode", "constant")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise node.damaged(f"its mode '{mode}' is not one that ONNX defines")
    rank = len(x.shape)
    if node.opset < 11:
        amounts, value = node.integers("pads"), node.number("value", 0.0)
        axes: tuple[int, ...] | None = None
    else:
        amounts = node.static_ints(1, "pads")
        value = node.static_scalar(2, "constant_value") or 0.0
        axes = node.static_ints(3, "axes")
    axes = tuple(range(rank)) if axes is None else axes
    if x.quantization is not None:
        code = value - x.shift - float(x.quantization.zero_point[0])
        value = code * float(x.quantization.scale[0])
    if amounts is None or len(amounts) != 2 * len(axes) or any(not -rank <= axis < rank for axis in axes):
        raise node.damaged(f"its pads {amounts} or axes {axes} do not fit an input of {rank} axes")
    if not np.isfinite(value):
        raise node.refuse(f"it pads with {value}; edgebn pads with finite numbers")
    sides = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        sides[axis % rank] = (amounts[place], amounts[place + len(axes)])
    if node.counts_rows(1):
        return suppression.padded_to_all(node, context, x, sides, value if mode == "constant" else None)
    return context.pad(node, x, sides, value) if mode == "constant" else context.pad_copies(node, x, sides, mode)


def gather(node: Node, context: Context) -> Value:
    """Gather by indices; a single one leaves its axis out."""
    data, by = node.value(0), node.value(1)
    if isinstance(data, Static) and data.empty and isinstance(by, Dynamic):
        axis = context.resolved(node, node.integer("axis", 0), data.array.ndim)
        return Static(np.zeros((*data.array.shape[:axis], *by.shape, *data.array.shape[axis + 1 :]), data.array.dtype))
    if isinstance(node.value(1), Dynamic):
        return integers.gather_computed(node, context)
    x, indices = node.dynamic(0), node.static(1, "indices")
    axis = context.resolved(node, node.integer("axis", 0), len(x.shape))
    length = x.shape[axis]
    if indices.dtype.kind != "i":
        raise node.damaged(f"its indices are {indices.dtype}, not whole numbers")
    if indices.size == 0 or indices.min() < -length or indices.max() >= length:
        raise node.damaged(f"its indices {_shown(indices)} do not fit an axis of {length}")
    return context.gather(node, x, axis, indices % length)


def _shown(array: np.ndarray) -> str:
    """Return an array's beginning for a message."""
    listed = [int(number) for number in array.ravel()[:4]]
    return f"{listed}"[:-1] + (", ...]" if array.size > 4 else "]")


def slice_(node: Node, context: Context) -> Value:
    """Slice with any steps."""
    x = node.dynamic(0)
    if node.opset < 10:
        starts, ends, axes = node.integers("starts"), node.integers("ends"), node.integers("axes")
        steps = None
    else:
        starts, ends = node.static_ints(1, "starts"), node.static_ints(2, "ends")
        axes, steps = node.static_ints(3, "axes"), node.static_ints(4, "steps")
    if starts is None or ends is None or len(starts) != len(ends):
        raise node.damaged("it needs as many starts as ends")
    rank = len(x.shape)
    axes = tuple(range(len(starts))) if axes is None else axes
    if len(axes) != len(starts) or any(not -rank <= axis < rank for axis in axes):
        raise node.damaged(f"its axes {axes} do not fit an input of shape {x.shape}")
    steps = (1,) * len(starts) if steps is None else steps
    if len(steps) != len(starts) or 0 in steps:
        raise node.damaged(f"its steps {steps} do not fit its {len(starts)} starts, or are 0")
    ranges = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[axis]
        bound = None if step < 0 and end < -size else end  # a negative end beyond the first element takes that too
        ranges[axis % rank] = range(*slice(start, bound, step).indices(size))
    if not all(ranges.values()):
        return _empty(x, tuple(len(ranges.get(axis, range(size))) for axis, size in enumerate(x.shape)))
    return context.slice(node, x, ranges)


def _empty(x: Dynamic, shape: tuple[int, ...]) -> Static:
    """Return a value of no elements, of the type of what it was cut from: exporters cut so where a network has no such part."""
    return Static(np.zeros(shape, np.int64 if x.whole else np.float32))


def tile(node: Node, context: Context) -> Dynamic:
    """Tile: the value repeated along each axis."""
    x, repeats = node.dynamic(0), node.static_ints(1, "repeats") or ()
    if len(repeats) != len(x.shape):
        raise node.damaged(f"its repeats {repeats} do not fit an input of shape {x.shape}")
    return context.tile(node, x, repeats)


def expand(node: Node, context: Context) -> Dynamic:
    """Expand: broadcast to a shape."""
    return context.expand(node, node.dynamic(0), node.static_ints(1, "shape") or ())


def split(node: Node, context: Context) -> tuple[Value, ...]:
    """Split: one crop an output."""
    x = node.dynamic(0)
    axis = context.resolved(node, node.integer("axis", 0), len(x.shape))
    count, whole = len(node.outputs), x.shape[axis]
    lengths = node.integers("split") if node.opset < 13 else node.static_ints(1, "split")
    if lengths is None:
        each = -(-whole // count)
        lengths = (each,) * (count - 1) + (whole - each * (count - 1),)
    if len(lengths) != count or sum(lengths) != whole or min(lengths) < 0:
        raise node.damaged(f"its parts {lengths} do not make up an axis of {whole}")
    parts: list[Value] = []
    begin = 0
    for output, length in enumerate(lengths):
        begins, sizes = [0] * len(x.shape), list(x.shape)
        begins[axis], sizes[axis] = begin, length
        parts.append(context.crop(node, x, begins, sizes, output=output) if length else _empty(x, tuple(sizes)))
        begin += length
    return tuple(parts)


def depth_to_space(node: Node, context: Context) -> Dynamic:
    """DepthToSpace: blocks of channels become blocks of pixels."""
    x, block, first = _blocks(node, context)
    if x.shape[1] % block**2:
        raise node.damaged(f"its blocks of {block} x {block} do not divide the channels of an input of shape {x.shape}")
    return _rearranged(node, context, x, blocks_to_pixels(_image(x), block, blocks_first=first))


def space_to_depth(node: Node, context: Context) -> Dynamic:
    """SpaceToDepth: blocks of pixels become blocks of channels."""
    x, block, first = _blocks(node, context)
    if x.shape[2] % block or x.shape[3] % block:
        raise node.damaged(f"its blocks of {block} x {block} do not divide an input of shape {x.shape}")
    return _rearranged(node, context, x, pixels_to_blocks(_image(x), block, blocks_first=first))


def _blocks(node: Node, context: Context) -> tuple[Dynamic, int, bool]:
    """Return the input, the blocks' side, and whether their rows and columns stand before the channels' own number (DCR)."""
    x, block, mode = context.image(node, node.dynamic(0)), node.integer("blocksize", 0), node.text("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise node.damaged(f"its mode '{mode}' is not one that ONNX defines")
    if len(x.shape) != 4 or not 0 < block <= MAX_EXTENT:
        raise node.damaged(f"its blocks of {block} x {block} do not fit an input of shape {x.shape}")
    return x, block, mode == "DCR"


def _image(x: Dynamic) -> tuple[int, int, int]:
    _, channels, height, width = x.shape
    return channels, height, width


def _rearranged(node: Node, context: Context, x: Dynamic, plan: tuple[tuple[int, ...], ...]) -> Dynamic:
    shape, order, last = plan
    x = context.moved(node, Identity, x, part="image", channels_first=True)
    x = context.moved(node, Reshape, x, part="blocks", shape=shape)
    x = context.moved(node, Transpose, x, part="moved", permutation=order)
    x = context.moved(node, Reshape, x, part="joined", shape=last)
    return context.moved(node, Identity, x, channels_first=True)
