"""Concat, Crop, Pad and Gather of values with more than three axes: between reshapes to three, on which steps work."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from edgebn.layers import ArgExtreme, Concat, Crop, Gather, Layer, Pad, Reshape, Shape
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule
from edgebn.quick_dataclass import replace

T = TypeVar("T")


def _worked_axes(layer: Concat | Crop | Pad, shape: Shape) -> list[int]:
    """Return the axes along which the layer changes a value of this shape."""
    if isinstance(layer, Concat):
        return [layer.axis]
    if isinstance(layer, Crop):
        return [axis for axis, size in enumerate(layer.sizes) if size != shape[axis]]
    return [axis for axis, pair in enumerate(layer.pads) if pair != (0, 0)]


def _merged(shape: Shape, axis: int) -> tuple[Shape, int, int]:
    """Return three axes to work on, which of them is `axis`, and how many of its elements one of the old axis is.

    The first and the last two axes need no other order of rows than (height, width, channels), and so no work.
    """
    if 0 < axis < len(shape) - 1:
        return (int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :]))), 1, 1
    rows = int(np.prod(shape[1:-2]))
    return (shape[0] * rows, *shape[-2:]), 0 if axis == 0 else 2, rows if axis == 0 else 1


def to_three_axes(network: Network, layer: Layer) -> bool:
    """Let a layer that works along axes of a longer value work along one of them alone; a layer behind it does the rest."""
    if not isinstance(layer, Concat | Crop | Pad) or len(network.shapes[layer.output]) <= 3:
        return False
    shape = network.shapes[layer.inputs[0]]
    axes = _worked_axes(layer, shape)
    if not axes:
        return False
    axis = axes[0]
    merged, place, count = _merged(shape, axis)
    inputs = tuple(network.reshaped(layer, name, _merged(network.shapes[name], axis)[0]) for name in layer.inputs)
    result = network.shapes[layer.output]
    rest: Layer | None = None
    if isinstance(layer, Concat):
        work: Layer = replace(layer, inputs=inputs, axis=place)
    elif isinstance(layer, Crop):
        start, size = layer.starts[axis] * count, layer.sizes[axis] * count
        work = replace(layer, inputs=inputs, starts=_at((0, 0, 0), place, start), sizes=_at(merged, place, size))
        result, rest = _at(shape, axis, layer.sizes[axis]), replace(layer, starts=_at(layer.starts, axis, 0))
    else:
        before, after = layer.pads[axis]
        none = (0, 0)
        work = replace(layer, inputs=inputs, pads=_at((none, none, none), place, (before * count, after * count)))
        result, rest = _at(shape, axis, shape[axis] + before + after), replace(layer, pads=_at(layer.pads, axis, none))
    worked = network.new_value(f"{layer.output}/worked")
    network.put(replace(work, output=worked), layer.output, network.quantizations[layer.output])
    if rest is None or len(axes) == 1:
        network.put(Reshape(f"{layer.name}/reshape", (worked,), layer.output, result), layer.output)
    else:
        network.put(replace(rest, inputs=(network.reshaped(layer, worked, result),)), layer.output)
    return True


def gather_columns(network: Network, layer: Layer) -> bool:
    """Let a Gather of channels, or of axes beyond three, pick columns of (before, picked, behind), one axis after the other."""
    if not isinstance(layer, Gather):
        return False
    shape = network.shapes[layer.inputs[0]]
    axes = [axis for axis, picked in enumerate(layer.indices) if picked is not None]
    if not axes or (len(shape) in (2, 3) and axes[-1] < len(shape) - 1):
        return False
    axis = axes[-1]
    picked = layer.indices[axis]
    assert picked is not None
    run = _common_run(picked, shape[axis])
    source = network.reshaped(layer, layer.inputs[0], (_size(shape[:axis]), shape[axis] // run, run * _size(shape[axis + 1 :])))
    work = replace(layer, inputs=(source,), output=network.new_value(f"{layer.output}/worked"),
                   indices=(None, picked[::run] // run, None))  # fmt: skip
    network.put(work, layer.output, network.quantizations[layer.output])
    result = _at(shape, axis, len(picked))
    if len(axes) == 1:
        network.put(Reshape(f"{layer.name}/reshape", (work.output,), layer.output, result), layer.output)
    else:
        rest = replace(layer, inputs=(network.reshaped(layer, work.output, result),), indices=_at(layer.indices, axis, None))
        network.put(rest, layer.output)
    return True


def arg_in_three_axes(network: Network, layer: Layer) -> bool:
    """Let an ArgExtreme of a longer value work on (before, axis, behind)."""
    if not isinstance(layer, ArgExtreme) or len(network.shapes[layer.output]) <= 3:
        return False
    shape, axis = network.shapes[layer.inputs[0]], layer.axis
    source = network.reshaped(layer, layer.inputs[0], (_size(shape[:axis]), shape[axis], _size(shape[axis + 1 :])))
    work = replace(layer, inputs=(source,), output=network.new_value(f"{layer.output}/worked"), axis=1)
    network.put(work, layer.output, None)
    network.put(Reshape(f"{layer.name}/reshape", (work.output,), layer.output, _at(shape, axis, layer.count)), layer.output)
    return True


def _common_run(picked: np.ndarray, size: int) -> int:
    """Return the length of the longest runs of neighbours that the axis and the picked elements both are made of."""
    starts = np.flatnonzero(np.diff(picked, prepend=-2) != 1)
    return int(np.gcd.reduce([size, len(picked), *starts, *picked[starts]]))


def _size(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _at(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """Return `values` with another one at `place`."""
    return (*values[:place], value, *values[place + 1 :])


RULES: tuple[Rule, ...] = (to_three_axes, gather_columns, arg_in_three_axes)
