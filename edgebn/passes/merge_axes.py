"""Rules that bring layers on more than three axes to at most three: axes that a layer treats alike are merged around it.

Steps work on (H, W, C). What only moves elements is the same on merged axes, so a Reshape before and one behind do no harm; where
too many axes are treated differently, the layer is cut into several. They run on channels-last networks, integer ones too.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np

from edgebn.graph import Shape
from edgebn.layers import Add, Concat, Constant, Crop, Layer, Multiply, Pad, Reduce, Reshape
from edgebn.passes.network import Network
from edgebn.passes.simplify import Rule, is_quantized

MOST_AXES = 3
MOST_COPIES = 256  # by which a value is spread along axes of size 1


def _runs(kinds: list) -> list[tuple[int, ...]]:
    """Return the runs of neighbouring axes of one kind; axes of kind None go with any."""
    named = [(axis, kind) for axis, kind in enumerate(kinds) if kind is not None]
    runs: list[list[int]] = [[axis for axis, _ in group] for _, group in groupby(named, key=lambda pair: pair[1])]
    return [tuple(run) for run in runs] or [()]


def _merged(shape: Shape, runs: list[tuple[int, ...]]) -> Shape:
    return tuple(int(np.prod([shape[axis] for axis in run], dtype=np.int64)) for run in runs)


def _shaped(network: Network, layer: Layer, value: str, shape: Shape) -> str:
    """Return `value` under another shape."""
    if network.shapes[value] == shape:
        return value
    output = network.new_value(f"{value}/merged")
    network.put(Reshape(output, (value,), output, shape), layer.output, network.quantizations[value])
    return output


def _put_merged(network: Network, layer: Layer, merged: Layer) -> bool:
    """Put in `merged`, which works on merged axes, and a Reshape that gives its result the name and shape of `layer`'s."""
    shape, quantization = network.shapes[layer.output], network.quantizations[layer.output]
    output = network.new_value(f"{layer.output}/merged")
    network.put(replace(merged, output=output), layer.output, quantization)
    network.put(Reshape(f"{layer.name}/reshape", (output,), layer.output, shape), layer.output, quantization)
    return True


def merge_moved_axes(network: Network, layer: Layer) -> bool:
    """Crop and Pad: axes that stay whole are merged with their neighbours; where too many change, one is done by itself first."""
    if not isinstance(layer, Crop | Pad) or len(network.shapes[layer.output]) <= MOST_AXES:
        return False
    shape = network.shapes[layer.inputs[0]]
    if isinstance(layer, Crop):
        changed = [axis for axis, size in enumerate(layer.sizes) if size != shape[axis]]
    else:
        changed = [axis for axis, pair in enumerate(layer.pads) if pair != (0, 0)]
    runs = _runs([axis + 1 if axis in changed else None if size == 1 else 0 for axis, size in enumerate(shape)])
    if len(runs) > MOST_AXES:
        first = network.new_value(f"{layer.output}/part")
        one, rest = _split(layer, changed[0], shape)
        network.put(replace(one, name=first, output=first), layer.output, network.quantizations[layer.output])
        network.put(replace(rest, inputs=(first,)), layer.output)
        return True
    source = _shaped(network, layer, layer.inputs[0], _merged(shape, runs))
    if isinstance(layer, Crop):
        starts = tuple(layer.starts[run[0]] if run[:1] and run[0] in changed else 0 for run in runs)
        merged: Layer = replace(layer, inputs=(source,), starts=starts, sizes=_merged(layer.sizes, runs))
    else:
        pads = tuple(layer.pads[run[0]] if run[:1] and run[0] in changed else (0, 0) for run in runs)
        merged = replace(layer, inputs=(source,), pads=pads)
    return _put_merged(network, layer, merged)


def _split(layer: Crop | Pad, axis: int, shape: Shape) -> tuple[Layer, Layer]:
    """Return the layer along one axis alone, and along all others."""
    if isinstance(layer, Pad):
        one = tuple(pair if place == axis else (0, 0) for place, pair in enumerate(layer.pads))
        rest = tuple((0, 0) if place == axis else pair for place, pair in enumerate(layer.pads))
        return replace(layer, pads=one), replace(layer, pads=rest)
    starts = tuple(start if place == axis else 0 for place, start in enumerate(layer.starts))
    sizes = tuple(layer.sizes[axis] if place == axis else size for place, size in enumerate(shape))
    left = tuple(0 if place == axis else start for place, start in enumerate(layer.starts))
    return replace(layer, starts=starts, sizes=sizes), replace(layer, starts=left)


def merge_joined_axes(network: Network, layer: Layer) -> bool:
    """Concat: the axes before and behind the one along which it joins."""
    shape = network.shapes[layer.output]
    if not isinstance(layer, Concat) or len(shape) <= MOST_AXES:
        return False
    runs = _runs([1 if axis == layer.axis else None if size == 1 else 0 for axis, size in enumerate(shape)])
    inputs = tuple(_shaped(network, layer, name, _merged(network.shapes[name], runs)) for name in layer.inputs)
    return _put_merged(network, layer, replace(layer, inputs=inputs, axis=runs.index((layer.axis,))))


def merge_broadcast_axes(network: Network, layer: Layer) -> bool:
    """Add and Multiply: axes along which the same inputs have size 1; where those alternate too often, one input is spread out."""
    shape = network.shapes[layer.output]
    if not isinstance(layer, Add | Multiply) or len(shape) <= MOST_AXES or len(layer.inputs) != 2:
        return False
    whole = [(1,) * (len(shape) - len(given)) + given for given in (network.shapes[name] for name in layer.inputs)]
    kinds = [None if size == 1 else tuple(given[axis] == 1 for given in whole) for axis, size in enumerate(shape)]
    runs = _runs(kinds)
    if len(runs) > MOST_AXES:
        return _spread(network, layer, whole, kinds)
    inputs = tuple(_shaped(network, layer, name, _merged(given, runs)) for name, given in zip(layer.inputs, whole, strict=True))
    return _put_merged(network, layer, replace(layer, inputs=inputs))


def _spread(network: Network, layer: Layer, whole: list[Shape], kinds: list) -> bool:
    """Copy the smaller input that has axes of size 1 among others along its last run of them; a constant along all."""
    shape = network.shapes[layer.output]
    narrow = [place for place, given in enumerate(whole) if given != shape]
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
        if copies > MOST_COPIES:
            return False
        given = whole[place]
        before, behind = int(np.prod(given[: run[0]])), int(np.prod(given[run[-1] + 1 :]))
        flat = _shaped(network, layer, name, (before, 1, behind))
        joined = network.new_value(f"{name}/copies")
        network.put(Concat(joined, (flat,) * copies, joined, 1), layer.output, network.quantizations[name])
        wide = tuple(shape[axis] if axis in run else size for axis, size in enumerate(given))
        network.put(Reshape(spread, (joined,), spread, wide), layer.output, network.quantizations[name])
    inputs = tuple(spread if index == place else other for index, other in enumerate(layer.inputs))
    network.put(replace(layer, inputs=inputs), layer.output)
    return True


def merge_reduced_axes(network: Network, layer: Layer) -> bool:
    """Reduce on codes: the axes before, in and behind one run that is reduced; float32 reductions become pools by themselves."""
    if not isinstance(layer, Reduce) or not is_quantized(network, layer):
        return False
    shape = network.shapes[layer.inputs[0]]
    if len(shape) < MOST_AXES:
        return False
    axes = {axis for axis in layer.axes if shape[axis] != 1}
    runs = _runs([None if size == 1 else axis in axes for axis, size in enumerate(shape)])
    reduced = [place for place, run in enumerate(runs) if run[:1] and run[0] in axes]
    spatial = len(shape) == MOST_AXES and (len(shape) - 1 not in axes or len(axes) == 1 or len(runs) == 1)
    if spatial or len(reduced) != 1:
        return False
    source = _shaped(network, layer, layer.inputs[0], _merged(shape, runs))
    return _put_merged(network, layer, replace(layer, inputs=(source,), axes=tuple(reduced), keepdims=True))


RULES: tuple[Rule, ...] = (merge_moved_axes, merge_joined_axes, merge_broadcast_axes, merge_reduced_axes)
