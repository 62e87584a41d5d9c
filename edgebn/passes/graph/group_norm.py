"""Group norms that files spell out, recognised as the one layer they are.

PyTorch writes one for ONNX as an instance norm of as many channels as there are groups, between two reshapes, and multiplies and
adds what belongs to each channel afterwards. Runs before the layout is chosen: the reshape wants all channels of a group together.
"""

from __future__ import annotations

import numpy as np

from edgebn.graph import Graph
from edgebn.layers import Add, Layer, Multiply, Normalization, Reshape
from edgebn.passes.batch_norm.placement import fits_float32
from edgebn.passes.graph.canonical import apply_rules
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, constant_of, is_quantized, is_unbounded
from edgebn.quick_dataclass import replace


def reshapes_to_groups(network: Network, layer: Layer) -> bool:
    """Take the reshapes away from around a norm of every channel of (groups, elements) of a value of whole channels."""
    if not isinstance(layer, Normalization) or is_quantized(network, layer):
        return False
    before, after = network.maker.get(layer.inputs[0]), network.only_reader(layer.output)
    if not isinstance(before, Reshape) or not isinstance(after, Reshape) or is_quantized(network, before):
        return False
    shape, (groups, *elements) = network.shapes[before.inputs[0]], network.shapes[layer.inputs[0]]
    by_group = layer.axis == 0 and layer.groups == groups and len(layer.axes) == 1 + len(elements)
    if not by_group or len(shape) < 2 or shape[0] % groups or network.shapes[after.output] != shape:
        return False
    if any(array is not None and (array.shape[0] != array.size or groups % array.size) for array in (layer.gamma, layer.beta)):
        return False
    gamma, beta = (_by_channel(array, shape) for array in (layer.gamma, layer.beta))
    axes = tuple(range(len(shape)))
    norm = replace(layer, inputs=before.inputs, output=after.output, axes=axes, gamma=gamma, beta=beta)
    network.put(norm, after.output)
    network.notes.setdefault(before.name, f"part of the group norm of {layer.name}")
    network.notes.setdefault(after.name, f"part of the group norm of {layer.name}")
    return True


def _by_channel(array: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return a parameter of a norm of groups for each of its channels."""
    if array is None:
        return None
    return np.repeat(array.reshape(-1), shape[0] // array.size).reshape(-1, *(1 for _ in shape[1:]))


def affine_of_channels(network: Network, layer: Layer) -> bool:
    """Let a norm multiply and add what a product or a sum behind it multiplies and adds channel by channel."""
    if not isinstance(layer, Multiply | Add) or not is_unbounded(layer) or is_quantized(network, layer):
        return False
    for value, other in (layer.inputs, layer.inputs[::-1]):
        norm, constant, shape = network.maker.get(value), constant_of(network, other), network.shapes[value]
        if constant is None or not isinstance(norm, Normalization) or network.only_reader(value) is not layer:
            continue
        wide = shape[0], *(1 for _ in shape[1:])
        if norm.axis != 0 or len(norm.axes) != len(shape) or network.shapes[layer.output] != shape or constant.shape != wide:
            continue
        gamma = np.ones(wide, np.float32) if norm.gamma is None else norm.gamma
        beta = np.zeros(wide, np.float32) if norm.beta is None else norm.beta
        with np.errstate(over="ignore"):
            gamma, beta = (gamma * constant, beta * constant) if isinstance(layer, Multiply) else (gamma, beta + constant)
        if not fits_float32(gamma, beta):
            return False
        network.put(replace(norm, output=layer.output, gamma=gamma, beta=beta), layer.output)
        network.notes.setdefault(layer.name, f"part of the group norm of {norm.name}")
        return True
    return False


RULES: tuple[Rule, ...] = (reshapes_to_groups, affine_of_channels)


def group_norms(graph: Graph, notes: dict[str, str]) -> Graph:
    """Return a graph, still in its file's order, whose group norms are one layer each; `notes` as for `apply_rules`."""
    return apply_rules(graph, RULES, notes)
