"""Sums, other functions of two values and Reduce, of values whose axes (H, W, C) cannot express: axes treated alike are merged.

They run on channels-last networks, integer ones too. `three_axes.py` has the layers that work along one axis.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from edgebn.graph import Shape
from edgebn.layers import Add, Binary, Concat, Constant, IntegerBinary, Layer, Multiply, Reduce, Reshape, Select
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, is_quantized
from edgebn.program import hwc
from edgebn.quick_dataclass import replace

MAX_AXES = 3
MAX_COPIES = 256  # by which a value is spread along axes of size 1


def _runs(kinds: list) -> list[tuple[int, ...]]:
    """Return the runs of neighbouring axes of one kind; axes of kind None go with any."""
    named = [(axis, kind) for axis, kind in enumerate(kinds) if kind is not None]
    runs: list[list[int]] = [[axis for axis, _ in group] for _, group in groupby(named, key=lambda pair: pair[1])]
    return [tuple(run) for run in runs] or [()]


def _merged(shape: Shape, runs: list[tuple[int, ...]]) -> Shape:
    return tuple(int(np.prod([shape[axis] for axis in run], dtype=np.int64)) for run in runs)


def _put_merged(network: Network, layer: Layer, merged: Layer) -> bool:
    """Put in `merged`, which works on merged axes, and a Reshape that gives its result the name and shape of `layer`'s."""
    shape, quantization = network.shapes[layer.output], network.quantizations[layer.output]
    output = network.new_value(f"{layer.output}/merged")
    network.put(replace(merged, output=output), layer.output, quantization)
    network.put(Reshape(f"{layer.name}/reshape", (output,), layer.output, shape), layer.output, quantization)
    return True


def merge_broadcast_axes(network: Network, layer: Layer) -> bool:
    """Of two or three values: axes along which the same have size 1; where those alternate too often, one value is spread out."""
    shape = network.shapes[layer.output]
    meets = isinstance(layer, Add | Multiply | Binary | IntegerBinary | Select)
    if not meets or len(shape) <= MAX_AXES or len(layer.inputs) < 2:
        return False
    held = [hwc(network.shapes[name]) for name in layer.inputs]
    if all(size in (1, most) for input_shape in held for size, most in zip(input_shape, hwc(shape), strict=True)):
        return False
    whole = [
        (1,) * (len(shape) - len(input_shape)) + input_shape for input_shape in (network.shapes[name] for name in layer.inputs)
    ]
    kinds = [None if size == 1 else tuple(input_shape[axis] == 1 for input_shape in whole) for axis, size in enumerate(shape)]
    runs = _runs(kinds)
    if len(runs) > MAX_AXES:
        return _spread(network, layer, whole, kinds)
    inputs = tuple(
        network.reshaped(layer, name, _merged(input_shape, runs)) for name, input_shape in zip(layer.inputs, whole, strict=True)
    )
    return _put_merged(network, layer, replace(layer, inputs=inputs))


def _spread(network: Network, layer: Layer, whole: list[Shape], kinds: list) -> bool:
    """Copy the smaller input that has axes of size 1 among others along its last run of them; a constant along all."""
    shape = network.shapes[layer.output]
    narrow = [place for place, input_shape in enumerate(whole) if input_shape != shape]
    constants = [place for place in narrow if isinstance(network.maker.get(layer.inputs[place]), Constant)]
    place = (constants or sorted(narrow, key=lambda place: int(np.prod(whole[place]))))[0]
    name = layer.inputs[place]
    spread = network.new_value(f"{name}/spread")
    made = network.maker.get(name)
    if isinstance(made, Constant):
        array = np.broadcast_to(made.value, shape)
        network.put(
            replace(made, name=spread, output=spread, value=np.asarray(array, order="C")),
            layer.output,
            network.quantizations[name],
        )
    else:
        run = [run for run in _runs(kinds) if kinds[run[0]][place]][-1]
        copies = int(np.prod([shape[axis] for axis in run]))
        if copies > MAX_COPIES:
            return False
        input_shape = whole[place]
        before, behind = int(np.prod(input_shape[: run[0]])), int(np.prod(input_shape[run[-1] + 1 :]))
        flat = network.reshaped(layer, name, (before, 1, behind))
        joined = network.new_value(f"{name}/copies")
        network.put(Concat(joined, (flat,) * copies, joined, 1), layer.output, network.quantizations[name])
        wide = tuple(shape[axis] if axis in run else size for axis, size in enumerate(input_shape))
        network.put(Reshape(spread, (joined,), spread, wide), layer.output, network.quantizations[name])
    inputs = tuple(spread if index == place else other for index, other in enumerate(layer.inputs))
    network.put(replace(layer, inputs=inputs), layer.output)
    return True


def merge_reduced_axes(network: Network, layer: Layer) -> bool:
    """Reduce on codes: the axes before, in and behind one run that is reduced; float32 reductions become pools by themselves."""
    if not isinstance(layer, Reduce) or not is_quantized(network, layer):
        return False
    shape = network.shapes[layer.inputs[0]]
    if len(shape) < MAX_AXES:
        return False
    axes = {axis for axis in layer.axes if shape[axis] != 1}
    runs = _runs([None if size == 1 else axis in axes for axis, size in enumerate(shape)])
    reduced = [place for place, run in enumerate(runs) if run[:1] and run[0] in axes]
    spatial = len(shape) == MAX_AXES and (len(shape) - 1 not in axes or len(axes) == 1 or len(runs) == 1)
    if spatial or len(reduced) != 1:
        return False
    source = network.reshaped(layer, layer.inputs[0], _merged(shape, runs))
    return _put_merged(network, layer, replace(layer, inputs=(source,), axes=tuple(reduced), keepdims=True))


RULES: tuple[Rule, ...] = (merge_broadcast_axes, merge_reduced_axes)
