"""Writes random Keras networks as TensorFlow Lite files, float32 and int8, with samples for them.

    KERAS_BACKEND=tensorflow python tests/frameworks/convert_keras.py FOLDER FIRST COUNT

For each seed FOLDER gets ``<seed>_float.tflite``, ``<seed>_int8.tflite`` (full integer: inputs and outputs too) and ``<seed>.npz``
with ``x``; or ``<seed>.txt``, which says why TensorFlow's converter does not take the network. A process of its own, since Keras
has one backend a process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "recorders")]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from record_keras_zoo import randomise  # noqa: E402

from tests.frameworks.keras_networks import draw  # noqa: E402

SAMPLES, CALIBRATION = 3, 20


def converted(model, calibration: np.ndarray | None) -> bytes:
    """Return the file: float32, or int8 throughout where there is data to calibrate with."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def main() -> None:
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for seed in range(first, first + count):
        # With an open batch, as most models have it, files work out shapes by operators some of which TensorFlow Lite Micro lacks.
        model = draw(seed, channels_first=False, batch_size=None if seed % 4 == 0 else 1)
        rng = np.random.default_rng(seed)
        randomise(model, rng)
        x = rng.standard_normal((SAMPLES + CALIBRATION, *model.input_shape[1:])).astype(np.float32)
        try:
            files = {"float": converted(model, None), "int8": converted(model, x[SAMPLES:])}
        except Exception as error:  # noqa: BLE001  # the converter raises anything
            (folder / f"{seed}.txt").write_text(f"{type(error).__name__}: {error}")
            continue
        for kind, content in files.items():
            (folder / f"{seed}_{kind}.tflite").write_bytes(content)
        np.savez(folder / f"{seed}.npz", x=x[:SAMPLES])


if __name__ == "__main__":
    main()
