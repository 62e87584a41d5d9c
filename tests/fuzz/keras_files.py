"""Damage to Keras files: bytes, the JSON configuration, weights of other shapes or values, bombs in the archive."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np

from tests.fuzz import damage

RECORDED = Path(__file__).parents[1] / "recorded"
NETWORKS = tuple(
    f"keras_zoo/{name}"
    for name in ("residual", "ds_cnn", "squeeze_excite", "nested_functional", "channels_first_cnn", "separable", "shapes")
)
OPERATIONS = tuple(
    f"keras_operations/{name}"
    for name in ("constants_that_spread", "merging_with_constants", "shape_operations", "slices", "nested_models_frozen")
)
NAMES = NETWORKS + OPERATIONS


def keras_seeds() -> list[bytes]:
    return [(RECORDED / f"{name}.keras").read_bytes() for name in NAMES]


def h5_seeds() -> list[bytes]:
    return [(RECORDED / f"{name}.h5").read_bytes() for name in NAMES]


def _damage_weights(file: h5py.File, rng: np.random.Generator) -> None:
    """Poison, reshape or drop one dataset of an open HDF5 file."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    if not names:
        return
    name = names[int(rng.integers(len(names)))]
    array = np.asarray(file[name])
    del file[name]
    kind = rng.integers(6)
    if kind <= 1:
        file[name] = damage.poisoned(array, rng)
    elif kind == 2:
        file[name] = np.zeros((*array.shape, 2), np.float32)
    elif kind == 3:
        file[name] = array.reshape(-1)[: max(array.size - 1, 0)]
    elif kind == 4:  # declares far more than it stores
        file.create_dataset(name, shape=(1 << 20, 1 << 16), dtype="f4", chunks=(1, 1 << 16))


def _mutated_hdf5(content: bytes, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        config = file.attrs.get("model_config")
        if config is not None and rng.integers(2):
            file.attrs["model_config"] = json.dumps(damage.json_value(json.loads(config), rng))
        else:
            _damage_weights(file, rng)
    return buffer.getvalue()


def mutate_h5(content: bytes, rng: np.random.Generator) -> bytes:
    return damage.bytes_at_random(content, rng) if rng.integers(3) == 0 else _mutated_hdf5(content, rng)


def mutate_keras(content: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(10)
    if kind < 3:
        return damage.bytes_at_random(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    if kind < 6:
        entries["config.json"] = json.dumps(damage.json_value(json.loads(entries["config.json"]), rng)).encode()
    elif kind < 8:
        entries["model.weights.h5"] = _mutated_hdf5(entries["model.weights.h5"], rng)
    elif kind == 8:
        name = list(entries)[int(rng.integers(len(entries)))]
        entries[name] = damage.bytes_at_random(entries[name], rng)
    else:  # a bomb: hundreds of megabytes of zeros behind a small archive
        name = list(entries)[int(rng.integers(len(entries)))]
        entries[name] = bytes(int(rng.integers(1, 400)) << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()
