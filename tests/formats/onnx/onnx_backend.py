"""edgebn as an `onnx.backend`: what the onnx package's own tests call. Test code, not part of the product.

The node tests hand over weights as inputs of the graph; edgebn wants them as constants, so `run` makes constants of every input
that is no data and reads the model then. Images go in and come out channels-first here, as ONNX has them.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.base import Backend, BackendRep, DeviceType

from edgebn.formats.onnx import from_proto
from edgebn.passes import lower
from edgebn.passes.graph.layout import channels_first_values

# Which inputs of an operator are values of the network; all others are weights or settings. Operators not named here: the first.
DATA = {
    "Where": (1, 2),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), (0, 1)),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub", "MatMul", "GridSample"), (0, 1)),
    **dict.fromkeys(("Concat", "Sum", "Mean", "Max", "Min"), range(64)),
    **dict.fromkeys(("QLinearAdd", "QLinearMul", "FusedConv"), (0, 3)),
    **dict.fromkeys(("FusedMatMul", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), (0, 1)),
}
CONSTANT_MATRIX = ("MatMul",)  # whose second input is a weight where it has two axes


@dataclass
class Reading:
    """A model read and lowered."""

    program: object
    channels_first: set
    shapes: dict  # of a sample, as the file orders axes
    quantizations: dict
    unsigned: set  # names of values that are uint8 in the file
    ranks: dict  # how many axes values have, where the file says it


def data_inputs(model):
    """Return the names of the graph's inputs that stay inputs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    declared = [entry.name for entry in model.graph.input if entry.name not in constants]
    ranks = {entry.name: len(entry.type.tensor_type.shape.dim) for entry in model.graph.input}
    read = {}
    for node in model.graph.node:
        places = DATA.get(node.op_type, (0,))
        if node.op_type in CONSTANT_MATRIX and ranks.get(node.input[1], 0) <= 2:
            places = (0,)
        for place, name in enumerate(node.input):
            read.setdefault(name, []).append(place in places)
    return [name for name in declared if all(read.get(name, [True]))]


def with_constants(model, arrays):
    """Return a copy of the model in which inputs have become constants."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kept = [entry for entry in changed.graph.input if entry.name not in arrays]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    changed.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return changed


def read(model, engine):
    """Read and lower a model."""
    graph = from_proto(model, "the backend's model")
    program = lower(graph)
    unsigned = {
        entry.name
        for entry in (*model.graph.input, *model.graph.output)
        if entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    }
    shapes = {name: tensor.shape for name, tensor in graph.tensors.items()}
    quantizations = {name: tensor.quantization for name, tensor in graph.tensors.items()}
    declared = [entry for entry in (*model.graph.input, *model.graph.output) if entry.type.tensor_type.HasField("shape")]
    ranks = {entry.name: len(entry.type.tensor_type.shape.dim) for entry in declared}
    return Reading(engine(program), channels_first_values(graph), shapes, quantizations, unsigned, ranks)


class EdgebnRep(BackendRep):
    """One model, read when its first inputs are known."""

    def __init__(self, model, engine):
        self.model = model
        self.engine = engine

    def run(self, inputs, **kwargs):
        constants = {tensor.name for tensor in self.model.graph.initializer}
        declared = [entry.name for entry in self.model.graph.input if entry.name not in constants]
        given = dict(zip(declared, inputs, strict=True))
        data = data_inputs(self.model)
        model = with_constants(self.model, {name: np.asarray(given[name]) for name in declared if name not in data})
        reading = read(model, self.engine)
        return self._execute(reading, {name: np.asarray(given[name]) for name in data})

    def _execute(self, reading, given):
        feed = {name: encode(reading, name, array) for name, array in given.items()}
        result = reading.program(feed)
        names = [entry.name for entry in self.model.graph.output]
        results = result if isinstance(result, dict) else {names[0]: result}
        kinds = {
            entry.name: onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type) for entry in self.model.graph.output
        }
        return [decode(reading, name, results[name], kinds[name]) for name in names]


def encode(reading, name, array):
    """Turn an input of the test into an input of a session: integers into the real numbers they stand for."""
    if array.dtype in (np.uint8, np.int8):
        quantization = reading.quantizations[name]
        codes = array.astype(np.int64) - (128 if array.dtype == np.uint8 else 0)
        array = ((codes - quantization.zero_point[0]) * quantization.scale[0]).astype(np.float32)
    if array.ndim == len(reading.shapes[name]):  # the network has no batch: all axes are the sample's
        array = array[None]
    return np.moveaxis(array, 1, -1) if name in reading.channels_first else array


def decode(reading, name, array, dtype):
    """Turn an output of a session into an output of the test."""
    array = np.moveaxis(array, -1, 1) if name in reading.channels_first else array
    rank = reading.ranks.get(name, array.ndim)
    if array.ndim > rank:  # axis 0 of the file's value is the sample's too
        array = array.reshape(([-1] if rank else []) + list(array.shape[2:]))
    if dtype in (np.uint8, np.int8):
        quantization = reading.quantizations[name]
        codes = np.rint(array / quantization.scale[0]) + quantization.zero_point[0] + (128 if dtype == np.uint8 else 0)
        return codes.astype(dtype)
    if array.dtype == np.int32:  # which stands for all whole numbers and truth
        return array.astype(dtype)
    return np.array(array, np.float16 if dtype == np.float16 else None)  # which edgebn runs in float32


def reference_engine(program):
    """Return a function that runs a program by the NumPy specification."""
    from edgebn import reference

    return lambda feed: reference.run(program, feed)


def session_engine(program):
    """Return a function that runs a program by the Numba kernels."""
    from edgebn.session import Session

    session = Session(program)
    return session.run


class EdgebnBackend(Backend):
    """The backend that `onnx.backend.test` calls."""

    engine = staticmethod(session_engine)

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        return EdgebnRep(model, cls.engine)

    @classmethod
    def supports_device(cls, device):
        return onnx.backend.base.Device(device).type == DeviceType.CPU
