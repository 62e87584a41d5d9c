"""Rules that take out layers which change nothing, fold constants, and join neighbours that are one layer.

Each rule looks at one layer and returns whether it changed the network. None of them depends on a layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebn.functions import BINARY
from edgebn.layers import (
    Activation,
    Add,
    Binary,
    Concat,
    Constant,
    Convolution,
    Crop,
    Dense,
    Gather,
    Layer,
    Multiply,
    Reduce,
    Reshape,
    Resize,
    Transpose,
)
from edgebn.passes.graph.network import Network, refuse
from edgebn.passes.graph.requantizations import same_codes
from edgebn.quick_dataclass import replace

Rule = Callable[[Network, Layer], bool]

# A constant that folding would make larger than this stays an operation (elements).
MAX_FOLDED_ELEMENTS = 1 << 22


def is_quantized(network: Network, layer: Layer) -> bool:
    """Whether any value around the layer holds integer codes."""
    return any(network.quantizations[name] is not None for name in (*layer.inputs, layer.output))


def is_unbounded(layer: Add | Multiply | Binary) -> bool:
    """Whether a sum, a product or another function of two values is not clipped."""
    return (layer.low, layer.high) == (-np.inf, np.inf)


def constant_of(network: Network, value: str) -> np.ndarray | None:
    """Return the array behind `value` when it is a constant of real numbers."""
    layer = network.maker.get(value)
    return layer.value if isinstance(layer, Constant) and network.quantizations[value] is None else None


def scalar_operand(network: Network, layer: Layer) -> tuple[str, float] | None:
    """Return (the other input, the number) when one of two inputs is a constant of one repeated number."""
    for value, other in (layer.inputs, layer.inputs[::-1]):
        constant = constant_of(network, other)
        if constant is not None and constant.size and (constant == constant.flat[0]).all():
            if network.shapes[layer.output] == network.shapes[value]:
                return value, float(constant.flat[0])
            return None
    return None


def _changes_nothing(network: Network, layer: Layer) -> bool:
    shape = network.shapes[layer.inputs[0]]
    if layer.kind == "Identity":
        return True
    if isinstance(layer, Activation):
        return layer.function == "clip" and layer.low == -np.inf and layer.high == np.inf
    if isinstance(layer, Transpose):
        return layer.permutation == tuple(range(len(shape)))
    if isinstance(layer, Gather):
        return all(picked is None for picked in layer.indices)
    if layer.kind in ("Reshape", "Crop", "Pad"):
        return network.shapes[layer.output] == shape
    if isinstance(layer, Resize):
        return network.shapes[layer.output] == shape and layer.ratio == (1.0, 1.0)
    return isinstance(layer, Concat) and len(layer.inputs) == 1


def drop_idle(network: Network, layer: Layer) -> bool:
    """Take out a layer whose output is its input: identity, dropout, a reshape to the same shape, a crop of everything."""
    if not _changes_nothing(network, layer):
        return False
    before, after = network.quantizations[layer.inputs[0]], network.quantizations[layer.output]
    if not (before is after is None or same_codes(before, after)) or not network.bypass(layer):
        return False
    network.notes.setdefault(layer.name, "vanished: it changes nothing at inference")
    return True


def dequantize_weights(network: Network, layer: Layer) -> bool:
    """Int8 weights between float values (TensorFlow Lite's dynamic range) become float32: real = scale * (code - zero point)."""
    weighted = layer.kind in ("Convolution", "TransposedConvolution", "Dense")
    quantization = getattr(layer, "weight_quantization", None)
    if not weighted or quantization is None or is_quantized(network, layer):
        return False
    weight = layer.weight  # type: ignore[attr-defined]  # the three kinds above have it
    shape = [1] * weight.ndim
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    with np.errstate(over="ignore", invalid="ignore"):
        real = quantization.scale.reshape(shape) * (weight.astype(np.float64) - quantization.zero_point.reshape(shape))
        real = real.astype(np.float32)
    if not np.isfinite(real).all():
        raise refuse(network.source, layer, "its weights times their scale are beyond float32; is the file damaged?")
    network.put(replace(layer, weight=real, weight_quantization=None), layer.output)  # type: ignore[call-arg]
    return True


def _evaluate(layer: Layer, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the layer's value where all its inputs are known; None for layers that nobody applies to constants."""
    if isinstance(layer, Reshape):
        return arrays[0].reshape(shape)
    if isinstance(layer, Transpose):
        return np.transpose(arrays[0], layer.permutation)
    if isinstance(layer, Gather):
        return _picked(arrays[0], layer)
    if isinstance(layer, Add):
        return np.clip(arrays[0] + arrays[1], layer.low, layer.high)
    if isinstance(layer, Multiply):
        return np.clip(arrays[0] * arrays[1], layer.low, layer.high)
    if isinstance(layer, Binary):
        return np.clip(BINARY[layer.function](*arrays), layer.low, layer.high)
    if isinstance(layer, Concat):
        return np.concatenate(arrays, axis=layer.axis)
    if isinstance(layer, Activation) and layer.function == "clip":
        return np.clip(arrays[0], layer.low, layer.high)
    if isinstance(layer, Reduce):
        functions: dict[str, Callable[..., Any]] = {"mean": np.mean, "sum": np.sum, "max": np.max, "min": np.min}
        return np.asarray(functions[layer.function](arrays[0], axis=layer.axes, keepdims=layer.keepdims))
    return None


def _picked(array: np.ndarray, layer: Gather) -> np.ndarray:
    for axis, picked in enumerate(layer.indices):
        array = array if picked is None else np.take(array, picked, axis)
    return array


def fold_constant(network: Network, layer: Layer) -> bool:
    """Replace a layer that reads only constants by its value."""
    if network.quantizations[layer.output] is not None:
        return False
    arrays = [constant_of(network, name) for name in layer.inputs]
    shape = network.shapes[layer.output]
    known = [array for array in arrays if array is not None]
    if len(known) != len(arrays) or int(np.prod(shape)) > MAX_FOLDED_ELEMENTS:
        return False
    value = _evaluate(layer, known, shape)
    if value is None:
        return False
    network.put(Constant(layer.name, (), layer.output, np.asarray(value, order="C")), layer.output)
    network.notes.setdefault(layer.name, "vanished: its value is a constant")
    return True


def join_reshapes(network: Network, layer: Layer) -> bool:
    """Reshape after reshape is the last one alone."""
    earlier = network.maker.get(layer.inputs[0]) if isinstance(layer, Reshape) else None
    if not isinstance(earlier, Reshape):
        return False
    network.put(replace(layer, inputs=earlier.inputs), layer.output)
    network.notes.setdefault(earlier.name, f"vanished: {layer.name} reads the value as it lies")
    return True


def join_transposes(network: Network, layer: Layer) -> bool:
    """Transpose after transpose is one transpose."""
    earlier = network.maker.get(layer.inputs[0]) if isinstance(layer, Transpose) else None
    if not isinstance(earlier, Transpose) or not isinstance(layer, Transpose):
        return False
    permutation = tuple(earlier.permutation[axis] for axis in layer.permutation)
    network.put(replace(layer, inputs=earlier.inputs, permutation=permutation), layer.output)
    return True


def join_gathers(network: Network, layer: Layer) -> bool:
    """Gather after gather is one gather."""
    earlier = network.maker.get(layer.inputs[0]) if isinstance(layer, Gather) else None
    if not isinstance(earlier, Gather) or not isinstance(layer, Gather):
        return False
    pairs = zip(earlier.indices, layer.indices, strict=True)
    indices = tuple(second if first is None else first if second is None else first[second] for first, second in pairs)
    network.put(replace(layer, inputs=earlier.inputs, indices=indices), layer.output)
    network.notes.setdefault(earlier.name, f"joined with {layer.name}")
    return True


def gather_to_crop(network: Network, layer: Layer) -> bool:
    """Neighbours in their own order are a crop."""
    if not isinstance(layer, Gather) or any(picked is not None and (np.diff(picked) != 1).any() for picked in layer.indices):
        return False
    starts = tuple(0 if picked is None else int(picked[0]) for picked in layer.indices)
    sizes = network.shapes[layer.output]
    network.put(Crop(layer.name, layer.inputs, layer.output, starts, sizes), layer.output)
    return True


def join_clips(network: Network, layer: Layer) -> bool:
    """Clip after clip is one clip: clip(clip(x, a, b), c, d) = clip(x, clip(a, c, d), clip(b, c, d))."""
    if not isinstance(layer, Activation) or layer.function != "clip" or is_quantized(network, layer):
        return False
    earlier = network.maker.get(layer.inputs[0])
    if not isinstance(earlier, Activation) or earlier.function != "clip" or network.only_reader(earlier.output) is not layer:
        return False
    low, high = (min(max(bound, layer.low), layer.high) for bound in (earlier.low, earlier.high))
    network.put(replace(layer, inputs=earlier.inputs, low=low, high=high), layer.output)
    network.remove(earlier.output)
    network.notes.setdefault(earlier.name, f"joined with the clip of {layer.name}")
    return True


def add_bias(network: Network, layer: Layer) -> bool:
    """A constant per channel added to a convolution's or dense layer's only output is its bias."""
    if not isinstance(layer, Add) or is_quantized(network, layer) or not is_unbounded(layer):
        return False
    for value, other in (layer.inputs, layer.inputs[::-1]):
        earlier, constant = network.maker.get(value), constant_of(network, other)
        if constant is None or network.only_reader(value) is not layer or network.shapes[layer.output] != network.shapes[value]:
            continue
        if not isinstance(earlier, Convolution | Dense) or getattr(earlier, "channels_first", False):
            continue
        channels = network.shapes[value][-1]
        if constant.size not in (1, channels) or (constant.ndim and constant.size != constant.shape[-1]):
            continue
        bias = np.zeros(channels, np.float64) if earlier.bias is None else earlier.bias.astype(np.float64)
        bias += constant.astype(np.float64).reshape(-1)
        network.put(replace(earlier, bias=bias.astype(np.float32), output=layer.output), layer.output)
        network.remove(value)
        network.notes.setdefault(layer.name, f"the bias of {earlier.name}")
        return True
    return False


RULES: tuple[Rule, ...] = (
    drop_idle,
    dequantize_weights,
    fold_constant,
    join_reshapes,
    join_transposes,
    join_gathers,
    gather_to_crop,
    join_clips,
    add_bias,
)
