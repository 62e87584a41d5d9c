"""PReLU of codes whose slopes no table of 256 entries holds: slopes that differ over space, and int16 codes.

Where the value is not below zero one part holds it and the other is zero, elsewhere the other way round; so nothing rounds in their
sum, and each part is rounded as TensorFlow Lite rounds it.
"""

from __future__ import annotations

from edgebn.layers import Layer
from edgebn.passes.graph.network import check_broadcast
from edgebn.passes.integer import tflm_tables
from edgebn.passes.integer.multipliers import double_rounding_multiply
from edgebn.passes.lowering.quantized_state import Lowering
from edgebn.program import CODE_RANGES, Add, Buffer, IntAdd, Lookup, Multiply


def parted(state: Lowering, layer: Layer) -> None:
    """Append max(x, 0) in the output's scale, slope * min(x, 0), and their sum."""
    source, slope = (state.buffer(name) for name in layer.inputs)
    shapes = [state.graph.tensors[name].shape for name in (*layer.inputs, layer.output)]
    check_broadcast(state.graph.source, layer, [source.shape, slope.shape], shapes)
    before, after = state.quantizations[layer.inputs[0]], state.quantizations[layer.output]
    output = state.make(layer.output)
    least, most = CODE_RANGES[output.dtype]
    zero = output.zero_point
    below = state.scratch(f"{layer.name}/below", source.shape, before)
    _clipped(state, layer, source, below, (least, source.zero_point), "below")
    scaled = state.scratch(f"{layer.name}/scaled", source.shape, after)
    arithmetic = double_rounding_multiply((source.scale, slope.scale), output.scale, (zero, least, most), state.where(layer))
    state.steps.append(Multiply(state.step_name(layer, "scaled"), (below.name, slope.name), scaled.name, arithmetic=arithmetic))
    above = state.scratch(f"{layer.name}/above", source.shape, after)
    _clipped(state, layer, source, above, (zero, most), "above")
    plain = IntAdd("single", (2, 2), (), 0, 1, zero, least, most)
    state.add(layer, Add(state.step_name(layer), (above.name, scaled.name), output.name, arithmetic=plain))


def _clipped(state: Lowering, layer: Layer, source: Buffer, output: Buffer, clip: tuple[int, int], part: str) -> None:
    """Append the step to a part's scale and clip; of int8 codes a table, which vectors read."""
    if output.dtype == "int16":
        state.rescaled(layer, source, output, clip, part)
        return
    before, after = state.quantizations[layer.inputs[0]], state.quantizations[layer.output]
    table = tflm_tables.requantized(before, before if part == "below" else after, *clip)
    state.steps.append(Lookup(state.step_name(layer, part), (source.name,), output.name, table))
