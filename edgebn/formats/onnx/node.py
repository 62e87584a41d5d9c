"""One node of the file with its inputs looked up: what every operator's reader is handed.

Knows protobuf attributes; knows nothing of single operators.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.onnx.tensors import to_array
from edgebn.formats.onnx.values import Dynamic, Static, Unit, Value

# Domains that onnxruntime and ONNX itself use; anything else is another runtime's own operator.
DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass(frozen=True)
class Node:
    """A node as operators see it.

    Attributes
    ----------
    source : str
        The file, for messages.
    name, op : str
        The node's name (made up from its place where the file gives none) and its operator.
    opset : int
        The version of the operator set that the file uses.
    attributes : dict
        Numbers, strings, arrays and lists of them.
    inputs : tuple of Value or None
        None where an optional input is left out.
    outputs : tuple of str
    used : tuple of bool
        Whether anything reads that output.
    domain : str
        Whose operator it is; empty for ONNX's own.
    graphs : dict of str to GraphProto
        The attributes that are graphs: the branches of an If, the body of a Loop.
    """

    source: str
    name: str
    op: str
    opset: int
    attributes: dict[str, Any]
    inputs: tuple[Value | None, ...]
    outputs: tuple[str, ...]
    used: tuple[bool, ...]
    domain: str = ""
    graphs: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The beginning of every message about this node."""
        return f"{self.source}: layer '{self.name}' ({self.op})"

    def refuse(self, reason: str) -> UnsupportedLayerError:
        """Return the error that refuses this node because of something edgebn does not run."""
        return UnsupportedLayerError(f"{self.where}: {reason}")

    def damaged(self, reason: str) -> ModelError:
        """Return the error that says the file contradicts itself at this node."""
        return ModelError(f"{self.where}: {reason}; the file is damaged")

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        """Return input `index`, whatever it is."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise self.damaged(f"its input {index} is missing")
        return value

    def dynamic(self, index: int = 0) -> Dynamic:
        """Return input `index`, which must be known only when the network runs."""
        value = self.value(index)
        if isinstance(value, Static):
            raise self.refuse(f"its input {index} is a constant and would be computed by no layer; simplify the model first")
        if value.stands_for is not None and self.op != "DequantizeLinear":
            raise self.refuse(
                f"its input {index} holds int16 codes with a zero point, which edgebn only dequantises; quantise symmetrically"
            )
        if value.unit is not None:
            raise self.refuse(
                f"its input {index} is counted in a scale that the network computes, which edgebn runs in products only"
            )
        return value

    def counts_rows(self, index: int) -> bool:
        """Whether input `index` was worked out of a number of rows that only a run tells."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return isinstance(value, Static) and value.counts_rows

    def unit(self, index: int = 0) -> Unit | None:
        """Return what input `index` is counted in, None for most values."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return value.unit if isinstance(value, Dynamic) else None

    def real(self, index: int = 0) -> Dynamic:
        """Return input `index`, which must be a float32 value of the network."""
        value = self.dynamic(index)
        if value.quantization is not None or value.whole:
            raise self.refuse(f"its input {index} holds integers; edgebn runs this operator on float32 values")
        return value

    def whole(self, index: int = 0) -> Dynamic:
        """Return input `index`, which must be whole numbers or truth that the network computes."""
        value = self.dynamic(index)
        if not value.whole:
            raise self.refuse(f"its input {index} holds real numbers; edgebn runs this operator on whole numbers and truth")
        return value

    def static(self, index: int, what: str) -> np.ndarray:
        """Return the array at input `index`, which must be known now."""
        value = self.value(index)
        if isinstance(value, Dynamic):
            raise self.refuse(f"its {what} is computed by the network; edgebn needs it as a constant of the file")
        return value.array

    def optional_static(self, index: int, what: str) -> np.ndarray | None:
        """Return the array at input `index`, or None where it is left out."""
        return self.static(index, what) if self.has(index) else None

    def static_ints(self, index: int, what: str) -> tuple[int, ...] | None:
        """Return input `index` as a tuple of whole numbers, or None where it is left out."""
        array = self.optional_static(index, what)
        if array is None:
            return None
        if array.ndim > 1 or not np.issubdtype(array.dtype, np.integer):
            raise self.damaged(f"its {what} should be a list of whole numbers, not {array.dtype} of shape {array.shape}")
        return tuple(int(number) for number in np.atleast_1d(array))

    def static_scalar(self, index: int, what: str) -> float | None:
        """Return input `index` as one number, or None where it is left out."""
        array = self.optional_static(index, what)
        if array is None:
            return None
        if array.size != 1 or array.dtype.kind not in "fiu":
            raise self.damaged(f"its {what} should be one number, not {array.dtype} of shape {array.shape}")
        return float(array.reshape(()))

    def integer(self, name: str, default: int) -> int:
        """Return a whole-number attribute."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.damaged(f"its attribute {name} should be a whole number, not {value!r}")
        return value

    def integers(self, name: str) -> tuple[int, ...] | None:
        """Return an attribute that is a list of whole numbers, or None where it is left out."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(number, int) for number in value):
            raise self.damaged(f"its attribute {name} should be a list of whole numbers")
        return tuple(value)

    def number(self, name: str, default: float) -> float:
        """Return a real attribute."""
        value = self.attributes.get(name, default)
        if not isinstance(value, (int, float)):
            raise self.damaged(f"its attribute {name} should be a number, not {value!r}")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """Return a string attribute."""
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise self.damaged(f"its attribute {name} should be a text, not {value!r}")
        return value

    def only_first_output(self) -> None:
        """Refuse when a second output (indices, a mask, running statistics) is used."""
        for name, used in zip(self.outputs[1:], self.used[1:], strict=True):
            if used:
                raise self.refuse(f"its second output '{name}' is used; edgebn computes the first one only")


def read_attributes(proto: Any, folder: Path | None, where: str) -> dict[str, Any]:
    """Return a NodeProto's attributes as plain values; graphs are left out, see `read_graphs`."""
    from onnx import AttributeProto

    attributes: dict[str, Any] = {}
    for entry in proto.attribute:
        if entry.type == AttributeProto.FLOAT:
            attributes[entry.name] = float(entry.f)
        elif entry.type == AttributeProto.INT:
            attributes[entry.name] = int(entry.i)
        elif entry.type == AttributeProto.STRING:
            attributes[entry.name] = entry.s.decode("utf-8", "replace")
        elif entry.type == AttributeProto.FLOATS:
            attributes[entry.name] = [float(number) for number in entry.floats]
        elif entry.type == AttributeProto.INTS:
            attributes[entry.name] = [int(number) for number in entry.ints]
        elif entry.type == AttributeProto.STRINGS:
            attributes[entry.name] = [text.decode("utf-8", "replace") for text in entry.strings]
        elif entry.type == AttributeProto.TENSOR:
            attributes[entry.name] = to_array(entry.t, folder)
        elif entry.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            continue
        elif entry.type == AttributeProto.UNDEFINED:
            raise ModelError(f"{where}: its attribute '{entry.name}' has no type; the file is damaged")
        else:
            attributes[entry.name] = None
    return attributes


def read_graphs(proto: Any) -> dict[str, Any]:
    """Return a NodeProto's attributes that are graphs."""
    from onnx import AttributeProto

    return {entry.name: entry.g for entry in proto.attribute if entry.type == AttributeProto.GRAPH}
