"""UNIDIRECTIONAL_SEQUENCE_LSTM in float32 beside LiteRT, which keeps its state from run to run."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from ai_edge_litert.interpreter import Interpreter

import edgebn
from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.session import Session
from tests.formats.tflite.tflite_recurrent import ABSENT, RELU, lstm_file


def agree(content, tmp_path, runs=4):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    session, rng = Session(edgebn.load(path)), np.random.default_rng(9)
    for _ in range(runs):
        x = rng.normal(0, 1.5, given["shape"]).astype(np.float32)
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        np.testing.assert_allclose(session.run(x), interpreter.get_tensor(made["index"]), rtol=0, atol=3e-6)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("length", [1, 5])
def test_states_stay_from_run_to_run(layers, length, tmp_path):
    agree(lstm_file(layers=layers, length=length), tmp_path)


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_the_cell_is_clipped(clip, tmp_path):
    agree(lstm_file(1, cellClip=clip), tmp_path)


def test_other_activation(tmp_path):
    agree(lstm_file(2, activation=RELU, cellClip=0.5), tmp_path)


def test_without_biases_of_a_gate(tmp_path):
    def change(names, file):
        names[12] = file.constant(np.zeros(6, np.float32))

    agree(lstm_file(3, change=change), tmp_path)


def drops_input_gate(names, _):
    for index in (1, 5, 12):
        names[index] = ABSENT


def adds_peepholes(names, file):
    for index in (9, 10, 11):
        names[index] = file.constant(np.ones(6, np.float32))


REFUSED = {
    "one gate for two": ({"change": drops_input_gate}, UnsupportedLayerError, "cells of four gates"),
    "peepholes": ({"change": adds_peepholes}, UnsupportedLayerError, "peepholes, a projection or norms"),
    "time_major": ({"timeMajor": True}, UnsupportedLayerError, "time_major=False"),
    "an activation": ({"activation": 5}, UnsupportedLayerError, "none of TANH and RELU"),
    "a clip below zero": ({"cellClip": -1.0}, ModelError, "cell_clip is -1.0"),
    "a state that is no variable": (
        {"change": lambda names, file: names.__setitem__(18, file.constant(np.zeros((1, 6), np.float32)))},
        ModelError,
        "is no variable",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    settings, error, reason = REFUSED[name]
    path = tmp_path / "m.tflite"
    path.write_bytes(lstm_file(**settings))
    with pytest.raises(error, match=rf"UNIDIRECTIONAL_SEQUENCE_LSTM\): .*{reason}"):
        edgebn.load(path)
