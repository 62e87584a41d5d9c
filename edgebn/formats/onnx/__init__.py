"""ONNX files to Graph, with the package `onnx` for parsing and for nothing else. Knows no pass and no device.

A node becomes layers by the table in `table.py`; nodes whose inputs are all constants are computed here (`static.py`), so that
the shape arithmetic of exporters leaves no trace. Images are channels-first, as ONNX has them; the first axis of every value
is the batch and left out, unless `batch_axis=False`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats.onnx import model as files
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.node import Node, read_attributes
from edgebn.formats.onnx.quantized import READS, value_type
from edgebn.formats.onnx.static import STATIC, fold
from edgebn.formats.onnx.table import ALSO_ON_CONSTANTS, OPERATORS
from edgebn.formats.onnx.values import Dynamic, Static, Value
from edgebn.graph import Graph, GraphBuilder, Shape
from edgebn.layers import Quantization

MAX_FOLDED_BYTES = 1 << 28  # what arithmetic on constants may make in all

# What Python raises when a damaged file contradicts itself somewhere that no check named; told to the user as such.
DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
    RecursionError,
)


def read(path: Path, *, input_shape: Shape | dict[str, Shape] | None = None, batch_axis: bool = True) -> Graph:
    """Read an ONNX file.

    Parameters
    ----------
    path : Path
        Operator set 9 or newer (6 to 8 where an operator has not changed). float32, or int8 as onnxruntime's static quantizer
        writes it (QDQ or QOperator; uint8 or int8 activations).
    input_shape : tuple of int, or dict from input name to such a tuple, optional
        Shape of one sample in the file's layout, without the batch axis; needed where the file leaves sizes open.
    batch_axis : bool
        Whether axis 0 of the inputs is the batch. With False all axes belong to the sample.

    Returns
    -------
    Graph

    Raises
    ------
    ModelError
        Naming the file and the node: damage, or sizes that the file leaves open.
    UnsupportedLayerError
        Naming the node, its operator and what to do.
    """
    return from_proto(files.parse(path), str(path), path.parent, input_shape=input_shape, batch_axis=batch_axis)


def from_proto(
    model: Any,
    source: str,
    folder: Path | None = None,
    *,
    input_shape: Shape | dict[str, Shape] | None = None,
    batch_axis: bool = True,
) -> Graph:
    """Read a ModelProto that is in memory; see `read`. `folder` is where external data lies."""
    try:
        return _read(model, source, folder, input_shape, batch_axis)
    except DAMAGE as error:
        raise ModelError(f"{source}: the file is damaged ({type(error).__name__}: {error}); export it again") from error


def _read(model: Any, source: str, folder: Path | None, input_shape: Shape | dict[str, Shape] | None, batch_axis: bool) -> Graph:
    files.check_names(model, source)
    version = files.opset(model, source)
    declared = files.inputs(model, source)
    try:
        arrays = files.constants(model, folder)
    except ModelError as error:
        raise type(error)(f"{source}: {error}") from None
    values: dict[str, Value] = {name: Static(array) for name, array in arrays.items()}
    nodes = _views(model, source, folder, version)
    builder = GraphBuilder(model.graph.name or "network", source, "onnx", channels_first=True)
    context = Context(builder, _batch(declared, source) if batch_axis else None, _integer(nodes, declared))
    for entry in declared:
        shape = files.sample_shape(entry, input_shape, source, batch_axis=batch_axis)
        quantization, shift = _input_type(entry, nodes, values)
        builder.add_input(entry.name, shape, quantization)
        values[entry.name] = Dynamic(entry.name, context.full_shape(entry.name), quantization, shift)
    _walk(nodes, context, values)
    outputs = []
    for entry in model.graph.output:
        if not isinstance(values.get(entry.name), Dynamic):
            raise ModelError(
                f"{source}: the output '{entry.name}' is a constant or made by no node; edgebn needs outputs that depend on inputs"
            )
        outputs.append(entry.name)
    return builder.finish(outputs)


def _batch(declared: list[files.Input], source: str) -> int:
    """Return the batch size that the inputs agree on, 1 where they leave it open."""
    sizes = {entry.dims[0] for entry in declared if entry.dims and entry.dims[0] is not None}
    if len(sizes) > 1:
        raise ModelError(
            f"{source}: the inputs' first axes have {sorted(sizes)} elements: no batch; read the file with batch_axis=False"
        )
    return sizes.pop() or 1 if sizes else 1


def _integer(nodes: list[tuple[Node, tuple[str, ...]]], declared: list[files.Input]) -> bool:
    """Whether any value of the network is integers, not its weights alone."""
    return any(entry.type != "float32" for entry in declared) or any(node.op == "QuantizeLinear" for node, _ in nodes)


def _views(model: Any, source: str, folder: Path | None, version: int) -> list[tuple[Node, tuple[str, ...]]]:
    """Return the needed nodes, not yet with their inputs, and the names of those inputs."""
    needed = files.needed_nodes(model, source)
    read_names = {name for _, proto in needed for name in proto.input} | {entry.name for entry in model.graph.output}
    taken: set[str] = set()
    views = []
    for place, proto in needed:
        name = proto.name or f"{proto.op_type.lower()}_{place}"
        if name in taken:
            name = f"{name}#{place}"
        taken.add(name)
        files.check_domain(proto, name, source)
        where = f"{source}: layer '{name}' ({proto.op_type})"
        try:
            attributes = read_attributes(proto, folder, where)
        except ModelError as error:
            raise ModelError(str(error) if str(error).startswith(source) else f"{where}: {error}") from None
        used = tuple(output in read_names for output in proto.output if output)
        outputs = tuple(proto.output)
        views.append((Node(source, name, proto.op_type, version, attributes, (), outputs, used), tuple(proto.input)))
    return views


def _input_type(
    entry: files.Input, nodes: list[tuple[Node, tuple[str, ...]]], values: dict[str, Value]
) -> tuple[Quantization | None, int]:
    """Return what the integers of an input mean: what the first node that names their scale says, else the integers themselves."""
    if entry.type == "float32":
        return None, 0
    unsigned = entry.type == "uint8"
    for node, names in nodes:
        for place, scale in READS.get(node.op, ()):
            if place < len(names) and names[place] == entry.name and isinstance(values.get(names[scale]), Static):
                given = tuple(values.get(name) if name else None for name in names)
                return value_type(replace(node, inputs=given), scale, unsigned=unsigned)
    shift = 128 if unsigned else 0
    return Quantization.per_tensor(1.0, -shift), shift


def _walk(nodes: list[tuple[Node, tuple[str, ...]]], context: Context, values: dict[str, Value]) -> None:
    """Turn every node into layers or constants, in the file's order."""
    folded_bytes = 0
    for bare, names in nodes:
        missing = [name for name in names if name and name not in values]
        if missing:
            raise bare.damaged(f"it reads '{missing[0]}', which no node before it makes (a cycle, or nodes out of order)")
        node = replace(bare, inputs=tuple(values[name] if name else None for name in names))
        result = _read_node(node, context)
        results = result if isinstance(result, tuple) else (result,)
        for name, value in zip(node.outputs, results, strict=False):
            if name in values:
                raise node.damaged(f"it makes '{name}', which exists already")
            values[name] = value
            if isinstance(value, Static) and value.array.flags.owndata:
                folded_bytes += value.array.nbytes
        if folded_bytes > MAX_FOLDED_BYTES:
            raise node.damaged(f"arithmetic on constants makes more than {MAX_FOLDED_BYTES >> 20} MB")


def _read_node(node: Node, context: Context) -> Value | tuple[Value, ...]:
    constant = all(value is None or isinstance(value, Static) for value in node.inputs)
    if constant and node.op in STATIC:
        return fold(node)
    if constant and node.op not in ALSO_ON_CONSTANTS and node.op in OPERATORS:
        return fold(node)
    reader = OPERATORS.get(node.op)
    if reader is None:
        some = ", ".join(sorted(OPERATORS)[:3])
        raise node.refuse(f"edgebn does not run this operator; it runs {some} and others: docs/formats.md has all")
    try:
        with np.errstate(all="ignore"):
            return reader(node, context)
    except DAMAGE as error:
        raise node.damaged(f"its inputs and attributes do not fit together ({type(error).__name__}: {error})") from error
