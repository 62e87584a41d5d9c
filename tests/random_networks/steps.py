"""What one step of a quantised network's codes is worth at each of its outputs.

Behind the last DequantizeLinear a network may go on in float32: a step there is what becomes of the outputs when every code
before is one step higher or lower. Where nothing follows, it is the codes' own scale.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from tests.random_networks.running import run_onnxruntime

DRAWS = 2


def output_steps(model: onnx.ModelProto, samples: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the worth of one step at each output; 0 where an output depends on no codes."""
    nodes, scales = _tail(model)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    outputs = [entry.name for entry in model.graph.output]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in scales if name not in outputs)
    values = {**samples, **run_onnxruntime(watched, samples, optimised=False)}
    steps = {name: scales.get(name, 0.0) for name in outputs}
    entries = [name for name in dict.fromkeys((*scales, *samples)) if any(name in node.input for node in nodes)]
    made = {name for node in nodes for name in node.output}
    if not made or not any(name in scales for name in entries):
        return steps
    tail = onnx.ModelProto()
    tail.CopyFrom(model)
    del tail.graph.node[:], tail.graph.input[:], tail.graph.output[:]
    tail.graph.node.extend(nodes)
    kind = onnx.TensorProto.FLOAT
    tail.graph.input.extend(onnx.helper.make_tensor_value_info(name, kind, [None] * values[name].ndim) for name in entries)
    tail.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name in made)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    given = {name: values[name] for name in entries}
    right = run_onnxruntime(tail, given, optimised=False, batch=batch)
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        moved = {
            name: array + np.float32(scales.get(name, 0.0)) * rng.choice([np.float32(-1), np.float32(1)], array.shape)
            for name, array in given.items()
        }
        for name, array in run_onnxruntime(tail, moved, optimised=False, batch=batch).items():
            both = np.isfinite(array) & np.isfinite(right[name])
            steps[name] = max(steps[name], float(np.abs(array - right[name])[both].max(initial=0)))
    return steps


def _tail(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], dict[str, float]]:
    """Return the float32 nodes between codes and outputs, in order, and the scales of the codes that they begin with."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    needed = {entry.name for entry in model.graph.output}
    nodes: list[onnx.NodeProto] = []
    scales: dict[str, float] = {}
    for node in reversed(model.graph.node):
        if not needed & set(node.output):
            continue
        if node.op_type == "DequantizeLinear" and node.input[0] not in arrays:
            scales[node.output[0]] = float(numpy_helper.to_array(arrays[node.input[1]]).reshape(-1)[0])
            continue
        nodes.insert(0, node)
        needed |= set(node.input)
    return nodes, scales
