"""Rules about windows over space: padding joins the layer behind it, reductions become pools, flatten + dense a convolution.

They run on channels-last networks: the last axis is the channel axis.
"""

from __future__ import annotations

import numpy as np

from edgebn.layers import (
    MAX_EXTENT,
    Activation,
    Add,
    Constant,
    Convolution,
    Dense,
    Layer,
    Multiply,
    Pad,
    Pool,
    Reduce,
    Reshape,
    Transpose,
)
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, is_quantized
from edgebn.passes.graph.transposing import last_run, over_space
from edgebn.quick_dataclass import replace

# Values at or below this never win a maximum: what files write for minus infinity.
LOWEST = float(np.finfo(np.float32).min)


def pad_into_window(network: Network, layer: Layer) -> bool:
    """Move a Pad over space into the convolution or pool that reads it, where that is exact.

    Convolutions pad with zero; averages must count the padding; a maximum ignores it, which is the same as a zero where the
    input is never negative and no window lies in the padding alone.
    """
    if not isinstance(layer, Convolution | Pool):
        return False
    pad = network.maker.get(layer.inputs[0])
    if not isinstance(pad, Pad) or pad.pads[-1] != (0, 0) or len(pad.pads) not in (2, 3):
        return False
    (top, bottom), (left, right) = ((0, 0), pad.pads[0]) if len(pad.pads) == 2 else (pad.pads[0], pad.pads[1])
    sides = (layer.padding[0] + top, layer.padding[1] + left, layer.padding[2] + bottom, layer.padding[3] + right)
    if isinstance(layer, Convolution):
        if pad.value != 0:
            return False
        moved: Layer = replace(layer, inputs=pad.inputs, padding=sides)
    elif is_quantized(network, pad):
        return False
    elif layer.function == "max":
        harmless = pad.value <= LOWEST or (pad.value == 0 and _never_negative(network, pad.inputs[0]))
        inside = all(side < size for side, size in zip(sides, layer.kernel * 2, strict=True))
        if not harmless or not inside or layer.dilations != (1, 1):
            return False
        moved = replace(layer, inputs=pad.inputs, padding=sides)
    else:
        if pad.value != 0 or layer.padding != (0, 0, 0, 0) or layer.clipped_end != (0, 0):
            return False
        moved = replace(layer, inputs=pad.inputs, padding=sides, count_padding=True)
    network.put(moved, layer.output)
    network.notes[pad.name] = f"the padding of {layer.name}"
    return True


def _never_negative(network: Network, value: str) -> bool:
    layer = network.maker.get(value)
    if isinstance(layer, Add | Multiply):
        return layer.low >= 0
    if isinstance(layer, Activation):
        return (layer.function == "clip" and layer.low >= 0) or layer.function in ("sigmoid", "hard_sigmoid")
    return False


def spell_reduction(network: Network, layer: Layer) -> bool:
    """A sum is the mean times the number of elements, a minimum the negative of the negatives' maximum."""
    if not isinstance(layer, Reduce) or layer.function not in ("sum", "min") or is_quantized(network, layer):
        return False
    source, reduced = layer.inputs[0], network.new_value(f"{layer.output}/reduced")
    shape = network.shapes[source]
    if layer.function == "sum":
        network.put(replace(layer, output=reduced, function="mean"), layer.output)
        _times(network, layer, reduced, layer.output, float(np.prod([shape[axis] for axis in set(layer.axes)])))
        return True
    negative = network.new_value(f"{source}/negative")
    _times(network, layer, source, negative, -1.0)
    network.put(replace(layer, inputs=(negative,), output=reduced, function="max"), layer.output)
    _times(network, layer, reduced, layer.output, -1.0)
    return True


def _times(network: Network, layer: Layer, source: str, output: str, number: float) -> None:
    """Put a product with a number at the place of `layer`."""
    name = network.new_value(f"{output}/factor")
    network.put(Constant(name, (), name, np.array(number, np.float32)), layer.output)
    network.put(Multiply(f"{layer.name}/times", (source, name), output), layer.output)


def reduce_to_pool(network: Network, layer: Layer) -> bool:
    """Turn a mean or maximum over neighbouring axes into a pool whose window is as large as those axes.

    Reductions that touch the channels go through a reshape to (before, reduced, after), one run of axes at a time.
    Integer networks keep their reductions: TensorFlow Lite's mean has an arithmetic of its own.
    """
    if not isinstance(layer, Reduce) or layer.function not in ("mean", "max") or is_quantized(network, layer):
        return False
    source = layer.inputs[0]
    shape = network.shapes[source]
    axes = [axis for axis in sorted(set(layer.axes)) if shape[axis] != 1]
    if not axes:
        network.put(Reshape(layer.name, (source,), layer.output, network.shapes[layer.output]), layer.output)
        return True
    if over_space(shape, axes):
        done = axes
        window = tuple(shape[axis] if axis in axes else 1 for axis in range(len(shape) - 1))
        kernel = (window[0], window[1]) if len(window) == 2 else (1, window[0])
    else:
        done = last_run(shape, axes)
        while len(done) > 1 and np.prod(shape[done[0] : done[-1] + 1]) > MAX_EXTENT:
            done = done[1:]  # no window reaches further: the mean of means, or maximum of maxima, is the same
        before, after = shape[: done[0]], shape[done[-1] + 1 :]
        kernel = (1, int(np.prod(shape[done[0] : done[-1] + 1])))
        laid_out = (int(np.prod(before)), kernel[1], int(np.prod(after)))
        source = network.reshaped(layer, source, laid_out)
    pooled = network.new_value(f"{layer.output}/pooled")
    function = "max" if layer.function == "max" else "average"
    network.put(Pool(layer.name, (source,), pooled, function, kernel, kernel), layer.output)
    if len(done) < len(axes):
        left = tuple(1 if axis in done else size for axis, size in enumerate(shape))
        network.put(replace(layer, inputs=(network.reshaped(layer, pooled, left),)), layer.output)
    else:
        network.put(Reshape(f"{layer.name}/reshape", (pooled,), layer.output, network.shapes[layer.output]), layer.output)
    return True


def flatten_dense_to_convolution(network: Network, layer: Layer) -> bool:
    """Turn flatten + dense into a convolution whose kernel is the whole value; a transpose in front of the flatten goes too.

    The dense weight (O, h * w * c) is the kernel (O, h, w, c); where the file flattened another order of the axes, the kernel's
    axes are put back into (h, w, c).
    """
    if not isinstance(layer, Dense) or len(network.shapes[layer.inputs[0]]) != 1:
        return False
    reshape = network.maker.get(layer.inputs[0])
    if not isinstance(reshape, Reshape):
        return False
    source = reshape.inputs[0]
    shape = network.shapes[source]
    order = tuple(range(len(shape)))
    transpose = network.maker.get(source)
    if isinstance(transpose, Transpose):
        source, order = transpose.inputs[0], transpose.permutation
    if len(shape) not in (2, 3) or (shape[:-1] == (1,) * (len(shape) - 1) and source == reshape.inputs[0]):
        return False
    kernel = layer.weight.reshape(-1, *shape).transpose(0, *(1 + order.index(axis) for axis in range(len(order))))
    if len(shape) == 2:
        kernel = kernel[:, np.newaxis]
    convolved = network.new_value(f"{layer.output}/convolved")
    convolution = Convolution(
        layer.name,
        (source,),
        convolved,
        np.ascontiguousarray(kernel),
        layer.bias,
        weight_quantization=layer.weight_quantization,
    )
    network.put(convolution, layer.output, network.quantizations[layer.output])
    network.put(Reshape(f"{layer.name}/reshape", (convolved,), layer.output, network.shapes[layer.output]), layer.output)
    for part in (reshape, transpose):
        if isinstance(part, Reshape | Transpose):
            network.notes.setdefault(part.name, f"vanished: {layer.name} reads the value as it lies")
    return True


RULES: tuple[Rule, ...] = (pad_into_window, spell_reduction, reduce_to_pool, flatten_dense_to_convolution)
