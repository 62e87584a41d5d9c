"""ONNX files to Graph, with the package `onnx` for parsing and for arithmetic on constants. Knows no pass and no device.

A node becomes layers by the table in `table.py`; nodes whose inputs are all constants are computed here (`static.py`, and
`evaluated.py` for what is rare), so that the shape arithmetic of exporters leaves no trace. Images are channels-first, as ONNX has
them; the batch is left out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import BatchWarning, EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.batch_axis import Batch, BatchAxisError
from edgebn.formats.channels_first import settle_layout
from edgebn.formats.hints import hint
from edgebn.formats.onnx import model as files
from edgebn.formats.onnx.context import Context
from edgebn.formats.onnx.evaluated import evaluate
from edgebn.formats.onnx.node import Node, read_attributes, read_graphs
from edgebn.formats.onnx.quantized import READS, WORD_SHIFT, value_type
from edgebn.formats.onnx.static import STATIC, fold
from edgebn.formats.onnx.table import ALSO_ON_CONSTANTS, OPERATORS
from edgebn.formats.onnx.values import Dynamic, Static, Value
from edgebn.graph import Graph, GraphBuilder, Shape
from edgebn.layers import Cast, Identity, Quantization

MAX_FOLDED_BYTES = 1 << 30  # what arithmetic on constants may make in all

# What a number of rows that only a run tells may shape, and what is made in such a shape of nothing.
SHAPED, MADE = ("Expand", "Pad", "Reshape", "Slice"), ("ConstantOfShape",)

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


@dataclass(frozen=True)
class File:
    """What is asked of the file while its nodes are read.

    Attributes
    ----------
    source : str
    folder : Path or None
        Where data outside the file may lie.
    opset : int
    """

    source: str
    folder: Path | None
    opset: int


def read(path: Path, *, input_shape: Shape | dict[str, Shape] | None = None) -> Graph:
    """Read an ONNX file.

    Parameters
    ----------
    path : Path
        Operator set 9 or newer (6 to 8 where an operator has not changed). float32, or int8 as onnxruntime's static quantizer
        writes it (QDQ or QOperator; uint8 or int8 activations).
    input_shape : tuple of int, or dict from input name to such a tuple, optional
        Shape of one sample in the file's layout, without the batch axis; needed where the file leaves sizes open. One of all axes
        says that none is the batch.

    Returns
    -------
    Graph
        Of one sample. The first axis of the inputs is the batch where the file leaves it open or has one number for all inputs; a
        file whose batch is 1 may do anything with that axis, and one of several samples that works along it is read as if it had
        no batch.

    Raises
    ------
    ModelError
        Naming the file and the node: damage, or sizes that the file leaves open.
    UnsupportedLayerError
        Naming the node, its operator and what to do.
    """
    return from_proto(files.parse(path), str(path), path.parent, input_shape=input_shape)


def from_proto(
    model: Any, source: str, folder: Path | None = None, *, input_shape: Shape | dict[str, Shape] | None = None
) -> Graph:
    """Read a ModelProto that is in memory; see `read`. `folder` is where external data lies."""
    try:
        return _read(model, source, folder, input_shape)
    except DAMAGE as error:
        raise ModelError(f"{source}: the file is damaged ({type(error).__name__}: {error}); export it again") from error


def _read(model: Any, source: str, folder: Path | None, input_shape: Shape | dict[str, Shape] | None) -> Graph:
    files.check_names(model.graph, source)
    model = files.inlined(model, source)
    version = files.opset(model, source)
    declared = files.inputs(model, source)
    try:
        arrays = files.constants(model.graph, folder)
    except ModelError as error:
        raise type(error)(f"{source}: {error}") from None
    constants = {name: Static(array) for name, array in arrays.items()}
    nodes = _views(model.graph, File(source, folder, version))
    outputs = [entry.name for entry in model.graph.output]
    batch = files.batch(declared, input_shape)

    def graph(batch: Batch) -> Graph:
        builder = GraphBuilder(model.graph.name or "network", source, "onnx")
        return _graph(builder, batch, declared, nodes, constants, outputs, input_shape, File(source, folder, version))

    try:
        return graph(batch)
    except BatchAxisError as error:
        if batch.single:
            raise
        refusal = UnsupportedLayerError(f"{error}; if the network is for one sample at a time, export it with a batch of 1")
    try:  # a stack of so many samples is one; where the batch is open, that of one sample
        found = graph(Batch(single=True))
    except EdgebnError:
        raise refusal from None
    if batch.size == 1:
        reason = str(refusal).partition("; ")[0]
        warnings.warn(f"{reason}: it is read with a batch of 1, and each sample runs alone", BatchWarning, stacklevel=2)
    return found


def _graph(
    builder: GraphBuilder,
    batch: Batch,
    declared: list[files.Input],
    nodes: list[tuple[Node, tuple[str, ...]]],
    constants: dict[str, Static],
    outputs: list[str],
    input_shape: Shape | dict[str, Shape] | None,
    file: File,
) -> Graph:
    values: dict[str, Value] = dict(constants)
    context = Context(builder, batch, _integer(nodes, declared))
    for entry in declared:
        shape = files.full_shape(entry, input_shape, builder.source, batch)
        place = batch.usual(shape, 0)
        if entry.type == "int32":
            _check_no_tokens(entry.name, nodes, values, builder.source)
            # Given as real numbers, of which float32 has all whole ones of 24 bits.
            builder.add_input(entry.name, batch.sample(shape, place))
            whole = builder.add(Cast(f"{entry.name}/whole", (entry.name,), f"{entry.name}/whole", to="int32"))
            values[entry.name] = Dynamic(whole, shape, place, whole=True)
            continue
        quantization, shift = _input_type(entry, nodes, values)
        builder.add_input(entry.name, batch.sample(shape, place), quantization)
        values[entry.name] = Dynamic(entry.name, shape, place, quantization, shift)
    _walk(nodes, context, values, file)
    for name in outputs:
        value = values.get(name)
        if isinstance(value, Static) and value.empty:
            raise ModelError(f"{builder.source}: the output '{name}' is empty: it has shape {value.array.shape}")
        if not isinstance(value, Dynamic):
            raise ModelError(
                f"{builder.source}: the output '{name}' is a constant or made by no node; outputs must depend on inputs"
            )
        if value.stands_for is not None or value.shift == WORD_SHIFT:
            raise ModelError(
                f"{builder.source}: the output '{name}' is codes of 16 bits with a zero point; end the network with real numbers"
            )
        if value.unit is not None:
            raise ModelError(f"{builder.source}: the output '{name}' is counted in a scale that the network computes")
        context.check_output(name, value)
    settle_layout(builder)
    return builder.finish(outputs)


def _check_no_tokens(name: str, nodes: list[tuple[Node, tuple[str, ...]]], values: dict[str, Value], source: str) -> None:
    """Refuse an input whose numbers are looked up in a table: networks of words."""
    for node, names in nodes:
        if node.op == "Gather" and names[1:2] == (name,) and isinstance(values.get(names[0]), Static):
            raise UnsupportedLayerError(
                f"{source}: the input '{name}' holds tokens that layer '{node.name}' looks up in a table; do so before the network"
            )


def _integer(nodes: list[tuple[Node, tuple[str, ...]]], declared: list[files.Input]) -> bool:
    """Whether any value of the network is integers, not its weights alone."""
    return any(entry.type in ("int8", "uint8") for entry in declared) or any(node.op == "QuantizeLinear" for node, _ in nodes)


def _views(graph: Any, file: File, prefix: str = "") -> list[tuple[Node, tuple[str, ...]]]:
    """Return a graph's needed nodes, not yet with their inputs, and the names of those inputs; layers are named `prefix`..."""
    source = file.source
    needed = files.needed_nodes(graph, source)
    read_names = {name for _, proto in needed for name in files.inputs_of(proto)} | {entry.name for entry in graph.output}
    taken: set[str] = set()
    views = []
    for place, proto in needed:
        name = prefix + (proto.name or f"{proto.op_type.lower()}_{place}")
        if name in taken:
            name = f"{name}#{place}"
        taken.add(name)
        files.check_domain(proto, name, source)
        where = f"{source}: layer '{name}' ({proto.op_type})"
        try:
            attributes = read_attributes(proto, file.folder, where)
        except ModelError as error:
            raise ModelError(str(error) if str(error).startswith(source) else f"{where}: {error}") from None
        used = tuple(bool(output) and output in read_names for output in proto.output)
        outputs = tuple(proto.output)
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        view = Node(source, name, proto.op_type, file.opset, attributes, (), outputs, used, domain, read_graphs(proto))
        views.append((view, tuple(files.inputs_of(proto))))
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
                inputs = tuple(values.get(name) if name else None for name in names)
                return value_type(replace(node, inputs=inputs), scale, unsigned=unsigned)
    shift = 128 if unsigned else 0
    return Quantization.per_tensor(1.0, -shift), shift


def _walk(nodes: list[tuple[Node, tuple[str, ...]]], context: Context, values: dict[str, Value], file: File) -> None:
    """Turn every node into layers or constants, in the file's order."""
    folded_bytes = 0
    for bare, names in nodes:
        missing = [name for name in names if name and name not in values]
        if missing:
            raise bare.damaged(f"it reads '{missing[0]}', which no node before it makes (a cycle, or a node is missing)")
        node = replace(bare, inputs=tuple(values[name] if name else None for name in names))
        result = _branch(node, context, values, file) if node.op == "If" else _read_node(node, context)
        results = result if isinstance(result, tuple) else (result,)
        for name, value in zip(node.outputs, results, strict=False):
            if not name:
                continue
            if name in values:
                raise node.damaged(f"it makes '{name}', which exists already")
            values[name] = value
            if isinstance(value, Static) and value.array.flags.owndata:
                folded_bytes += value.array.nbytes
        if folded_bytes > MAX_FOLDED_BYTES:
            raise node.refuse(f"arithmetic on constants makes more than {MAX_FOLDED_BYTES >> 20} MB; simplify the model first")


def _read_node(node: Node, context: Context) -> Value | tuple[Value, ...]:
    constant = all(value is None or isinstance(value, Static) for value in node.inputs)
    counts = any(node.counts_rows(index) for index in range(len(node.inputs)))
    if constant and node.op in STATIC:
        return replace(fold(node), counts_rows=node.counts_rows(0) if node.op in SHAPED else counts and node.op not in MADE)
    if constant and node.op not in ALSO_ON_CONSTANTS and not node.domain and not node.graphs:
        return tuple(replace(value, counts_rows=counts) for value in evaluate(node))
    if counts and node.op not in (*SHAPED, *ALSO_ON_CONSTANTS):
        raise node.refuse("it works on a number of rows that only a run tells; end the network before it")
    reader = OPERATORS.get(node.op)
    if reader is None:
        raise node.refuse(f"edgebn does not run this operator; {hint(node.op)}")
    try:
        with np.errstate(all="ignore"):
            return reader(node, context)
    except DAMAGE as error:
        raise node.damaged(f"its inputs and attributes do not fit together ({type(error).__name__}: {error})") from error


def _branch(node: Node, context: Context, values: dict[str, Value], file: File) -> tuple[Value, ...]:
    """Return what the branch of an If makes that is taken: its condition is known, as are the sizes that exporters ask for."""
    condition = node.static(0, "condition")
    if condition.size != 1:
        raise node.damaged(f"its condition has shape {condition.shape}; it should be one truth value")
    graph = node.graphs.get("then_branch" if bool(condition.reshape(())) else "else_branch")
    if graph is None or len(graph.output) != len(node.outputs):
        raise node.damaged("it lacks the branch that is taken, or that has another number of outputs")
    inner = {**values, **{name: Static(array) for name, array in files.constants(graph, file.folder).items()}}
    _walk(_views(graph, file, f"{node.name}/"), context, inner, file)
    results = []
    for place, entry in enumerate(graph.output):
        value = inner.get(entry.name)
        if value is None:
            raise node.damaged(f"its branch does not make its output '{entry.name}'")
        if isinstance(value, Dynamic) and node.outputs[place]:
            value = context.moved(node, Identity, value, output=place)
        results.append(value)
    return tuple(results)
