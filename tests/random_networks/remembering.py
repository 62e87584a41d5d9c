"""Makes networks stateful: some inputs and outputs are what is kept from run to run, in front of a network and behind it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

FADES = 0.5  # of what is remembered, from run to run: no state grows without end


def _shape(entry: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(axis.dim_value or 1 for axis in entry.type.tensor_type.shape.dim)


def remembering(model: onnx.ModelProto, rng: np.random.Generator) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Return the model with states, and these: input to the output that the next run reads there.

    The first input is joined with the state by a sum or a difference; the state becomes a part of it, the input itself (a delay)
    or what a tanh makes of both. Now and then a real output of known shape keeps a fading sum too.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    graph.initializer.append(numpy_helper.from_array(np.float32(FADES), "fades"))
    states: dict[str, str] = {}

    def keep(past: str, entry: onnx.ValueInfoProto) -> None:
        shape, kind = _shape(entry), onnx.TensorProto.FLOAT
        graph.input.append(helper.make_tensor_value_info(past, kind, shape))
        graph.output.append(helper.make_tensor_value_info(f"{past}_out", kind, shape))
        states[past] = f"{past}_out"

    first = graph.input[0]
    for node in graph.node:
        node.input[:] = ["joined" if name == first.name else name for name in node.input]
    ways = {
        "fading": [helper.make_node("Mul", ["joined", "fades"], ["past_out"])],
        "delay": [helper.make_node("Identity", [first.name], ["past_out"])],
        "bounded": [helper.make_node("Tanh", ["joined"], ["past_out"])],
    }
    joining = helper.make_node(str(rng.choice(["Add", "Sub"])), [first.name, "past"], ["joined"])
    nodes = [joining, *ways[str(rng.choice(list(ways)))], *graph.node]
    outputs = list(graph.output)
    keep("past", first)
    last = outputs[0]
    known = last.type.tensor_type.HasField("shape") and all(axis.dim_value for axis in last.type.tensor_type.shape.dim)
    if known and last.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and rng.random() < 0.5:
        for node in nodes:
            node.output[:] = ["unsummed" if name == last.name else name for name in node.output]
            node.input[:] = ["unsummed" if name == last.name else name for name in node.input]
        nodes += [
            helper.make_node("Add", ["unsummed", "sum"], [last.name]),
            helper.make_node("Mul", [last.name, "fades"], ["sum_out"]),
        ]
        keep("sum", last)
    del graph.node[:]
    graph.node.extend(nodes)
    return changed, states
