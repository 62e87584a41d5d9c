"""States on their way through the passes: last inputs and outputs of the graph, then states of the program."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.graph import Graph
from edgebn.passes.graph.layout import channels_last
from edgebn.program import Program, State
from edgebn.quick_dataclass import replace


def as_states(graph: Graph, pairs: Mapping[str, str]) -> Graph:
    """Return `graph` with inputs and outputs that are states, which begin with zeros, behind all others.

    Parameters
    ----------
    graph : Graph
    pairs : mapping of str to str
        Input to the output that the next run reads there.

    Raises
    ------
    ModelError
        A name that is no such input or output, or stands twice; ends of different shapes; no other input or output left.
    """
    _check_pairs(graph, pairs)
    states = [*graph.states]
    for name in pairs:
        tensor = graph.tensors[name]
        quantization = tensor.quantization
        states.append(
            np.zeros(tensor.shape, np.float32)
            if quantization is None
            else np.full(tensor.shape, quantization.zero_point[0], quantization.dtype)
        )

    def behind(names: tuple[str, ...], last: Collection[str]) -> tuple[str, ...]:
        return (*(name for name in names if name not in last), *last)

    inputs, outputs = behind(graph.inputs, list(pairs)), behind(graph.outputs, list(pairs.values()))
    return replace(graph, inputs=inputs, outputs=outputs, states=tuple(states))


def _check_pairs(graph: Graph, pairs: Mapping[str, str]) -> None:
    count = len(graph.states)
    inputs, outputs = (names[: len(names) - count] for names in (graph.inputs, graph.outputs))
    where = f"{graph.source}: states={dict(pairs)!r}"
    for name, output in pairs.items():
        if name not in inputs or output not in outputs:
            raise ModelError(
                f"{where}: give the name of an input and of the output that becomes it; the inputs are {', '.join(inputs)}, "
                f"the outputs {', '.join(outputs)}"
            )
        before, after = graph.tensors[name].shape, graph.tensors[output].shape
        if before != after:
            raise ModelError(f"{where}: '{name}' has the shape {before}, and '{output}' {after}; a state keeps its shape")
    if len(set(pairs.values())) < len(pairs):
        raise ModelError(f"{where}: one output becomes several inputs; give each input an output of its own")
    if len(pairs) >= min(len(inputs), len(outputs)):
        raise ModelError(f"{where}: no other input, or no other output, is left; leave one out")


def state_pairs(graph: Graph) -> list[tuple[str, str]]:
    """Return (value that is read, value that becomes it) of every state."""
    count = len(graph.states)
    return list(zip(graph.inputs[len(graph.inputs) - count :], graph.outputs[len(graph.outputs) - count :], strict=True))


def shown_in_pairs(graph: Graph, shown: Collection[str]) -> set[str]:
    """Return `shown`, the channels-first values, with both ends of every state where one of them is among them."""
    found = set(shown)
    for pair in state_pairs(graph):
        if not found.isdisjoint(pair):
            found.update(pair)
    return found


def with_states(program: Program, graph: Graph, shown: Collection[str]) -> Program:
    """Return `program`, lowered from `graph` as if states were inputs and outputs, with states in their place.

    Parameters
    ----------
    program : Program
    graph : Graph
        In the file's layout.
    shown : collection of str
        The values that the program has channels-last, where the file has them channels-first.

    Raises
    ------
    UnsupportedLayerError
        A state whose ends differ in shape or type.
    """
    if not graph.states:
        return program
    count = len(graph.states)
    states = []
    for position, initial in zip(range(-count, 0), graph.states, strict=True):
        reads, writes = program.inputs[position], program.outputs[position]
        buffer, after = program.buffers[reads], program.buffers[writes]
        if (program.shapes[reads], buffer.dtype) != (program.shapes[writes], after.dtype):
            raise UnsupportedLayerError(
                f"{graph.source}: the state '{reads}' is {buffer.dtype} {program.shapes[reads]}, but the run leaves {after.dtype} "
                f"{program.shapes[writes]} for the next; export the network with a state that keeps its shape and type"
            )
        if graph.inputs[position] in shown:
            initial = np.transpose(initial, channels_last(initial.ndim))
        states.append(State(reads, writes, np.ascontiguousarray(initial, buffer.dtype).reshape(buffer.shape)))
    ends = {*(state.reads for state in states), *(state.writes for state in states)}
    inputs, outputs = program.inputs[:-count], program.outputs[:-count]
    shapes = {name: shape for name, shape in program.shapes.items() if name not in ends or name in (*inputs, *outputs)}
    return replace(program, inputs=inputs, outputs=outputs, shapes=shapes, states=tuple(states))
