"""Sums of convolutions of one value that are one convolution: convolution is linear in its weights.

Networks that are trained with branches (RepVGG, MobileOne, RepViT, FastViT) are often exported as they were trained. Branches of
3 x 3 and of 1 x 1 add up to one layer of 3 x 3 (Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", 2021).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgebn.layers import Add, Convolution, Identity, Layer
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, is_quantized, is_unbounded
from edgebn.quick_dataclass import replace


def merge_parallel_convolutions(network: Network, layer: Layer) -> bool:
    """Turn two convolutions of one value, both terms of one sum, into one, where it needs no more taps than the larger of them."""
    if not isinstance(layer, Add):
        return False
    terms = [(made, total) for value, total in _terms(network, layer) if isinstance(made := network.maker.get(value), Convolution)]
    for index, (one, _) in enumerate(terms):
        for other, total in terms[index + 1 :]:
            merged = _merged(one, other)
            if merged is None:
                continue
            network.put(merged, one.output)
            left = total.inputs[total.inputs[0] == other.output]
            network.put(Identity(total.name, (left,), total.output), total.output)
            network.notes.setdefault(other.name, f"part of {one.name}")
            return True
    return False


def _terms(network: Network, total: Add) -> Iterator[tuple[str, Add]]:
    """Return the terms that a sum, and sums that only it reads, have, each with the sum that reads it and nobody else."""
    shape = network.shapes[total.output]
    if is_quantized(network, total) or not is_unbounded(total) or any(network.shapes[value] != shape for value in total.inputs):
        return
    for value in total.inputs:
        if network.only_reader(value) is not total:
            continue
        inner = network.maker.get(value)
        if isinstance(inner, Add):
            yield from _terms(network, inner)
        else:
            yield value, total


def _merged(one: Convolution, other: Convolution) -> Convolution | None:
    """Return the convolution that is the sum of two, under the first one's name, or None where there is none as small."""
    alike = all(getattr(one, name) == getattr(other, name) for name in ("inputs", "strides", "groups", "channels_first"))
    real = all(part.weight_quantization is None and part.weight.ndim == 4 for part in (one, other))
    if one is other or not alike or not real:
        return None
    rows, columns = (_axis(one, other, axis) for axis in range(2))
    if rows is None or columns is None:
        return None
    count = tuple(len(range(first, last + 1, step)) for first, last, step in (rows, columns))
    if count not in (one.weight.shape[1:3], other.weight.shape[1:3]):
        return None
    output, inputs = one.weight.shape[0], one.weight.shape[3]
    weight, bias = np.zeros((output, *count, inputs)), np.zeros(output)
    for part in (one, other):
        top, left = ((-part.padding[axis] - first) // step for axis, (first, _, step) in enumerate((rows, columns)))
        kh, kw = part.weight.shape[1:3]
        weight[:, top : top + kh, left : left + kw] += part.weight
        bias += 0.0 if part.bias is None else part.bias
    with np.errstate(over="ignore"):
        weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        return None
    larger = one if count == one.weight.shape[1:3] else other
    return replace(one, weight=weight, bias=bias, dilations=(rows[2], columns[2]), padding=larger.padding)


def _axis(one: Convolution, other: Convolution, axis: int) -> tuple[int, int, int] | None:
    """Return first and last place of the taps of both along an axis, and how far apart they are; None where they do not fit.

    Places are counted from the output's place times the stride.
    """
    steps = {part.dilations[axis] for part in (one, other) if part.weight.shape[1 + axis] > 1} or {1}
    if len(steps) > 1:
        return None
    (step,) = steps
    first = [-part.padding[axis] for part in (one, other)]
    last = [start + step * (part.weight.shape[1 + axis] - 1) for start, part in zip(first, (one, other), strict=True)]
    return (min(first), max(last), step) if (first[0] - first[1]) % step == 0 else None


RULES: tuple[Rule, ...] = (merge_parallel_convolutions,)
