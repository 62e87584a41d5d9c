"""Activations that files spell out in several layers, recognised as the one function they are: SiLU, hard sigmoid, hard swish."""

from __future__ import annotations

import numpy as np

from edgebn.layers import Activation, Add, Layer, Multiply, Quantize
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, is_quantized, is_unbounded, scalar_operand
from edgebn.quick_dataclass import replace

UNBOUNDED = (-np.inf, np.inf)


def _ramp(network: Network, value: str) -> str | None:
    """Return x when `value` is clip(x + 3, 0, 6), else None."""
    layer = network.maker.get(value)
    bounds = UNBOUNDED
    if isinstance(layer, Activation) and layer.function == "clip":
        bounds = (layer.low, layer.high)
        layer = network.maker.get(layer.inputs[0])
        if not isinstance(layer, Add) or not is_unbounded(layer):
            return None
    elif isinstance(layer, Add):
        bounds = (layer.low, layer.high)
    if not isinstance(layer, Add) or bounds != (0.0, 6.0):
        return None
    operand = scalar_operand(network, layer)
    return operand[0] if operand is not None and operand[1] == 3.0 else None


def _is_sixth(number: float) -> bool:
    return abs(number - 1 / 6) < 1e-6


def gate_to_activation(network: Network, layer: Layer) -> bool:
    """Turn x * sigmoid(x) into SiLU, and x * hard_sigmoid(x) with slope 1/6 and offset 1/2 into hard swish."""
    if not isinstance(layer, Multiply) or not is_unbounded(layer) or is_quantized(network, layer):
        return False
    for value, other in (layer.inputs, layer.inputs[::-1]):
        gate = network.maker.get(other)
        if not isinstance(gate, Activation) or gate.inputs[0] != value:
            continue
        if gate.function == "sigmoid":
            function = "silu"
        elif gate.function == "hard_sigmoid" and _is_sixth(gate.alpha) and gate.beta == 0.5:
            function = "hard_swish"
        else:
            continue
        network.put(Activation(layer.name, (value,), layer.output, function), layer.output)
        network.notes.setdefault(gate.name, f"part of the {function} of {layer.name}")
        return True
    return False


def ramp_to_hard_sigmoid(network: Network, layer: Layer) -> bool:
    """clip(x + 3, 0, 6) / 6 is a hard sigmoid; x * clip(x + 3, 0, 6) / 6 is hard swish."""
    if not isinstance(layer, Multiply) or not is_unbounded(layer) or is_quantized(network, layer):
        return False
    operand = scalar_operand(network, layer)
    if operand is None or not _is_sixth(operand[1]):
        return False
    value = operand[0]
    source = _ramp(network, value)
    if source is not None:
        activation = Activation(layer.name, (source,), layer.output, "hard_sigmoid", alpha=1 / 6, beta=0.5)
        network.put(activation, layer.output)
        _note_parts(network, value, f"part of the hard_sigmoid of {layer.name}")
        return True
    product = network.maker.get(value)
    if not isinstance(product, Multiply) or not is_unbounded(product):
        return False
    for one, other in (product.inputs, product.inputs[::-1]):
        if _ramp(network, other) == one:
            network.put(Activation(layer.name, (one,), layer.output, "hard_swish"), layer.output)
            network.notes.setdefault(product.name, f"part of the hard_swish of {layer.name}")
            _note_parts(network, other, f"part of the hard_swish of {layer.name}")
            return True
    return False


def _note_parts(network: Network, value: str, words: str) -> None:
    layer = network.maker[value]
    network.notes.setdefault(layer.name, words)
    if isinstance(layer, Activation):
        network.notes.setdefault(network.maker[layer.inputs[0]].name, words)


def hoist_activation(network: Network, layer: Layer) -> bool:
    """A function of single numbers behind a reshape moves in front of it, next to the layer that it can fuse with.

    A Quantize moves in front of a transpose too: a dense layer behind the two reads the value as it lies.
    """
    if isinstance(layer, Activation) and layer.slope is None:
        passed: tuple[str, ...] = ("Reshape",)
    elif isinstance(layer, Quantize):
        passed = ("Reshape", "Transpose")
    else:
        return False
    mover = network.maker.get(layer.inputs[0])
    if mover is None or mover.kind not in passed or network.only_reader(mover.output) is not layer:
        return False
    inner = network.new_value(f"{layer.output}/unmoved")
    moved = replace(layer, inputs=mover.inputs, output=inner)
    network.put(moved, mover.output, network.quantizations[layer.output])
    network.remove(layer.output)
    network.put(replace(mover, inputs=(inner,), output=layer.output), layer.output)
    network.remove(mover.output)
    return True


RULES: tuple[Rule, ...] = (gate_to_activation, ramp_to_hard_sigmoid, hoist_activation)
