"""Files of recurrent operators in float32."""

from __future__ import annotations

import numpy as np

from tests.formats.tflite.tflite_models import FileBuilder

TANH, RELU = 4, 1
ABSENT = -1


class Recurrent(FileBuilder):
    """A file of recurrent operators, whose weights are `weights` makes of float32 ones."""

    def __init__(self, seed, weights=FileBuilder.constant):
        super().__init__()
        self.rng, self.weights = np.random.default_rng(seed), weights

    def drawn(self, width, *shape):
        return self.rng.normal(0, width, shape).astype(np.float32)

    def lstm(self, inputs, units):
        """The weights of one direction: four gates, no peepholes, biases, no projection."""
        weights = [self.weights(self, self.drawn(0.6, units, inputs)) for _ in range(4)]
        weights += [self.weights(self, self.drawn(0.4, units, units)) for _ in range(4)]
        return [*weights, *[ABSENT] * 3, *(self.constant(self.drawn(0.5, units)) for _ in range(4)), ABSENT, ABSENT]

    def rnn(self, inputs, units):
        """The weights, the bias and the state of one direction."""
        weights = [self.weights(self, self.drawn(0.5, units, inputs)), self.weights(self, self.drawn(0.4, units, units))]
        return [*weights, self.constant(self.drawn(0.5, units)), *self.states(units, 1)]

    def states(self, units, count):
        states = [self.value((1, units), np.float32) for _ in range(count)]
        for state in states:
            self.tensors[state].isVariable = True
        return states


def lstm_file(
    seed=0,
    length=5,
    inputs=3,
    units=6,
    activation=TANH,
    layers=1,
    change=None,
    weights=FileBuilder.constant,
    in_front=False,
    **options,
):
    """A file of LSTMs, one behind the other; `change` alters the inputs of the last; `in_front` are the moments."""
    file = Recurrent(seed, weights)
    axes = (length, 1) if in_front else (1, length)
    first = x = file.value((*axes, inputs), np.float32)
    for layer in range(layers):
        names = [x, *file.lstm(inputs if layer == 0 else units, units), *file.states(units, 2), *[ABSENT] * 4]
        if change is not None and layer == layers - 1:
            change(names, file)
        y = file.value((*axes, units), np.float32)
        settings = {"fusedActivationFunction": activation, "cellClip": 10.0, "timeMajor": in_front, **options}
        file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", names, [y], "UnidirectionalSequenceLSTMOptions", **settings)
        x = y
    return file.bytes([first], [y])


def both_ways_file(kind, seed=0, length=5, inputs=3, units=6, merged=True, in_front=False, other=False, **options):
    """A file of an LSTM or RNN in both directions, whose outputs are added where they are not merged."""
    file = Recurrent(seed)
    axes = (length, 1) if in_front else (1, length)
    x = file.value((*axes, inputs), np.float32)
    if kind == "LSTM":
        names = [
            x,
            *file.lstm(inputs, units),
            *file.lstm(inputs, units),
            *file.states(units, 4),
            x if other else ABSENT,
            *[ABSENT] * 8,
        ]
    else:
        names = [x, *file.rnn(inputs, units), *file.rnn(inputs, units), x if other else ABSENT, ABSENT, ABSENT]
    made = [file.value((*axes, 2 * units if merged else units), np.float32) for _ in range(1 if merged else 2)]
    settings = {"fusedActivationFunction": TANH, "mergeOutputs": merged, "timeMajor": in_front, **options}
    file.operator(f"BIDIRECTIONAL_SEQUENCE_{kind}", names, made, f"BidirectionalSequence{kind}Options", **settings)
    if merged:
        return file.bytes([x], made)
    y = file.value((*axes, units), np.float32)
    file.operator("SUB", made, [y], "SubOptions")
    return file.bytes([x], [y])


def rnn_file(seed=0, length=5, inputs=3, units=6, activation=TANH, in_front=False, weights=FileBuilder.constant):
    """A file of an RNN, of one moment where `length` is None."""
    file = Recurrent(seed, weights)
    axes = (1,) if length is None else (length, 1) if in_front else (1, length)
    x, y = (file.value((*axes, size), np.float32) for size in (inputs, units))
    names = [x, *file.rnn(inputs, units)]
    if length is None:
        file.operator("RNN", names, [y], "RNNOptions", fusedActivationFunction=activation)
    else:
        settings = {"fusedActivationFunction": activation, "timeMajor": in_front}
        file.operator("UNIDIRECTIONAL_SEQUENCE_RNN", names, [y], "SequenceRNNOptions", **settings)
    return file.bytes([x], [y])
