"""Keras files for the rows of the reader: the recorded zoo, functions of TensorFlow against NumPy, and older names of classes.

An older name is tried on a recorded file, in which it takes the place of the name that the file has.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgebn import passes, reference
from edgebn.formats import keras
from tests.conftest import RECORDED
from tests.formats.keras.keras_maker import computed, entry, functional, keras3_operation, sequential, tensors, write_h5
from tests.formats.reader_cases import Case, error_between

FOLDERS = (
    "keras_zoo",
    "keras_operations",
    "keras_moving",
    "keras_norms",
    "keras_choosing",
    "keras_functions",
    "keras_wrappers",
    "keras_products",
    "keras_recurrent",
    "keras_code",
)
CUSTOM = {"BNLayer": "BatchNormalization"}
X = np.random.default_rng(7).normal(0, 1, (3, 4, 5, 2)).astype(np.float32)
IMAGE = entry("InputLayer", "x", batch_input_shape=[None, 4, 5, 2])

# TensorFlow's functions as Keras 2 records them: the call's other arguments, and what comes out.
FUNCTIONS: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = {
    "__operators__.add": ({"y": [0.5, -2.0]}, lambda x: x + np.float32([0.5, -2])),
    "math.add": ({"y": 1.5}, lambda x: x + 1.5),
    "nn.bias_add": ({"bias": [-103.9, 2.5]}, lambda x: x + np.float32([-103.9, 2.5])),
    "math.multiply": ({"y": [3.0, -2.0]}, lambda x: x * np.float32([3, -2])),
    "math.subtract": ({"y": [0.5, -2.0]}, lambda x: x - np.float32([0.5, -2])),
    "math.truediv": ({"y": [3.0, -2.0]}, lambda x: x / np.float32([3, -2])),
    "math.divide": ({"y": 0.3}, lambda x: x / 0.3),
    "math.maximum": ({"y": [0.3, -0.2]}, lambda x: np.maximum(x, np.float32([0.3, -0.2]))),
    "math.minimum": ({"y": [0.3, -0.2]}, lambda x: np.minimum(x, np.float32([0.3, -0.2]))),
    "math.squared_difference": ({"y": [0.3, -0.2]}, lambda x: (x - np.float32([0.3, -0.2])) ** 2),
    "math.negative": ({}, lambda x: -x),
    "math.reduce_mean": ({"axis": [1, 2], "keepdims": True}, lambda x: x.mean((1, 2), keepdims=True)),
    "math.reduce_max": ({"axis": 2, "keepdims": False}, lambda x: x.max(2)),
    "math.reduce_min": ({"axis": 2, "keepdims": True}, lambda x: x.min(2, keepdims=True)),
    "math.reduce_sum": ({"axis": [1, 3], "keepdims": False}, lambda x: x.sum((1, 3))),
    "clip_by_value": ({"clip_value_min": -0.5, "clip_value_max": 0.25}, lambda x: x.clip(-0.5, 0.25)),
    "nn.relu": ({}, lambda x: np.maximum(x, 0)),
    "nn.relu6": ({}, lambda x: x.clip(0, 6)),
    "math.sigmoid": ({}, lambda x: 1 / (1 + np.exp(-x))),
    "math.tanh": ({}, np.tanh),
    "math.sin": ({}, np.sin),
    "math.abs": ({}, np.abs),
    "math.ceil": ({}, np.ceil),
    "math.erf": ({}, np.vectorize(math.erf)),
    "math.exp": ({}, np.exp),
    "math.expm1": ({}, np.expm1),
    "math.floor": ({}, np.floor),
    "math.log": ({}, np.log),
    "math.log1p": ({}, np.log1p),
    "math.pow": ({"y": 3.0}, lambda x: x**3),
    "math.reciprocal": ({}, lambda x: 1 / x),
    "math.round": ({}, np.rint),
    "math.rsqrt": ({}, lambda x: 1 / np.sqrt(x)),
    "math.sign": ({}, np.sign),
    "math.softplus": ({}, lambda x: np.log1p(np.exp(x))),
    "math.sqrt": ({}, np.sqrt),
    "math.square": ({}, np.square),
    "nn.elu": ({}, lambda x: np.where(x < 0, np.expm1(x), x)),
    "nn.gelu": ({"approximate": False}, lambda x: x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2),
    "nn.leaky_relu": ({"alpha": 0.3}, lambda x: np.where(x < 0, 0.3 * x, x)),
    "nn.selu": ({}, lambda x: 1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * np.expm1(x), x)),
    "linalg.matmul": ({"b": [[1.0, 2.0, -1.0], [0.5, -3.0, 2.0]]}, lambda x: x @ np.float32([[1, 2, -1], [0.5, -3, 2]])),
    "tile": ({"multiples": [1, 2, 1, 3]}, lambda x: np.tile(x, (1, 2, 1, 3))),
    "math.cos": ({}, np.cos),
    "nn.silu": ({}, lambda x: x / (1 + np.exp(-x))),
    "nn.softmax": ({"axis": 1}, lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    "reshape": ({"shape": [-1, 10, 4]}, lambda x: x.reshape(3, 10, 4)),
    "compat.v1.transpose": ({"perm": [0, 3, 1, 2]}, lambda x: x.transpose(0, 3, 1, 2)),
    "expand_dims": ({"axis": 1}, lambda x: x[:, None]),
    "image.resize": ({"size": [8, 15], "method": "nearest"}, lambda x: x.repeat(2, 1).repeat(3, 2)),
    "compat.v1.squeeze": ({"axis": [1]}, lambda x: x),  # of what expand_dims made
    "concat": ({"axis": 2}, lambda x: np.concatenate([x, x], 2)),
}
# Names of classes that no recorded file has, and the class that does the same.
OTHER_NAMES = {
    **{f"Convolution{kind}": f"Conv{kind}" for kind in ("1D", "2D", "1DTranspose", "2DTranspose")},
    **{f"SeparableConvolution{rank}D": f"SeparableConv{rank}D" for rank in (1, 2)},
    **{f"{where}MaxPool{rank}D": f"{where}MaxPooling{rank}D" for where in ("", "Global") for rank in (1, 2)},
    **{f"{where}AvgPool{rank}D": f"{where}AveragePooling{rank}D" for where in ("", "Global") for rank in (1, 2)},
    **dict.fromkeys(("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"), "BatchNormalization"),
    **dict.fromkeys(("Identity", "RandomHeight", "RandomWidth", "SpatialDropout1D", "SpatialDropout3D"), "Dropout"),
}
ABOVE_ZERO = ("math.log", "math.log1p", "math.reciprocal", "math.rsqrt", "math.sqrt")
SCALE = 4  # of the inputs: relu6 would else be relu


def function_model(name: str) -> dict[str, Any]:
    """Return a model that calls one function of TensorFlow on its input."""
    kwargs, _ = FUNCTIONS[name]
    ahead, node = [], ["x", 0, 0, kwargs]
    if name == "compat.v1.squeeze":
        ahead, node = [entry("Reshape", "raised", tensors("x"), target_shape=[1, 4, 5, 2])], ["raised", 0, 0, kwargs]
    if name == "concat":
        node = [["x", 0, 0, kwargs], ["x", 0, 0, kwargs]]
    return functional(IMAGE, *ahead, entry("TFOpLambda", "op", node, function=name), outputs=["op"])


def cases() -> list[Case]:
    """Return every recorded file, one case a function, and one a name that no recorded file has."""
    recorded = [_recorded(path) for folder in FOLDERS for path in _files(folder)]
    renamed = [_renamed(new, old) for new, old in OTHER_NAMES.items()]
    recorded += [
        Case(f"keras2 {path.name}", lambda path=path: _keras2_error(path)) for path in sorted(RECORDED.glob("keras2/*.h5"))
    ]
    return [*recorded, *map(_function, FUNCTIONS), *_products(), _slice(), _center_crop(), *_comparing(), *renamed]


def _files(folder: str) -> list[Path]:
    """Return one file a model of the zoo, and both of those with operations, which the two kinds of file spell in other ways."""
    archives = sorted((RECORDED / folder).glob("*.keras"))
    names = {path.stem for path in archives} if folder == "keras_zoo" else set()
    return [*archives, *(path for path in sorted((RECORDED / folder).glob("*.h5")) if path.stem not in names)]


def _h5_files() -> list[Path]:
    return sorted(RECORDED.glob("keras_*/*.h5"))


def _recorded(path: Path) -> Case:
    return Case(path.name, lambda: _error(path, path))


def _error(path: Path, recorded: Path) -> float:
    """Compare what `path` computes with the arrays of a recorded file."""
    with np.load(recorded.parent / "zoo.npz") as archive:
        x, wanted = archive[f"{recorded.stem}/x"], archive[f"{recorded.stem}/y"]
    graph = keras.read(path, custom_layers=CUSTOM)
    if graph.channels_first:
        x, wanted = (np.moveaxis(array, 1, -1) if array.ndim > 2 else array for array in (x, wanted))
    return error_between(reference.run(passes.lower(graph), x), wanted)


def _keras2_error(path: Path) -> float:
    with np.load(path.parent / "outputs.npz") as archive:
        x, wanted = archive[f"{path.stem}/x"], archive[f"{path.stem}/y"]
    return error_between(reference.run(passes.lower(keras.read(path)), x), wanted)


def _computed(name: str, model: dict[str, Any], x: np.ndarray, wanted: np.ndarray, version: str = "2.9.0") -> Case:
    def error() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return error_between(computed(write_h5(Path(folder) / "m.h5", model, version=version), x), wanted)

    return Case(name, error)


def _function(name: str) -> Case:
    x = X * np.float32(SCALE)
    if name in ABOVE_ZERO:
        x = np.abs(X) + np.float32(0.3)
    return _computed(name, function_model(name), x, FUNCTIONS[name][1](x))


def _products() -> list[Case]:
    """Products of two values, of which the other or the one is transposed."""
    made = []
    for key, wanted in (("transpose_b", X @ X.swapaxes(2, 3)), ("transpose_a", X.swapaxes(2, 3) @ X)):
        layer = entry("TFOpLambda", "op", ["x", 0, 0, {"b": ["x", 0, 0], key: True}], function="linalg.matmul")
        made.append(_computed(f"matmul, {key}", functional(IMAGE, layer, outputs=["op"]), X, wanted))
    return made


def _slice() -> Case:
    spec = {"slice_spec": [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": 3, "step": None}]}
    layer = entry("SlicingOpLambda", "op", ["x", 0, 0, spec], function="__operators__.getitem")
    return _computed("slice", functional(IMAGE, layer, outputs=["op"]), X, X[:, 1:3])


def _comparing() -> list[Case]:
    """Maximum and Minimum as layers of three values, and as operations that Keras 3 records in code."""
    x, made = X * np.float32(SCALE), []
    values = (x, np.tanh(x), x.clip(0, 6))
    ahead = (entry("Activation", "t", tensors("x"), activation="tanh"), entry("Activation", "r", tensors("x"), activation="relu6"))
    for name, function in (("Maximum", np.maximum), ("Minimum", np.minimum)):
        layer = entry(name, "op", tensors("x", "t", "r"), trainable=True)
        made.append(_computed(f"{name} layer", functional(IMAGE, *ahead, layer, outputs=["op"]), x, function.reduce(values)))
        operation = keras3_operation(name, "op", "x", "t")
        model = functional(IMAGE, ahead[0], operation, outputs=["op"])
        made.append(_computed(f"{name} operation", model, x, function(*values[:2]), version="3.3.0"))
    return made


def _center_crop() -> Case:
    return _computed("center crop", sequential((4, 5, 2), entry("CenterCrop", "crop", height=2, width=2)), X, X[:, 1:3, 1:3])


def _layers(path: Path) -> list[dict[str, Any]]:
    """Return all layers of a .h5 file, of models within models too."""
    with h5py.File(path) as file:
        return _inside(json.loads(file.attrs["model_config"])["config"])


def _inside(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for layer in config.get("layers", []) for found in (layer, *_inside(layer["config"]))]


def _renamed(new: str, old: str) -> Case:
    """Return a recorded file in which the class `old` is called `new`."""
    path = next(path for path in _h5_files() if any(layer["class_name"] == old for layer in _layers(path)))
    return Case(f"{path.name} with {new} for {old}", lambda: _as(path, old, new))


def _as(path: Path, old: str, new: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copy(path, copy)
        with h5py.File(copy, "r+") as file:
            text = file.attrs["model_config"]
            file.attrs["model_config"] = text.replace(
                f'"class_name": "{old}", "config": {{"name"', f'"class_name": "{new}", "config": {{"name"'
            )
        return _error(copy, path)
