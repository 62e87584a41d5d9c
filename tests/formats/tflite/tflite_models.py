"""Small TensorFlow Lite files for tests: tensors and operators into a flatbuffer, with LiteRT's generated schema."""

from __future__ import annotations

from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.bool_): schema.TensorType.BOOL,
    np.dtype(np.complex64): schema.TensorType.COMPLEX64,
}

# The first version of an operator that interpreters have, where it is not 1.
VERSIONS = {schema.BuiltinOperator.BROADCAST_TO: 2}


@dataclass
class FileBuilder:
    """Collects tensors and operators; `bytes` gives the file."""

    tensors: list[schema.TensorT] = field(default_factory=list)
    buffers: list[schema.BufferT] = field(default_factory=lambda: [schema.BufferT()])
    operators: list[schema.OperatorT] = field(default_factory=list)
    codes: list[int | str] = field(default_factory=list)  # of builtin operators; names of custom ones
    first_values: dict[str, int] = field(default_factory=dict)  # variable to the constant it begins with

    def value(self, shape, dtype=np.int8, scale=None, zero_point=0, name=None) -> int:
        """Add a value that flows; returns its index."""
        tensor = schema.TensorT()
        tensor.name = name or f"value_{len(self.tensors)}"
        tensor.shape = [int(size) for size in shape]
        tensor.type = TYPES[np.dtype(dtype)]
        tensor.buffer = 0
        tensor.hasRank = True
        if scale is not None:
            tensor.quantization = _quantization(scale, zero_point, 0)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, array, scale=None, zero_point=0, axis=0, name=None) -> int:
        """Add a constant; returns its index."""
        array = np.asarray(array, order="C")  # keeps scalars scalar
        index = self.value(array.shape, array.dtype, name=name or f"constant_{len(self.tensors)}")
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.buffers.append(buffer)
        self.tensors[index].buffer = len(self.buffers) - 1
        if scale is not None:
            self.tensors[index].quantization = _quantization(scale, zero_point, axis)
        return index

    def sparse_constant(self, array) -> int:
        """Add a float constant of which only what is not 0 is stored, the last axis compressed; returns its index."""
        array = np.asarray(array, order="C")
        rows = array.reshape(-1, array.shape[-1])
        index = self.constant(array)
        self.buffers[self.tensors[index].buffer].data = np.frombuffer(array[array != 0].tobytes(), np.uint8)
        levels = []
        for size in array.shape[:-1]:
            level = schema.DimensionMetadataT()
            level.format, level.denseSize = schema.DimensionType.DENSE, size
            levels.append(level)
        level = schema.DimensionMetadataT()
        level.format = schema.DimensionType.SPARSE_CSR
        level.arraySegmentsType, level.arraySegments = schema.SparseIndexVector.Uint16Vector, schema.Uint16VectorT()
        level.arraySegments.values = np.cumsum([0, *(rows != 0).sum(axis=1)]).astype(np.uint16)
        level.arrayIndicesType, level.arrayIndices = schema.SparseIndexVector.Uint8Vector, schema.Uint8VectorT()
        level.arrayIndices.values = np.nonzero(rows)[1].astype(np.uint8)
        sparsity = schema.SparsityParametersT()
        sparsity.traversalOrder, sparsity.dimMetadata = list(range(array.ndim)), [*levels, level]
        self.tensors[index].sparsity = sparsity
        return index

    def operator(self, kind, inputs, outputs, options=None, **settings) -> None:
        """Add an operator; `options` is the schema's name of its options ('Conv2DOptions'), `settings` its fields."""
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in settings.items():
                assert hasattr(operator.builtinOptions, name), name
                setattr(operator.builtinOptions, name, value)
        self.operators.append(operator)

    def custom(self, name, inputs, outputs, options) -> None:
        """Add a custom operator whose options are a flexbuffer of a dict, or bytes as they are."""
        if name not in self.codes:
            self.codes.append(name)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(name)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        operator.customOptions = np.frombuffer(
            options if isinstance(options, bytes) else bytes(flexbuffers.Dumps(options)), np.uint8
        )
        self.operators.append(operator)

    def variable(self, name, constant) -> int:
        """Add a variable that begins with a constant, and the operators that say so; returns the index of its handle."""
        if not self.first_values:
            self.operator("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
        self.first_values[name] = constant
        return self._handle(name)

    def _handle(self, name) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = f"handle_{len(self.tensors)}", schema.TensorType.RESOURCE, [], 0
        self.tensors.append(tensor)
        self.operator("VAR_HANDLE", [], [len(self.tensors) - 1], "VarHandleOptions", container="", sharedName=name)
        return len(self.tensors) - 1

    def _graph_of_first_values(self):
        own = FileBuilder(buffers=self.buffers, codes=self.codes)
        for name, constant in self.first_values.items():
            handle = own._handle(name)
            own.tensors.append(self.tensors[constant])
            own.operator("ASSIGN_VARIABLE", [handle, len(own.tensors) - 1], [], "AssignVariableOptions")
        return _graph(own, [], [], "first_values")

    def bytes(self, inputs, outputs) -> bytes:
        """Return the file with these network inputs and outputs."""
        graph = _graph(self, inputs, outputs, "main")
        others = [self._graph_of_first_values()] if self.first_values else []
        model = schema.ModelT()
        model.version = 3
        model.description = "test"
        model.subgraphs, model.buffers = [graph, *others], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            if isinstance(code, str):
                entry.customCode, code = code, schema.BuiltinOperator.CUSTOM  # the number of its kind
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), VERSIONS.get(code, 1)
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def _graph(file, inputs, outputs, name):
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = file.tensors, file.operators
    graph.inputs, graph.outputs = list(inputs), list(outputs)
    graph.name = name
    return graph


def _quantization(scale, zero_point, axis) -> schema.QuantizationParametersT:
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
    quantization.zeroPoint = np.broadcast_to(np.asarray(zero_point, np.int64), len(quantization.scale)).tolist()
    quantization.quantizedDimension = axis
    return quantization
