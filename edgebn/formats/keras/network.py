"""Walks a model definition in the order of its wiring and calls the function of each layer. Knows no layer itself."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.keras.definitions import LayerDefinition, ModelDefinition
from edgebn.formats.keras.nodes import Call, Ref
from edgebn.formats.keras.place import Place, Reading, Value
from edgebn.formats.keras.settings import as_flag, as_integer
from edgebn.formats.keras.table import NORMS, RANDOM, function_of
from edgebn.layers import Concat, Crop, Reshape, Transpose

# Layers that do the same to every moment of a sequence whether it comes alone or not.
OF_ANY_RANK = ("Activation", "Dense", "ELU", "Identity", "LeakyReLU", "ReLU")

Node = tuple[str, int]


def add_model(
    model: ModelDefinition, reading: Reading, scope: str = "", called_with: list[str] | None = None, training: bool = False
) -> list[str]:
    """Add a model's layers to the graph and return the values of its outputs.

    Parameters
    ----------
    model : ModelDefinition
    reading : Reading
    scope : str
        Goes before every layer's name: '' for the outermost model, 'block/' for a model called 'block' inside it.
    called_with : list of str, optional
        The values that enter; None for the outermost model, whose inputs become the network's.
    training : bool
        Whether the model is called to go on training.

    Raises
    ------
    ModelError
        Naming the layer.
    """
    values: dict[Node, list[str]] = {}
    if called_with is not None and len(called_with) != len(model.inputs):
        raise ModelError(f"model '{scope[:-1]}' is called with {len(called_with)} values; it has {len(model.inputs)} inputs")
    for position, ref in enumerate(model.inputs):
        if ref.layer not in model.layers:
            raise ModelError(f"the model's input '{ref.layer}' is no layer of it; the file is damaged")
        entry = model.layers[ref.layer]
        name = _add_input(entry, reading, single=len(model.inputs) == 1) if called_with is None else called_with[position]
        values[ref.layer, 0] = [name]
    numberings = _numberings(model)
    first = {name: numbering.in_calls for name, numbering in numberings.items()}
    for layer, index in _in_order(model, first, set(values)):
        call = layer.calls[index]
        arrived = {ref: _value(values, ref, first, layer) for ref in call.refs()}
        values[layer.name, index] = _add_call(layer, index, call, arrived, reading, scope, training)
    first = {name: numbering.in_outputs for name, numbering in numberings.items()}
    return [_value(values, ref, first, None) for ref in model.outputs]


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


def _value(values: dict[Node, list[str]], ref: Ref, first: dict[str, int], reader: LayerDefinition | None) -> str:
    outputs = values.get(_node(ref, first), [])
    if ref.output >= len(outputs):
        who = f"layer '{reader.name}'" if reader else "the model's output"
        raise ModelError(
            f"{who} reads result {ref.output} of call {ref.call} of '{ref.layer}', which there is not; the file is damaged"
        )
    return outputs[ref.output]


def _node(ref: Ref, first: dict[str, int]) -> Node:
    return ref.layer, ref.call - first.get(ref.layer, 0)


def _add_input(entry: LayerDefinition, reading: Reading, single: bool) -> str:
    if entry.class_name != "InputLayer":
        raise ModelError(f"the model's input '{entry.name}' is a {entry.class_name} and no InputLayer; the file is damaged")
    stored = entry.settings.get("batch_shape") or entry.settings.get("batch_input_shape")
    stated = reading.input_shapes.get(entry.name) or (reading.input_shapes.get("") if single else None)
    if stored is None and stated is None:
        raise ModelError(
            f"the file does not say the shape of input '{entry.name}'; give it with input_shape=, without the batch axis"
        )
    if stored is None:
        return reading.builder.add_input(entry.name, tuple(stated or ()))
    if not isinstance(stored, list) or len(stored) < 2:
        raise ModelError(
            f"input '{entry.name}' has the shape {str(stored)[:60]}; it should have a batch axis and at least one more"
        )
    sizes = stored[1:]
    if stated is not None and (
        len(stated) != len(sizes) or any(a is not None and a != b for a, b in zip(sizes, stated, strict=True))
    ):
        raise ModelError(f"input_shape={stated} does not fit input '{entry.name}', which the file gives as {tuple(sizes)}")
    if stated is None and None in sizes:
        raise ModelError(
            f"input '{entry.name}' of shape {tuple(sizes)} leaves sizes open; give them with input_shape=, without the batch axis"
        )
    shape = stated if stated is not None else tuple(as_integer(size, "batch_shape") for size in sizes)
    return reading.builder.add_input(entry.name, shape)


class _Numbering(NamedTuple):
    """What the number of a model's first call is, in the arguments of calls and in the outputs of the model around it."""

    in_calls: int
    in_outputs: int


def _numberings(model: ModelDefinition) -> dict[str, _Numbering]:
    """Return where the file begins to count the calls of each layer: at 0, but for models, whose making may count as call 0.

    Keras 2 counts it everywhere, Keras 3 in a model's outputs only, and not for a Sequential.
    """
    keras3 = any(call.keras3 for layer in model.layers.values() for call in layer.calls)
    inner = [ref for layer in model.layers.values() for call in layer.calls for ref in call.refs()]
    highest: dict[str, int] = {}
    for ref in [*model.outputs, *(() if keras3 else inner)]:
        highest[ref.layer] = max(highest.get(ref.layer, 0), ref.call)
    found = {}
    for name, layer in model.layers.items():
        first = int(layer.model is not None and highest.get(name, 0) == len(layer.calls))
        if keras3 and layer.model is not None:
            counted = layer.class_name != "Sequential" and all(ref.call for ref in model.outputs if ref.layer == name)
            found[name] = _Numbering(0, int(counted))
        else:
            found[name] = _Numbering(first, first)
    return found


def _in_order(model: ModelDefinition, first: dict[str, int], ready: set[Node]) -> list[tuple[LayerDefinition, int]]:
    """Return every call after those that it depends on, otherwise in the file's order."""
    calls = [(layer, index) for layer in model.layers.values() for index in range(len(layer.calls))]
    waiting: dict[Node, list[int]] = {}
    missing: list[int] = []
    for position, (layer, index) in enumerate(calls):
        needs = {_node(ref, first) for ref in layer.calls[index].refs()} - ready
        missing.append(len(needs))
        for node in needs:
            waiting.setdefault(node, []).append(position)
    queue = [position for position, count in enumerate(missing) if count == 0]
    order = []
    while queue:
        layer, index = calls[heapq.heappop(queue)]
        order.append((layer, index))
        for position in waiting.pop((layer.name, index), []):
            missing[position] -= 1
            if missing[position] == 0:
                heapq.heappush(queue, position)
    if len(order) < len(calls):
        stuck = next(layer.name for (layer, _), count in zip(calls, missing, strict=True) if count)
        raise ModelError(
            f"layer '{stuck}' waits for a value that nothing makes, or for its own: the file is damaged or has a cycle"
        )
    return order


def _add_call(
    layer: LayerDefinition, index: int, call: Call, arrived: dict[Ref, str], reading: Reading, scope: str, training: bool
) -> list[str]:
    """Add one call of one layer; errors get the layer's name and class."""
    reading.count_call()
    name = f"{scope}{layer.name}" + (f"/call{index + 1}" if index else "")
    inputs = [arrived[ref] for ref in call.refs()]
    if not call.keras3:  # Keras 3 has the last word where it predicts
        training = as_flag(call.kwargs.get("training"), "training", training)
    if layer.model is not None and layer.class_name == "TimeDistributed":
        return [_over_time(layer, layer.model, name, inputs, reading, training)]
    if layer.model is not None:
        return add_model(layer.model, reading, f"{name}/", inputs, training)
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
        if training and layer.class_name in (*NORMS, *RANDOM):
            raise place.unsupported("it is called with training=True, so that Keras 2 goes on training it; call it without")
        made = function_of(layer)(place)
        return [made] if isinstance(made, str) else made
    except ModelError as error:
        message = str(error)
        if message.startswith(f"{source}: layer '"):
            raise
        kind = UnsupportedLayerError if isinstance(error, UnsupportedLayerError) else ModelError
        raise kind(f"{source}: layer '{name}' ({layer.class_name}): {message.removeprefix(f'{source}: ')}") from None


def _over_time(
    layer: LayerDefinition, model: ModelDefinition, name: str, inputs: list[str], reading: Reading, training: bool
) -> str:
    """Add the layer in a TimeDistributed: as it is where it sees the last axis alone, else once for each moment."""
    place = Place(reading, layer, name, inputs, [], {}, layer.settings)
    shape = place.shape if len(inputs) == 1 else ()
    if len(shape) < 2:
        raise ModelError(f"layer '{name}' ({layer.class_name}): it is called on {len(inputs)} values, the first of shape {shape}")
    (inner,) = (one for one in model.layers.values() if one.class_name != "InputLayer")
    if inner.class_name in (*RANDOM, *OF_ANY_RANK):
        (value,) = add_model(model, reading, f"{name}/", inputs, training)
        return value
    made = []
    for moment in range(shape[0]):
        sizes = (1, *shape[1:])
        part = place.add(Crop, None, f"{moment}/moment", f"{moment}/moment", starts=(moment, *(0,) * len(shape[1:])), sizes=sizes)
        given = place.add(Reshape, [part], f"{moment}/sample", f"{moment}/sample", shape=shape[1:])
        (value,) = add_model(model, reading, f"{name}/{moment}/", [given], training)
        raised = (1, *place.shape_of(value))
        label = f"{moment}/result" if shape[0] > 1 else ""
        made.append(place.add(Reshape, [value], label, label, shape=raised))
    return place.add(Concat, made, axis=0) if len(made) > 1 else made[0]


def _named(argument: Any, arrived: dict[Ref, str]) -> Any:
    """Put value names where the call's tensors stand."""
    if isinstance(argument, Ref):
        return Value(arrived[argument])
    if isinstance(argument, list):
        return [_named(item, arrived) for item in argument]
    return argument
