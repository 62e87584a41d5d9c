"""Operators that pick elements of axes: slices, splits, gathers, tiles, mirrored paddings; and PACK, which joins along a new axis.

Each says for every axis which elements its output has, in which order; `_pick` makes a Crop or a Gather of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of, without_batch
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.formats.tflite.integers import gather_computed
from edgebn.graph import Shape
from edgebn.layers import MAX_PICKED, Concat, Crop, Gather, Layer, Reshape


def _pick(
    reading: Reading,
    operator: FileOperator,
    x: int,
    picked: Mapping[int, Sequence[int] | np.ndarray | range],
    kept: Shape | None = None,
    output: int = 0,
) -> None:
    """Emit what has the elements `picked` of axes of tensor `x`, the batch's included, in the shape `kept` if that is another."""
    shape = reading.shape(x)
    if any(len(which) == 0 for which in picked.values()):
        raise UnsupportedLayerError("it makes an empty value")
    indices = [np.asarray(picked.get(axis, range(size)), np.int64) for axis, size in enumerate(shape)]
    full = tuple(len(which) for which in indices)
    value, batched = reading.value(x), reading.has_batch(x)
    if batched and full[0] != 1:  # from here on the batch's axis is one like the others
        value, batched = reading.whole(x, _label(reading, operator, output)), False
    if batched:
        indices = indices[1:]
    layer: type[Layer] = Gather
    settings: dict[str, Any] = {}
    if all((np.diff(which) == 1).all() for which in indices):
        layer, settings["starts"] = Crop, tuple(int(which[0]) for which in indices)
        settings["sizes"] = tuple(len(which) for which in indices)
    else:
        sample = without_batch(shape) if batched else shape
        settings["indices"] = tuple(
            None if np.array_equal(which, np.arange(size)) else which for which, size in zip(indices, sample, strict=True)
        )
    if (kept is None or kept == full) and batched == (full[:1] == (1,)):
        reading.emit(operator, layer, (value,), full=full, output=output, **settings)
        return
    label = f"{_label(reading, operator, output)}/picked"
    picked_value = reading.step(layer, label, (value,), reading.quantization(x), **settings)
    kept = full if kept is None else kept
    reading.emit(operator, Reshape, (picked_value,), full=kept, output=output, shape=without_batch(kept))


def _label(reading: Reading, operator: FileOperator, output: int) -> str:
    return reading.tensor(operator.outputs[output]).name


def _axis(reading: Reading, x: int, axis: int) -> int:
    rank = len(reading.shape(x))
    if not -rank <= axis < rank:
        raise ModelError(f"its axis {axis} is outside a value of {rank} axes; the file is damaged")
    return axis % rank


def slice_(reading: Reading, operator: FileOperator) -> None:
    """SLICE: begin and size, where -1 means to the end."""
    x, b, s = inputs_of(operator, 3, 3)
    shape = reading.shape(x)
    begins, sizes = reading.integers(b).reshape(-1), reading.integers(s).reshape(-1)
    if begins.shape != (len(shape),) or sizes.shape != (len(shape),):
        raise ModelError(f"its begin and size do not fit a value of shape {shape}; the file is damaged")
    ends = np.where(sizes == -1, np.array(shape), begins + sizes)
    if (begins < 0).any() or (ends > np.array(shape)).any() or (ends <= begins).any():
        raise ModelError(f"it takes {tuple(begins)} to {tuple(ends)} of a value of shape {shape}; the file is damaged")
    picked = {axis: range(int(begin), int(end)) for axis, (begin, end) in enumerate(zip(begins, ends, strict=True))}
    _pick(reading, operator, x, picked)


def strided_slice(reading: Reading, operator: FileOperator) -> None:
    """STRIDED_SLICE with any steps; an axis that shrinks goes, one that the file calls new comes."""
    x, b, e, s = inputs_of(operator, 4, 4)
    options = operator.options("StridedSliceOptions")
    shape = reading.shape(x)
    begins, ends, steps = (reading.integers(index).reshape(-1).tolist() for index in (b, e, s))
    if not len(begins) == len(ends) == len(steps) or 0 in steps:
        raise ModelError(f"its begin, end and strides do not fit a value of shape {shape}; the file is damaged")
    new, ellipsis, shrink = options.new_axis_mask, options.ellipsis_mask, options.shrink_axis_mask
    named = sum(not (new | ellipsis) >> place & 1 for place in range(len(begins)))
    if named > len(shape) or ellipsis & (ellipsis - 1):
        raise ModelError(f"its begin, end and strides do not fit a value of shape {shape}; the file is damaged")
    picked: dict[int, range] = {}
    kept: list[int] = []
    axis = 0
    for place, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if ellipsis >> place & 1:
            kept += shape[axis : axis + len(shape) - named]
            axis += len(shape) - named
        elif new >> place & 1:
            kept.append(1)
        else:
            size = shape[axis]
            if shrink >> place & 1:
                if not -size <= begin < size:
                    raise ModelError(f"it takes element {begin} of an axis of {size}; the file is damaged")
                picked[axis] = range(begin % size, begin % size + 1)
            else:
                first = None if options.begin_mask >> place & 1 else begin
                picked[axis] = range(*slice(first, _end(options.end_mask >> place & 1, end, step, size), step).indices(size))
                kept.append(len(picked[axis]))
            axis += 1
    _pick(reading, operator, x, picked, (*kept, *shape[axis:]))


def _end(masked: int, end: int, step: int, size: int) -> int | None:
    """Return the end of a slice; None takes all there is, as a negative step does where `end` lies before the first element."""
    return None if masked or (step < 0 and end < -size) else end


def split(reading: Reading, operator: FileOperator) -> None:
    """SPLIT into equal parts."""
    a, x = inputs_of(operator, 2, 2)
    axis, count = _axis(reading, x, _number(reading, a)), len(operator.outputs)
    if reading.shape(x)[axis] % max(count, 1):
        raise ModelError(f"it splits an axis of {reading.shape(x)[axis]} into {count} parts; the file is damaged")
    _parts(reading, operator, x, axis, [reading.shape(x)[axis] // max(count, 1)] * count)


def split_v(reading: Reading, operator: FileOperator) -> None:
    """SPLIT_V into parts of given sizes, one of which may be -1."""
    x, s, a = inputs_of(operator, 3, 3)
    axis = _axis(reading, x, _number(reading, a))
    sizes = reading.integers(s).reshape(-1).tolist()
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = reading.shape(x)[axis] - sum(sizes) - 1
    _parts(reading, operator, x, axis, sizes)


def _number(reading: Reading, index: int) -> int:
    numbers = reading.integers(index).reshape(-1)
    if numbers.shape != (1,):
        raise ModelError("its axis is not one number; the file is damaged")
    return int(numbers[0])


def _parts(reading: Reading, operator: FileOperator, x: int, axis: int, sizes: list[int]) -> None:
    whole = reading.shape(x)[axis]
    if len(sizes) != len(operator.outputs) or sum(sizes) != whole or min(sizes, default=0) < 0:
        raise ModelError(f"its parts {sizes} do not make up an axis of {whole}; the file is damaged")
    start = 0
    for output, size in enumerate(sizes):
        _pick(reading, operator, x, {axis: range(start, start + size)}, output=output)
        start += size


def unpack(reading: Reading, operator: FileOperator) -> None:
    """UNPACK: every element of an axis by itself, without that axis."""
    (x,) = inputs_of(operator, 1, 1)
    shape = reading.shape(x)
    axis = _axis(reading, x, operator.options("UnpackOptions").axis)
    if len(operator.outputs) != shape[axis]:
        raise ModelError(f"it makes {len(operator.outputs)} values of an axis of {shape[axis]}; the file is damaged")
    for output in range(shape[axis]):
        _pick(reading, operator, x, {axis: range(output, output + 1)}, (*shape[:axis], *shape[axis + 1 :]), output)


def pack(reading: Reading, operator: FileOperator) -> None:
    """PACK: values of one shape, joined along a new axis."""
    inputs = operator.inputs
    first = next((index for index in inputs if not reading.is_constant(index)), None)
    if first is None or any(index < 0 for index in inputs):
        raise UnsupportedLayerError("it joins constants only, or nothing; export the model with fixed shapes")
    shape, axis = reading.shape(first), operator.options("PackOptions").axis
    if any(reading.shape(index) != shape for index in inputs) or not -len(shape) - 1 <= axis <= len(shape):
        raise ModelError(f"its inputs of shape {shape} cannot be joined along a new axis {axis}; the file is damaged")
    axis %= len(shape) + 1
    raised = (*shape[:axis], 1, *shape[axis:])
    full = _replaced(raised, axis, len(inputs))
    batched = full[:1] == (1,)
    parts = tuple(
        reading.step(Reshape, f"{_label(reading, operator, 0)}/part{place}", (reading.value(index, like=first),),
                     reading.quantization(index), shape=raised[1:] if batched else raised)
        for place, index in enumerate(inputs)
    )  # fmt: skip
    reading.emit(operator, Concat, parts, full=full, axis=axis - batched)


def _replaced(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def gather(reading: Reading, operator: FileOperator) -> None:
    """GATHER by constant indices; their own axes, none to many, take the place of the axis."""
    x, i = inputs_of(operator, 2, 2)
    options, shape = operator.options("GatherOptions"), reading.shape(x)
    axis, batches = _axis(reading, x, options.axis), options.batch_dims
    if batches and (batches != 1 or shape[0] != 1 or axis == 0):  # one batch of 1, which is the network's
        raise UnsupportedLayerError("it gathers other elements in each batch; edgebn gathers the same everywhere")
    if not reading.is_constant(i):
        gather_computed(reading, operator, axis, batches)
        return
    indices = reading.integers(i).reshape(reading.shape(i)[batches:])
    if indices.size == 0 or indices.min() < 0 or indices.max() >= shape[axis]:
        raise ModelError(f"its indices do not fit an axis of {shape[axis]}; the file is damaged")
    _pick(reading, operator, x, {axis: indices.reshape(-1)}, (*shape[:axis], *indices.shape, *shape[axis + 1 :]))


def tile(reading: Reading, operator: FileOperator) -> None:
    """TILE: the value as a whole, again and again along each axis."""
    x, m = inputs_of(operator, 2, 2)
    shape, multiples = reading.shape(x), reading.integers(m).reshape(-1).tolist()
    if len(multiples) != len(shape) or min(multiples, default=1) < 0:
        raise ModelError(f"its multiples {multiples} do not fit a value of shape {shape}; the file is damaged")
    _check_copies(shape, multiples)
    _pick(reading, operator, x, {axis: np.tile(np.arange(shape[axis]), count) for axis, count in enumerate(multiples)})


def broadcast_to(reading: Reading, operator: FileOperator) -> None:
    """BROADCAST_TO a shape, which may have more axes in front."""
    x, s = inputs_of(operator, 2, 2)
    shape, wanted = reading.shape(x), reading.integers(s).reshape(-1).tolist()
    more = len(wanted) - len(shape)
    if more > 0:
        label, raised = _label(reading, operator, 0), (1,) * more + shape
        counts = [new // old for old, new in zip(raised, wanted, strict=True)]
        if any(old not in (1, new) for old, new in zip(raised, wanted, strict=True)):
            raise ModelError(f"its shape {tuple(wanted)} does not fit a value of shape {shape}; the file is damaged")
        _check_copies(raised, counts)
        value, quantization = reading.whole(x, label), reading.quantization(x)
        ones = reading.step(Reshape, f"{label}/raised", (value,), quantization, shape=raised)
        indices = tuple(None if count == 1 else np.zeros(count, np.int64) for count in counts)
        reading.emit(operator, Gather, (ones,), full=tuple(wanted), indices=indices)
        return
    if any(old not in (1, new) for old, new in zip(shape, wanted, strict=True)):
        raise ModelError(f"its shape {tuple(wanted)} does not fit a value of shape {shape}; the file is damaged")
    counts = [new // old for old, new in zip(shape, wanted, strict=True)]
    _check_copies(shape, counts)
    _pick(reading, operator, x, {axis: [0] * count for axis, count in enumerate(counts) if count > 1})


def _check_copies(shape: Shape, counts: Sequence[int]) -> None:
    if any(count * size > MAX_PICKED for count, size in zip(counts, shape, strict=True)):
        raise UnsupportedLayerError(f"it makes an axis longer than {MAX_PICKED}")


def picked_resize(reading: Reading, operator: FileOperator) -> None:
    """RESIZE_NEAREST_NEIGHBOR with aligned corners and half-pixel centres: (i + 1/2) * (input - 1) / (output - 1), rounded."""
    x, s = inputs_of(operator, 2, 2)
    sizes = reading.integers(s).reshape(-1).tolist()
    if len(sizes) != 2 or not all(0 < size <= MAX_PICKED for size in sizes):
        raise ModelError(f"its output size {tuple(sizes)} is not two positive numbers; the file is damaged")
    picked = {}
    for axis, size in zip((1, 2), sizes, strict=True):
        length = reading.shape(x)[axis]
        ratio = np.float32(length - 1) / np.float32(size - 1) if size > 1 else np.float32(length) / np.float32(size)
        places = np.floor((np.arange(size, dtype=np.float32) + np.float32(0.5)) * ratio + np.float32(0.5))
        picked[axis] = np.minimum(places.astype(np.int64), length - 1)
    _pick(reading, operator, x, picked)


def mirror_pad(reading: Reading, operator: FileOperator) -> None:
    """MIRROR_PAD: the elements beside an edge, without (REFLECT) or with (SYMMETRIC) the edge itself."""
    x, p = inputs_of(operator, 2, 2)
    shape, pads = reading.shape(x), reading.integers(p).reshape(-1, 2).tolist()
    symmetric = operator.options("MirrorPadOptions").mode == 1
    if len(pads) != len(shape) or any(
        not 0 <= amount <= size - (not symmetric) for pair, size in zip(pads, shape, strict=True) for amount in pair
    ):
        raise ModelError(f"its paddings {pads} do not fit a value of shape {shape}; the file is damaged")
    mode = "symmetric" if symmetric else "reflect"
    _pick(reading, operator, x, {axis: np.pad(np.arange(shape[axis]), pair, mode) for axis, pair in enumerate(pads)})  # type: ignore[call-overload]


def reverse(reading: Reading, operator: FileOperator) -> None:
    """REVERSE_V2: axes the other way round."""
    x, a = inputs_of(operator, 2, 2)
    axes = [_axis(reading, x, int(axis)) for axis in reading.integers(a).reshape(-1)]
    _pick(reading, operator, x, {axis: range(reading.shape(x)[axis])[::-1] for axis in axes})
