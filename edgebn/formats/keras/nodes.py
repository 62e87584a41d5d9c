"""Reads how layers are wired: Keras 2's nested lists and Keras 3's serialised tensors become the same calls.

Knows the notation only, nothing of what a layer does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgebn.errors import ModelError


class Ref(NamedTuple):
    """The `output`-th result of the `call`-th call of a layer."""

    layer: str
    call: int
    output: int


@dataclass(frozen=True)
class Call:
    """One call of a layer: its arguments, with a `Ref` wherever a tensor stands, and whether Keras 3 wrote them."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    keras3: bool = False

    def refs(self) -> list[Ref]:
        """Return all tensors, in order."""
        return flat_refs([self.args, self.kwargs])


def parse_calls(nodes: Any) -> list[Call]:
    """Return the calls that a layer's `inbound_nodes` list; Keras writes an empty list for an input.

    Raises
    ------
    ModelError
        Where the list is in neither notation.
    """
    if not isinstance(nodes, list):
        raise _damaged(nodes)
    return [_parse_call(node) for node in nodes]


def parse_refs(structure: Any) -> list[Ref]:
    """Return the tensors of `input_layers` or `output_layers`: one, a list, or a dictionary, whose keys count in sorted order."""
    refs = flat_refs(_tensors_in(structure))
    if not refs:
        raise _damaged(structure)
    return refs


def flat_refs(value: Any) -> list[Ref]:
    """Return the tensors inside nested lists and dictionaries, in Keras' order (dictionaries sorted by key)."""
    if isinstance(value, Ref):
        return [value]
    if isinstance(value, dict):
        return [ref for key in sorted(value) for ref in flat_refs(value[key])]
    if isinstance(value, list):
        return [ref for item in value for ref in flat_refs(item)]
    return []


def _parse_call(node: Any) -> Call:
    if isinstance(node, dict):  # Keras 3
        args, kwargs = node.get("args", []), node.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise _damaged(node)
        return Call([_tensors_in(item) for item in args], {key: _tensors_in(item) for key, item in kwargs.items()}, True)
    if isinstance(node, list) and node:  # Keras 2: tensors, each with the keyword arguments of the call
        tensors = [node] if isinstance(node[0], str) else node
        refs = _tensors_in(tensors)
        kwargs = {}
        for tensor in tensors:
            if isinstance(tensor, list) and len(tensor) == 4 and isinstance(tensor[3], dict):
                kwargs = {key: _tensors_in(item) for key, item in tensor[3].items()}
        return Call([refs[0] if isinstance(refs, list) and len(refs) == 1 else refs], kwargs)
    raise _damaged(node)


def _tensors_in(value: Any) -> Any:
    """Replace serialised tensors by `Ref`s."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            config = value.get("config")
            history = config.get("keras_history") if isinstance(config, dict) else None
            if not isinstance(history, list) or not _is_history(history):
                raise _damaged(value)
            return Ref(history[0], history[1], history[2])
        return {key: _tensors_in(item) for key, item in value.items()}
    if isinstance(value, list):
        if value and value[0] == "_CONSTANT_VALUE" and len(value) >= 3:
            return value[2]
        if _is_history(value[:3]) and (len(value) == 3 or (len(value) == 4 and isinstance(value[3], dict))):
            return Ref(value[0], value[1], value[2])
        return [_tensors_in(item) for item in value]
    return value


def _is_history(value: list[Any]) -> bool:
    return (
        len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in value[1:])
    )


def _damaged(value: Any) -> ModelError:
    return ModelError(f"its wiring {str(value)[:60]!r} cannot be read; the file is damaged")
