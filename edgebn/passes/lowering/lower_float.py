"""A canonical float graph to a float32 Program: one step a layer, with clips and batch norms in the epilogue before them."""

from __future__ import annotations

from edgebn.graph import Graph
from edgebn.passes.graph.network import refuse
from edgebn.passes.lowering.float_lowering import FloatLowering, LayerOutcome
from edgebn.passes.lowering.float_steps import HANDLERS
from edgebn.program import Program


def lower_float(graph: Graph) -> tuple[Program, dict[str, LayerOutcome]]:
    """Return the float32 program of a canonical channels-last graph, without records, and where each layer went.

    Raises
    ------
    UnsupportedLayerError
        A layer, or a shape, that steps on (H, W, C) cannot express; a batch norm that the fold table refuses.
    """
    lowering = FloatLowering(graph)
    for layer in lowering.network.layers():
        if layer.output in lowering.absorbed:
            continue
        if layer.kind not in HANDLERS:
            hint = "convert the model so that it computes in float32, or quantise all of it"
            raise refuse(graph.source, layer, f"edgebn has no float32 step for this type of layer; {hint}")
        HANDLERS[layer.kind](lowering, layer)
    for name in graph.outputs:
        if lowering.names[name] in lowering.constants:
            raise refuse(graph.source, lowering.network.maker[name], "the network's output does not depend on its input")
    return lowering.finished(), lowering.outcomes
