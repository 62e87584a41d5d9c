"""Walks a model definition in the order of its wiring and calls the function of each layer. Knows no layer itself."""

from __future__ import annotations

import heapq
from typing import Any

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.keras.definitions import LayerDefinition, ModelDefinition
from edgebn.formats.keras.nodes import Call, Ref
from edgebn.formats.keras.place import Place, Reading, Value
from edgebn.formats.keras.settings import as_integer
from edgebn.formats.keras.table import function_of
from edgebn.layers import Reshape, Transpose

Node = tuple[str, int]


def add_model(model: ModelDefinition, reading: Reading, scope: str = "", given: list[str] | None = None) -> list[str]:
    """Add a model's layers to the graph and return the values of its outputs.

    Parameters
    ----------
    model : ModelDefinition
    reading : Reading
    scope : str
        Goes before every layer's name: '' for the outermost model, 'block/' for a model called 'block' inside it.
    given : list of str, optional
        The values that enter; None for the outermost model, whose inputs become the network's.

    Raises
    ------
    ModelError
        Naming the layer.
    """
    values: dict[Node, list[str]] = {}
    if given is not None and len(given) != len(model.inputs):
        raise ModelError(f"model '{scope[:-1]}' is called with {len(given)} values; it has {len(model.inputs)} inputs")
    for position, ref in enumerate(model.inputs):
        if ref.layer not in model.layers:
            raise ModelError(f"the model's input '{ref.layer}' is no layer of it; the file is damaged")
        entry = model.layers[ref.layer]
        name = _add_input(entry, reading, single=len(model.inputs) == 1) if given is None else given[position]
        values[ref.layer, 0] = [name]
    first_call = _first_calls(model)
    for layer, index in _in_order(model, first_call, set(values)):
        call = layer.calls[index]
        arrived = {ref: _value(values, ref, layer) for ref in call.refs()}
        values[layer.name, first_call[layer.name] + index] = _add_call(layer, index, call, arrived, reading, scope)
    return [_value(values, ref, None) for ref in model.outputs]


def entered_channels_first(reading: Reading) -> bool:
    """Whether the first layer with a data format that an input reaches, before any change of axes, is channels first."""
    builder = reading.builder
    as_entered = set(builder.inputs)
    for layer in builder.layers:
        reached = [name for name in layer.inputs if name in as_entered]
        for name in reached:
            if name in reading.layouts:
                return reading.layouts[name]
        if reached and not isinstance(layer, Transpose | Reshape):
            as_entered.add(layer.output)
    return False


def _value(values: dict[Node, list[str]], ref: Ref, reader: LayerDefinition | None) -> str:
    outputs = values.get((ref.layer, ref.call), [])
    if ref.output >= len(outputs):
        who = f"layer '{reader.name}'" if reader else "the model's output"
        raise ModelError(
            f"{who} reads result {ref.output} of call {ref.call} of '{ref.layer}', which there is not; the file is damaged"
        )
    return outputs[ref.output]


def _add_input(entry: LayerDefinition, reading: Reading, single: bool) -> str:
    if entry.class_name != "InputLayer":
        raise ModelError(f"the model's input '{entry.name}' is a {entry.class_name} and no InputLayer; the file is damaged")
    stored = entry.settings.get("batch_shape") or entry.settings.get("batch_input_shape")
    given = reading.input_shapes.get(entry.name) or (reading.input_shapes.get("") if single else None)
    if stored is None and given is None:
        raise ModelError(
            f"the file does not say the shape of input '{entry.name}'; give it with input_shape=, without the batch axis"
        )
    if stored is None:
        return reading.builder.add_input(entry.name, tuple(given or ()))
    if not isinstance(stored, list) or len(stored) < 2:
        raise ModelError(
            f"input '{entry.name}' has the shape {str(stored)[:60]}; it should have a batch axis and at least one more"
        )
    sizes = stored[1:]
    if given is not None and (len(given) != len(sizes) or any(a is not None and a != b for a, b in zip(sizes, given, strict=True))):
        raise ModelError(f"input_shape={given} does not fit input '{entry.name}', which the file gives as {tuple(sizes)}")
    if given is None and None in sizes:
        raise ModelError(
            f"input '{entry.name}' of shape {tuple(sizes)} leaves sizes open; give them with input_shape=, without the batch axis"
        )
    shape = given if given is not None else tuple(as_integer(size, "batch_shape") for size in sizes)
    return reading.builder.add_input(entry.name, shape)


def _first_calls(model: ModelDefinition) -> dict[str, int]:
    """Return the number of each layer's first call: 1 for models that Keras 2 nested, since their own making counted as call 0."""
    highest: dict[str, int] = {}
    for ref in [*model.outputs, *(ref for layer in model.layers.values() for call in layer.calls for ref in call.refs())]:
        highest[ref.layer] = max(highest.get(ref.layer, 0), ref.call)
    return {name: int(layer.model is not None and highest.get(name, 0) == len(layer.calls)) for name, layer in model.layers.items()}


def _in_order(model: ModelDefinition, first_call: dict[str, int], ready: set[Node]) -> list[tuple[LayerDefinition, int]]:
    """Return every call after those that it depends on, otherwise in the file's order."""
    calls = [(layer, index) for layer in model.layers.values() for index in range(len(layer.calls))]
    waiting: dict[Node, list[int]] = {}
    missing: list[int] = []
    for position, (layer, index) in enumerate(calls):
        needs = {(ref.layer, ref.call) for ref in layer.calls[index].refs()} - ready
        missing.append(len(needs))
        for node in needs:
            waiting.setdefault(node, []).append(position)
    queue = [position for position, count in enumerate(missing) if count == 0]
    order = []
    while queue:
        layer, index = calls[heapq.heappop(queue)]
        order.append((layer, index))
        for position in waiting.pop((layer.name, first_call[layer.name] + index), []):
            missing[position] -= 1
            if missing[position] == 0:
                heapq.heappush(queue, position)
    if len(order) < len(calls):
        stuck = next(layer.name for (layer, _), count in zip(calls, missing, strict=True) if count)
        raise ModelError(
            f"layer '{stuck}' waits for a value that nothing makes, or for its own: the file is damaged or has a cycle"
        )
    return order


def _add_call(layer: LayerDefinition, index: int, call: Call, arrived: dict[Ref, str], reading: Reading, scope: str) -> list[str]:
    """Add one call of one layer; errors get the layer's name and class."""
    reading.count_call()
    name = f"{scope}{layer.name}" + (f"/call{index + 1}" if index else "")
    inputs = [arrived[ref] for ref in call.refs()]
    if layer.model is not None:
        return add_model(layer.model, reading, f"{name}/", inputs)
    place = Place(
        reading,
        layer,
        name,
        inputs,
        _named(call.args, arrived),
        {k: _named(v, arrived) for k, v in call.kwargs.items()},
        layer.settings,
    )
    source = reading.builder.source
    try:
        return [function_of(layer)(place)]
    except ModelError as error:
        message = str(error)
        if message.startswith(f"{source}: layer '"):
            raise
        kind = UnsupportedLayerError if isinstance(error, UnsupportedLayerError) else ModelError
        raise kind(f"{source}: layer '{name}' ({layer.class_name}): {message.removeprefix(f'{source}: ')}") from None


def _named(argument: Any, arrived: dict[Ref, str]) -> Any:
    """Put value names where the call's tensors stand."""
    if isinstance(argument, Ref):
        return Value(arrived[argument])
    if isinstance(argument, list):
        return [_named(item, arrived) for item in argument]
    return argument
