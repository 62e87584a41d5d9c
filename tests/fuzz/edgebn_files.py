"""Damage to native files: bytes (the digest must catch all), and signed forgeries: the digest right, the content not."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np

import edgebn
from edgebn import program as p
from edgebn.formats import native, tensor_file
from tests.fuzz import damage
from tests.fuzz.keras_files import NETWORKS, RECORDED

_ZEROS = "0" * 64


def seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    files = []
    for name in NETWORKS:
        program = edgebn.load(RECORDED / f"{name}.keras")
        files.append(native.to_bytes(program))
        shape = (8, *program.shapes[program.inputs[0]])
        if len(program.inputs) == 1:
            files.append(native.to_bytes(edgebn.quantize(program, rng.normal(0, 1, shape).astype(np.float32))))
    return [*files, native.to_bytes(_with_state()), *_of_tensorflow_lite()]


def _of_tensorflow_lite() -> list[bytes]:
    """Programs of codes: int8, uint8, int16, mixed with float32, with states, with boxes."""
    if not importlib.util.find_spec("ai_edge_litert"):
        return []
    from tests.fuzz import tflite_files

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.tflite"
        programs = []
        for content in tflite_files.seeds():
            path.write_bytes(content)
            programs.append(edgebn.load(path))
    return [native.to_bytes(program) for program in programs]


def _with_state() -> p.Program:
    """A window over the rows of the last runs."""
    shapes = {"x": (1, 4, 2), "rows": (2, 4, 2), "window": (3, 4, 2), "after": (2, 4, 2)}
    buffers = {name: p.Buffer(name, shape) for name, shape in shapes.items()}
    steps = (p.Concat("concat", ("rows", "x"), "window", 0), p.Crop("crop", ("window",), "after", (1, 0, 0)))
    states = (p.State("rows", "after", np.ones((2, 4, 2), np.float32)),)
    outer = {name: shapes[name] for name in ("x", "window")}
    return p.Program("s", "s.test", "test", False, buffers, {}, steps, ("x",), ("window",), outer, states=states)


def _signed(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    data = tensor_file.pack(tensors, {**metadata, "sha256": _ZEROS})
    return data.replace(_ZEROS.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.integers(4) == 0:
        return damage.bytes_at_random(content, rng)
    tensors, metadata = tensor_file.unpack(content, "seed")
    if rng.integers(2):
        metadata["program"] = json.dumps(damage.json_value(json.loads(metadata["program"]), rng))
    else:
        name = list(tensors)[int(rng.integers(len(tensors)))]
        array = tensors[name]
        kind = rng.integers(4)
        if kind == 0:
            tensors[name] = damage.poisoned(array, rng)
        elif kind == 1:
            tensors[name] = array.reshape(-1)[: max(array.size - 1, 0)]
        elif kind == 2:
            tensors[name] = array.astype(rng.choice(np.array(["int8", "int32", "int64", "float32", "float64"])))
        else:
            tensors[name] = rng.permuted(array)
    return _signed(tensors, metadata)
