"""Where a layer that only moves codes gives them another quantisation, the change becomes a Quantize layer of its own.

Behind this pass such layers (`KEEPING`) have one scale and zero point at both ends, so that the passes after it may join, move and
drop them like those of a float32 network. Concatenations are left alone: their step has a table for each input.
"""

from __future__ import annotations

import numpy as np

from edgebn.errors import UnsupportedLayerError
from edgebn.graph import Graph, rebuilt
from edgebn.layers import Crop, Gather, Identity, Layer, Pad, Pool, Quantization, Quantize, Reduce, Reshape, Resize, Transpose
from edgebn.passes.names import unused_name
from edgebn.quick_dataclass import replace

KEEPING = (Identity, Reshape, Transpose, Crop, Gather, Pad, Resize)
# TensorFlow Lite takes scales this near to each other for the same.
NEAR = 1e-6


def same_codes(a: Quantization | None, b: Quantization | None) -> bool:
    """Whether codes of both mean the same; False where one is float32."""
    if a is None or b is None:
        return False
    return a.bits == b.bits and np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


def keeps_codes(layer: Layer) -> bool:
    """Whether a layer moves or selects elements of one value, so that its output's codes mean what its input's do."""
    if isinstance(layer, Pool | Reduce):
        return layer.function in ("max", "min")
    return isinstance(layer, KEEPING)


def requantizations_apart(graph: Graph) -> Graph:
    """Return a quantised graph in which every layer that only moves codes keeps their quantisation.

    The Quantize stands where fewer elements pass and nothing is lost: in front of a Pad, whose value the input's codes may not
    hold, and of a nearest Resize; behind all others.

    Raises
    ------
    UnsupportedLayerError
        A TensorFlow Lite file asks for it: the format forbids it, and TensorFlow Lite Micro copies the codes as they are.
    """
    layers: list[Layer] = []
    quantizations: dict[str, Quantization | None] = {}
    taken = set(graph.tensors)

    def unused(base: str) -> str:
        name = unused_name(base, taken)
        taken.add(name)
        return name

    for layer in graph.layers:
        before = graph.tensors[layer.inputs[0]].quantization if layer.inputs else None
        after = graph.tensors[layer.output].quantization
        if before is not None and after is not None and graph.integer_rounding == "double" and _overlooks_scales(layer, before):
            _refuse(graph, layer, before, after)
        if not keeps_codes(layer) or before is None or after is None or same_codes(before, after):
            layers.append(layer)
            continue
        if graph.integer_rounding == "double":
            _refuse(graph, layer, before, after)
        if isinstance(layer, Pad) or (isinstance(layer, Resize) and layer.function == "nearest"):
            inner = unused(f"{layer.inputs[0]}/requantized")
            quantizations[inner] = after
            layers += [Quantize(f"{layer.name}/requantize", layer.inputs, inner), replace(layer, inputs=(inner,))]
        else:
            inner = unused(f"{layer.output}/moved")
            quantizations[inner] = before
            layers += [replace(layer, output=inner), Quantize(f"{layer.name}/requantize", (inner,), layer.output)]
    return rebuilt(graph, layers, quantizations=quantizations) if quantizations else graph


def _overlooks_scales(layer: Layer, before: Quantization) -> bool:
    """Whether TensorFlow Lite averages codes as they are, whatever their output's scale is; of uint8 that is what edgebn does."""
    return isinstance(layer, Pool) and layer.function == "average" and not before.unsigned


def _refuse(graph: Graph, layer: Layer, before: Quantization, after: Quantization) -> None:
    """Refuse scales that differ by more than TensorFlow Lite overlooks."""
    if np.array_equal(before.zero_point, after.zero_point) and (np.abs(before.scale - after.scale) <= NEAR).all():
        return
    raise UnsupportedLayerError(
        f"{graph.source}: layer '{layer.name}' ({layer.kind}): its input has scale {before.scale[0]:.6g} and zero point "
        f"{before.zero_point[0]}, its output {after.scale[0]:.6g} and {after.zero_point[0]}, which TensorFlow Lite forbids here; "
        "put a QUANTIZE between them, or convert the model again"
    )
