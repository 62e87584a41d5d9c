"""Constants with height and width through `quantize`, as YOLO's box heads have them, and random float32 programs.

onnxruntime's own static quantisation of the same head says how near int8 comes to float32.
"""

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization as ortq  # noqa: E402

import edgebn  # noqa: E402
from edgebn import program as p  # noqa: E402
from edgebn import reference  # noqa: E402
from edgebn.passes.quantization import calibration  # noqa: E402
from tests import emitted  # noqa: E402
from tests.conftest import TEST_ALL  # noqa: E402
from tests.programs import inputs_for, programs, single  # noqa: E402

VALUE = (1, 4, 5, 6)  # NCHW
# Every way in which a constant can be broadcast to VALUE, or VALUE's average to it.
SHAPES = [(1, 4, 5, 6), (4, 5, 6), (5, 6), (4, 5, 1), (4, 1, 6), (1, 1, 5, 6), (5, 1), (6,), (4, 1, 1), (1, 1, 1), (1,), ()]
EXAMPLES = 400 if TEST_ALL else 25


def ratio(exact, found):
    """Return the signal-to-noise ratio in dB."""
    exact, found = np.asarray(exact, np.float64), np.asarray(found, np.float64)
    return 10 * np.log10((exact**2).sum() / max(((exact - found) ** 2).sum(), 1e-300))


def nhwc(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


class Network:
    """Writes an ONNX file node by node; every node is named after its output."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.arrays = [], []

    def constant(self, array, dtype=np.float32):
        name = f"k{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def node(self, kind, inputs, outputs=None, **attributes):
        outputs = outputs or [f"v{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def convolution(self, x, before, after, kernel=1, stride=1, relu=False):
        weight = self.constant(self.rng.standard_normal((after, before, kernel, kernel)) * np.sqrt(2 / (before * kernel**2)))
        y = self.node("Conv", [x, weight], pads=[kernel // 2] * 4, strides=[stride] * 2)
        return self.node("Relu", [y]) if relu else y

    def norm(self, x, channels):
        """A batch norm behind the input, from which ranges follow without data."""
        statistics = (np.ones(channels), np.zeros(channels), np.zeros(channels), np.ones(channels))
        return self.node("BatchNormalization", [x, *map(self.constant, statistics)])

    def save(self, path, given, outputs):
        """Write the file; `outputs` is {name: shape}."""
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)]
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, "g", inputs, results, self.arrays)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path


def binary(kind, shape, path, *, constant_first, averaged):
    """Write x - batch norm - 1 x 1 convolution (- global average) - `kind` with a constant of `shape`."""
    net = Network()
    x = net.convolution(net.norm("x", 3), 3, VALUE[1])
    value = net.node("GlobalAveragePool", [x]) if averaged else x
    constant = net.constant(net.rng.uniform(0.5, 2, shape) * net.rng.choice([-1, 1], shape))
    net.node(kind, [constant, value] if constant_first else [value, constant], ["y"])
    whole = np.broadcast_shapes((*VALUE[:2], 1, 1) if averaged else VALUE, shape)
    return net.save(path, [1, 3, *VALUE[2:]], {"y": list(whole)})


def assert_bytes(int8, samples=2):
    """Hold the kernels against the specification."""
    codes = np.random.default_rng(1).integers(-128, 128, (samples, *int8.shapes[int8.inputs[0]])).astype(np.int8)
    found, expected = edgebn.Session(int8).run(codes), reference.run(int8, codes)
    for name in int8.outputs:
        one, other = (found[name], expected[name]) if isinstance(found, dict) else (found, expected)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("averaged", [False, True], ids=["", "averaged"])
@pytest.mark.parametrize("order", ["x Add k", "k Add x", "x Sub k", "k Sub x", "x Mul k", "k Mul x", "x Div k"])
def test_every_broadcast_of_a_constant_quantises(order, averaged, tmp_path):
    kind, constant_first = order.split()[1], order.startswith("k")
    x = np.random.default_rng(2).standard_normal((40, 3, *VALUE[2:])).astype(np.float32)
    ways = [*((nhwc(x), method) for method in calibration.METHODS), (None, None)]
    for number, shape in enumerate(SHAPES):
        path = binary(kind, shape, tmp_path / "m.onnx", constant_first=constant_first, averaged=averaged)
        program = edgebn.load(path)
        expected = run_onnxruntime(path, x)["y"]
        np.testing.assert_allclose(np.moveaxis(edgebn.Session(program).run(nhwc(x)), -1, 1), expected, rtol=1e-4, atol=1e-5)
        for data, method in ways if TEST_ALL else [ways[number % len(ways)]]:
            int8 = edgebn.quantize(program, data, method)
            assert ratio(expected, np.moveaxis(edgebn.Session(int8).run(nhwc(x)), -1, 1)) > (30 if data is not None else 15)
            assert_bytes(int8)


def run_onnxruntime(path, x):
    session = ort.InferenceSession(str(path))
    batches = [session.run(None, {"x": sample[None]}) for sample in x]
    return {out.name: np.concatenate(values) for out, values in zip(session.get_outputs(), zip(*batches, strict=True), strict=True)}


def box_head(path, size=16, bins=8, classes=5):
    """Write a small YOLOv8: two strides, distances to the box' sides by softmax, constant grids on both sides of a subtraction."""
    net = Network()
    first = net.convolution("x", 3, 16, 3, 2, relu=True)
    second = net.convolution(first, 16, 24, 3, 2, relu=True)
    rows, places = [], []
    for value, channels, stride in ((first, 16, 2), (second, 24, 4)):
        side = size // stride
        box = net.convolution(net.convolution(value, channels, 16, 3, relu=True), 16, 4 * bins)
        scores = net.convolution(net.convolution(value, channels, 16, 3, relu=True), 16, classes)
        both = net.node("Concat", [box, scores], axis=1)
        rows.append(net.node("Reshape", [both, net.constant([1, 4 * bins + classes, side * side], np.int64)]))
        grid = np.stack(np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5))  # x, y
        places.append((grid.reshape(2, -1), np.full(side * side, stride)))
    anchors, strides = (np.concatenate(parts, axis=-1)[None] for parts in zip(*places, strict=True))
    count = anchors.shape[-1]
    everything = net.node("Concat", rows, axis=2)
    box, scores = net.node("Split", [everything, net.constant([4 * bins, classes], np.int64)], ["box", "class"], axis=1)
    spread = net.node("Reshape", [box, net.constant([1, 4, bins, count], np.int64)])
    chances = net.node("Softmax", [net.node("Transpose", [spread], perm=[0, 2, 1, 3])], axis=1)
    distance = net.node("Conv", [chances, net.constant(np.arange(bins).reshape(1, bins, 1, 1))])
    sides = net.node("Reshape", [distance, net.constant([1, 4, count], np.int64)])
    near, far = net.node("Split", [sides, net.constant([2, 2], np.int64)], ["near", "far"], axis=1)
    anchor = net.constant(anchors)
    start, end = net.node("Sub", [anchor, near]), net.node("Add", [anchor, far])
    centre = net.node("Div", [net.node("Add", [start, end]), net.constant(2.0)])
    corners = net.node("Concat", [centre, net.node("Sub", [end, start])], axis=1)
    net.node("Mul", [corners, net.constant(strides)], ["boxes"])
    net.node("Sigmoid", [scores], ["scores"])
    return net.save(path, [1, 3, size, size], {"boxes": [1, 4, count], "scores": [1, classes, count]})


class Images(ortq.CalibrationDataReader):
    """Hands onnxruntime's calibration one image at a time."""

    def __init__(self, x):
        self.samples = iter([{"x": sample[None]} for sample in x])

    def get_next(self):
        return next(self.samples, None)


@pytest.mark.filterwarnings("ignore")  # onnxruntime's quantizer warns of its own old habits
def test_a_box_head_is_as_near_to_float_as_onnxruntimes(tmp_path):
    rng = np.random.default_rng(3)
    path, quantised = box_head(tmp_path / "head.onnx"), tmp_path / "head_qdq.onnx"
    data, x = (rng.standard_normal((count, 3, 16, 16)).astype(np.float32) for count in (64, 32))
    types = {"activation_type": ortq.QuantType.QInt8, "weight_type": ortq.QuantType.QInt8}
    logging.disable(logging.WARNING)
    try:
        ortq.quantize_static(str(path), str(quantised), Images(data), per_channel=True, **types)
    finally:
        logging.disable(logging.NOTSET)
    exact, theirs = run_onnxruntime(path, x), run_onnxruntime(quantised, x)
    int8 = edgebn.quantize(edgebn.load(path), nhwc(data))
    ours = edgebn.Session(int8).run(nhwc(x))
    for name, values in exact.items():
        assert ratio(values, ours[name]) > max(35, ratio(values, theirs[name]) - 1), name
    assert_bytes(int8)
    emitted.check(int8, tmp_path / "c", "host", emitted.draw_codes(int8, 2))


def test_a_slope_that_differs_by_pixel_quantises(tmp_path):
    """PReLU of an (H, W, C) slope is no table of codes: it is taken apart."""
    net = Network()
    slope = net.constant(net.rng.uniform(-1, 1, VALUE[1:]))
    net.node("PRelu", [net.convolution(net.norm("x", 3), 3, VALUE[1]), slope], ["y"])
    path = net.save(tmp_path / "m.onnx", [1, 3, *VALUE[2:]], {"y": list(VALUE)})
    x = np.random.default_rng(4).standard_normal((40, 3, *VALUE[2:])).astype(np.float32)
    expected = run_onnxruntime(path, x)["y"]
    for data, least in ((nhwc(x), 30), (None, 20)):
        int8 = edgebn.quantize(edgebn.load(path), data)
        assert ratio(expected, np.moveaxis(edgebn.Session(int8).run(nhwc(x)), -1, 1)) > least
        assert_bytes(int8)
    emitted.check(int8, tmp_path / "c", "host", emitted.draw_codes(int8, 2))


def with_norm(program, rng, *, wild):
    """Return the program behind a batch norm, with constants of any size where `wild`."""
    x = program.inputs[0]
    channels = program.buffers[x].shape[2]
    gamma, beta, mean = (rng.standard_normal(channels).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.1, 3, channels).astype(np.float32)
    constants = program.constants
    if wild:
        gamma *= rng.choice([1, 0, 1e4, 1e-3], channels).astype(np.float32)
        sizes, shift = rng.choice([0, 1, 1e3]), rng.choice([0, 50])
        constants = {name: (array * sizes + shift).astype(np.float32) for name, array in constants.items()}
    a = (gamma / np.sqrt(variance + np.float32(1e-3))).astype(np.float32)
    norm = p.Norm("norm", gamma, beta, mean, variance, 1e-3)
    epilogue = p.FloatEpilogue(np.zeros(channels, np.float32), a, beta - mean * a, norms=(norm,))
    steps = [replace(step, inputs=tuple("normed" if name == x else name for name in step.inputs)) for step in program.steps]
    buffers = {**program.buffers, "normed": p.Buffer("normed", program.buffers[x].shape)}
    return replace(program, steps=(p.Affine("norm", (x,), "normed", epilogue), *steps), buffers=buffers, constants=constants)


@pytest.mark.filterwarnings("ignore::edgebn.errors.InputRangeWarning")  # the batch norm saw nothing
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(programs("float32"), single("add", "float32"), single("multiply", "float32"), single("concat", "float32")),
    st.integers(0, 1000),
    st.booleans(),
)
def test_random_programs_quantise_or_say_why_not(program, seed, wild):
    program = with_norm(program, np.random.default_rng(seed), wild=wild)
    x = inputs_for(program, 5, seed)
    refusals = []
    turn = seed % len(calibration.METHODS)  # methods take turns in the quick run
    methods = calibration.METHODS if TEST_ALL else calibration.METHODS[turn:][:1]
    for data, method in [*itertools.product((x, x * 0), methods), (None, None)]:
        try:
            int8 = edgebn.quantize(program, data, method)
        except edgebn.QuantizationError as error:
            refusals.append(str(error))
        else:
            assert_bytes(int8, 1)
    assert all("keep this network in float32" in words for words in refusals)
