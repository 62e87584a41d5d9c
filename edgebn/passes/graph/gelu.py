"""GELUs that files spell out in products, exact (by the error function) or by tanh, recognised as the one function they are.

Exporters write x / 2 * (1 + erf(x / sqrt(2))), or by tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)) in place of erf, with the
factors in any order. The function itself is nearer to what is meant: the sum loses the digits of a gate near 0.
"""

from __future__ import annotations

import math

from edgebn.functions import GELU_CUBE, GELU_TANH
from edgebn.layers import Activation, Add, Layer, Multiply
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule, is_quantized, is_unbounded, scalar_operand

TOLERANCE = 4e-6  # relative, of a constant: some files give it in six digits
POWERS = {"square": 2, "power": 0}  # functions that are products of a value with itself; of a power the exponent says how many
MAX_POWER = 3
# By the gate's function, the GELU that it makes.
GATES = {"erf": "gelu", "tanh": "gelu_tanh"}
INVERSE_ROOT = 1 / math.sqrt(2)
OF_TANH = GELU_TANH / 2  # sqrt(2 / pi)


def product_to_gelu(network: Network, layer: Layer) -> bool:
    """Turn x / 2 * (1 + erf(x / sqrt(2))) into GELU, and the same by tanh into GELU by tanh."""
    if not isinstance(layer, Multiply) or is_quantized(network, layer) or not is_unbounded(layer):
        return False
    number, factors = _product(network, layer.output)
    if len(factors) != 2 or not _is(number, 0.5):
        return False
    for value, gate in (factors, factors[::-1]):
        function = _gated(network, gate, value)
        if function is not None and network.shapes[value] == network.shapes[layer.output]:
            network.put(Activation(layer.name, (value,), layer.output, function), layer.output)
            network.notes.setdefault(network.maker[gate].name, f"part of the {function} of {layer.name}")
            return True
    return False


def _gated(network: Network, gate: str, value: str) -> str | None:
    """Return the GELU whose gate 1 + erf or 1 + tanh a value is, of `value`, if it is one."""
    inner = _plus(network, gate, 1.0)
    function = network.maker.get(inner) if inner is not None else None
    if not isinstance(function, Activation) or function.function not in GATES:
        return None
    number, factors = _product(network, function.inputs[0])
    if function.function == "erf":
        fits = factors == [value] and _is(number, INVERSE_ROOT)
    else:
        fits = len(factors) == 1 and _is(number, OF_TANH) and _is_cubic(network, factors[0], value)
    return GATES[function.function] if fits else None


def _is_cubic(network: Network, total: str, value: str) -> bool:
    """Whether a value is x + 0.044715 * x**3."""
    layer = network.maker.get(total)
    if not isinstance(layer, Add) or not is_unbounded(layer):
        return False
    for one, other in (layer.inputs, layer.inputs[::-1]):
        number, factors = _product(network, other)
        if one == value and factors == [value] * 3 and _is(number, GELU_CUBE):
            return True
    return False


def _plus(network: Network, total: str, number: float) -> str | None:
    """Return what a number is added to, if a value is such a sum."""
    layer = network.maker.get(total)
    operand = scalar_operand(network, layer) if isinstance(layer, Add) and is_unbounded(layer) else None
    return operand[0] if operand is not None and operand[1] == number else None


def _product(network: Network, value: str) -> tuple[float, list[str]]:
    """Return the number and the values that a value is the product of; itself alone where it is none."""
    layer = network.maker.get(value)
    if isinstance(layer, Activation) and layer.function in POWERS:
        count = POWERS[layer.function] or layer.alpha
        if count in range(1, MAX_POWER + 1):
            number, factors = _product(network, layer.inputs[0])
            return number**count, factors * int(count)
    if not isinstance(layer, Multiply) or not is_unbounded(layer):
        return 1.0, [value]
    operand = scalar_operand(network, layer)
    if operand is not None:
        number, factors = _product(network, operand[0])
        return number * operand[1], factors
    (one, first), (other, second) = (_product(network, name) for name in layer.inputs)
    return one * other, first + second


def _is(number: float, wanted: float) -> bool:
    return abs(number - wanted) <= TOLERANCE * wanted


RULES: tuple[Rule, ...] = (product_to_gelu,)
