"""Files of UNIDIRECTIONAL_SEQUENCE_LSTM in float32."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_models import FileBuilder

TANH, RELU = 4, 1
ABSENT = -1


def lstm_file(seed=0, length=5, inputs=3, units=6, activation=TANH, layers=1, change=None, **options):
    """A file of LSTMs, one behind the other; `change` alters the inputs of the last."""
    rng, file = np.random.default_rng(seed), FileBuilder()
    first = x = file.value((1, length, inputs), np.float32)
    for layer in range(layers):
        wide = inputs if layer == 0 else units
        weights = [file.constant(rng.normal(0, 0.6, (units, wide)).astype(np.float32)) for _ in range(4)]
        weights += [file.constant(rng.normal(0, 0.4, (units, units)).astype(np.float32)) for _ in range(4)]
        biases = [file.constant(rng.normal(0, 0.5, units).astype(np.float32)) for _ in range(4)]
        states = [file.value((1, units), np.float32) for _ in range(2)]
        for state in states:
            file.tensors[state].isVariable = True
        names = [x, *weights, *[ABSENT] * 3, *biases, ABSENT, ABSENT, *states, *[ABSENT] * 4]
        if change is not None and layer == layers - 1:
            change(names, file)
        y = file.value((1, length, units), np.float32)
        settings = {"fusedActivationFunction": activation, "cellClip": 10.0, **options}
        file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", names, [y], "UnidirectionalSequenceLSTMOptions", **settings)
        x = y
    return file.bytes([first], [y])
