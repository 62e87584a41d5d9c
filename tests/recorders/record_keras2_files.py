"""Write Keras 2 files, which Keras 3 cannot write, with what Keras computes from the same network.

    KERAS_BACKEND=torch python tests/recorders/record_keras2_files.py

Builds each network in Keras 3, records its output, and writes its weights and configuration in the form that Keras 2 gave
its .h5 files: ``batch_input_shape``, nested-list ``inbound_nodes``, batch norm's axis as a list, ``groups`` on depthwise
and transposed convolutions (Keras 3 refuses that), ``alpha`` for the leaky ReLU's slope, weight names that end in ``:0``,
``depthwise_kernel``. Keras 2's hard sigmoid is clip(0.2 x + 0.5, 0, 1), not Keras 3's relu6(x + 3) / 6.

Writes ``tests/recorded/keras2/<name>.h5`` and ``outputs.npz`` with ``<name>/x``, ``<name>/y``. Needs Keras and h5py.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import Model, Sequential, layers, ops
from record_keras_zoo import SAMPLES, randomise

TARGET = Path(__file__).resolve().parent.parent / "recorded" / "keras2"
WITH_GROUPS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose)
KERAS_VERSION = "2.4.0"
NEW_KEYS = ("synchronized", "renorm", "renorm_clipping", "renorm_momentum")  # of Keras 3's batch norm


def hard_sigmoid(x: Any) -> Any:
    """Keras 2's definition."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def functional() -> Model:
    """Everything whose spelling changed, in a DS-CNN block, and a model within the model."""
    inner_in = keras.Input((6, 5, 4), name="inner_in")
    x = layers.LeakyReLU(negative_slope=0.3, name="leaky")(layers.Conv2D(4, 1, name="inner_conv")(inner_in))
    inner = Model(inner_in, layers.BatchNormalization(name="inner_bn")(x), name="inner")
    image = keras.Input((12, 10, 2), name="input_1")
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="conv")(image)
    x = layers.Activation(hard_sigmoid, name="gate")(layers.BatchNormalization(name="bn_1")(x))
    y = layers.BatchNormalization(name="bn_2")(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    y = layers.ReLU(max_value=6.0, name="relu6")(y)
    x = layers.Concatenate(axis=3, name="join")([inner(y), layers.Add(name="add")([x, y])])
    x = layers.Flatten(name="flatten")(layers.AveragePooling2D((3, 5), name="pool")(x))
    return Model(image, layers.Dense(3, activation="softmax", name="dense")(x), name="model")


def sequential() -> Model:
    """The input stands in an InputLayer."""
    stack = [
        keras.Input((6, 6, 3), name="separable_input"),
        layers.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu", name="separable"),
        layers.BatchNormalization(name="bn"),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation=hard_sigmoid, name="up"),
        layers.UpSampling2D(2, interpolation="bilinear", name="resize"),
        layers.Conv2D(2, 3, strides=3, name="last"),
    ]
    return Sequential(stack, name="sequential")


def sequential_without_input() -> Model:
    """The oldest form: the configuration is a list, and the first layer carries the input's shape."""
    stack = [
        keras.Input((7,), name="first_input"),
        layers.Dense(6, activation="tanh", name="first"),
        layers.Dropout(0.1, name="dropout"),
        layers.BatchNormalization(name="bn"),
        layers.Dense(4, activation="softmax", name="last"),
    ]
    return Sequential(stack, name="sequential_1")


def plain(value: Any) -> Any:
    """Strip what Keras 3 added to serialised objects."""
    if isinstance(value, dict) and "class_name" in value:
        return {"class_name": value["class_name"], "config": plain(value["config"])}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def layer_config(layer: layers.Layer) -> dict[str, Any]:
    """Return the Keras 2 configuration of a layer or model."""
    if isinstance(layer, Model):
        return model_config(layer)["config"]
    config = {key: plain(item) for key, item in layer.get_config().items() if key not in NEW_KEYS}
    config["dtype"] = "float32"
    if isinstance(layer, layers.InputLayer):
        shape = config.pop("batch_shape")
        return {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": layer.name}
    if isinstance(layer, layers.BatchNormalization):
        config["axis"] = [layer.axis % layer.input_spec.ndim]
    if isinstance(layer, WITH_GROUPS):
        config["groups"] = 1
    if isinstance(layer, layers.LeakyReLU):
        config["alpha"] = config.pop("negative_slope")
    if getattr(layer, "activation", None) is hard_sigmoid:
        config["activation"] = "hard_sigmoid"
    return config


def inbound_nodes(nodes: list[dict[str, Any]]) -> list[list[list[Any]]]:
    """Turn Keras 3's call arguments into Keras 2's [layer, node, tensor, {}] lists."""

    def histories(value: Any) -> list[list[Any]]:
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            return [[*value["config"]["keras_history"], {}]]
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return [history for item in items for history in histories(item)]

    return [histories(node["args"]) for node in nodes]


def model_config(model: Model) -> dict[str, Any]:
    """Return the Keras 2 configuration of a whole model."""
    if model.name == "sequential_1":
        stack = [{"class_name": type(layer).__name__, "config": layer_config(layer)} for layer in model.layers]
        stack[0]["config"]["batch_input_shape"] = list(model.input_shape)
        return {"class_name": "Sequential", "config": stack}
    if isinstance(model, Sequential):
        stack = [model._layers[0], *model.layers]  # Keras hides a Sequential's InputLayer from `layers`
        entries = [{"class_name": type(layer).__name__, "config": layer_config(layer)} for layer in stack]
        return {"class_name": "Sequential", "config": {"name": model.name, "layers": entries}}
    entries = [
        {
            "class_name": entry["class_name"],
            "config": layer_config(model.get_layer(entry["name"])),
            "name": entry["name"],
            "inbound_nodes": inbound_nodes(entry["inbound_nodes"]),
        }
        for entry in model.get_config()["layers"]
    ]
    inputs = [[tensor._keras_history.operation.name, 0, 0] for tensor in model.inputs]
    outputs = [[tensor._keras_history.operation.name, 0, 0] for tensor in model.outputs]
    return {
        "class_name": "Functional",
        "config": {"name": model.name, "layers": entries, "input_layers": inputs, "output_layers": outputs},
    }


def weight_name(layer: layers.Layer, weight: keras.Variable) -> str:
    """Return the name Keras 2 stored a weight under."""
    kernel = isinstance(layer, layers.DepthwiseConv2D) and weight.name == "kernel"
    return f"{layer.name}/{'depthwise_kernel' if kernel else weight.name}:0"


def named_weights(layer: layers.Layer) -> list[tuple[str, np.ndarray]]:
    """List a layer's weights in Keras 2's order: all trainable ones of a model within come first."""
    leaves = layer.layers if isinstance(layer, Model) else [layer]
    pairs = [
        (leaf, weight) for trainable in (True, False) for leaf in leaves for weight in leaf.weights if weight.trainable is trainable
    ]
    return [(weight_name(leaf, weight), keras.ops.convert_to_numpy(weight)) for leaf, weight in pairs]


def write(path: Path, model: Model) -> None:
    """Write the file as Keras 2 did."""
    with h5py.File(path, "w") as file:
        attributes = {"backend": b"tensorflow", "keras_version": KERAS_VERSION.encode()}
        file.attrs.update(attributes)
        file.attrs["model_config"] = json.dumps(model_config(model)).encode()
        root = file.create_group("model_weights")
        root.attrs.update(attributes)
        root.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        for layer in model.layers:
            group, pairs = root.create_group(layer.name), named_weights(layer)
            group.attrs["weight_names"] = np.array([name.encode() for name, _ in pairs])
            for name, value in pairs:
                group.create_dataset(name, data=value)


def main() -> None:
    """Build, run and write every model."""
    TARGET.mkdir(parents=True, exist_ok=True)
    arrays = {"versions": np.array(json.dumps({"keras": keras.__version__, "written_as": KERAS_VERSION}))}
    for builder in (functional, sequential, sequential_without_input):
        name = builder.__name__
        random = np.random.default_rng(zlib.crc32(name.encode()))
        model = builder()
        randomise(model, random)
        arrays[f"{name}/x"] = random.standard_normal((SAMPLES, *model.input_shape[1:])).astype(np.float32)
        arrays[f"{name}/y"] = model.predict(arrays[f"{name}/x"], verbose=0)
        write(TARGET / f"{name}.h5", model)
        print(f"{name}: {arrays[f'{name}/x'].shape} -> {arrays[f'{name}/y'].shape}")
    np.savez_compressed(TARGET / "outputs.npz", **arrays)
    print(f"{sum(file.stat().st_size for file in TARGET.iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
