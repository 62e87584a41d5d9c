"""Operators that move numbers about: shapes, axes, padding with a constant, blocks of pixels."""

from __future__ import annotations

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.context import Reading, inputs_of, only_output, without_batch
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.formats.tflite.whole_numbers import padded
from edgebn.graph import Shape
from edgebn.layers import Identity, Pad, Reshape, Transpose


def reshape(reading: Reading, operator: FileOperator) -> None:
    """RESHAPE; the new shape stands in the second input or in the options, one size may be -1."""
    x, target = inputs_of(operator, 1, 2)
    tensor = reading.tensor(only_output(operator))
    if target >= 0 and reading.is_constant(target):
        wanted = [int(size) for size in reading.integers(target).reshape(-1)]
    elif operator.options_table is not None and (options := operator.options("ReshapeOptions")).has("new_shape"):
        wanted = options.new_shape.tolist()
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
    named = operator.options("SqueezeOptions").squeeze_dims.tolist()
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
    """TRANSPOSE; where it moves the batch axis, that is an axis of the sample like the others."""
    x, p = inputs_of(operator, 2, 2)
    permutation = [int(axis) for axis in reading.integers(p).reshape(-1)]
    if sorted(permutation) != list(range(len(reading.shape(x)))):
        raise ModelError(f"its permutation {permutation} does not fit a value of {len(reading.shape(x))} axes; the file is damaged")
    if reading.has_batch(x):
        if permutation[0] != 0:
            shape, label = reading.shape(x), reading.tensor(only_output(operator)).name
            whole = reading.whole(x, label)
            turned = reading.step(Transpose, f"{label}/turned", (whole,), reading.quantization(x), permutation=tuple(permutation))
            _emit_reshape(reading, operator, turned, tuple(shape[axis] for axis in permutation))
            return
        permutation = [axis - 1 for axis in permutation[1:]]
    reading.emit(operator, Transpose, (reading.value(x),), permutation=tuple(permutation))


def pad(reading: Reading, operator: FileOperator) -> None:
    """PAD with zeros."""
    x, p = inputs_of(operator, 2, 2)
    _pad(reading, operator, x, p, 0.0)


def padv2(reading: Reading, operator: FileOperator) -> None:
    """PADV2 with a constant."""
    x, p, v = inputs_of(operator, 3, 3)
    if reading.is_integer(x):
        numbers = reading.whole_numbers(v).reshape(-1) if reading.is_constant(v) else np.zeros(0)
        if numbers.shape != (1,):
            raise UnsupportedLayerError("its padding value is not one constant number; export the model with a constant one")
        _pad(reading, operator, x, p, int(numbers[0]))
        return
    value = reading.numbers(v).reshape(-1)
    if value.shape != (1,) or not np.isfinite(value[0]):
        raise ModelError("its padding value is not one finite number; the file is damaged")
    _pad(reading, operator, x, p, float(value[0]))


def _pad(reading: Reading, operator: FileOperator, x: int, p: int, value: float) -> None:
    pads = [(int(before), int(after)) for before, after in reading.integers(p).reshape(-1, 2)]
    if len(pads) != len(reading.shape(x)):
        raise ModelError(f"its {len(pads)} pairs of paddings do not fit a value of shape {reading.shape(x)}; the file is damaged")
    full = tuple(size + sum(pair) for size, pair in zip(reading.shape(x), pads, strict=True))
    along_batch = reading.has_batch(x) and pads[0] != (0, 0)  # which is an axis like the others then
    source = reading.whole(x, reading.tensor(only_output(operator)).name) if along_batch else reading.value(x)
    if reading.has_batch(x) and not along_batch:
        pads = pads[1:]
    if value and reading.is_integer(x):
        padded(reading, operator, source, tuple(pads), int(value), full)
        return
    reading.emit(operator, Pad, (source,), full=full, pads=tuple(pads), value=value)


def space_to_depth(reading: Reading, operator: FileOperator) -> None:
    """SPACE_TO_DEPTH: blocks of pixels become channels."""
    (x,), block = inputs_of(operator, 1, 1), operator.options("SpaceToDepthOptions").block_size
    height, width, channels = _image(reading, x)
    if block < 1 or height % block or width % block:
        raise ModelError(f"its blocks of {block} do not divide an image of {height} x {width}; the file is damaged")
    small = (height // block, width // block)
    _rearrange(reading, operator, x, (small[0], block, small[1], block, channels), (*small, block * block * channels))


def depth_to_space(reading: Reading, operator: FileOperator) -> None:
    """DEPTH_TO_SPACE: blocks of channels become pixels."""
    (x,), block = inputs_of(operator, 1, 1), operator.options("DepthToSpaceOptions").block_size
    height, width, channels = _image(reading, x)
    if block < 1 or channels % block**2:
        raise ModelError(f"its blocks of {block} do not divide {channels} channels; the file is damaged")
    channels //= block**2
    _rearrange(reading, operator, x, (height, width, block, block, channels), (height * block, width * block, channels))


def _image(reading: Reading, x: int) -> Shape:
    if len(reading.shape(x)) != 4 or not reading.has_batch(x):
        raise UnsupportedLayerError(f"it moves pixels of a value of shape {reading.shape(x)}; edgebn does so in images")
    return reading.sample(x)


def _rearrange(reading: Reading, operator: FileOperator, x: int, blocks: Shape, result: Shape) -> None:
    """Emit what swaps the second and third of the axes `blocks`."""
    label, quantization = reading.tensor(only_output(operator)).name, reading.quantization(x)
    value = reading.step(Reshape, f"{label}/blocks", (reading.value(x),), quantization, shape=blocks)
    value = reading.step(Transpose, f"{label}/moved", (value,), quantization, permutation=(0, 2, 1, 3, 4))
    reading.emit(operator, Reshape, (value,), full=(1, *result), shape=result)


def identity(reading: Reading, operator: FileOperator) -> None:
    """An operator that does nothing to a sample."""
    (x,) = inputs_of(operator, 1, 1)
    reading.emit(operator, Identity, (reading.value(x),))
