"""What the operator functions share while a file becomes a Graph: values, constants, shapes without the batch axis, names.

TensorFlow Lite shapes carry the batch axis, Graph shapes do not. The rule here: a first axis of size 1 is the batch axis; a
value whose first axis is something else (after a RESHAPE of (1, T, C) to (T, C), say) has none, and all its axes are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.tflite.flatbuffer import FileModel, FileOperator, FileTensor, constant
from edgebn.graph import GraphBuilder, Shape
from edgebn.layers import Activation, Concat, Constant, Crop, Gather, Identity, Layer, Quantization, Reshape, Transpose, broadcast
from edgebn.quick_dataclass import dataclass, field

# Fused activations by their number in the schema, as clips.
FUSED_CLIPS: dict[int, tuple[str, float, float]] = {
    1: ("relu", 0.0, np.inf),
    2: ("relu_n1_to_1", -1.0, 1.0),
    3: ("relu6", 0.0, 6.0),
}
NO_CLIP = (-np.inf, np.inf)
MOVING = (Concat, Crop, Gather, Identity, Reshape, Transpose)
VariableName = tuple[str, str]  # container and name
CODE_TYPES = ("INT8", "UINT8", "INT16")
INTEGER_TYPES = ("INT32", "INT64", "BOOL")
INT32_ENDS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}  # of narrower types, as whole numbers


@dataclass(frozen=False)
class Variables:
    """The file's variables, by container and name.

    Attributes
    ----------
    initial : dict of (str, str) to FileTensor
        The constant that each begins with.
    assigned : set of (str, str)
        Those that a run changes.
    handles : dict of int to (str, str)
        Tensors that stand for a variable.
    held : dict of (str, str) to str
        The graph value that each holds at this place of the file.
    states : list of (str, str)
        Those that are read before a run changes them, in the order of the graph's states.
    """

    initial: dict[VariableName, FileTensor] = field(default_factory=dict)
    assigned: set[VariableName] = field(default_factory=set)
    handles: dict[int, VariableName] = field(default_factory=dict)
    held: dict[VariableName, str] = field(default_factory=dict)
    states: list[VariableName] = field(default_factory=list)


@dataclass(frozen=False)
class Reading:
    """The state of one reading.

    Attributes
    ----------
    file : FileModel
    builder : GraphBuilder
    names : dict of int to str
        Graph value of each tensor read so far.
    shapes : dict of int to shape
        With the batch axis, as far as known: the file's, or inferred where the file leaves it open.
    batched : set of str
        The graph values whose first axis in the file is the batch axis.
    folded : dict of int to ndarray
        float32 constants that a DEQUANTIZE of a constant made.
    known : dict of int to ndarray
        int64 values that `shape_arithmetic.py` worked out.
    places : dict of int to str
        Where in its window each largest element stands, of MaxPoolingWithArgmax2D's second outputs (`perception.py`).
    narrow : set of int
        Tensors of 8 or 16 bits without a scale that are whole numbers: what a CAST makes, and what moves that.
    narrow_values : set of str
        Their graph values.
    variables : Variables
        What lives from run to run (`variables.py`).
    """

    file: FileModel
    builder: GraphBuilder
    names: dict[int, str] = field(default_factory=dict)
    shapes: dict[int, Shape] = field(default_factory=dict)
    batched: set[str] = field(default_factory=set)
    folded: dict[int, np.ndarray] = field(default_factory=dict)
    known: dict[int, np.ndarray] = field(default_factory=dict)
    narrow: set[int] = field(default_factory=set)
    narrow_values: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    places: dict[int, str] = field(default_factory=dict)
    variables: Variables = field(default_factory=Variables)

    def unique(self, wanted: str) -> str:
        """Return `wanted`, or with a number behind it where a layer or value has that name already."""
        name, number = wanted, 2
        while name in self.used:
            name, number = f"{wanted}_{number}", number + 1
        self.used.add(name)
        return name

    def tensor(self, index: int) -> FileTensor:
        """Return a tensor of the file."""
        if index < 0:
            raise ModelError("an input that it needs is absent; the file is damaged")
        return self.file.tensors[index]

    def is_constant(self, index: int) -> bool:
        """Whether the file (or a folded DEQUANTIZE) gives the tensor's numbers."""
        worked_out = index in self.folded or index in self.known
        return worked_out or (index not in self.names and (self.tensor(index).data is not None or self.is_empty(index)))

    def is_empty(self, index: int) -> bool:
        """Whether the file gives a list of nothing, which no operator makes: the axes of a reduction over none."""
        tensor = self.tensor(index)
        if tensor.data is not None or tensor.shape != (0,) or tensor.signature or index in self.file.inputs:
            return False
        return not any(index in operator.outputs for operator in self.file.operators)

    def is_codes(self, index: int) -> bool:
        """Whether the tensor is stored as codes of 8 or 16 bits."""
        return self.tensor(index).type in CODE_TYPES and index not in self.narrow

    def is_integer(self, index: int) -> bool:
        """Whether the tensor holds whole numbers, or truth, and no codes."""
        tensor = self.tensor(index)
        return (tensor.type in INTEGER_TYPES and tensor.quantization is None) or index in self.narrow

    def shape(self, index: int) -> Shape:
        """Return a value's shape with the batch axis."""
        worked_out = self.folded.get(index, self.known.get(index))
        if worked_out is not None:
            return worked_out.shape
        if self.is_constant(index):
            return self.tensor(index).shape
        if index not in self.shapes:
            raise ModelError(
                f"it reads the value '{self.tensor(index).name}', which no operator before it makes; "
                "the file is damaged or its graph has a cycle"
            )
        return self.shapes[index]

    def has_batch(self, index: int) -> bool:
        """Whether the value's first axis is the batch axis."""
        shape = self.shape(index)
        return len(shape) > 0 and shape[0] == 1

    def sample(self, index: int) -> Shape:
        """Return a value's shape without the batch axis."""
        return without_batch(self.shape(index))

    def axis(self, index: int, axis: int) -> int:
        """Return which axis of the sample `axis` of the value is."""
        rank = len(self.shape(index))
        resolved = axis + rank if axis < 0 else axis
        if not 0 <= resolved < rank:
            raise ModelError(f"its axis {axis} is outside a value of {rank} axes; the file is damaged")
        if not self.has_batch(index):
            return resolved
        if resolved == 0:
            raise UnsupportedLayerError("it works along the batch axis; edgebn runs sample by sample: export it without that")
        return resolved - 1

    def integers(self, index: int) -> np.ndarray:
        """Return a constant of shapes, axes or sizes as int64."""
        tensor = self.tensor(index)
        if not self.is_constant(index):
            raise UnsupportedLayerError(f"its '{tensor.name}' is computed by the network; export the model with fixed shapes")
        if tensor.type not in {"INT32", "INT64"}:
            raise ModelError(f"its '{tensor.name}' has type {tensor.type}, not INT32; the file is damaged")
        if index in self.known:
            return self.known[index]
        return np.zeros(0, np.int64) if self.is_empty(index) else constant(tensor).astype(np.int64)

    def whole_numbers(self, index: int) -> np.ndarray:
        """Return a constant of integers or truth as int32."""
        array = self.known[index] if index in self.known else constant(self.tensor(index))
        if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
            raise UnsupportedLayerError(f"its '{self.tensor(index).name}' holds integers beyond 32 bits")
        return array.astype(np.int32)

    def numbers(self, index: int) -> np.ndarray:
        """Return a constant as float32: float16 widened, int8 and uint8 codes dequantised (exactly what their scales say)."""
        if index in self.folded:
            return self.folded[index]
        tensor = self.tensor(index)
        if not self.is_constant(index):
            raise UnsupportedLayerError(f"its '{tensor.name}' is computed by the network, where edgebn needs a constant")
        stored = constant(tensor)
        if tensor.type in {"FLOAT32", "FLOAT16"}:
            return stored.astype(np.float32)
        if tensor.type not in {*CODE_TYPES, "INT32"} or tensor.quantization is None:
            raise UnsupportedLayerError(f"its constant '{tensor.name}' has type {tensor.type}, not float32 or int8 codes")
        quantization = self.positive(tensor)
        along = [1] * stored.ndim
        if quantization.axis is not None:
            if quantization.axis >= stored.ndim or stored.shape[quantization.axis] != len(quantization.scale):
                raise ModelError(f"the scales of '{tensor.name}' do not fit its shape {stored.shape}; the file is damaged")
            along[quantization.axis] = len(quantization.scale)
        centred = stored.astype(np.int64) - quantization.zero_point.reshape(along)
        return (centred.astype(np.float32) * quantization.scale.astype(np.float32).reshape(along)).astype(np.float32)

    def positive(self, tensor: FileTensor) -> Quantization:
        """Return the tensor's quantisation, which must exist with positive scales."""
        quantization = tensor.quantization
        if quantization is None:
            raise UnsupportedLayerError(
                f"'{tensor.name}' holds {tensor.type} numbers without a scale; give the model float32 inputs, or codes with a scale"
            )
        if not (quantization.scale > 0).all():
            raise ModelError(f"a scale of '{tensor.name}' is not positive; convert the model again")
        return quantization

    def quantization(self, index: int) -> Quantization | None:
        """Return the quantisation of an activation, shifted from uint8 to int8; None for float32 and for integers."""
        tensor = self.tensor(index)
        if tensor.type == "FLOAT32" or self.is_integer(index):
            return None
        if tensor.type in CODE_TYPES and tensor.quantization is None and self.is_plain(index):
            zero_point, bits = -128 if tensor.type == "UINT8" else 0, 16 if tensor.type == "INT16" else 8
            return Quantization.per_tensor(1.0, zero_point, unsigned=tensor.type == "UINT8", bits=bits)
        if tensor.type not in CODE_TYPES:
            raise UnsupportedLayerError(
                f"'{tensor.name}' has type {tensor.type}; edgebn runs float32, int8 and int16: convert the model to one of them"
            )
        quantization = self.positive(tensor)
        if len(quantization.scale) != 1:
            raise UnsupportedLayerError(f"'{tensor.name}' has a scale per channel; only weights may: convert the model again")
        zero_point = int(quantization.zero_point[0]) - (128 if tensor.type == "UINT8" else 0)
        if tensor.type == "INT16" and zero_point:
            raise UnsupportedLayerError(f"the int16 codes of '{tensor.name}' have a zero point; TensorFlow Lite's have none")
        if not -128 <= zero_point <= 127:
            raise ModelError(f"the zero point of '{tensor.name}' is outside its type; the file is damaged")
        bits = 16 if tensor.type == "INT16" else 8
        return Quantization.per_tensor(float(quantization.scale[0]), zero_point, unsigned=tensor.type == "UINT8", bits=bits)

    def is_plain(self, index: int) -> bool:
        """Whether the tensor is an input of the file that is cast before anything else reads it: 8-bit numbers without a scale."""
        readers = [operator.kind for operator in self.file.operators if index in operator.inputs]
        return index in self.file.inputs and bool(readers) and set(readers) == {"CAST"}

    def codes(self, index: int) -> np.ndarray:
        """Return a constant of codes as int8 (uint8 shifted by -128) or int16."""
        tensor = self.tensor(index)
        if tensor.type not in CODE_TYPES:
            raise UnsupportedLayerError(f"its constant '{tensor.name}' has type {tensor.type} where int8 codes should be")
        if tensor.type == "INT16":
            return constant(tensor)
        stored = constant(tensor).astype(np.int16)
        return (stored - (128 if tensor.type == "UINT8" else 0)).astype(np.int8)

    def value(self, index: int, like: int | None = None) -> str:
        """Return the graph value of a tensor; a constant becomes a Constant layer, without the batch axis it shares with `like`."""
        self.shape(index)  # refuses values that nobody made
        if not self.is_constant(index):
            return self.names[index]
        shares = like is not None and self.has_batch(like) and len(self.shape(index)) == len(self.shape(like))
        if shares and not self.has_batch(index):
            raise UnsupportedLayerError(f"its constant '{self.tensor(index).name}' differs along the batch axis")
        return self._constant(index, like is not None and self.is_codes(like), shares)

    def _constant(self, index: int, beside_codes: bool, without_batch: bool) -> str:
        """Append a constant: codes beside codes, else real numbers, or whole ones."""
        codes = index not in self.folded and beside_codes and not self.is_integer(index)
        array = self.codes(index) if codes else self.whole_numbers(index) if self.is_integer(index) else self.numbers(index)
        name = self.unique(short_name(self.tensor(index).name))
        layer = Constant(name, (), name, array[0] if without_batch else array)
        return self.builder.add(layer, self.quantization(index) if codes else None)

    def operands(self, indices: Sequence[int], label: str, matrices: int = 0) -> tuple[tuple[str, ...], Shape]:
        """Return values and constants that broadcast, and in which shape of the file; of which the last axes may be `matrices`.

        Where the result has more than one element along the batch's axis, that is an axis of the sample like the others.
        """
        shapes = [self.shape(index) for index in indices]
        full = broadcast(*(shape[: len(shape) - matrices] for shape in shapes))
        rank, beside_codes = len(full) + matrices, any(self.is_codes(index) for index in indices if not self.is_constant(index))
        values = []
        for place, (index, shape) in enumerate(zip(indices, shapes, strict=True)):
            shares = shape[:1] == (1,) and len(shape) == rank > matrices and full[:1] == (1,)
            if self.is_constant(index):
                values.append(self._constant(index, beside_codes, shares))
            elif shares or (len(shape) < rank and len(shape) > matrices):
                values.append(self.names[index])
            else:
                values.append(self.whole(index, f"{label}/{place}"))
        return tuple(values), full

    def whole(self, index: int, label: str, *, beside_codes: bool = False) -> str:
        """Return a value with every axis of the file in the graph, the batch's of 1 too; what goes on from it works along that."""
        if self.is_constant(index):
            return self._constant(index, beside_codes, without_batch=False)
        value = self.value(index)
        if not self.has_batch(index):
            return value
        return self.step(Reshape, f"{label}/whole", (value,), self.quantization(index), shape=self.shape(index))

    def emit(
        self,
        operator: FileOperator,
        layer: type[Layer],
        inputs: tuple[str, ...],
        fused: int = 0,
        full: Shape | None = None,
        output: int | None = None,
        **settings: Any,
    ) -> None:
        """Append a layer that makes the operator's output, and its fused activation as a layer after it.

        `full` is the output's shape with the batch axis, for operators that may bring that axis in or take it away; `output` says
        which output it is, of operators that have several.
        """
        index = only_output(operator) if output is None else operator.outputs[output]
        if self._moves_narrow(layer, inputs) and self.tensor(index).quantization is None:
            self.narrow.add(index)
        quantization = self.quantization(index)
        name = self.unique(short_name(self.tensor(index).name))
        batched = any(value in self.batched for value in inputs) if full is None else full[:1] == (1,)
        if fused == 0:
            self.define(index, self.builder.add(layer(name, inputs, name, **settings), quantization), batched)
            return
        if fused not in FUSED_CLIPS:
            raise UnsupportedLayerError(f"its fused activation number {fused} is none of RELU, RELU_N1_TO_1 and RELU6")
        what, low, high = FUSED_CLIPS[fused]
        before = self.builder.add(layer(name, inputs, self.unique(f"{name}/linear"), **settings), quantization)
        clip = Activation(self.unique(f"{name}/{what}"), (before,), name, "clip", low, high)
        self.define(index, self.builder.add(clip, quantization), batched)

    def step(
        self, layer: type[Layer], wanted: str, inputs: tuple[str, ...], quantization: Quantization | None, **settings: Any
    ) -> str:
        """Append a helper layer that is no operator's output, and return its value."""
        name = self.unique(wanted)
        if any(value in self.batched for value in inputs):
            self.batched.add(name)
        if self._moves_narrow(layer, inputs):
            self.narrow_values.add(name)
        return self.builder.add(layer(name, inputs, name, **settings), quantization)

    def _moves_narrow(self, layer: type[Layer], inputs: tuple[str, ...]) -> bool:
        """Whether a layer does no more than moving whole numbers of 8 or 16 bits."""
        return issubclass(layer, MOVING) and bool(inputs) and self.narrow_values.issuperset(inputs)

    def define(self, index: int, name: str, batched: bool) -> None:
        """Remember that `name` is tensor `index`, after comparing its shape with the file's where that one is not open."""
        tensor = self.tensor(index)
        if index in self.names:
            raise ModelError(f"two operators make the value '{tensor.name}'; the file is damaged")
        inferred = self.builder.tensors[name].shape
        if not batched and inferred[:1] == (1,):  # an axis of size 1 comes first: from here on it is the batch axis
            batched, inferred = True, inferred[1:]
            name = self.step(Reshape, f"{name}/sample", (name,), self.quantization(index), shape=inferred)
        shape = (1, *inferred) if batched else inferred
        if not tensor.is_open:
            if without_batch(tensor.shape) != inferred:
                raise ModelError(
                    f"it makes a value of shape {inferred}, but the file says {tensor.shape} (batch axis included); the file is "
                    "damaged, or made for another batch size than 1"
                )
            shape = tensor.shape
        elif tensor.signature and (len(shape) != len(tensor.signature) or not _agree(shape, tensor.signature)):
            raise ModelError(f"it makes a value of shape {shape}, but the file says {tensor.signature}; the file is damaged")
        self.names[index] = name
        self.shapes[index] = shape
        if index in self.narrow:
            self.narrow_values.add(name)
        if shape[:1] == (1,):
            self.batched.add(name)


def without_batch(shape: Shape) -> Shape:
    """Return `shape` without its first axis where that is 1."""
    return tuple(shape[1:]) if shape and shape[0] == 1 else tuple(shape)


def _agree(shape: Shape, signature: Shape) -> bool:
    """Whether a shape is one that the signature allows: -1 stands for any size."""
    return all(size == said or said < 0 for size, said in zip(shape, signature, strict=True))


def short_name(name: str) -> str:
    """Return the first part of a fused tensor's name 'a;b;c'."""
    return name.split(";", maxsplit=1)[0] or name


def only_output(operator: FileOperator) -> int:
    """Return the operator's one output."""
    if len(operator.outputs) != 1 or operator.outputs[0] < 0:
        raise ModelError(f"it has {len(operator.outputs)} outputs where one should be; the file is damaged")
    return operator.outputs[0]


def inputs_of(operator: FileOperator, least: int, most: int) -> tuple[int, ...]:
    """Return the operator's inputs padded with -1 to `most`, of which the first `least` must be there."""
    inputs = operator.inputs
    if not least <= len(inputs) <= most or any(index < 0 for index in inputs[:least]):
        raise ModelError(f"it has {len(inputs)} inputs where {least} to {most} should be; the file is damaged")
    return inputs + (-1,) * (most - len(inputs))
