"""Turns Keras' configuration into definitions: models, their layers and calls, checked for shape but not for meaning.

A Sequential becomes the same thing as a Functional: a chain of calls. Knows no layer's computation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.keras.nodes import Call, Ref, parse_calls, parse_refs
from edgebn.formats.keras.settings import Settings
from edgebn.formats.keras.weights import WRAPPED, Address, snake_case

MODEL_CLASSES = ("Functional", "Model", "Sequential")
# Layers around one layer, read as models of that layer alone.
WRAPPERS = ("SpectralNormalization", "TimeDistributed")
MAX_MODEL_DEPTH = 16
# Classes that archives know under the name in Keras' code.
ARCHIVE_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}


@dataclass
class LayerDefinition:
    """One layer as the file defines it; it may be called more than once.

    Attributes
    ----------
    name, class_name : str
        The class after `custom_layers` was applied.
    is_operation : bool
        Whether it is a Keras operation (`x + y` between tensors) and no layer.
    settings : Settings
    calls : list of Call
    address : Address
        Where its weights are.
    model : ModelDefinition or None
        When the layer is a model itself, or wraps a layer.
    shared_id : int or None
        The same in all definitions of one layer that stands in several models.
    prepared : dict
        Weights already read and laid out, so that all calls share the same arrays.
    """

    name: str
    class_name: str
    is_operation: bool
    settings: Settings
    calls: list[Call]
    address: Address
    model: ModelDefinition | None = None
    shared_id: int | None = None
    prepared: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelDefinition:
    """A Functional or Sequential model: layers in the file's order, the tensors that enter and leave."""

    name: str
    layers: dict[str, LayerDefinition]
    inputs: list[Ref]
    outputs: list[Ref]


def parse_model(serialised: Any, custom_layers: Mapping[str, str]) -> ModelDefinition:
    """Return the definition of a file's model.

    Parameters
    ----------
    serialised : Any
        {"class_name": "Functional" or "Sequential", "config": {...}} from JSON.
    custom_layers : mapping of str to str
        Class names of the user's own layers to the Keras classes that they behave like.

    Raises
    ------
    ModelError
        Naming the layer where there is one.
    """
    class_name, config = _class_and_config(serialised)
    if class_name not in MODEL_CLASSES:
        raise UnsupportedLayerError(
            f"the model is of class '{class_name}', whose wiring only its own code knows; build it as Functional or Sequential, "
            "or export it to ONNX"
        )
    return _parse_model(class_name, config, Address(), custom_layers, 0)


def _parse_model(class_name: str, config: Any, address: Address, custom: Mapping[str, str], depth: int) -> ModelDefinition:
    if depth > MAX_MODEL_DEPTH:
        raise ModelError(f"models are nested more than {MAX_MODEL_DEPTH} deep")
    if isinstance(config, list):  # Sequential before Keras 2.2
        config = {"layers": config}
    entries = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ModelError(f"the configuration of the {class_name} model lists no layers; the file is damaged or the model empty")
    sequential = class_name == "Sequential"
    layers: dict[str, LayerDefinition] = {}
    keys: dict[str, int] = {}
    for entry in entries:
        layer = _parse_layer(entry, sequential, address, keys, custom, depth)
        if layer.name in layers:
            raise ModelError(f"two layers are called '{layer.name}'; the file is damaged")
        layers[layer.name] = layer
    name = config.get("name") if isinstance(config.get("name"), str) else class_name.lower()
    if sequential:
        return _chained(name, layers, config)
    inputs, outputs = parse_refs(config.get("input_layers")), parse_refs(config.get("output_layers"))
    return ModelDefinition(name, layers, inputs, outputs)


def _parse_layer(
    entry: Any, sequential: bool, address: Address, keys: dict[str, int], custom: Mapping[str, str], depth: int, key: str = ""
) -> LayerDefinition:
    original, config = _class_and_config(entry)
    settings = Settings(config if isinstance(config, dict) else {})
    name = settings.get("name") or entry.get("name") or original.lower()
    if not isinstance(name, str):
        raise ModelError(f"a layer of class {original} has a name that is no text; the file is damaged")
    is_operation = _is_operation(entry, settings)
    if not key and not is_operation and not (sequential and original == "InputLayer"):
        key = snake_case(ARCHIVE_NAMES.get(original, original))
        keys[key] = keys.get(key, -1) + 1
        key = f"{key}_{keys[key]}" if keys[key] else key
    here = address.below(name, key)
    class_name = custom.get(original, original)
    is_model = class_name in MODEL_CLASSES and not is_operation
    model = _parse_model(class_name, config, here, custom, depth + 1) if is_model else None
    if class_name in WRAPPERS and not is_operation:
        model = _wrapped(name, settings.get("layer"), here, custom, depth)
    try:
        calls = [] if sequential else parse_calls(entry.get("inbound_nodes", []))
    except ModelError as error:
        raise ModelError(f"layer '{name}' ({class_name}): {error}") from None
    shared = entry.get("shared_object_id")
    shared_id = shared if isinstance(shared, int) else None
    return LayerDefinition(name, class_name, is_operation, settings, calls, here, model, shared_id)


def _wrapped(name: str, entry: Any, address: Address, custom: Mapping[str, str], depth: int) -> ModelDefinition:
    """Return a model of the one layer in a wrapper, whose weights an archive keeps under the wrapper's attribute."""
    if depth >= MAX_MODEL_DEPTH:
        raise ModelError(f"models are nested more than {MAX_MODEL_DEPTH} deep")
    layer = _parse_layer(entry, True, address, {}, custom, depth + 1, WRAPPED)
    source = LayerDefinition(f"{layer.name}_input", "InputLayer", False, Settings({}), [], Address())
    layer.calls.append(Call([Ref(source.name, 0, 0)]))
    return ModelDefinition(name, {source.name: source, layer.name: layer}, [Ref(source.name, 0, 0)], [Ref(layer.name, 0, 0)])


def _is_operation(entry: dict[str, Any], settings: Settings) -> bool:
    """Whether an entry is an operation of Keras 3: its module says so, or, in a .h5 file, what layers have is not there.

    Every layer says whether it is trainable, but SpatialDropout, whose rate no operation has.
    """
    if "module" in entry:
        return ".ops." in str(entry["module"])
    nodes = entry.get("inbound_nodes")
    called = isinstance(nodes, list) and any(isinstance(node, dict) for node in nodes)
    return called and not {"trainable", "rate"} & settings.values.keys()


def _class_and_config(serialised: Any) -> tuple[str, Any]:
    class_name = serialised.get("class_name") if isinstance(serialised, dict) else None
    if not isinstance(class_name, str):
        raise ModelError(f"the configuration entry {str(serialised)[:60]!r} names no class; the file is damaged")
    # A registered custom class is stored as 'package>name'.
    return class_name.rsplit(">", 1)[-1], serialised.get("config", {})


def _chained(name: str, layers: dict[str, LayerDefinition], config: dict[str, Any]) -> ModelDefinition:
    """Wire a Sequential's layers one after the other, with an input before the first where the file leaves it out."""
    first = next(iter(layers.values()))
    if first.class_name != "InputLayer":
        shape = first.settings.get("batch_input_shape") or config.get("build_input_shape")
        inner = first.model
        if shape is None and inner is not None:
            shape = inner.layers[inner.inputs[0].layer].settings.get("batch_shape")
        settings = Settings({"name": f"{first.name}_input", "batch_shape": shape})
        entry = LayerDefinition(f"{first.name}_input", "InputLayer", False, settings, [], Address())
        layers = {entry.name: entry, **layers}
    previous: Ref | None = None
    for layer in layers.values():
        if previous is not None:
            layer.calls.append(Call([previous]))
        previous = Ref(layer.name, 0, 0)
    assert previous is not None
    return ModelDefinition(name, layers, [Ref(next(iter(layers)), 0, 0)], [previous])
