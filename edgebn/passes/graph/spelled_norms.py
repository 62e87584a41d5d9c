"""Layer, RMS and group norms that files spell out, recognised as the one layer they are.

PyTorch below ONNX's opset 17 writes (x - mean) / sqrt(mean((x - mean)**2) + epsilon), Keras for TensorFlow Lite
x * s + (beta - mean * s) with s = gamma / sqrt(mean((x - mean)**2) + epsilon), of groups on (..., groups, channels of a group);
RMS norms are x / sqrt(mean(x**2) + epsilon). The norm itself sums more exactly, and goes through its input twice.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeGuard

import numpy as np

from edgebn.layers import Activation, Add, Binary, Layer, Multiply, Normalization, Reduce, Reshape
from edgebn.passes.batch_norm.placement import fits_float32
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, constant_of, is_quantized, is_unbounded, scalar_operand


class Spread(NamedTuple):
    """mean((value - its mean)**2) + epsilon over `axes`; without `centred` mean(value**2) + epsilon."""

    value: str
    axes: tuple[int, ...]
    epsilon: float
    centred: bool

    @property
    def by_group(self) -> bool:
        """Whether it is of (..., groups, channels of a group)."""
        return len(self.axes) > 1


def deviation_to_norm(network: Network, layer: Layer) -> bool:
    """A deviation from a mean, or a value, over the root of the mean of its squares is a norm without gamma and beta."""
    if is_quantized(network, layer) or not isinstance(layer, Binary | Multiply) or not is_unbounded(layer):
        return False
    if isinstance(layer, Multiply):
        found = [(value, _inverse_root(network, root)) for value, root in (layer.inputs, layer.inputs[::-1])]
    else:
        found = [(layer.inputs[0], _root(network, layer.inputs[1]))] if layer.function == "divide" else []
    for value, spread in found:
        if spread is not None and (_deviating(network, value) if spread.centred else (value, spread.axes)) == spread[:2]:
            return _put_norm(network, layer, spread, None, None)
    return False


def scaled_sum_to_norm(network: Network, layer: Layer) -> bool:
    """A sum x * s + (beta - mean * s), s a gamma over the root of x's spread, is a norm; without a beta it is x * s + -mean * s."""
    if not isinstance(layer, Add) or is_quantized(network, layer):
        return False
    for scaled, shift in (layer.inputs, layer.inputs[::-1]):
        product = _product(network, scaled)
        for value, scale in (product.inputs, product.inputs[::-1]) if product is not None else ():
            spread, gamma = _scale(network, scale)
            if spread is None or not spread.centred or spread.value != value:
                continue
            is_shift, beta = _shift(network, shift, spread, scale)
            if is_shift:
                return _put_norm(network, layer, spread, gamma, beta)
    return False


def affine_of_elements(network: Network, layer: Layer) -> bool:
    """Let a norm along the last axis multiply and add what a product or a sum behind it multiplies and adds element by element."""
    if not isinstance(layer, Multiply | Add) or is_quantized(network, layer):
        return False
    for value, other in (layer.inputs, layer.inputs[::-1]):
        norm, constant, shape = network.maker.get(value), constant_of(network, other), network.shapes[value]
        if constant is None or not isinstance(norm, Normalization) or network.only_reader(value) is not layer:
            continue
        if norm.axes != (len(shape) - 1,) or network.shapes[layer.output] != shape:
            continue
        spread = Spread(norm.inputs[0], norm.axes, norm.epsilon, norm.centred)
        if not _fits(network, constant, spread):
            return False
        gamma = np.ones((), np.float32) if norm.gamma is None else norm.gamma
        beta = np.zeros((), np.float32) if norm.beta is None else norm.beta
        with np.errstate(over="ignore"):
            gamma, beta = (gamma * constant, beta * constant) if isinstance(layer, Multiply) else (gamma, beta + constant)
        return _put_norm(network, layer, spread, gamma, beta)
    return False


def _put_norm(
    network: Network, layer: Add | Multiply | Binary, spread: Spread, gamma: np.ndarray | None, beta: np.ndarray | None
) -> bool:
    """Put a norm, and a clip where `layer` has bounds, in the place of what made it last; none where numbers are beyond float32."""
    if not fits_float32(*(one for one in (gamma, beta) if one is not None)):
        return False
    shape, by_group = network.shapes[spread.value], spread.by_group
    channels = shape[-2:] if by_group else shape[-1:]
    whole = (math.prod(shape[:-2]), math.prod(channels)) if by_group else shape
    last = len(whole) - 1
    wide = [
        None if one is None else np.broadcast_to(one, (1,) * (len(shape) - len(channels)) + channels).astype(np.float32)
        for one in (gamma, beta)
    ]
    gamma, beta = (None if one is None else one.reshape((1,) * last + (-1,)) for one in wide)
    name, near, is_bounded = layer.name, layer.output, not is_unbounded(layer)
    norm_output = network.new_value(f"{layer.output}/unbounded") if is_bounded else layer.output
    made = network.new_value(f"{norm_output}/grouped") if by_group else norm_output
    source = network.reshaped(layer, spread.value, whole) if by_group else spread.value
    norm = Normalization(
        name,
        (source,),
        made,
        axes=(0, 1) if by_group else (last,),
        groups=channels[0] if by_group else 1,
        axis=last,
        gamma=gamma,
        beta=beta,
        epsilon=spread.epsilon,
        centred=spread.centred,
    )
    _note_parts(network, layer, spread.value)
    network.put(norm, near)
    if by_group:
        network.put(Reshape(f"{name}/shape", (made,), norm_output, shape), near)
    if is_bounded:
        network.put(Activation(f"{name}/clip", (norm_output,), layer.output, "clip", low=layer.low, high=layer.high), near)
    return True


def _note_parts(network: Network, layer: Layer, source: str) -> None:
    """Say of the layers between what is normalised and the last one what they are part of."""
    waiting = [*layer.inputs]
    while waiting:
        part = network.maker.get(waiting.pop())
        if part is not None and part.output != source and part.inputs:
            network.notes.setdefault(part.name, f"part of the norm of {layer.name}")
            waiting += part.inputs


def _scale(network: Network, value: str) -> tuple[Spread | None, np.ndarray | None]:
    """Return whose spread's inverse root a value is, and the gamma that it is multiplied with, if any."""
    spread = _inverse_root(network, value)
    if spread is not None:
        return spread, None
    layer = _product(network, value)
    for one, other in (layer.inputs, layer.inputs[::-1]) if layer is not None else ():
        spread, gamma = _inverse_root(network, one), constant_of(network, other)
        if spread is not None and gamma is not None and _fits(network, gamma, spread):
            return spread, gamma
    return None, None


def _shift(network: Network, value: str, spread: Spread, scale: str) -> tuple[bool, np.ndarray | None]:
    """Return whether a value is beta - mean * scale, or -mean * scale, of what a spread is of, and its beta, if any."""
    if _is_mean_times(network, value, spread, scale, negative=True):
        return True, None
    layer = network.maker.get(value)
    if isinstance(layer, Binary) and layer.function == "subtract" and is_unbounded(layer):
        parts, negative = [layer.inputs[::-1]], False
    elif isinstance(layer, Add) and is_unbounded(layer):
        parts, negative = [layer.inputs, layer.inputs[::-1]], True
    else:
        return False, None
    for product, other in parts:
        beta = constant_of(network, other)
        if beta is not None and _fits(network, beta, spread) and _is_mean_times(network, product, spread, scale, negative=negative):
            return True, beta
    return False, None


def _is_mean_times(network: Network, value: str, spread: Spread, scale: str, *, negative: bool) -> bool:
    """Whether a value is the mean of what a spread is of, times a scale, or that of the negative mean."""
    layer = _product(network, value)
    for one, other in (layer.inputs, layer.inputs[::-1]) if layer is not None else ():
        mean: str | None = one
        if negative:
            operand = scalar_operand(network, network.maker[one]) if _product(network, one) is not None else None
            mean = operand[0] if operand is not None and operand[1] == -1.0 else None
        if other == scale and mean is not None and _averaged(network, mean) == spread[:2]:
            return True
    return False


def _product(network: Network, value: str) -> Multiply | None:
    layer = network.maker.get(value)
    return layer if isinstance(layer, Multiply) and is_unbounded(layer) else None


def _root(network: Network, value: str) -> Spread | None:
    """Return the spread whose root a value is."""
    layer = network.maker.get(value)
    return _spread(network, layer.inputs[0]) if _is_power(layer, "sqrt", 0.5) else None


def _inverse_root(network: Network, value: str) -> Spread | None:
    """Return the spread whose reciprocal root a value is."""
    layer = network.maker.get(value)
    if _is_power(layer, "rsqrt", -0.5):
        return _spread(network, layer.inputs[0])
    return _root(network, layer.inputs[0]) if _is_power(layer, "reciprocal", -1.0) else None


def _is_power(layer: Layer | None, function: str, exponent: float) -> TypeGuard[Activation]:
    """Whether a layer is a power of its input, by its own name or as a power."""
    if not isinstance(layer, Activation):
        return False
    return layer.function == function or (layer.function == "power" and layer.alpha == exponent)


def _spread(network: Network, value: str) -> Spread | None:
    layer = network.maker.get(value)
    operand = scalar_operand(network, layer) if isinstance(layer, Add) and is_unbounded(layer) else None
    average = None if operand is None else _averaged(network, operand[0])
    if operand is None or average is None or not 0 <= operand[1] < np.inf:
        return None
    (squares, axes), epsilon = average, operand[1]
    squared = network.maker.get(squares)
    if isinstance(squared, Binary) and squared.function == "squared_difference" and is_unbounded(squared):
        means = [(one, _averaged(network, mean)) for one, mean in (squared.inputs, squared.inputs[::-1])]
        return next((Spread(one, axes, epsilon, centred=True) for one, found in means if found == (one, axes)), None)
    is_product = isinstance(squared, Multiply) and is_unbounded(squared) and len({*squared.inputs}) == 1
    if squared is not None and (is_product or _is_power(squared, "square", 2.0)):
        inner = squared.inputs[0]
        found = _deviating(network, inner)
        if found is not None and found[1] == axes:
            return Spread(found[0], axes, epsilon, centred=True)
        return Spread(inner, axes, epsilon, centred=False) if len(axes) == 1 else None
    return None


def _deviating(network: Network, value: str) -> tuple[str, tuple[int, ...]] | None:
    """Return x of a value that is x less its mean, and the axes over which that runs."""
    layer = network.maker.get(value)
    if isinstance(layer, Binary) and layer.function == "subtract" and is_unbounded(layer):
        found = _averaged(network, layer.inputs[1])
        return found if found is not None and found[0] == layer.inputs[0] else None
    return None


def _averaged(network: Network, value: str) -> tuple[str, tuple[int, ...]] | None:
    """Return x of a value that is x's mean along its last axis, or of groups, with these axes left as ones; and the axes."""
    layer = network.maker.get(value)
    if not isinstance(layer, Reduce) or layer.function != "mean" or is_quantized(network, layer):
        return None
    shape, axes = network.shapes[layer.inputs[0]], tuple(sorted(layer.axes))
    last = len(shape) - 1
    if axes != (last,) and (last < 2 or axes != (*range(last - 1), last)):
        return None
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return (layer.inputs[0], axes) if network.shapes[value] == kept else None


def _fits(network: Network, constant: np.ndarray, spread: Spread) -> bool:
    """Whether a constant differs along the last axis alone, or of groups from channel to channel alone."""
    shape = network.shapes[spread.value]
    free = 2 if spread.by_group else 1
    padded = (1,) * (len(shape) - constant.ndim) + constant.shape
    return (
        len(padded) == len(shape)
        and all(size == 1 for size in padded[:-free])
        and all(size in (1, whole) for size, whole in zip(padded, shape, strict=True))
    )


RULES: tuple[Rule, ...] = (deviation_to_norm, scaled_sum_to_norm, affine_of_elements)
