"""The file itself: protobuf, operator-set version, inputs, constants, and which nodes its outputs need. Knows no operator."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.batch_axis import Batch
from edgebn.formats.onnx.node import DOMAINS
from edgebn.formats.onnx.tensors import to_array
from edgebn.graph import MAX_TENSOR_ELEMENTS, Shape

OLDEST_OPSET = 6
MAX_FILE_BYTES = 1 << 29  # networks for small boards are far below this
MAX_NODES = 100_000
MAX_DEPTH = 8  # of graphs within graphs
MAX_FUNCTIONS_DEEP = 64  # functions that call functions
ONE_PROCESSOR = ("com.microsoft.nchwc", "com.ms.internal.nhwc")  # of onnxruntime at its last level of optimisation


@dataclass(frozen=True)
class Input:
    """An input of the network as the file declares it.

    Attributes
    ----------
    dims : tuple of (int or None)
        All axes, None where the file leaves the size open.
    type : str
        'float32', 'int8' or 'uint8'.
    """

    name: str
    dims: tuple[int | None, ...]
    type: str


def parse(path: Path) -> Any:
    """Return the ModelProto in a file.

    Raises
    ------
    ModelError
        When the file is missing, too large or no ONNX model.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ModelError(f"{path}: reading ONNX needs the package 'onnx'; install edgebn[onnx]") from None
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: the file is larger than {MAX_FILE_BYTES >> 20} MB; edgebn runs networks for small boards")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: the file cannot be read ({error.strerror})") from None
    try:
        return onnx.load_model_from_string(data)
    except (DecodeError, ValueError, TypeError, RuntimeError, RecursionError) as error:
        raise ModelError(f"{path}: this is no ONNX model or a damaged one ({error}); export it again") from None


def check_names(graph: Any, source: str, depth: int = 0) -> None:
    """Refuse names that are no text: protobuf hands over damaged ones as bytes."""
    if depth > MAX_DEPTH:
        raise ModelError(f"{source}: graphs lie within graphs more than {MAX_DEPTH} deep; the file is damaged")
    names = [graph.name, *(entry.name for part in (graph.input, graph.output, graph.initializer) for entry in part)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output, *(entry.name for entry in node.attribute)]
    if not all(isinstance(name, str) for name in names):
        raise ModelError(f"{source}: a name in the file is no text; the file is damaged")
    for inner in (entry.g for node in graph.node for entry in node.attribute if entry.HasField("g")):
        check_names(inner, source, depth + 1)


def inlined(model: Any, source: str) -> Any:
    """Return a model without functions of its own: their nodes stand where the functions were called.

    Raises
    ------
    ModelError
        When functions call themselves, or their nodes are too many.
    """
    if not model.functions:
        return model
    from onnx import inliner

    bodies = {(entry.domain, entry.name): entry.node for entry in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], calls: tuple[tuple[str, str], ...] = ()) -> int:
        if key in calls or len(calls) > MAX_FUNCTIONS_DEEP:
            raise ModelError(f"{source}: its function '{key[1]}' calls itself; the file is damaged")
        if key not in sizes:
            called = ((node.domain, node.op_type) for node in bodies[key])
            sizes[key] = sum(size(name, (*calls, key)) if name in bodies else 1 for name in called)
        return sizes[key]

    if sum(size((node.domain, node.op_type)) for node in model.graph.node if (node.domain, node.op_type) in bodies) > MAX_NODES:
        raise ModelError(f"{source}: its functions make more than {MAX_NODES} nodes; edgebn runs networks for small boards")
    try:
        return inliner.inline_local_functions(model)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"{source}: its functions cannot be put in place of their calls ({error}); the file is damaged") from None


def opset(model: Any, source: str) -> int:
    """Return the version of the standard operator set."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise ModelError(f"{source}: the file does not say which operator set it uses; export it again")
    if versions[0] < OLDEST_OPSET:
        raise ModelError(f"{source}: the file uses operator set {versions[0]}; edgebn reads 9 and newer: convert the model")
    return int(versions[0])


def inputs(model: Any, source: str) -> list[Input]:
    """Return the inputs that are no constants."""
    from onnx import TensorProto

    names = {TensorProto.FLOAT: "float32", TensorProto.INT8: "int8", TensorProto.UINT8: "uint8"}
    # Half precision saves memory in the file; the network runs in float32, as one in double precision does.
    names |= dict.fromkeys((TensorProto.FLOAT16, TensorProto.DOUBLE), "float32")
    names |= dict.fromkeys((TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL), "int32")
    constants = {tensor.name for tensor in model.graph.initializer}
    found = []
    for entry in model.graph.input:
        if entry.name in constants:
            continue
        kind = entry.type.tensor_type
        if not entry.type.HasField("tensor_type") or kind.elem_type not in names:
            raise UnsupportedLayerError(
                f"{source}: the input '{entry.name}' is not a float32, int8, uint8 or int32 tensor, or one of half or double "
                "precision, int64 or truth, which run as those: export the model in float32"
            )
        dims = tuple(_dimension(dim, entry.name, source) for dim in kind.shape.dim)
        found.append(Input(entry.name, dims, names[kind.elem_type]))
    return found


def _dimension(dim: Any, name: str, source: str) -> int | None:
    if not dim.HasField("dim_value") or dim.dim_value <= 0:  # exporters write 0 or -1 where they do not know
        return None
    if dim.dim_value > MAX_TENSOR_ELEMENTS:
        raise ModelError(f"{source}: the input '{name}' has an axis of {dim.dim_value} elements; the file is damaged")
    return int(dim.dim_value)


def batch(declared: list[Input], input_shape: Shape | dict[str, Shape] | None) -> Batch:
    """Return what the inputs say of the batch: of one sample where an axis in front has one element, or where none is the batch."""
    firsts = {entry.dims[0] for entry in declared if entry.dims}
    fixed = firsts - {None}
    # Open in front of one input and behind the layers of another, a state: no axis of all.
    moved = None in firsts and any(entry.dims[0] and None in entry.dims[1:] for entry in declared if entry.dims)
    whole = any(len(stated(entry, input_shape) or ()) == len(entry.dims) for entry in declared)
    if moved or whole or fixed == {1} or len(fixed) > 1 or any(len(entry.dims) < 2 for entry in declared):
        return Batch(single=True)
    return Batch(fixed.pop() or 1 if fixed else 1)


def stated(declared: Input, input_shape: Shape | dict[str, Shape] | None) -> Shape | None:
    """Return what `input_shape` says of an input: a sample's shape, or all axes where the first is the sample's too."""
    return input_shape.get(declared.name) if isinstance(input_shape, dict) else input_shape


def full_shape(declared: Input, input_shape: Shape | dict[str, Shape] | None, source: str, batch: Batch) -> Shape:
    """Return an input's shape with its batch, open sizes filled in from `input_shape`."""
    wanted = stated(declared, input_shape)
    has_batch = len(declared.dims) > 1 and (not batch.single or declared.dims[0] in (1, None))
    if wanted is not None and len(wanted) == len(declared.dims):
        has_batch = False
    dims = declared.dims[1:] if has_batch else declared.dims
    shown = f"({', '.join('?' if size is None else str(size) for size in dims)})"
    if wanted is None:
        if None in dims:
            raise ModelError(f"{source}: the input '{declared.name}' has the open shape {shown}; say it with input_shape=")
        shape = tuple(size for size in dims if size is not None)
    else:
        shape = tuple(int(size) for size in wanted)
        if not has_batch and dims and dims[0] is not None and len(shape) == len(dims) - 1:
            shape = (dims[0], *shape)  # said of a sample, before the network was found to have no batch
        if len(shape) != len(dims) or any(size not in (None, new) for size, new in zip(dims, shape, strict=True)):
            raise ModelError(f"{source}: input_shape {shape} does not fit the input '{declared.name}' of shape {shown} in the file")
    return (batch.size, *shape) if has_batch else shape


def constants(graph: Any, folder: Path | None) -> dict[str, np.ndarray]:
    """Return the arrays that a graph of the file stores."""
    if graph.sparse_initializer:
        raise UnsupportedLayerError("the file stores sparse constants; save it with dense ones")
    return {tensor.name: to_array(tensor, folder) for tensor in graph.initializer}


def captured(graph: Any, depth: int = 0) -> set[str]:
    """Return the names that a graph inside a node reads of the graphs around it."""
    if depth > MAX_DEPTH:
        raise ModelError(f"graphs lie within graphs more than {MAX_DEPTH} deep; the file is damaged")
    own = {entry.name for part in (graph.input, graph.initializer) for entry in part}
    own |= {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in inputs_of(node, depth + 1)} | {entry.name for entry in graph.output}
    return read - own - {""}


def inputs_of(node: Any, depth: int = 0) -> list[str]:
    """Return the names of the values that a node reads, those of graphs inside it too."""
    inner = sorted({name for entry in node.attribute if entry.HasField("g") for name in captured(entry.g, depth)})
    return [*node.input, *(name for name in inner if name not in node.input)]


def needed_nodes(graph: Any, source: str) -> list[tuple[int, Any]]:
    """Return (place in the file, node) of the nodes that the outputs depend on, in the file's order but behind what they read.

    Converters append nodes at the end, and onnxruntime sorts them.
    """
    nodes = list(graph.node)
    if len(nodes) > MAX_NODES:
        raise ModelError(f"{source}: the file has {len(nodes)} nodes; edgebn runs networks for small boards")
    producer: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in node.output:
            if name and producer.setdefault(name, place) != place:
                raise ModelError(f"{source}: two nodes make the value '{name}'; the file is damaged")
    wanted = [entry.name for entry in graph.output]
    needed: set[int] = set()
    while wanted:
        maker = producer.get(wanted.pop())
        if maker is not None and maker not in needed:
            needed.add(maker)
            wanted.extend(inputs_of(nodes[maker]))
    return [(place, nodes[place]) for place in _sorted(nodes, producer, needed)]


def _sorted(nodes: list[Any], producer: dict[str, int], needed: set[int]) -> list[int]:
    """Return the places of nodes, each behind those whose values it reads; of a cycle the nodes come last."""
    makers = {place: {producer[name] for name in inputs_of(nodes[place]) if name in producer} for place in needed}
    readers: dict[int, list[int]] = {}
    for place, read in makers.items():
        for maker in read:
            readers.setdefault(maker, []).append(place)
    missing = {place: len(read) for place, read in makers.items()}
    ready = [place for place in needed if not missing[place]]
    heapq.heapify(ready)
    order = []
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for reader in readers.get(place, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    return order + sorted(needed.difference(order))


def check_domain(node: Any, name: str, source: str) -> None:
    """Refuse operators of runtimes that edgebn does not know."""
    if node.domain in ONE_PROCESSOR:
        raise UnsupportedLayerError(
            f"{source}: layer '{name}' ({node.op_type}) holds what onnxruntime arranged for one kind of processor "
            f"('{node.domain}'); save the optimised model at ORT_ENABLE_EXTENDED or lower, or load the model it was made of"
        )
    if node.domain not in DOMAINS:
        raise UnsupportedLayerError(
            f"{source}: layer '{name}' ({node.op_type}) belongs to the operator set '{node.domain}', which edgebn does not know; "
            "export the model with standard operators"
        )
