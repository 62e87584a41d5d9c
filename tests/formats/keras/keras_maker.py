"""Keras files made by hand: the layouts of Keras 2 and 3 with h5py and JSON, no Keras."""

import json

import h5py
import numpy as np

from edgebn import passes, reference
from edgebn.formats import keras


def write_h5(path, model, weights=None, version="3.15.1"):
    """A .h5 file: `weights` maps a layer, or a model within the model, to its arrays, in a list or by their names."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = version
        group = file.create_group("model_weights")
        for layer, arrays in (weights or {}).items():
            named = arrays if isinstance(arrays, dict) else {f"{layer}/w{index}:0": array for index, array in enumerate(arrays)}
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in named]
            for name, array in named.items():
                inner[name] = array
    return path


def entry(class_name, name, *nodes, **config):
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": list(nodes)}


INPUT = entry("InputLayer", "x", batch_shape=[None, 2])


def tensors(*names):
    """A Keras 2 node."""
    return [[name, 0, 0, {}] for name in names]


def functional(*entries, outputs):
    inputs = [[layer["name"], 0, 0] for layer in entries if layer["class_name"] == "InputLayer"]
    return {
        "class_name": "Functional",
        "config": {
            "name": "made",
            "layers": list(entries),
            "input_layers": inputs,
            "output_layers": [[name, 0, 0] for name in outputs],
        },
    }


def sequential(shape, *entries):
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, *shape]}}
    return {"class_name": "Sequential", "config": {"name": "made", "layers": [first, *entries]}}


def keras3_operation(class_name, name, *args, **config):
    """An operation as Keras 3 writes it into a .h5 file; arguments that are text are values, arrays are constants."""
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": [keras3_node(*args)]}


def keras3_node(*args, **kwargs):
    return {"args": [_serialised(item) for item in args], "kwargs": kwargs}


def _serialised(item):
    if isinstance(item, str):
        return {"class_name": "__keras_tensor__", "config": {"shape": [], "dtype": "float32", "keras_history": [item, 0, 0]}}
    if isinstance(item, list):
        return [_serialised(part) for part in item]
    if isinstance(item, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": item.tolist(), "dtype": "float32"}}
    return item


def computed(path, x, **options):
    return reference.run(passes.lower(keras.read(path, **options)), x)
