"""Recurrent layers as Keras 2 wrote them, and what is refused of them; tests/recorded/keras_recurrent has Keras 3's own numbers."""

import numpy as np
import pytest

from edgebn import passes, reference
from edgebn.errors import UnsupportedLayerError
from edgebn.formats import keras
from tests.formats.keras.keras_maker import sequential, write_h5

RNG = np.random.default_rng(2)
LENGTH, INPUTS, UNITS = 4, 3, 5


def recurrent(class_name, **config):
    return {"class_name": class_name, "config": {"name": "memory", "units": UNITS, **config}}


def test_keras_2_has_its_own_hard_sigmoid_and_a_reset_gate_before_the_product(tmp_path):
    layer = recurrent("GRU", recurrent_activation="hard_sigmoid", activation="tanh", return_sequences=True)
    kernel, weight, bias = (RNG.normal(0, 1, shape) for shape in ((INPUTS, 3 * UNITS), (UNITS, 3 * UNITS), (3 * UNITS,)))
    arrays = [np.float32(array) for array in (kernel, weight, bias)]
    path = write_h5(tmp_path / "m.h5", sequential((LENGTH, INPUTS), layer), {"memory": arrays}, version="2.4.0")
    x = RNG.normal(0, 1, (2, LENGTH, INPUTS))
    state, wanted = np.zeros((2, UNITS)), []
    for moment in range(LENGTH):
        z, r, n = np.split(x[:, moment] @ kernel + bias, 3, axis=1)
        from_state = np.split(weight, 3, axis=1)
        z, r = (np.clip(0.2 * (v + state @ w) + 0.5, 0, 1) for v, w in zip((z, r), from_state, strict=False))
        state = z * state + (1 - z) * np.tanh(n + (r * state) @ from_state[2])
        wanted.append(state)
    got = reference.run(passes.lower(keras.read(path)), x.astype(np.float32))
    np.testing.assert_allclose(got, np.stack(wanted, axis=1), rtol=0, atol=2e-6)


REFUSED = {
    "stateful": ({"stateful": True}, "give its states as inputs"),
    "time_major": ({"time_major": True}, "moments before the samples"),
    "activation": ({"activation": "softsign"}, "its activation is softsign; edgebn runs tanh"),
    "recurrent_activation": ({"recurrent_activation": "tanh"}, "sigmoid and hard_sigmoid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    config, reason = REFUSED[name]
    arrays = [np.zeros(shape, np.float32) for shape in ((INPUTS, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,))]
    path = write_h5(tmp_path / "m.h5", sequential((LENGTH, INPUTS), recurrent("LSTM", **config)), {"memory": arrays})
    with pytest.raises(UnsupportedLayerError, match=rf"layer 'memory' \(LSTM\): .*{reason}"):
        keras.read(path)


@pytest.mark.parametrize(
    ("class_name", "config", "reason"),
    [
        ("Bidirectional", {"layer": recurrent("ConvLSTM1D")}, "edgebn runs LSTM, GRU and SimpleRNN both ways"),
        ("RNN", {"cell": {"class_name": "StackedRNNCells", "config": {"cells": []}}}, "edgebn runs LSTMCell, GRUCell and"),
        ("CuDNNLSTM", {}, "save the model with LSTM or GRU"),
        ("ConvLSTM2D", {}, "behind convolutions"),
    ],
)
def test_what_is_none_of_these_is_refused(class_name, config, reason, tmp_path):
    path = write_h5(tmp_path / "m.h5", sequential((LENGTH, INPUTS), recurrent(class_name, **config)))
    with pytest.raises(UnsupportedLayerError, match=reason):
        keras.read(path)
