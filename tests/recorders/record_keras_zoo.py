"""Save the zoo of small Keras models with what Keras computes from them.

    KERAS_BACKEND=torch python tests/recorders/record_keras_zoo.py [FOLDER ...]

Writes ``tests/recorded/<folder>/<name>.keras`` and ``<name>.h5`` and one ``zoo.npz`` with ``<name>/x`` (inputs, in the
file's own layout), ``<name>/y`` (what Keras says) and ``versions``; the folders are those of `FOLDERS`.
The .keras archives, which Keras stores uncompressed, are deflated: they hold mostly zeros. Needs Keras; knows nothing of edgebn.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import keras
import numpy as np
import zoo_choosing
import zoo_code
import zoo_functions
import zoo_layers
import zoo_moving
import zoo_networks
import zoo_norms
import zoo_operations
import zoo_products
import zoo_recurrent
import zoo_wrappers

RECORDED = Path(__file__).resolve().parent.parent / "recorded"
SAMPLES = 2
FOLDERS = {
    "keras_zoo": zoo_layers.ZOO | zoo_networks.ZOO,
    "keras_operations": zoo_operations.ZOO,
    "keras_moving": zoo_moving.ZOO,
    "keras_norms": zoo_norms.ZOO,
    "keras_choosing": zoo_choosing.ZOO,
    "keras_functions": zoo_functions.ZOO,
    "keras_wrappers": zoo_wrappers.ZOO,
    "keras_products": zoo_products.ZOO,
    "keras_recurrent": zoo_recurrent.ZOO,
    "keras_code": zoo_code.ZOO,
}
ZOO = {name: builder for models in FOLDERS.values() for name, builder in models.items()}


def random_weight(path: str, old: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw a weight that a trained network could have: negative gammas, uneven variances, kernels of unit gain."""
    kind = path.rsplit("/", 1)[-1]
    if kind == "moving_variance":
        return random.uniform(0.2, 3.0, old.shape)
    if kind == "gamma":
        return random.uniform(0.5, 1.5, old.shape) * random.choice([-1, 1, 1, 1], old.shape)
    if kind == "alpha":
        return random.uniform(-0.2, 0.5, old.shape)
    if "kernel" in kind:
        return random.normal(0, 1 / np.sqrt(max(1, np.prod(old.shape[:-1]))), old.shape)
    return random.normal(0, 0.5, old.shape)


def randomise(model: keras.Model, random: np.random.Generator) -> None:
    """Replace every weight but those that ``adapt`` learnt."""
    for weight in model.weights:
        if "normalization" in weight.path and weight.path.rsplit("/", 1)[-1] in {"mean", "variance", "count"}:
            continue
        weight.assign(random_weight(weight.path, np.asarray(weight.numpy()), random).astype(np.float32))


def average_pool_inside(x: np.ndarray) -> np.ndarray:
    """Average 3x3 cells at stride 2, same padding at the end only, dividing by the cells inside the image."""
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    return np.nanmean(windows, axis=(4, 5))


# Keras' torch backend counts the padding when it is uneven; its other backends, TensorFlow's and JAX's, do not.
# edgebn follows those, so for these models y comes from the definition.
MENDED = {"pooling_average_uneven": average_pool_inside}


# Keras cannot write the file, or refuses what it wrote, or saves a weight once and looks for it twice.
UNREADABLE_AS_H5 = {"operators", "augmentation"}
UNREADABLE_AS_ARCHIVE = {"nested_models_that_share"}


SCALES = {"rescaling": 100.0, "activation_operations": 6.0}  # of the inputs: relu6 would else be relu


def deflate(path: Path) -> None:
    """Rewrite an archive compressed, the same members in the same order."""
    source = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def record(folder: str) -> None:
    """Build, randomise, run and save every model of one folder."""
    target = RECORDED / folder
    target.mkdir(parents=True, exist_ok=True)
    versions = {"keras": keras.__version__, "backend": keras.backend.backend(), "h5py": h5py.__version__}
    arrays: dict[str, np.ndarray] = {"versions": np.array(json.dumps(versions))}
    for name, builder in FOLDERS[folder].items():
        keras.backend.clear_session()
        random = np.random.default_rng(zlib.crc32(name.encode()))
        model = builder()
        randomise(model, random)
        scale = SCALES.get(name, 1.5)
        x = (scale * random.standard_normal((SAMPLES, *model.input_shape[1:]))).astype(np.float32)
        arrays[f"{name}/x"] = x
        arrays[f"{name}/y"] = MENDED[name](x) if name in MENDED else model.predict(x, verbose=0)
        if name not in UNREADABLE_AS_ARCHIVE:
            model.save(target / f"{name}.keras")
            deflate(target / f"{name}.keras")
        if name not in UNREADABLE_AS_H5:
            model.save(target / f"{name}.h5")
        print(f"{name}: {x.shape} -> {arrays[f'{name}/y'].shape}")
    np.savez_compressed(target / "zoo.npz", **arrays)
    total = sum(file.stat().st_size for file in target.iterdir())
    print(f"{folder}: {len(FOLDERS[folder])} models, {total / 1e6:.2f} MB")


def main() -> None:
    """Record the folders that are named, or all."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # Keras advises against .h5 at every save; edgebn reads it
    for folder in sys.argv[1:] or FOLDERS:
        record(folder)


if __name__ == "__main__":
    main()
