"""States that are inputs and outputs of a file: `load(path, states={...})` against onnxruntime, which is handed them by hand."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import edgebn  # noqa: E402
from edgebn import reference  # noqa: E402
from edgebn.cli.main import main  # noqa: E402
from edgebn.errors import ModelError, UsageError  # noqa: E402
from edgebn.session import Session  # noqa: E402

CHANNELS, LENGTH, OUTPUTS = 3, 4, 3
STATES = {"past": "past_out", "sum": "sum_out"}
SCALES = {"x": 0.0207, "past": 0.0311, "window": 0.0403, "past_out": 0.0253, "y0": 0.0517, "sum": 0.0613, "sum_out": 0.0719}


def network(path, *, quantized):
    """A streaming convolution over (N, C, L) that keeps the last samples, and a fading sum of what it made.

    `quantized`: QuantizeLinear and DequantizeLinear behind every value, with another scale on either end of each state.
    """
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(0, 0.5, (OUTPUTS, CHANNELS, 3)).astype(np.float32),
        "begin": np.int64([-2]), "end": np.int64([2**40]), "axis": np.int64([2]), "half": np.float32(0.5),
    }  # fmt: skip
    nodes = []

    def seen(name):
        if not quantized or name not in SCALES:
            return name
        constants[f"{name}_s"], constants[f"{name}_z"] = np.float32(SCALES[name]), np.int8(-20)
        quantization = [f"{name}_s", f"{name}_z"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *quantization], [f"{name}_q"], name=f"{name}_quantize"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *quantization], [f"{name}_d"], name=f"{name}_dequantize"))
        return f"{name}_d"

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}_node", **attributes))

    node("Concat", [seen("past"), seen("x")], "window", axis=2)
    window = seen("window")
    node("Conv", [window, "w"], "y0", kernel_shape=[3])
    node("Slice", [window, "begin", "end", "axis"], "past_raw")
    node("Identity", ["past_raw"], "past_out_0" if quantized else "past_out")
    node("Mul", [seen("sum"), "half"], "sum_half")
    node("Add", ["sum_half", seen("y0")], "sum_out_0" if quantized else "sum_out")
    if quantized:
        for name in ("past_out", "sum_out"):
            constants[f"{name}_s"], constants[f"{name}_z"] = np.float32(SCALES[name]), np.int8(7)
            quantization = [f"{name}_s", f"{name}_z"]
            nodes.append(helper.make_node("QuantizeLinear", [f"{name}_0", *quantization], [f"{name}_q"], name=f"{name}_quantize"))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *quantization], [name], name=f"{name}_dequantize"))
    node("Relu", ["sum_out"], "y")
    shapes = {"x": (CHANNELS, LENGTH), "past": (CHANNELS, 2), "sum": (OUTPUTS, LENGTH), "y": (OUTPUTS, LENGTH)}
    shapes |= {"past_out": shapes["past"], "sum_out": shapes["sum"]}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, *shape)) for name, shape in shapes.items()}
    graph = helper.make_graph(
        nodes, "streaming", [ends[name] for name in ("past", "x", "sum")], [ends[name] for name in ("sum_out", "y", "past_out")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def by_hand(path, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options)
    states = {"past": np.zeros((1, CHANNELS, 2), np.float32), "sum": np.zeros((1, OUTPUTS, LENGTH), np.float32)}
    found = []
    for sample in x:
        states["sum"], y, states["past"] = session.run(None, {"x": sample[None], **states})
        found.append(y)
    return np.concatenate(found)


@pytest.mark.parametrize("quantized", [False, True])
def test_sequences_are_onnxruntimes(quantized, tmp_path):
    path = tmp_path / "streaming.onnx"
    network(path, quantized=quantized)
    program = edgebn.load(path, states=STATES)
    assert (program.inputs, program.outputs, len(program.states)) == (("x",), ("y",), 2)
    x = np.random.default_rng(1).normal(0, 1, (50, CHANNELS, LENGTH)).astype(np.float32)
    wanted = by_hand(path, x)
    given = np.moveaxis(x, 1, 2) if program.shapes["x"] == (LENGTH, CHANNELS) else x
    for got in (Session(program).run(given), reference.run(program, given)):
        got = np.moveaxis(got, 2, 1) if program.shapes["y"] == (LENGTH, OUTPUTS) else got
        assert np.abs(got - wanted).max() <= 1e-5 * np.ptp(wanted)  # the scales are such that no sum is a tie
    edgebn.save(program, tmp_path / "streaming.edgebn")
    np.testing.assert_array_equal(Session(edgebn.load(tmp_path / "streaming.edgebn")).run(given), Session(program).run(given))


def test_a_quantised_sequence_follows_the_float_one(tmp_path):
    network(tmp_path / "streaming.onnx", quantized=False)
    program = edgebn.load(tmp_path / "streaming.onnx", states=STATES)
    rng = np.random.default_rng(2)
    int8 = edgebn.quantize(program, rng.normal(0, 1, (200, *program.shapes["x"])).astype(np.float32))
    x = rng.normal(0, 1, (200, *program.shapes["x"])).astype(np.float32)
    wanted, got = Session(program).run(x), Session(int8).run(x)
    signal_to_noise = 10 * np.log10(np.mean(wanted**2) / np.mean((got - wanted) ** 2))
    assert signal_to_noise > 20
    fresh = np.concatenate([Session(program).run(one[None]) for one in x[:20]])
    assert np.mean((fresh - wanted[:20]) ** 2) > 30 * np.mean((got - wanted) ** 2)  # the states matter


def test_a_state_that_float32_steps_make_stays_float32(tmp_path):
    network(tmp_path / "streaming.onnx", quantized=False)
    program = edgebn.load(tmp_path / "streaming.onnx", states=STATES)
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (100, *program.shapes["x"])).astype(np.float32)
    name = next(step.name for step in program.steps if step.output == program.states[1].writes)
    mixed = edgebn.quantize(program, x, keep={name: "float32"})
    assert [mixed.buffers[state.reads].dtype for state in mixed.states] == ["int8", "float32"]
    wanted, got = Session(program).run(x), Session(mixed).run(x)
    assert 10 * np.log10(np.mean(wanted**2) / np.mean((got - wanted) ** 2)) > 20
    np.testing.assert_allclose(reference.run(mixed, x), got, rtol=0, atol=1e-4)


def test_the_command_takes_states(tmp_path, capsys):
    path = tmp_path / "streaming.onnx"
    network(path, quantized=False)
    x = np.random.default_rng(1).normal(0, 1, (5, LENGTH, CHANNELS)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    options = [word for name, output in STATES.items() for word in ("--state", f"{name}={output}")]
    assert main(["run", str(path), str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy"), *options, "--json"]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), Session(edgebn.load(path, states=STATES)).run(x), rtol=0, atol=1e-6)
    assert main(["run", str(path), str(tmp_path / "x.npy"), "--state", "past=nothing"]) == 1
    assert "--state 'past=nothing': give the name of an input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"past_out": "past"}, "name of an input and of the output"),
        ({"past": "sum_out"}, "keeps its shape"),
        ({"past": 1}, "dict of names"),
        (["past"], "dict of names"),
    ],
)
def test_wrong_states_are_refused(states, message, tmp_path):
    network(tmp_path / "streaming.onnx", quantized=False)
    with pytest.raises(ModelError, match=message):
        edgebn.load(tmp_path / "streaming.onnx", states=states)


def test_native_files_have_their_states(tmp_path):
    network(tmp_path / "streaming.onnx", quantized=False)
    edgebn.save(edgebn.load(tmp_path / "streaming.onnx", states=STATES), tmp_path / "s.edgebn")
    with pytest.raises(UsageError, match="states= means nothing"):
        edgebn.load(tmp_path / "s.edgebn", states=STATES)
