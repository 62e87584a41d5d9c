"""Record what Keras says of the real trained models in the folder of models (`benchmarks/places.py`).

    KERAS_BACKEND=torch python tests/recorders/record_keras_models.py [SHARED_DIRECTORY]

Writes ``tests/recorded/keras_models.npz``: for each model file its outputs (16, classes) float32 under the file's name,
the seed of the random inputs, and ``versions``. The inputs are not stored:

- resnet8.h5, resnet8_jpeg.h5: the first 16 of x_test in cifar10_dev.npz, as float32 0..255;
- kws.keras, kws.h5: the first 16 of x in kws_dev.npz, as float32 (code - 83) * 0.5847029;
- ad01.h5: ``np.random.default_rng(seed).standard_normal((16, 640))`` as float32.

All of them load in Keras 3 as they stand, the Keras 2 files included. Needs Keras; knows nothing of edgebn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import keras
import numpy as np

from benchmarks.places import models_folder

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = ROOT / "tests" / "recorded" / "keras_models.npz"
SAMPLES = 16
SEED = 640
KWS_SCALE, KWS_ZERO_POINT = 0.5847029, 83


def main() -> None:
    """Load each model, predict, save."""
    parser = argparse.ArgumentParser(description="Record Keras' outputs for the shared models.")
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    folder = parser.parse_args().folder
    with np.load(folder / "data" / "cifar10_dev.npz") as arrays:
        images = arrays["x_test"][:SAMPLES].astype(np.float32)
    with np.load(folder / "data" / "kws_dev.npz") as arrays:
        codes = arrays["x"][:SAMPLES].astype(np.float32)
    words = (codes - np.float32(KWS_ZERO_POINT)) * np.float32(KWS_SCALE)
    sounds = np.random.default_rng(SEED).standard_normal((SAMPLES, 640)).astype(np.float32)
    inputs = {"resnet8.h5": images, "resnet8_jpeg.h5": images, "kws.keras": words, "kws.h5": words, "ad01.h5": sounds}

    versions = {"keras": keras.__version__, "backend": keras.backend.backend()}
    recorded = {"versions": np.array(json.dumps(versions)), "seed": np.array(SEED)}
    for name, x in inputs.items():
        model = keras.models.load_model(folder / "models" / name, compile=False)
        recorded[name] = model.predict(x, verbose=0)
        print(f"{name}: {x.shape} -> {recorded[name].shape}")
    np.savez_compressed(TARGET, **recorded)
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
