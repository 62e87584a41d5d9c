"""Recurrent operators in float32 beside LiteRT, which keeps their states from run to run."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from ai_edge_litert.interpreter import Interpreter

import edgebn
from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.session import Session
from tests.formats.tflite.tflite_models import FileBuilder
from tests.formats.tflite.tflite_recurrent import ABSENT, RELU, both_ways_file, lstm_file, rnn_file

NO_ACTIVATION = 0


def agree(content, tmp_path, runs=4, like=None):
    """Compare with LiteRT from run to run, and after the states were put back; `like` is the same network as LiteRT reads it."""
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    interpreter = Interpreter(model_content=like or content)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    program = edgebn.load(path)
    sample, result = (tuple(shape[1:] if shape[0] == 1 else shape) for shape in (given["shape"], made["shape"]))
    session, rng = Session(program), np.random.default_rng(9)
    for run in range(runs + 1):
        if run == runs:
            interpreter.reset_all_variables()
            session.reset_state()
        x = rng.normal(0, 1.5, given["shape"]).astype(np.float32)
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        wanted = interpreter.get_tensor(made["index"]).reshape(1, *result)
        np.testing.assert_allclose(session.run(x.reshape(1, *sample)), wanted, rtol=0, atol=3e-6)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("in_front", [False, True])
def test_states_stay_from_run_to_run(layers, length, in_front, tmp_path):
    agree(lstm_file(layers=layers, length=length, in_front=in_front), tmp_path)


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_the_cell_is_clipped(clip, tmp_path):
    agree(lstm_file(1, cellClip=clip), tmp_path)


def test_other_activation(tmp_path):
    agree(lstm_file(2, activation=RELU, cellClip=0.5), tmp_path)


def test_peepholes_of_zeros(tmp_path):
    def change(names, file):
        names[9:12] = [file.constant(np.zeros(6, np.float32)) for _ in range(3)]

    agree(lstm_file(3, change=change), tmp_path)


# Not of an RNN apart with the moments in front: LiteRT gives its second output another shape than the first.
BOTH_WAYS = [("LSTM", True, True), ("LSTM", True, False), ("LSTM", False, True), ("LSTM", False, False),
             ("RNN", True, True), ("RNN", True, False), ("RNN", False, False)]  # fmt: skip


@pytest.mark.parametrize(("kind", "merged", "in_front"), BOTH_WAYS)
def test_both_ways(kind, merged, in_front, tmp_path):
    agree(both_ways_file(kind, merged=merged, in_front=in_front), tmp_path)


@pytest.mark.parametrize("activation", [NO_ACTIVATION, RELU, 4])
@pytest.mark.parametrize("length", [None, 1, 5])
@pytest.mark.parametrize("in_front", [False, True])
def test_simple_cells(activation, length, in_front, tmp_path):
    agree(rnn_file(4, length, activation=activation, in_front=in_front), tmp_path)


def codes_of(array):
    scale = np.float32(np.abs(array).max() / 127)
    return np.rint(array / scale).astype(np.int8), scale


def as_codes(file, array):
    return file.constant(*codes_of(array))


def as_codes_say(file, array):
    codes, scale = codes_of(array)
    return file.constant(codes * scale)


def as_halves(file, array):
    value = file.value(array.shape, np.float32)
    file.operator("DEQUANTIZE", [file.constant(array.astype(np.float16))], [value], "DequantizeOptions")
    return value


@pytest.mark.parametrize("make", [lstm_file, rnn_file])
def test_weights_of_8_bits(make, tmp_path):
    """Dynamic range: the numbers that the codes stand for, without LiteRT's rounding of activations."""
    agree(make(5, weights=as_codes), tmp_path, like=make(5, weights=as_codes_say))


@pytest.mark.parametrize("make", [lstm_file, rnn_file])
def test_weights_of_half_precision(make, tmp_path):
    agree(make(6, weights=as_halves), tmp_path)


def drops_input_gate(names, _):
    for index in (1, 5, 12):
        names[index] = ABSENT


def adds_peepholes(names, file):
    for index in (9, 10, 11):
        names[index] = file.constant(np.ones(6, np.float32))


def enters_as_codes(names, file):
    names[0] = file.value((1, 5, 3), np.int8, 0.1)


REFUSED = {
    "full integers": ({"change": enters_as_codes}, UnsupportedLayerError, "convert the model without full integers"),
    "one gate for two": ({"change": drops_input_gate}, UnsupportedLayerError, "cells of four gates"),
    "peepholes": ({"change": adds_peepholes}, UnsupportedLayerError, "peepholes, a projection or norms"),
    "diagonals": ({"diagonalRecurrentTensors": True}, UnsupportedLayerError, "recurrent weights are diagonals"),
    "several sequences": ({"timeMajor": True}, UnsupportedLayerError, "convert the model with a batch of 1"),
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


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_a_second_input_is_refused(kind, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(both_ways_file(kind, other=True))
    with pytest.raises(UnsupportedLayerError, match=rf"BIDIRECTIONAL_SEQUENCE_{kind}\): it has a second input"):
        edgebn.load(path)


def test_loops_are_refused_with_what_to_do_instead(tmp_path):
    file = FileBuilder()
    file.variable("a part of the file that is no leftover", file.constant(np.zeros((1, 3), np.float32)))
    x, y = (file.value((1, 3), np.float32) for _ in range(2))
    file.operator("WHILE", [x], [y], "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=1)
    path = tmp_path / "m.tflite"
    path.write_bytes(file.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match=r"WHILE .*unroll=True, or LSTM by tf_keras with a batch of 1"):
        edgebn.load(path)
