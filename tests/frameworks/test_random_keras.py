"""Random Keras networks, saved as .keras and .h5, read by edgebn and held against what Keras itself computes."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
pytest.importorskip("keras", reason="live comparison: runs in the frameworks' environment of `make test-all`")
sys.path.insert(0, str(Path(__file__).parents[1] / "recorders"))

from record_keras_zoo import randomise

import edgebn
from edgebn.formats import keras as reader
from edgebn.formats.keras.table import LAYERS, RANDOM
from edgebn.passes.graph.layout import channels_first_values
from tests.frameworks.keras_networks import TABLE, draw

NETWORKS = 1000 if os.environ.get("EDGEBN_TEST_ALL") == "1" else 100
SAMPLES = 2
TOLERANCE = 2e-5  # of the output's range
# Classes of Keras 1 and 2, and other names of the same classes.
OLD = {name for name in LAYERS if name.startswith(("Convolution", "SeparableConvolution", "TFOp")) or name.endswith(("V1", "V2"))}
OLD |= {name for name in LAYERS if "Pool" in name and "Pooling" not in name} | {"SyncBatchNormalization", "GroupedQueryAttention"}
# What is not drawn: pictures are changed in training alone, and classes of keras.applications (`test_keras_applications.py`).
ELSEWHERE = {name for name in RANDOM if "Dropout" not in name and "Noise" not in name} | {"SpatialDropout3D", "SlicingOpLambda"}
ELSEWHERE |= {"CustomScaleLayer", "LayerScale", "StochasticDepth"}

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and PyTorch warn of each other


def test_every_class_of_the_reader_is_drawn():
    assert set(LAYERS) - OLD - ELSEWHERE <= set(TABLE)


def outcome(seed, folder):
    """Return 'passed', or in words what is wrong with network `seed`."""
    model = draw(seed)
    rng = np.random.default_rng(seed)
    randomise(model, rng)
    x = rng.standard_normal((SAMPLES, *model.input_shape[1:])).astype(np.float32)
    expected = model.predict(x, verbose=0)
    expected = expected if isinstance(expected, list) else [expected]
    if not all(np.isfinite(y).all() for y in expected):
        return "passed"  # nothing to compare: a drawn network that overflows
    for suffix in (".keras", ".h5"):
        path = folder / f"{seed}{suffix}"
        model.save(path)
        try:
            turned = channels_first_values(graph := reader.read(path))
            given = np.moveaxis(x, 1, -1) if graph.inputs[0] in turned else x
            result = edgebn.Session(edgebn.load(path)).run(given)
        except Exception as error:  # noqa: BLE001  # whatever escapes is the finding
            return f"{suffix}: {type(error).__name__}: {error}"
        finally:
            path.unlink()
        results = [result] if len(graph.outputs) == 1 else [result[name] for name in graph.outputs]
        for name, y, given_back in zip(graph.outputs, expected, results, strict=True):
            ours = np.moveaxis(given_back, -1, 1) if name in turned else given_back
            if ours.shape != y.shape:
                return f"{suffix}: {name} has shape {ours.shape}, not {y.shape}"
            error = np.abs(ours - y).max() / max(float(y.max() - y.min()), float(np.abs(y).max()), 1e-3)
            if not error <= TOLERANCE:
                return f"{suffix}: {name} is off by {error:.2g} of its range"
    return "passed"


def test_random_networks(tmp_path):
    wrong = {seed: words for seed in range(NETWORKS) if (words := outcome(seed, tmp_path)) != "passed"}
    assert not wrong
