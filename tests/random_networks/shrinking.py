"""The smallest network that still fails: layers behind, before and in the middle are left out while the outcome stays the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.random_networks.checking import Outcome
from tests.random_networks.networks import Network
from tests.random_networks.running import run_onnxruntime

Check = Callable[[Network], Outcome]


def shrink(network: Network, check: Check) -> Network:
    """Return a smaller network that fails as this one does: the same verdict, the same kind of crash, at least half as far off."""
    wanted = check(network)
    smaller: Network | None = network
    while smaller is not None:
        network = smaller
        smaller = next((candidate for candidate in _candidates(network) if _alike(_safely(check, candidate), wanted)), None)
    return network


def _alike(outcome: Outcome, wanted: Outcome) -> bool:
    crashes = [given.reason.split(":")[0] if given.verdict == "crashed" else "" for given in (outcome, wanted)]
    return outcome.verdict == wanted.verdict and crashes[0] == crashes[1] and outcome.error >= wanted.error / 2


def _safely(check: Check, network: Network) -> Outcome:
    try:
        return check(network)
    except Exception as error:  # noqa: BLE001  # a candidate that onnxruntime does not take is no candidate
        return Outcome("untold", str(error))


def _candidates(network: Network) -> Iterator[Network]:
    """Yield smaller networks, the smallest first: one value as only output, a value as input, a node left out."""
    values = _values(network)
    inner = [name for name in values[0] if name not in network.samples]
    for name in inner:
        if len(network.model.graph.output) > 1 or network.model.graph.output[0].name != name:
            yield _changed(network, values, outputs=[name])
    outputs = [entry.name for entry in network.model.graph.output]
    for name in reversed(inner):
        if name not in outputs:
            yield _changed(network, values, new_input=name)
    for node in network.model.graph.node:
        for source in node.input:
            if source in values[0] and node.output[0] in values[0] and values[0][source].shape == values[0][node.output[0]].shape:
                yield _changed(network, values, bypass=(node.output[0], source))


def _values(network: Network) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return every value that depends on an input, for the samples and for the calibration."""
    watched = onnx.ModelProto()
    watched.CopyFrom(network.model)
    dynamic = set(network.samples)
    for node in network.model.graph.node:
        if set(node.input) & dynamic and node.op_type not in ("Shape", "Size"):
            dynamic |= set(node.output)
    given = {entry.name for entry in network.model.graph.output}
    made = [name for node in network.model.graph.node for name in node.output if name in dynamic]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in given)
    results = [run_onnxruntime(watched, part, optimised=False) for part in (network.samples, network.calibration)]
    ordered = [
        {**part, **{name: result[name] for name in made}}
        for part, result in zip((network.samples, network.calibration), results, strict=True)
    ]
    return ordered[0], ordered[1]


def _changed(
    network: Network,
    values: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    *,
    outputs: Sequence[str] = (),
    new_input: str = "",
    bypass: tuple[str, str] = ("", ""),
) -> Network:
    graph = network.model.graph
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    first = batch.dim_value or batch.dim_param
    renamed = {bypass[0]: bypass[1]} if bypass[0] else {}
    outputs = list(dict.fromkeys(renamed.get(name, name) for name in outputs or [entry.name for entry in graph.output]))
    outputs = [name for name in outputs if name not in network.samples]
    needed, nodes = set(outputs), []
    for node in reversed(graph.node):
        if needed & set(node.output) and new_input not in node.output:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            del copy.input[:]
            copy.input.extend(renamed.get(name, name) for name in node.input)
            needed |= set(copy.input)
            nodes.insert(0, copy)
    inputs = [name for name in (*network.samples, new_input) if name and name in needed]

    def info(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [first, *values[0][name].shape[1:]])

    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    del model.graph.node[:], model.graph.input[:], model.graph.output[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.input.extend(info(name) for name in inputs)
    model.graph.output.extend(info(name) for name in outputs)
    model.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in needed)
    samples, calibration = ({name: part[name] for name in inputs} for part in values)
    return replace(network, model=model, samples=samples, calibration=calibration)


def listing(network: Network) -> str:
    """Return a network for people: one line a node, with shapes and small settings."""
    graph = network.model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    lines = [
        f"seed {network.seed}, opset {network.model.opset_import[0].version}, batch {batch.dim_param or batch.dim_value}; inputs "
        + ", ".join(f"{name} {array.shape[1:]}" for name, array in network.samples.items())
    ]

    def spelled(name: str) -> str:
        if name not in constants:
            return name
        array = constants[name]
        return str(array.tolist()) if array.size <= 4 or array.dtype.kind == "i" else f"{array.dtype} {list(array.shape)}"

    for node in graph.node:
        if node.op_type == "Constant":
            continue
        settings = [f"{entry.name}={_plain(helper.get_attribute_value(entry))}" for entry in node.attribute]
        lines.append(f"  {', '.join(node.output)} = {node.op_type}({', '.join([*map(spelled, node.input), *settings])})")
    return "\n".join([*lines, "  outputs " + ", ".join(entry.name for entry in graph.output)])


def _plain(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
