"""What became of every layer of the file: parameters, multiply-accumulates, the step that does its work, and words."""

from __future__ import annotations

from edgebn.graph import Graph
from edgebn.layers import Convolution, Dense, Layer, MatMul, Recurrence, TransposedConvolution
from edgebn.passes.lowering.float_lowering import LayerOutcome
from edgebn.program import LayerRecord, Program
from edgebn.quick_dataclass import replace


def multiply_accumulates(graph: Graph, layer: Layer) -> int:
    """Return the multiply-accumulates of one inference; 0 for layers that multiply no matrices.

    Padding counts as if it were data. A transposed convolution multiplies every input element by its part of the kernel.
    """
    out = _elements(graph, layer.output)
    if isinstance(layer, Convolution):
        return out * int(layer.weight[0].size)
    if isinstance(layer, Dense):
        return out * layer.weight.shape[1]
    if isinstance(layer, MatMul):
        return out * graph.tensors[layer.inputs[0]].shape[-1]
    if isinstance(layer, TransposedConvolution):
        outputs, kh, kw, _ = layer.weight.shape
        return _elements(graph, layer.inputs[0]) * kh * kw * outputs // layer.groups
    if isinstance(layer, Recurrence):
        return _elements(graph, layer.inputs[0]) * layer.weight.shape[1]
    return 0


def _elements(graph: Graph, value: str) -> int:
    count = 1
    for size in graph.tensors[value].shape:
        count *= size
    return count


def layer_records(
    original: Graph, laid_out: Graph, outcomes: dict[str, LayerOutcome], notes: dict[str, str]
) -> tuple[LayerRecord, ...]:
    """Return one record for each layer of the file, constants counted with the layers that read them.

    Parameters
    ----------
    original : Graph
        As the file says it.
    laid_out : Graph
        The same, channels-last: gives the shapes that sessions see.
    outcomes : dict of str to LayerOutcome
        By layer name, of the layers that reached a program.
    notes : dict of str to str
        By layer name, what rules did: took a layer out, or moved it to where it folds.
    """
    records = []
    constants = {layer.output: layer.parameters() for layer in original.layers if layer.kind == "Constant"}
    for layer in original.layers:
        if layer.kind == "Constant":
            continue
        parameters = layer.parameters() + sum(constants.pop(name, 0) for name in layer.inputs)
        shapes = laid_out.tensors if layer.output in laid_out.tensors else original.tensors
        place = _place(layer.name, outcomes, notes)
        records.append(
            LayerRecord(
                layer.name,
                layer.kind,
                shapes[layer.output].shape,
                parameters,
                multiply_accumulates(original, layer),
                place.step,
                place.outcome,
            )
        )
    return tuple(records)


def _place(name: str, outcomes: dict[str, LayerOutcome], notes: dict[str, str]) -> LayerOutcome:
    if name in outcomes:
        step = outcomes[name].step
        return LayerOutcome(step, f"folded into {step}: {notes[name]}") if name in notes else outcomes[name]
    # A batch norm split over the parts of a concatenation has a piece in the step of each.
    pieces = [place.step for part, place in outcomes.items() if part.startswith(f"{name}[")]
    if pieces:
        return LayerOutcome(pieces[0], f"folded into {', '.join(pieces)}: {notes[name]}")
    return LayerOutcome("", notes.get(name, "vanished: only the order of axes"))


def merged_records(program: Program, original: Graph, laid_out: Graph, notes: dict[str, str]) -> Program:
    """Return an integer `program` with records for every layer of the file; what its own records say of a layer stays."""
    outcomes = {record.name: LayerOutcome(record.step, record.became) for record in program.records}
    return replace(program, records=layer_records(original, laid_out, outcomes, notes))
