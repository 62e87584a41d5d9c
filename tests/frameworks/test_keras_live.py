"""The Keras reader against live Keras: the recorded zoo with other weights, saved as .keras and .h5."""

import logging
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="live comparison: runs in the frameworks' environment of `make test-all`")
pytest.importorskip("keras", reason="live comparison: runs in the frameworks' environment of `make test-all`")
os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "recorders"))

import keras
from record_keras_zoo import MENDED, UNREADABLE_AS_ARCHIVE, UNREADABLE_AS_H5, ZOO, randomise

import edgebn
from edgebn import reference
from edgebn.formats import keras as reader

TOLERANCE = 1e-5  # of the output's range

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and PyTorch warn of each other
CUSTOM = {"BNLayer": "BatchNormalization"}


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    """Keras advises against .h5 at every save; edgebn reads it."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def assert_file_equal(path, x, y):
    """What edgebn computes from a file is what Keras says, both channels-last."""
    if reader.read(path, custom_layers=CUSTOM).channels_first:
        x, y = (np.moveaxis(array, 1, -1) if array.ndim > 2 else array for array in (x, y))
    result = reference.run(edgebn.load(path, custom_layers=CUSTOM), x)
    assert result.shape == y.shape
    assert np.abs(result - y).max() <= TOLERANCE * max(np.ptp(y), 1e-3)


def assert_both_files_equal(model, x, y, folder, suffixes=(".keras", ".h5")):
    for suffix in suffixes:
        model.save(folder / f"model{suffix}")
        assert_file_equal(folder / f"model{suffix}", x, y)


@pytest.mark.parametrize("name", sorted(set(ZOO) - set(MENDED)))
def test_zoo_with_other_weights(name, tmp_path):
    keras.backend.clear_session()
    rng = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    model = ZOO[name]()
    randomise(model, rng)
    x = rng.standard_normal((3, *model.input_shape[1:])).astype(np.float32)
    unread = {".keras": UNREADABLE_AS_ARCHIVE, ".h5": UNREADABLE_AS_H5}
    suffixes = [suffix for suffix, names in unread.items() if name not in names]
    assert_both_files_equal(model, x, model.predict(x, verbose=0), tmp_path, suffixes)


# The networks of keras.applications --------------------------------------------------------------------------------------

# Smallest sizes that each takes; those that take pixels scale them inside.
APPLICATIONS = {
    "MobileNet": (32, 1), "MobileNetV2": (32, 1), "MobileNetV3Small": (32, 255), "MobileNetV3Large": (32, 255),
    "EfficientNetB0": (32, 255), "EfficientNetV2B0": (32, 255), "ResNet50": (32, 1), "ResNet50V2": (32, 1), "DenseNet121": (32, 1),
    "VGG16": (32, 1), "Xception": (71, 1), "InceptionV3": (75, 1), "InceptionResNetV2": (75, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name, tmp_path):
    """The whole network with random statistics that keep its values finite, in both kinds of file."""
    keras.backend.clear_session()
    size, scale = APPLICATIONS[name]
    model = getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None, classes=10)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, shape).astype(np.float32))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0, 0.1, shape).astype(np.float32))
    x = (scale * rng.uniform(0, 1, (2, size, size, 3))).astype(np.float32)
    y = model.predict(x, verbose=0)
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        result = edgebn.Session(edgebn.load(tmp_path / f"model{suffix}")).run(x)
        assert result.shape == y.shape
        assert np.abs(result - y).max() <= TOLERANCE * np.ptp(y)
