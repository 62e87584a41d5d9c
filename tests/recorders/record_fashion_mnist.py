"""Record what Keras says of the shipped demo model on the first 16 images of the shipped slice.

    KERAS_BACKEND=torch python tests/recorders/record_fashion_mnist.py

Writes ``tests/recorded/fashion_mnist_keras.npz``: ``probabilities`` (16, 10) float32 and ``versions``. Needs Keras.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "edgebn" / "demo_data"
TARGET = ROOT / "tests" / "recorded" / "fashion_mnist_keras.npz"
IMAGES = 16


def main() -> None:
    """Load, predict, save."""
    model = keras.models.load_model(DATA / "fashion_mnist.keras", compile=False)
    with np.load(DATA / "fashion_mnist_slice.npz") as arrays:
        images = arrays["images"][:IMAGES].astype(np.float32) / 255.0
    versions = {"keras": keras.__version__, "backend": keras.backend.backend()}
    np.savez_compressed(TARGET, probabilities=model.predict(images, verbose=0), versions=np.array(json.dumps(versions)))
    print(f"wrote {TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
