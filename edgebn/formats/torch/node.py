"""One operator call of an exported program with its arguments looked up: what every operator's reader is handed.

Knows argument types; knows nothing of single operators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.torch.values import Codes, Dynamic, Stale, Static, Symbol, Value
from edgebn.layers import MAX_EXTENT

# How PyTorch writes numbers that JSON lacks.
SPECIAL_NUMBERS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


@dataclass(frozen=True)
class Node:
    """A call as operators see it.

    Attributes
    ----------
    source : str
        The file or module, for messages.
    name : str
        The module's path where one module of torch.nn made the call ('layer1.0.conv1'), else the call's own name ('add_3').
    op : str
        'aten.conv2d.default'.
    arguments : dict of str to Any
        By the operator's own argument names: values, numbers, lists, None.
    outputs : tuple of str
    used : tuple of bool
        Whether anything reads that output.
    kind : int
        PyTorch's number for the type of the first output's elements; 0 where it is not said.
    """

    source: str
    name: str
    op: str
    arguments: dict[str, Any]
    outputs: tuple[str, ...]
    used: tuple[bool, ...]
    kind: int = 0

    def refuse(self, reason: str) -> UnsupportedLayerError:
        """Return the error that refuses this node because of something edgebn does not run."""
        return UnsupportedLayerError(f"{self.source}: layer '{self.name}' ({self.op}): {reason}")

    def damaged(self, reason: str) -> ModelError:
        """Return the error that says the program contradicts itself at this node."""
        return ModelError(f"{self.source}: layer '{self.name}' ({self.op}): {reason}; the file is damaged")

    def has(self, argument: str) -> bool:
        """Whether an argument is given and not None."""
        return self.arguments.get(argument) is not None

    def value(self, argument: str) -> Value:
        """Return an argument that is a tensor, whatever it is."""
        return self._tensor(argument, self.arguments.get(argument))

    def _tensor(self, argument: str, value: Any) -> Value:
        if isinstance(value, Stale):
            raise self.refuse(
                f"its {argument} is a view of a value that '{value.changed_by}' changes in place; "
                "use the operator that makes a new value (relu instead of relu_, inplace=False)"
            )
        if not isinstance(value, Static | Dynamic):
            raise self.damaged(f"its {argument} is missing or no tensor")
        if isinstance(value, Dynamic) and value.quantization is not None and ".dequantize_" not in self.op:
            raise self.refuse(f"its {argument} holds codes; edgebn reads codes that a dequantize turns into numbers first")
        return value

    def dynamic(self, argument: str) -> Dynamic:
        """Return an argument that must be known only when the network runs."""
        value = self.value(argument)
        if isinstance(value, Static):
            raise self.refuse(f"its {argument} is a constant, on which edgebn does not run this operator; compute it before")
        return value

    def static(self, argument: str) -> np.ndarray:
        """Return an array that must be known now."""
        value = self.value(argument)
        if isinstance(value, Dynamic):
            raise self.refuse(f"its {argument} is computed by the network; edgebn needs it as a weight or constant of the module")
        return value.array

    def weight(self, argument: str) -> np.ndarray:
        """Return an array of real numbers as float32."""
        array = self.static(argument)
        if array.dtype.kind not in "fiub":
            raise self.damaged(f"its {argument} holds {array.dtype}")
        with np.errstate(over="ignore"):
            real = np.asarray(array, np.float32)
        if not np.isfinite(real).all():
            raise self.damaged(f"its {argument} holds NaN or infinite numbers")
        return real

    def weight_codes(self, argument: str) -> Codes | None:
        """Return the codes behind a weight, one scale for all or one for each of its first axis' parts."""
        codes = self.value(argument)
        held = codes.codes if isinstance(codes, Static) else None
        return held if held is not None and held.quantization.axis in (None, 0) else None

    def optional_weight(self, argument: str) -> np.ndarray | None:
        """Return an array of real numbers as float32, or None where it is left out."""
        return self.weight(argument) if self.has(argument) else None

    def values(self, argument: str) -> list[Value]:
        """Return an argument that is a list of tensors."""
        listed = self.arguments.get(argument)
        if not isinstance(listed, list) or not listed:
            raise self.damaged(f"its {argument} is no list of tensors")
        return [self._tensor(argument, value) for value in listed]

    def integer(self, argument: str, default: int | None = None) -> int:
        """Return a whole number; a size that depends on the input is what it was at the export."""
        value = self.arguments.get(argument)
        value = default if value is None else value
        if isinstance(value, Symbol):
            return value.value
        if type(value) is not int:
            raise self.damaged(f"its {argument} should be a whole number, not {value!r}")
        return value

    def integers(self, argument: str) -> tuple[int, ...] | None:
        """Return a list of whole numbers (one number is a list of one), or None where it is left out."""
        value = self.arguments.get(argument)
        if value is None:
            return None
        listed = value if isinstance(value, list) else [value]
        plain = tuple(number.value if isinstance(number, Symbol) else number for number in listed)
        if any(type(number) is not int for number in plain):
            raise self.damaged(f"its {argument} should be a list of whole numbers, not {value!r}")
        return plain

    def per_axis(self, argument: str, count: int, default: int) -> tuple[int, ...]:
        """Return one whole number for each of `count` axes; one number stands for all, none for the default."""
        numbers = self.integers(argument) or (default,)
        result = numbers * count if len(numbers) == 1 else numbers
        if len(result) != count or any(not 0 <= number <= MAX_EXTENT for number in result):
            raise self.damaged(f"its {argument} {numbers} should hold a number up to {MAX_EXTENT} for each of {count} axes")
        return result

    def number(self, argument: str, default: float | None = None) -> float:
        """Return a real number."""
        value = self.arguments.get(argument)
        value = default if value is None else value
        if isinstance(value, Symbol):
            raise self.refuse(f"its {argument} depends on the size of the input; edgebn needs a fixed number")
        if isinstance(value, str) and value in SPECIAL_NUMBERS:
            return SPECIAL_NUMBERS[value]
        if not isinstance(value, int | float):
            raise self.damaged(f"its {argument} should be a number, not {value!r}")
        return float(value)

    def flag(self, argument: str, default: bool | None = None) -> bool:
        """Return a truth value."""
        value = self.arguments.get(argument)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self.damaged(f"its {argument} should be true or false, not {value!r}")
        return value

    def text(self, argument: str, default: str) -> str:
        """Return a string."""
        value = self.arguments.get(argument, default)
        if not isinstance(value, str):
            raise self.damaged(f"its {argument} should be a text, not {value!r}")
        return value

    def only_first_output(self) -> None:
        """Refuse when a second output (indices, statistics) is used."""
        if any(self.used[1:]):
            raise self.refuse(f"its second output '{self.outputs[1]}' is used; edgebn computes the first one only")
