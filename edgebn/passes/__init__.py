"""Graph to program: channels-last layout, canonical form, fold table, steps, fused pools, a last check.

Stages in the order in which they run: `graph` (with `batch_norm`), `lowering`; then `quantization`; `integer` serves both.

No engine is known here.
"""

from __future__ import annotations

from edgebn.errors import QuantizationError, UnsupportedLayerError
from edgebn.graph import Graph
from edgebn.passes.checked import checked
from edgebn.passes.graph.canonical import canonical
from edgebn.passes.graph.layout import channels_first_values, to_channels_last
from edgebn.passes.graph.states import as_states, shown_in_pairs, with_states
from edgebn.passes.lowering.fuse_pool import fuse_pools
from edgebn.passes.lowering.join_tables import join_tables
from edgebn.passes.lowering.lower_float import lower_float
from edgebn.passes.lowering.records import layer_records, merged_records
from edgebn.program import Program
from edgebn.quick_dataclass import replace

__all__ = ["as_states", "join_tables", "lower"]


def lower(graph: Graph) -> Program:
    """Return the program of a network as a reader made it.

    Parameters
    ----------
    graph : Graph
        In the file's layout and spelling. Values that carry quantisation are int8, others float32.

    Returns
    -------
    Program
        Channels-last. Every layer of the file has a record.

    Raises
    ------
    UnsupportedLayerError
        A layer that no step expresses, by file, name and type.
    QuantizationError
        An integer layer that could overflow.
    """
    pairs = graph.integer_rounding == "single" and any(layer.kind in ("Quantize", "Dequantize") for layer in graph.layers)
    floats: set[str] = set()
    while True:
        try:
            return _lowered(graph, floats if pairs else None)
        except (UnsupportedLayerError, QuantizationError) as error:
            if not pairs or error.layer in floats or error.layer not in {layer.name for layer in graph.layers}:
                raise
            floats.add(error.layer)  # it has no integer form: it runs in float32, as the file says it


def _lowered(original: Graph, floats: set[str] | None) -> Program:
    """Return a network's program; where there are Quantize/Dequantize pairs, `floats` names layers that must stay float32."""
    notes: dict[str, str] = {}
    graph = original
    if floats is not None:
        from edgebn.passes.graph.one_quantization import one_quantization_each
        from edgebn.passes.graph.qdq import collapse

        graph = collapse(one_quantization_each(graph), floats)
    if _holds_codes(graph):
        from edgebn.passes.graph.requantizations import requantizations_apart

        graph = requantizations_apart(graph)
    # What sessions show is asked of the file's network: integer layers may have cut an output off from what says its layout.
    shown = shown_in_pairs(graph, channels_first_values(original))
    if any(layer.kind == "Normalization" for layer in graph.layers):
        from edgebn.passes.graph.group_norm import group_norms

        graph = group_norms(graph, notes)
    laid_out = to_channels_last(graph, shown)
    graph = canonical(laid_out, notes)
    if _holds_codes(graph):
        from edgebn.passes.lowering.lower_quantized import lower_quantized

        program = merged_records(lower_quantized(graph), original, laid_out, notes)
    else:
        program, outcomes = lower_float(graph)
        program = replace(program, records=layer_records(original, laid_out, outcomes, notes))
    return checked(fuse_pools(with_states(program, original, shown)))


def _holds_codes(graph: Graph) -> bool:
    return any(tensor.quantization is not None for tensor in graph.tensors.values())
