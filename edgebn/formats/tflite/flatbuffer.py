"""A TensorFlow Lite file as plain data: tensors, operators and constants, every number checked against the file's size.

Besides `metadata.py` the only module that opens the flatbuffer; it knows nothing of `Graph`. A damaged file ends in a ModelError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.tflite.schema import MODEL, OPERATORS, OPTIONS, TYPES
from edgebn.formats.tflite.sparse import densified
from edgebn.formats.tflite.tables import Table, Tables
from edgebn.layers import Pair, Quantization, Sides
from edgebn.quick_dataclass import dataclass, field

# More than this is damage: the largest networks for small boards have some hundred operators.
MAX_TENSORS = 20_000
MAX_OPERATORS = 10_000
MAX_AXES = 8
MAX_FILE_BYTES = 1 << 29
MAX_ELEMENTS = 1 << 27

# What reading a damaged flatbuffer raises: offsets outside the file, numbers of the wrong kind, text that is no UTF-8.
DAMAGE = (struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, AssertionError, MemoryError)

DTYPES: dict[str, np.dtype] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True)
class FileTensor:
    """One tensor of the file.

    Attributes
    ----------
    name : str
    type : str
        'FLOAT32', 'INT8', ...: the schema's name.
    shape : tuple of int
        With the batch axis; may be empty where the file does not know it.
    signature : tuple of int
        The same with -1 for the axes that the file leaves open, where `shape` holds a placeholder; empty where none is.
    quantization : Quantization or None
        As the file has it: of uint8 codes too.
    data : ndarray of uint8 or None
        The bytes of a constant.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    quantization: Quantization | None
    data: np.ndarray | None

    @property
    def is_open(self) -> bool:
        """Whether the file leaves the shape, or a part of it, to be worked out."""
        return not self.shape or min(self.shape) < 1 or min(self.signature, default=0) < 0


@dataclass(frozen=True)
class FileOperator:
    """One operator: its kind ('CONV_2D'), tensor indices (-1 for an absent optional one) and its options' table.

    `dilations` and `padding` (top, left, bottom, right) stand in place of the options' where `dilated.py` joined operators; `line`
    says that its input is a sequence (1, T, C) and along which axis of its kernel time runs. `custom` has the options of a custom
    operator, as the file has them.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options_table: Table | None
    dilations: Pair | None = None
    padding: Sides | None = None
    line: int | None = None
    custom: bytes = b""

    def options(self, name: str) -> Table:
        """Return the options read as the schema's table `name` ('Conv2DOptions'), which the file must have."""
        if self.options_table is None or self.options_type != OPTIONS[name][0]:
            raise ModelError(f"its options are missing or of another type than {name}; the file is damaged")
        return self.options_table.read_as(name)

    def custom_words(self, count: int) -> tuple[int, ...]:
        """Return the first `count` int32 of a custom operator's options, where these are a C struct."""
        if len(self.custom) < 4 * count:
            raise ModelError(f"its options have {len(self.custom)} bytes where {4 * count} should be; the file is damaged")
        return tuple(int(word) for word in np.frombuffer(self.custom, "<i4", count))

    def custom_number(self, name: str, otherwise: float | None = None) -> float:
        """Return a number of a custom operator's options, a flexbuffer with names; `otherwise` where it is not among them."""
        try:
            from flatbuffers import flexbuffers
        except ImportError:
            raise ModelError("reading its options needs the package of 'pip install edgebn[tflite]'") from None
        try:
            options = flexbuffers.GetRoot(bytearray(self.custom)).AsMap
            names = {key.AsKey.decode() if isinstance(key.AsKey, bytes) else str(key.AsKey) for key in options.Keys}
            value = options[name] if name in names else None
        except (*DAMAGE, RecursionError) as error:
            raise ModelError(f"its options are damaged ({type(error).__name__}: {error}); convert the model again") from None
        if value is None and otherwise is not None:
            return otherwise
        if value is None or not (value.IsNumeric or value.IsBool):
            raise ModelError(f"its option '{name}' is missing or no number; the file is damaged")
        return float(value.AsFloat if value.IsFloat else value.AsInt)


@dataclass(frozen=True)
class FileModel:
    """A subgraph of a file: the first, and those that it calls once, by their number (CALL_ONCE of theirs is not followed)."""

    name: str
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    called_once: dict[int, FileModel] = field(default_factory=dict)


@contextmanager
def damage_is_named(where: str) -> Iterator[None]:
    """Turn whatever reading a damaged flatbuffer raises into a ModelError that begins with `where`."""
    try:
        yield
    except EdgebnError as error:
        raise (error if str(error).startswith(where) else type(error)(f"{where}: {error}")) from None
    except DAMAGE as error:
        raise ModelError(f"{where}: the file is damaged ({type(error).__name__}: {error}); convert the model again") from None


def read_file(path: Path) -> FileModel:
    """Read `path` into plain data.

    Raises
    ------
    ModelError
        Naming the file: it is missing, no TensorFlow Lite file, damaged, or has control flow between subgraphs.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{path}: the file is larger than {MAX_FILE_BYTES >> 20} MiB, no model for a small board")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if content[4:8] != b"TFL3":
        raise ModelError(f"{path}: no TensorFlow Lite file (its mark 'TFL3' is missing); convert the model again")
    with damage_is_named(str(path)):
        return _read_model(content, path)


def _read_model(content: bytes, path: Path) -> FileModel:
    model = MODEL.root("Model", content)
    if not len(model.subgraphs):
        raise ModelError(f"{path}: the file holds no network; convert the model again")
    several = _count(model.subgraphs, MAX_OPERATORS, "subgraphs") > 1  # others that none calls are leftovers
    calls = _kinds(model) & {"IF", "WHILE", "CALL"} if several else set()
    if calls:
        raise UnsupportedLayerError(
            f"{path}: its operator {min(calls)} runs another part of the file (control flow); export the network without: "
            "recurrent layers of Keras with unroll=True, or LSTM by tf_keras with a batch of 1, which is fused"
        )
    return _read_subgraph(model, 0, path)


def _read_subgraph(model: Table, number: int, path: Path) -> FileModel:
    if not 0 <= number < len(model.subgraphs):
        raise ModelError(f"{path}: a part of the file that it calls does not exist; the file is damaged")
    graph = model.subgraphs[number]
    _count(graph.tensors, MAX_TENSORS, "tensors")
    tensors = tuple(_tensor(model, tensor, index, path) for index, tensor in enumerate(graph.tensors))
    _count(graph.operators, MAX_OPERATORS, "operators")
    operators = tuple(_operator(model, operator, index, len(tensors)) for index, operator in enumerate(graph.operators))
    return FileModel(
        name=_text(graph.name) or path.stem,
        tensors=tensors,
        operators=operators,
        inputs=_indices(graph.inputs, len(tensors), "the network's inputs"),
        outputs=_indices(graph.outputs, len(tensors), "the network's outputs"),
        called_once={called: _read_subgraph(model, called, path) for called in sorted(_called_once(operators)) if number == 0},
    )


def _called_once(operators: tuple[FileOperator, ...]) -> set[int]:
    """Return the numbers of the subgraphs that CALL_ONCE operators name."""
    options = [operator.options("CallOnceOptions") for operator in operators if operator.kind == "CALL_ONCE"]
    called = {option.init_subgraph_index for option in options}
    if 0 in called:
        raise ModelError("the network calls itself; the file is damaged")
    return called


def _kinds(model: Table) -> set[str]:
    """Return the kinds of the main subgraph's operators."""
    operators = model.subgraphs[0].operators
    _count(operators, MAX_OPERATORS, "operators")
    return {_kind(model, operator.opcode_index) for operator in operators}


def _count(tables: Tables, limit: int, what: str) -> int:
    if len(tables) > limit:
        raise ModelError(f"it claims {len(tables)} {what}, more than {limit}; the file is damaged")
    return len(tables)


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", errors="replace") if raw else ""


def _indices(values: np.ndarray, count: int, what: str) -> tuple[int, ...]:
    indices = tuple(values[: MAX_TENSORS + 1].tolist())
    if len(indices) > MAX_TENSORS or any(not -1 <= index < count for index in indices):
        raise ModelError(f"{what} name tensors that do not exist; the file is damaged")
    return indices


def _kind(model: Table, code_index: int) -> str:
    if not 0 <= code_index < len(model.operator_codes):
        raise ModelError("an operator's code does not exist; the file is damaged")
    code = model.operator_codes[code_index]
    number = max(code.builtin_code, code.deprecated_builtin_code)
    if not 0 <= number < len(OPERATORS):
        return f"operator {number}"
    return f"CUSTOM {_text(code.custom_code)}".strip() if OPERATORS[number] == "CUSTOM" else OPERATORS[number]


def _operator(model: Table, operator: Table, index: int, tensor_count: int) -> FileOperator:
    kind = _kind(model, operator.opcode_index)
    return FileOperator(
        index=index,
        kind=kind,
        inputs=_indices(operator.inputs, tensor_count, f"the inputs of operator {index} ({kind})"),
        outputs=_indices(operator.outputs, tensor_count, f"the outputs of operator {index} ({kind})"),
        options_type=operator.builtin_options_type,
        options_table=operator.builtin_options,
        custom=operator.custom_options.tobytes(),
    )


def _tensor(model: Table, tensor: Table, index: int, path: Path) -> FileTensor:
    name = _text(tensor.name) or f"tensor_{index}"
    shape, signature = (tuple(sizes[: MAX_AXES + 1].tolist()) for sizes in (tensor.shape, tensor.shape_signature))
    if len(shape) > MAX_AXES or any(size < -1 for size in (*shape, *signature)) or len(signature) not in (0, len(shape)):
        raise ModelError(f"{path}: value '{name}' has the shape {shape} and the signature {signature}; the file is damaged")
    data = _data(model, tensor.buffer)
    sparsity = tensor.sparsity
    if sparsity is not None and data is not None:
        try:
            data = densified(sparsity, shape, data, MAX_ELEMENTS)
        except EdgebnError as error:
            raise type(error)(f"{path}: value '{name}': {error}") from None
    number = tensor.type
    kind = TYPES[number] if 0 <= number < len(TYPES) else f"type {number}"
    if kind == "INT4" and data is not None:
        kind, data = "INT8", _unpacked(data, shape, f"{path}: value '{name}'")
    return FileTensor(
        name=name,
        type=kind,
        shape=shape,
        signature=signature,
        quantization=_quantization(tensor.quantization, name, path),
        data=data,
    )


def _data(model: Table, buffer_index: int) -> np.ndarray | None:
    if not 0 <= buffer_index < len(model.buffers):
        raise ModelError("a tensor's buffer does not exist; the file is damaged")
    buffer = model.buffers[buffer_index]
    if buffer.offset > 1 or buffer.size > 1:
        raise UnsupportedLayerError("its constants lie outside the flatbuffer (a model over 2 GB); no board could hold them")
    data: np.ndarray = buffer.data
    return data if len(data) else None


def _unpacked(data: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return the bytes of int8 numbers that were stored two a byte in 4 bits each, the first in the lower half."""
    elements = 1
    for size in shape:
        elements *= size
    if not 0 <= elements <= MAX_ELEMENTS or len(data) != (elements + 1) // 2:
        raise ModelError(f"{where} of shape {shape} holds {len(data)} bytes of 4-bit numbers; the file is damaged")
    halves = np.stack([data << 4, data & 0xF0], axis=-1).reshape(-1)[:elements].view(np.int8)
    return (halves >> 4).view(np.uint8)


def _quantization(parameters: Table | None, name: str, path: Path) -> Quantization | None:
    if parameters is None or not len(parameters.scale):
        return None
    scale = parameters.scale.astype(np.float64)
    zero_point = parameters.zero_point.astype(np.int64)
    if not len(zero_point):
        zero_point = np.zeros(len(scale), np.int64)
    if len(zero_point) == 1:
        zero_point = np.repeat(zero_point, len(scale))
    if len(zero_point) != len(scale) or not np.isfinite(scale).all():
        raise ModelError(f"{path}: value '{name}' has scales or zero points that fit nothing; the file is damaged")
    axis = parameters.quantized_dimension if len(scale) > 1 else None
    if axis is not None and not 0 <= axis < MAX_AXES:
        raise ModelError(f"{path}: value '{name}' is quantised along axis {axis}; the file is damaged")
    return Quantization(scale, zero_point, axis)


def constant(tensor: FileTensor) -> np.ndarray:
    """Return a constant tensor's array in its stored type.

    Raises
    ------
    ModelError
        It holds another number of bytes than its shape says, or its type has no array form.
    """
    if tensor.data is None:
        raise ModelError(f"'{tensor.name}' should be a constant, but the file stores no numbers for it")
    if tensor.type not in DTYPES:
        raise UnsupportedLayerError(f"the constant '{tensor.name}' has type {tensor.type}; edgebn reads int8 and float weights")
    dtype = DTYPES[tensor.type]
    elements = 1
    for size in tensor.shape:
        elements *= size
    if min(tensor.shape, default=1) < 1 or elements > MAX_ELEMENTS or elements * dtype.itemsize != len(tensor.data):
        raise ModelError(
            f"the constant '{tensor.name}' of shape {tensor.shape} holds {len(tensor.data)} bytes; the file is damaged"
        )
    return np.frombuffer(tensor.data.tobytes(), dtype).reshape(tensor.shape)
