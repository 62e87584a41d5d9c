"""CUMSUM: sums of what stands before, in log2(n) additions of the value moved along its axis."""

from __future__ import annotations

from edgebn.errors import ModelError
from edgebn.formats.tflite.context import Reading, inputs_of, only_output, without_batch
from edgebn.formats.tflite.flatbuffer import FileOperator
from edgebn.formats.tflite.whole_numbers import two
from edgebn.layers import Add, Crop, Pad, Reshape

MAX_LENGTH = 1 << 12  # of an axis


def cumsum(reading: Reading, operator: FileOperator) -> None:
    """CUMSUM of float32 or integers along any axis, from either end, with the element itself or without."""
    x, a = inputs_of(operator, 2, 2)
    options, shape, named = operator.options("CumsumOptions"), reading.shape(x), reading.integers(a).reshape(-1)
    if named.shape != (1,) or not -len(shape) <= named[0] < len(shape):
        raise ModelError(f"its axis {tuple(named)} does not fit a value of shape {shape}; the file is damaged")
    axis = int(named[0]) % len(shape)
    length, label = shape[axis], reading.tensor(only_output(operator)).name
    if length > MAX_LENGTH:
        raise ModelError(f"it sums along an axis of {length}; edgebn sums up to {MAX_LENGTH}")
    value = reading.whole(x, label)
    reverse, distance = bool(options.reverse), 1

    def moved(value: str, by: int) -> str:
        """Return the value moved by some places, zeros coming in."""
        pads = tuple(((0, by) if reverse else (by, 0)) if place == axis else (0, 0) for place in range(len(shape)))
        starts = tuple(by if reverse and place == axis else 0 for place in range(len(shape)))
        wide = reading.step(Pad, f"{label}/wide", (value,), None, pads=pads)
        return reading.step(Crop, f"{label}/moved", (wide,), None, starts=starts, sizes=shape)

    if options.exclusive:
        value = moved(value, 1)
    while distance < length:
        other = moved(value, distance)
        if reading.is_integer(x):
            value = two(reading, f"{label}/sum", "add", value, other)
        else:
            value = reading.step(Add, f"{label}/sum", (value, other), None)
        distance *= 2
    reading.emit(operator, Reshape, (value,), full=shape, shape=without_batch(shape))
