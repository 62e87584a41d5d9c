"""TensorFlow Lite files for the rows of the reader: every random operator file, against LiteRT."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import OpResolverType

from edgebn import reference
from edgebn.formats.tflite import read
from edgebn.passes import lower
from tests.formats.reader_cases import Case, error_between
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.test_litert import FLOAT_OPERATORS, litert_runs
from tests.formats.tflite.test_perception import litert as compiled_runs
from tests.formats.tflite.test_perception import segmenter
from tests.formats.tflite.test_spectra import transform
from tests.formats.tflite.tflite_integers import STEPS, resized_by
from tests.formats.tflite.tflite_models import FileBuilder
from tests.formats.tflite.tflite_recurrent import both_ways_file, lstm_file, rnn_file

SEEDS = range(3)
RECURRENT = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm_file(),
    "BIDIRECTIONAL_SEQUENCE_LSTM": both_ways_file("LSTM"),
    "RNN": rnn_file(length=None),
    "UNIDIRECTIONAL_SEQUENCE_RNN": rnn_file(),
    "BIDIRECTIONAL_SEQUENCE_RNN": both_ways_file("RNN"),
}


def cases() -> list[Case]:
    """Return float32 files, and int8 ones for the operators between the two."""
    made = [_float(make, seed) for make in FLOAT_OPERATORS for seed in SEEDS]
    parts = map(_spectrum, ("COMPLEX_ABS", "REAL", "IMAG", "CAST"))
    return [
        *made,
        *map(_edges, SEEDS),
        *map(_requantized, SEEDS),
        *map(_resized, STEPS),
        *parts,
        _segmenter(),
        *map(_recurrent, RECURRENT),
    ]


def _recurrent(name: str) -> Case:
    content = RECURRENT[name]
    x = np.random.default_rng(4).normal(0, 1, (2, 3) if name == "RNN" else (2, 5, 3)).astype(np.float32)
    return _case(name, content, x, litert_runs(content, x))


def _case(name: str, content: bytes, x: np.ndarray, wanted: np.ndarray) -> Case:
    def error() -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            path.write_bytes(content)
            return error_between(reference.run(lower(read(path)), x), wanted)

    return Case(name, error)


def _float(make, seed: int) -> Case:
    content, shape, rng = tflite_operators.build(make, seed, integer=False)
    x = rng.normal(0, 2, (2, *shape[1:])).astype(np.float32)
    return _case(f"{make.__name__} {seed}", content, x, litert_runs(content, x))


def _edges(seed: int) -> Case:
    """float32 outside, int8 inside: a clip between QUANTIZE and DEQUANTIZE, whose scales differ."""
    rng = np.random.default_rng(seed)
    files = FileBuilder()
    shape = (1, 4, 5, 3)
    x, codes = files.value(shape, np.float32), files.value(shape, np.int8, 0.05, 3)
    other, y = files.value(shape, np.int8, 0.08, -9), files.value(shape, np.float32)
    files.operator("QUANTIZE", [x], [codes], "QuantizeOptions")
    files.operator("RELU", [codes], [other])
    files.operator("DEQUANTIZE", [other], [y], "DequantizeOptions")
    content = files.bytes([x], [y])
    values = rng.normal(0, 3, (2, *shape[1:])).astype(np.float32)
    return _case(f"edges {seed}", content, values, litert_runs(content, values, OpResolverType.BUILTIN_REF))


def _requantized(seed: int) -> Case:
    content, shape, rng = tflite_operators.build(tflite_operators.requantize, seed, integer=True)
    codes = rng.integers(-128, 128, (2, *shape[1:])).astype(np.int8)
    return _case(f"requantize {seed}", content, codes, litert_runs(content, codes, OpResolverType.BUILTIN_REF))


def _spectrum(kind: str) -> Case:
    content = transform((1, 20), (1, 16), kinds=(kind,))
    x = np.random.default_rng(0).normal(0, 2, (2, 1, 20)).astype(np.float32)
    return _case(f"{kind} of a spectrum", content, x, litert_runs(content, x, OpResolverType.BUILTIN_REF))


def _segmenter() -> Case:
    """Every custom operator of MediaPipe."""
    rng = np.random.default_rng(0)
    content, shapes = segmenter(rng, (4, 6), (2, 3), pooled_too=False)
    x = rng.normal(0, 2, (1, 4, 6, 3)).astype(np.float32)
    (wanted,) = compiled_runs(content, x, shapes)
    return _case("segmenter", content, x, wanted)


def _resized(step: str) -> Case:
    content, rng = resized_by(step)
    x = rng.normal(0, 2, (2, 6, 7, 2)).astype(np.float32)
    return _case(f"size by {step}", content, x, litert_runs(content, x))
