"""The Keras reader against live Keras: the recorded zoo with other weights, saved as .keras and .h5."""

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
