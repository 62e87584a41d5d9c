"""LSTM, GRU and RNN against onnxruntime: directions, layouts, functions, first and last states, and a batch of any size."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization  # noqa: E402

import edgebn  # noqa: E402
from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError  # noqa: E402
from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.session import Session  # noqa: E402

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
LENGTH, INPUTS, UNITS = 5, 3, 6
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


def model(nodes, constants, inputs, outputs):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def arrays(kind, directions=1, inputs=INPUTS, units=UNITS, seed=0):
    rng = np.random.default_rng(seed)
    gates = GATES[kind] * units
    shapes = {"w": (directions, gates, inputs), "r": (directions, gates, units), "b": (directions, 2 * gates)}
    return {name: rng.normal(0, 0.6, shape).astype(np.float32) for name, shape in shapes.items()}


def whole(kind, direction="forward", states=(), outputs=("y", "h"), constants=None, **attributes):
    """One layer whose inputs are those of the network: (T, 1, inputs), and first states."""
    directions = DIRECTIONS[direction]
    held = arrays(kind, directions) | (constants or {})
    names = ["x", "w", "r", "b", "", *states]
    node = helper.make_node(kind, names, outputs, hidden_size=UNITS, direction=direction, **attributes)
    inputs = {"x": (LENGTH, 1, INPUTS)} | {name: (directions, 1, UNITS) for name in states if name and name not in held}
    return model([node], held, inputs, [name for name in outputs if name])


def batched(kind, direction="forward", batch="N", last=False, **attributes):
    """As exporters of networks whose batch is first write it: transposed before and behind."""
    directions = DIRECTIONS[direction]
    node = helper.make_node(kind, ["t", "w", "r", "b"], ["y", "h"], hidden_size=UNITS, direction=direction, **attributes)
    before = helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2])
    if last:
        behind = [helper.make_node("Transpose", ["h"], ["u"], perm=[1, 0, 2]), helper.make_node("Flatten", ["u"], ["z"], axis=1)]
    else:
        behind = [
            helper.make_node("Transpose", ["y"], ["u"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", ["u", "shape"], ["v"]),
            helper.make_node("Transpose", ["v"], ["z"], perm=[1, 0, 2]),
        ]
    held = arrays(kind, directions) | {"shape": np.int64([0, 0, -1])}
    return model([before, node, *behind], held, {"x": (batch, LENGTH, INPUTS)}, ["z"])


def read(proto, input_shape=None):
    return from_proto(proto, "net.onnx", input_shape=input_shape)


def given(proto, samples, sizes):
    rng = np.random.default_rng(1)
    dims = {one.name: one.type.tensor_type.shape.dim for one in proto.graph.input}
    shapes = {name: [axis.dim_value or sizes.get(axis.dim_param, samples) for axis in axes] for name, axes in dims.items()}
    return {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def onnxruntime_gives(proto, x):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, x)


def agree(proto, samples=1, one_sample=False, like=None, sizes=None, input_shape=None):
    """Compare with onnxruntime; of a network of `one_sample` edgebn has a first axis for samples of its own.

    `like` is the same network as onnxruntime can read it; `sizes` are those of open axes by their names, `samples` unless said.
    """
    x = given(proto, samples, sizes or {})
    wanted = onnxruntime_gives(like or proto, x)
    program = lower(read(proto, input_shape))
    count = 1 if one_sample else samples
    images = {name: np.moveaxis(value, 1, -1) if value.ndim == 4 else value for name, value in x.items()}
    got = Session(program).run({name: value.reshape(count, *program.shapes[name]) for name, value in images.items()})
    got = list(got.values()) if isinstance(got, dict) else [got]
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=0, atol=3e-6)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_directions_and_last_states(kind, direction):
    outputs = ("y", "h", "c") if kind == "LSTM" else ("y", "h")
    agree(whole(kind, direction, outputs=outputs), one_sample=True)


@pytest.mark.parametrize("outputs", [("", "h", ""), ("", "", "c"), ("y", "", "c"), ("", "h", "c")])
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_outputs_that_are_left_out(outputs, direction):
    agree(whole("LSTM", direction, outputs=outputs), one_sample=True)


@pytest.mark.parametrize(("kind", "states"), [("LSTM", ("s", "c0")), ("LSTM", ("s",)), ("LSTM", ("", "c0")), ("GRU", ("s",))])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("constant", [False, True])
def test_first_states(kind, states, direction, constant):
    shape = (DIRECTIONS[direction], 1, UNITS)
    held = {name: np.random.default_rng(3).normal(0, 1, shape).astype(np.float32) for name in states if name} if constant else {}
    agree(whole(kind, direction, states, constants=held), one_sample=True)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("GRU", {"linear_before_reset": 1}),
        ("GRU", {"linear_before_reset": 0}),
        ("GRU", {"activations": ["HardSigmoid", "Relu"], "activation_alpha": [0.3], "activation_beta": [0.5]}),
        ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}),
        ("LSTM", {"activations": ["Sigmoid", "Relu", "Relu"]}),
        ("RNN", {"activations": ["Relu"]}),
        ("RNN", {"activations": ["Sigmoid"]}),
        ("RNN", {"activations": ["Relu", "Tanh"]}),
        ("RNN", {"activations": ["Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]}),
    ],
)
def test_functions(kind, attributes):
    agree(whole(kind, **attributes), one_sample=True)


@pytest.mark.parametrize(("kind", "direction"), [("LSTM", "bidirectional"), ("GRU", "reverse"), ("RNN", "forward")])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("batch", "samples"), [("N", 1), ("N", 3), (1, 1)])
def test_any_batch(kind, direction, last, batch, samples):
    agree(batched(kind, direction, batch, last), samples)


def test_each_direction_has_functions_of_its_own():
    names = ["Sigmoid", "Relu", "Relu", "HardSigmoid", "Tanh", "Tanh"]
    agree(whole("LSTM", "bidirectional", activations=names), one_sample=True)
    slopes = {"activation_alpha": [0.3, 1.0, 1.0, 0.1], "activation_beta": [0.5, 0.0, 0.0, 0.5]}
    names = ["HardSigmoid", "Affine", "Affine", "HardSigmoid", "Tanh", "Tanh"]
    agree(whole("LSTM", "bidirectional", activations=names, **slopes), one_sample=True)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("batch", "samples"), [("N", 2), (1, 1)])
def test_layout_1(kind, direction, batch, samples):
    """onnxruntime refuses it; it is given the same layer between transposes."""
    held, inputs = arrays(kind, DIRECTIONS[direction]), {"x": (batch, LENGTH, INPUTS)}
    names = ["y", "h", "c"][: 3 if kind == "LSTM" else 2]
    settings = {"hidden_size": UNITS, "direction": direction}
    first = model([helper.make_node(kind, ["x", "w", "r", "b"], names, layout=1, **settings)], held, inputs, names)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node(kind, ["t", "w", "r", "b"], [f"{name}0" for name in names], **settings),
        helper.make_node("Transpose", ["y0"], ["y"], perm=[2, 0, 1, 3]),
        *(helper.make_node("Transpose", [f"{name}0"], [name], perm=[1, 0, 2]) for name in names[1:]),
    ]
    agree(first, samples, like=model(nodes, held, inputs, names))


def test_layers_that_give_their_last_states_alone():
    held = {f"{name}{which}": array for which in (1, 2) for name, array in arrays("LSTM", seed=which).items()}
    nodes = [
        helper.make_node("LSTM", ["x", f"w{which}", f"r{which}", f"b{which}"], ["", f"h{which}"], hidden_size=UNITS)
        for which in (1, 2)
    ]
    agree(model(nodes, held, {"x": (LENGTH, 1, INPUTS)}, ["h1", "h2"]), one_sample=True)


def test_the_first_operator_set_of_today():
    proto = whole("LSTM", "bidirectional")
    proto.opset_import[0].version, proto.ir_version = 7, 8
    agree(proto, one_sample=True)


def test_inputs_that_do_nothing():
    """Lengths that are the input's, peepholes of zeros."""
    held = arrays("LSTM") | {"lengths": np.int32([LENGTH]), "p": np.zeros((1, 3 * UNITS), np.float32)}
    node = helper.make_node("LSTM", ["x", "w", "r", "b", "lengths", "", "", "p"], ["y"], hidden_size=UNITS)
    agree(model([node], held, {"x": (LENGTH, 1, INPUTS)}, ["y"]), one_sample=True)


def recognizer():
    """A recogniser of text: columns of a map are the moments, two layers, one behind the other."""
    first, second = arrays("LSTM", 2, inputs=8), arrays("GRU", 1, inputs=2 * UNITS, seed=4)
    held = {f"{name}1": array for name, array in first.items()} | {f"{name}2": array for name, array in second.items()}
    rng = np.random.default_rng(2)
    held |= {"k": rng.normal(0, 0.3, (8, 3, 4, 3)).astype(np.float32), "shape": np.int64([0, 0, -1]), "axis": np.int64([2])}
    held |= {"out": rng.normal(0, 0.3, (UNITS, 5)).astype(np.float32), "one": np.int64([1])}
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["map"], pads=[0, 1, 0, 1]),
        helper.make_node("Squeeze", ["map", "axis"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["moments"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["moments", "w1", "r1", "b1"], ["y1"], hidden_size=UNITS, direction="bidirectional"),
        helper.make_node("Transpose", ["y1"], ["t1"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["t1", "shape"], ["z1"]),
        helper.make_node("GRU", ["z1", "w2", "r2", "b2"], ["y2"], hidden_size=UNITS, linear_before_reset=1),
        helper.make_node("Squeeze", ["y2", "one"], ["z2"]),
        helper.make_node("Transpose", ["z2"], ["z3"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["z3", "out"], ["z"]),
    ]
    return model(nodes, held, {"x": ("N", 3, 4, 9)}, ["z"])


def test_stacked_behind_a_convolution():
    agree(recognizer(), samples=2)


def test_a_quantised_file_has_float_cells(tmp_path):
    """QDQ as onnxruntime's quantiser writes it: codes up to the first cell and behind the last."""
    rng = np.random.default_rng(7)
    rows = iter([{"x": rng.normal(0, 1, (2, 3, 4, 9)).astype(np.float32)} for _ in range(8)])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            return next(rows, None)

    onnx.save(recognizer(), tmp_path / "real.onnx")
    quantization.quantize_static(tmp_path / "real.onnx", tmp_path / "net.onnx", Reader())
    proto = onnx.load(tmp_path / "net.onnx")
    x = rng.normal(0, 1, (3, 3, 4, 9)).astype(np.float32)
    program = lower(read(proto))
    assert {program.buffers[step.output].dtype for step in program.steps if step.kind == "Recurrence"} == {"float32"}
    assert {program.buffers[step.output].dtype for step in (program.steps[0], program.steps[-1])} == {"int8"}
    scale = next(numpy_helper.to_array(one) for one in proto.graph.initializer if one.name == "z_scale")
    difference = Session(program).run(np.moveaxis(x, 1, -1)) - onnxruntime_gives(proto, {"x": x})[0]
    assert np.rint(np.abs(difference) / scale).max() <= 1
    assert np.count_nonzero(difference) < 0.02 * difference.size


def test_zeros_of_the_batch_are_first_states():
    """As PyTorch exports them: zeros of a shape that is worked out of the input's."""
    held = arrays("LSTM") | {
        "one": np.int64(1), "axis": np.int64([0]), "layers": np.int64([1]), "units": np.int64([UNITS]),
        "shape": np.int64([0, 0, -1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("Shape", ["t"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "one"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "axis"], ["batch1"]),
        helper.make_node("Concat", ["layers", "batch1", "units"], ["wide"], axis=0),
        helper.make_node("ConstantOfShape", ["wide"], ["zeros"]),
        helper.make_node("LSTM", ["t", "w", "r", "b", "", "zeros", "zeros"], ["y"], hidden_size=UNITS),
        helper.make_node("Transpose", ["y"], ["u"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["u", "shape"], ["z"]),
    ]
    agree(model(nodes, held, {"x": ("N", LENGTH, INPUTS)}, ["z"]), samples=2)


REFUSED = {
    "clip": (whole("LSTM", clip=1.0), "clips what enters its gates"),
    "input_forget": (whole("LSTM", input_forget=1), "input and forget gates are one"),
    "two functions": (whole("LSTM", activations=["Sigmoid", "Tanh", "Relu"]), "Tanh, Relu and Sigmoid"),
    "a function of no state": (whole("RNN", activations=["Softsign"]), "Tanh, Relu and Sigmoid"),
    "a function of no gate": (whole("GRU", activations=["Tanh", "Tanh"]), "Sigmoid and HardSigmoid"),
    "a line": (whole("RNN", activations=["Affine"], activation_alpha=[2.0]), "runs the identity alone"),
    "an offset": (whole("GRU", activations=["HardSigmoid", "Tanh"], activation_beta=[0.4]), "offset 0.4"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    proto, reason = REFUSED[name]
    with pytest.raises(UnsupportedLayerError, match=reason):
        read(proto)


def test_peepholes_and_short_sequences_are_refused():
    held = arrays("LSTM") | {"p": np.ones((1, 3 * UNITS), np.float32), "short": np.int32([LENGTH - 1])}
    for names, reason in ((["", "", "", "p"], "peepholes"), (["short"], "sequence lengths")):
        node = helper.make_node("LSTM", ["x", "w", "r", "b", *names], ["y"], hidden_size=UNITS)
        with pytest.raises(UnsupportedLayerError, match=reason):
            read(model([node], held, {"x": (LENGTH, 1, INPUTS)}, ["y"]))


def test_an_open_number_of_moments_is_said():
    """In front, where else the batch is: each moment would be a sequence of its own."""
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y", "h"], hidden_size=UNITS)
    for sizes in (("T", 1, INPUTS), ("T", "N", INPUTS)):
        proto = model([node], arrays("LSTM"), {"x": sizes}, ["y", "h"])
        with pytest.raises(EdgebnError, match="input_shape="):
            read(proto)
        agree(proto, one_sample=True, sizes={"T": LENGTH}, input_shape=(LENGTH, 1, INPUTS))


@pytest.mark.parametrize("said", [(1, INPUTS), (LENGTH, 1, INPUTS)])
def test_an_open_batch_behind_the_moments_is_said(said):
    proto = model(
        [helper.make_node("GRU", ["x", "w", "r", "b"], ["y"], hidden_size=UNITS)],
        arrays("GRU"),
        {"x": (LENGTH, "N", INPUTS)},
        ["y"],
    )
    agree(proto, one_sample=True, input_shape=said)


def test_an_open_batch_behind_the_layers_of_a_state_is_said():
    """As PyTorch exports a network with batch_first: in front of the input, and in the second axis of its states."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["t", "w", "r", "b", "", "s"], ["y", "h"], hidden_size=UNITS, direction="bidirectional"),
    ]
    proto = model(nodes, arrays("GRU", 2), {"x": ("N", LENGTH, INPUTS), "s": (2, "N", UNITS)}, ["y", "h"])
    with pytest.raises(ModelError, match=r"'s' has the open shape \(2, \?, 6\); say it with input_shape="):
        read(proto)
    agree(proto, one_sample=True, input_shape={"s": (2, 1, UNITS)})


@pytest.mark.parametrize(("kind", "states"), [("LSTM", ("s", "c0")), ("GRU", ("s",)), ("RNN", ())])
@pytest.mark.parametrize("constant", [False, True])
def test_several_sequences_of_one_sample(kind, states, constant):
    """A batch that the file fixes is the sample's own: its sequences go side by side."""
    shape = (2, 3, UNITS)
    firsts = {name: np.random.default_rng(3).normal(0, 1, shape).astype(np.float32) for name in states} if constant else {}
    held = arrays(kind, 2) | firsts
    outputs = ["y", "h", "c"] if kind == "LSTM" else ["y", "h"]
    node = helper.make_node(kind, ["x", "w", "r", "b", "", *states], outputs, hidden_size=UNITS, direction="bidirectional")
    inputs = {"x": (LENGTH, 3, INPUTS)} | {name: shape for name in states if not constant}
    agree(model([node], held, inputs, outputs), one_sample=True)


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_sequences_within_a_batch(direction):
    """As networks for speech go along the frequencies of every moment: moments are folded into the batch and out of it."""
    frequencies = 4
    held = arrays("GRU", DIRECTIONS[direction]) | {
        "fold": np.int64([-1, frequencies, INPUTS]),
        "unfold": np.int64([-1, LENGTH, frequencies, DIRECTIONS[direction] * UNITS]),
        "flat": np.int64([0, 0, -1]),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "fold"], ["f"]),
        helper.make_node("Transpose", ["f"], ["t"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["t", "w", "r", "b"], ["y"], hidden_size=UNITS, direction=direction),
        helper.make_node("Transpose", ["y"], ["u"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["u", "flat"], ["v"]),
        helper.make_node("Reshape", ["v", "unfold"], ["w4"]),
        helper.make_node("Flatten", ["w4"], ["z"], axis=1),
    ]
    agree(model(nodes, held, {"x": ("N", LENGTH, frequencies * INPUTS)}, ["z"]), samples=2)


def test_states_go_from_call_to_call(tmp_path):
    """A detector that hears a frame after the other, its state handed on."""
    node = helper.make_node("LSTM", ["x", "w", "r", "b", "", "h0", "c0"], ["y", "h", "c"], hidden_size=UNITS)
    inputs = {"x": (LENGTH, 1, INPUTS), "h0": (1, 1, UNITS), "c0": (1, 1, UNITS)}
    proto = model([node], arrays("LSTM"), inputs, ["y", "h", "c"])
    onnx.save(proto, tmp_path / "hears.onnx")
    model_of_states = edgebn.load(tmp_path / "hears.onnx", states={"h0": "h", "c0": "c"})
    session = Session(model_of_states)
    theirs = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(8)
    state = {name: np.zeros((1, 1, UNITS), np.float32) for name in ("h0", "c0")}
    for _ in range(4):
        x = rng.normal(0, 1, inputs["x"]).astype(np.float32)
        wanted, state["h0"], state["c0"] = theirs.run(None, {"x": x, **state})
        got = session.run(x[np.newaxis])
        np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=0, atol=3e-6)


def test_int8_around_a_recurrence_is_int8():
    """Quantised, what enters the gates is int8; the cell itself stays float32."""
    program = lower(read(batched("LSTM", last=True)))
    x = np.random.default_rng(0).normal(0, 1, (64, LENGTH, INPUTS)).astype(np.float32)
    quantized = edgebn.quantize(program, x)
    types = {step.kind: quantized.buffers[step.output].dtype for step in quantized.steps}
    assert (types["Convolution"], types["Recurrence"]) == ("int8", "float32")
    real, ours = Session(program).run(x), Session(quantized).run(x)
    assert np.abs(real - ours).max() < 0.05 * np.abs(real).max()


@pytest.mark.parametrize("weights", ["QInt8", "QUInt8"])
def test_dynamic_quantisation_is_read_with_the_weights_that_it_left(weights, tmp_path):
    """As onnxruntime runs an LSTM of the weights that are in the file; it rounds besides what enters and the states."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    proto = whole("LSTM", "bidirectional", outputs=("y", "h", "c"))
    onnx.save(proto, tmp_path / "real.onnx")
    kind = getattr(QuantType, weights)
    quantize_dynamic(tmp_path / "real.onnx", tmp_path / "codes.onnx", op_types_to_quantize=["LSTM"], weight_type=kind)
    written = onnx.load(tmp_path / "codes.onnx")
    assert [node.op_type for node in written.graph.node] == ["DynamicQuantizeLSTM"]
    held = {one.name: numpy_helper.to_array(one) for one in written.graph.initializer}
    for name in "wr":
        codes, scale, zero = (held[f"{name}_{part}"] for part in ("quantized", "scale", "zero_point"))
        real = (codes.astype(np.int32) - zero.astype(np.int32)[:, None, None]) * scale[:, None, None]
        (mine,) = (one for one in proto.graph.initializer if one.name == name)
        mine.CopyFrom(numpy_helper.from_array(real.transpose(0, 2, 1).astype(np.float32), name))
    x = given(proto, 1, {})
    wanted = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, x)
    program = lower(read(written))
    got = Session(program).run(x["x"].reshape(1, *program.shapes["x"]))
    for ours, theirs in zip(got.values(), wanted, strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=0, atol=3e-6)
