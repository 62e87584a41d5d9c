"""A cubic Resize as two products with constant matrices, one along each axis: four weights a row, in float32."""

from __future__ import annotations

import numpy as np

from edgebn.coordinates import cubic_matrix, source_coordinates
from edgebn.layers import Dense, Dequantize, Layer, Quantize, Resize, Transpose
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule


def cubic_to_products(network: Network, layer: Layer) -> bool:
    """Along the columns first, with rows and channels in front of them, and then along the rows."""
    if not isinstance(layer, Resize) or layer.function != "cubic":
        return False
    value = layer.inputs[0]
    rows, columns = (
        cubic_matrix(source_coordinates(size, out, ratio, layer.coordinates, layer.arithmetic), size, a, inside=inside)
        for a, inside in (layer.cubic,)
        for size, out, ratio in zip(network.shapes[value][:2], layer.size, layer.ratio, strict=True)
    )
    if network.quantizations[value] is not None:
        codes, value = value, network.new_value(f"{layer.output}/real")
        network.put(Dequantize(f"{layer.name}/real", (codes,), value), layer.output)
    ways = ((0, 2, 1), columns), ((1, 2, 0), rows)
    for number, (order, matrix) in enumerate(ways, 1):
        moved, value = value, network.new_value(f"{layer.output}/moved{number}")
        network.put(Transpose(f"{layer.name}/moved{number}", (moved,), value, order), layer.output)
        moved, value = value, network.new_value(f"{layer.output}/along{number}")
        network.put(Dense(f"{layer.name}/along{number}", (moved,), value, matrix.astype(np.float32)), layer.output)
    made = network.quantizations[layer.output]
    back = layer.output if made is None else network.new_value(f"{layer.output}/back")
    network.put(Transpose(f"{layer.name}/back", (value,), back, (2, 1, 0)), layer.output)
    if made is not None:
        network.put(Quantize(layer.name, (back,), layer.output), layer.output, made)
    return True


RULES: tuple[Rule, ...] = (cubic_to_products,)
