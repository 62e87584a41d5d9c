"""RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE, PAD, PADV2, SLICE and STRIDED_SLICE: operators that move numbers about."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of, only_output, without_batch
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.graph import Shape
from edgebn.layers import Crop, Identity, Pad, Reshape, Transpose


def reshape(reading: Reading, operator: FileOperator) -> None:
    """RESHAPE; the new shape stands in the second input or in the options, one size may be -1."""
    x, target = inputs_of(operator, 1, 2)
    tensor = reading.tensor(only_output(operator))
    if target >= 0 and reading.is_constant(target):
        wanted = [int(size) for size in reading.integers(target).reshape(-1)]
    elif operator.options_table is not None and not (options := operator.options("ReshapeOptions")).NewShapeIsNone():
        wanted = [int(size) for size in options.NewShapeAsNumpy()]
    elif tensor.is_open:
        raise UnsupportedLayerError("its new shape is computed by the network; export the model with fixed shapes")
    else:
        wanted = list(tensor.shape)
    elements = int(np.prod(reading.sample(x), dtype=np.int64))
    if wanted.count(-1) > 1 or any(size < -1 or size == 0 for size in wanted):
        raise ModelError(f"its new shape {tuple(wanted)} has sizes that are not positive; the file is damaged")
    if -1 in wanted:
        known = int(np.prod([size for size in wanted if size > 0], dtype=np.int64))
        wanted[wanted.index(-1)] = elements // known
    _reshape_to(reading, operator, x, tuple(wanted))


def squeeze(reading: Reading, operator: FileOperator) -> None:
    """SQUEEZE of the axes that the options name, or of all of size 1 (the batch axis then goes too)."""
    (x,) = inputs_of(operator, 1, 1)
    shape = reading.shape(x)
    dims = operator.options("SqueezeOptions").SqueezeDimsAsNumpy()
    named = [] if isinstance(dims, int) else [int(axis) for axis in dims]
    if any(not -len(shape) <= axis < len(shape) or shape[axis] != 1 for axis in named):
        raise ModelError(f"it squeezes the axes {named} of a value of shape {shape}; the file is damaged")
    gone = {axis % len(shape) for axis in named} or {axis for axis, size in enumerate(shape) if size == 1}
    _reshape_to(reading, operator, x, tuple(size for axis, size in enumerate(shape) if axis not in gone))


def expand_dims(reading: Reading, operator: FileOperator) -> None:
    """EXPAND_DIMS: a new axis of size 1."""
    x, a = inputs_of(operator, 2, 2)
    shape = list(reading.shape(x))
    axis = reading.integers(a).reshape(-1)
    if axis.shape != (1,) or not -len(shape) - 1 <= axis[0] <= len(shape):
        raise ModelError(f"its axis {tuple(axis)} is outside a value of {len(shape)} axes; the file is damaged")
    shape.insert(int(axis[0]) % (len(shape) + 1), 1)
    _reshape_to(reading, operator, x, tuple(shape))


def _reshape_to(reading: Reading, operator: FileOperator, x: int, wanted: Shape) -> None:
    _emit_reshape(reading, operator, reading.value(x), wanted)


def _emit_reshape(reading: Reading, operator: FileOperator, value: str, wanted: Shape) -> None:
    reading.emit(operator, Reshape, (value,), full=wanted, shape=without_batch(wanted))


def transpose(reading: Reading, operator: FileOperator) -> None:
    """TRANSPOSE that leaves the batch axis where it is."""
    x, p = inputs_of(operator, 2, 2)
    permutation = [int(axis) for axis in reading.integers(p).reshape(-1)]
    if sorted(permutation) != list(range(len(reading.shape(x)))):
        raise ModelError(f"its permutation {permutation} does not fit a value of {len(reading.shape(x))} axes; the file is damaged")
    if reading.has_batch(x):
        if permutation[0] != 0:
            raise UnsupportedLayerError("it moves the batch axis; export the model without that")
        permutation = [axis - 1 for axis in permutation[1:]]
    reading.emit(operator, Transpose, (reading.value(x),), permutation=tuple(permutation))


def pad(reading: Reading, operator: FileOperator) -> None:
    """PAD with zeros."""
    x, p = inputs_of(operator, 2, 2)
    _pad(reading, operator, x, p, 0.0)


def padv2(reading: Reading, operator: FileOperator) -> None:
    """PADV2 with a constant."""
    x, p, v = inputs_of(operator, 3, 3)
    value = reading.numbers(v).reshape(-1)
    if value.shape != (1,) or not np.isfinite(value[0]):
        raise ModelError("its padding value is not one finite number; the file is damaged")
    _pad(reading, operator, x, p, float(value[0]))


def _pad(reading: Reading, operator: FileOperator, x: int, p: int, value: float) -> None:
    pads = [(int(before), int(after)) for before, after in reading.integers(p).reshape(-1, 2)]
    if len(pads) != len(reading.shape(x)):
        raise ModelError(f"its {len(pads)} pairs of paddings do not fit a value of shape {reading.shape(x)}; the file is damaged")
    if reading.has_batch(x):
        if pads[0] != (0, 0):
            raise UnsupportedLayerError("it pads the batch axis; export the model without that")
        pads = pads[1:]
    reading.emit(operator, Pad, (reading.value(x),), pads=tuple(pads), value=value)


def slice_(reading: Reading, operator: FileOperator) -> None:
    """SLICE: begin and size, where -1 means to the end."""
    x, b, s = inputs_of(operator, 3, 3)
    shape = reading.shape(x)
    begins, sizes = reading.integers(b).reshape(-1), reading.integers(s).reshape(-1)
    if begins.shape != (len(shape),) or sizes.shape != (len(shape),):
        raise ModelError(f"its begin and size do not fit a value of shape {shape}; the file is damaged")
    sizes = np.where(sizes == -1, np.array(shape) - begins, sizes)
    _crop(reading, operator, x, [int(begin) for begin in begins], [int(size) for size in sizes], set())


def strided_slice(reading: Reading, operator: FileOperator) -> None:
    """STRIDED_SLICE with steps of 1: a crop, and a reshape where an axis shrinks."""
    x, b, e, s = inputs_of(operator, 4, 4)
    options = operator.options("StridedSliceOptions")
    shape = reading.shape(x)
    begins, ends, steps = (reading.integers(index).reshape(-1) for index in (b, e, s))
    if options.EllipsisMask() or options.NewAxisMask():
        raise UnsupportedLayerError("it uses an ellipsis or a new axis; write the slice with one range an axis")
    if not len(begins) == len(ends) == len(steps) <= len(shape):
        raise ModelError(f"its begin, end and strides do not fit a value of shape {shape}; the file is damaged")
    starts, sizes, shrunk = [0] * len(shape), list(shape), set()
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        whole, bit = shape[axis], 1 << axis
        shrinks = bool(options.ShrinkAxisMask() & bit)
        if step != 1 and not shrinks:
            raise UnsupportedLayerError(f"it takes every {step}th element; edgebn crops only: use a stride in the layer before")
        start = 0 if options.BeginMask() & bit and not shrinks else int(begin)
        start = start + whole if start < 0 else start
        stop = start + 1 if shrinks else whole if options.EndMask() & bit else int(end)
        stop = stop + whole if stop < 0 else min(stop, whole)
        starts[axis], sizes[axis] = start, stop - start
        if shrinks:
            shrunk.add(axis)
    _crop(reading, operator, x, starts, sizes, shrunk)


def _crop(reading: Reading, operator: FileOperator, x: int, starts: list[int], sizes: list[int], shrunk: set[int]) -> None:
    value = reading.value(x)
    label = reading.tensor(only_output(operator)).name
    if reading.has_batch(x):
        if starts[0] != 0 or sizes[0] != 1:
            raise UnsupportedLayerError("it cuts the batch axis; export the model without that")
        starts, sizes = starts[1:], sizes[1:]
    if not shrunk:
        reading.emit(operator, Crop, (value,), starts=tuple(starts), sizes=tuple(sizes))
        return
    full = (1, *sizes) if reading.has_batch(x) else tuple(sizes)
    kept = tuple(size for axis, size in enumerate(full) if axis not in shrunk)
    cropped = reading.step(Crop, f"{label}/crop", (value,), reading.quantization(x), starts=tuple(starts), sizes=tuple(sizes))
    _emit_reshape(reading, operator, cropped, kept)


def identity(reading: Reading, operator: FileOperator) -> None:
    """An operator that does nothing to a sample."""
    (x,) = inputs_of(operator, 1, 1)
    reading.emit(operator, Identity, (reading.value(x),))
