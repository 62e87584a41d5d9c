"""Quantised ONNX networks against onnxruntime: what only moves codes, last layers in another layout, values of several meanings.

onnxruntime runs each file as it stands (without its optimiser, which trades some requantisations for others), so that the numbers
are those that the file asks for.
"""

import logging

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization as ortq  # noqa: E402

from edgebn import reference  # noqa: E402
from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.program import Pool  # noqa: E402
from edgebn.session import Session  # noqa: E402
from tests.conftest import TEST_ALL  # noqa: E402
from tests.formats.onnx.qdq_networks import LAST, MOVERS, QdqNetwork  # noqa: E402
from tests.graph_oracle import channels_first_values  # noqa: E402

SEEDS = range(2000 if TEST_ALL else 120)


def onnxruntime_gives(proto, inputs):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(proto.SerializeToString(), options).run(None, inputs)


def shown(graph, name, value):
    """A value of the file as sessions show it."""
    return np.moveaxis(value, 1, -1) if name in channels_first_values(graph) else value


def assert_agrees(net: QdqNetwork, *outputs: str, codes: int = 0, dtype: str | None = "int8") -> None:
    """Hold edgebn's outputs against onnxruntime's, at most `codes` codes apart, and the program's type, unless it is None."""
    proto = net.model(*outputs)
    inputs = {name: net.rng.uniform(-2, 2, shape).astype(np.float32) for name, shape in net.inputs.items()}
    expected = onnxruntime_gives(proto, inputs)
    graph = from_proto(proto, "net.onnx")
    program = lower(graph)
    assert dtype in (None, program.dtype)
    result = reference.run(program, {name: shown(graph, name, value) for name, value in inputs.items()})
    found = result if isinstance(result, dict) else {outputs[0]: result}
    for name, wanted in zip(outputs, expected, strict=True):
        wanted = shown(graph, name, wanted)
        assert found[name].shape == wanted.shape
        assert np.rint(np.abs(found[name] - wanted) / net.codes[name][0]).max() <= codes, name


def begun(rng, rank: int) -> tuple[QdqNetwork, str]:
    """A network whose first layer makes it channels-first and changes nothing."""
    net = QdqNetwork(rng)
    shape = (1, int(rng.choice([2, 4, 6])), *(int(size) for size in rng.integers(2, 7, rank - 2)))
    x = net.input("x", shape, net.quantization())
    return net, net.quantized(net.node("MaxPool", x, shape=shape, kernel_shape=[1] * (rank - 2)), net.codes[x])


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("behind", ["output", "dense", "convolution", "moved", "read twice"])
@pytest.mark.parametrize("kind", MOVERS)
def test_a_mover_between_two_scales(kind, behind, rank):
    for seed in range(10 if TEST_ALL else 2):
        net, x = begun(np.random.default_rng(seed), rank)
        x = y = net.quantized(getattr(net, kind)(x), net.quantization())
        if behind == "dense":
            y = net.ended(x)
        elif behind == "convolution":
            y = net.convolved(x)
        elif behind == "moved":
            y = net.quantized(net.reshape(net.quantized(net.transpose(x), net.quantization())), net.quantization())
        elif behind == "read twice":
            y = net.quantized(net.flatten(x), net.quantization())
        assert_agrees(net, *{y, x} if behind == "read twice" else (y,), codes=int(behind in ("dense", "convolution")))


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", LAST)
def test_a_last_layer_in_any_layout(kind, rank):
    """Softmax and batch norm along every axis, subtraction behind a transpose: as the output, moved on, and read inside too."""
    for seed in range(20 if TEST_ALL else 4):
        net, x = begun(np.random.default_rng(seed), rank)
        if seed % 2:
            x = net.quantized(net.transpose(x), net.codes[x])
        y = getattr(net, kind)(x)
        z = net.quantized(net.transpose(y), net.codes[y])
        assert_agrees(net, *((y,), (z,), (y, z), (z, x))[seed % 4], codes=1)


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax"])
def test_reductions_over_any_axes(kind):
    """Of up to four axes, side by side or not: rounded once."""
    for seed in range(200 if TEST_ALL else 30):
        net, x = begun(np.random.default_rng(seed), 3 + seed % 2)
        if seed % 3:
            x = net.quantized(net.reshape(x), net.codes[x])
        assert_agrees(net, net.reduced(x, kind), codes=int(kind == "ReduceMean"))


def test_random_networks():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net, x = begun(rng, int(rng.choice([3, 4])))
        quantization = net.codes[x]
        values = [x]
        for _ in range(int(rng.integers(1, 6))):
            x = getattr(net, str(rng.choice(MOVERS)))(x)
            choice = rng.random()  # the same scale again, another one, or none: the next layer reads float32
            quantization = net.quantization() if choice < 0.45 else quantization
            x = net.quantized(x, quantization) if choice < 0.9 else x
            values.append(x)
            if np.prod(net.shapes[x]) > 2000:
                break
        x = x if x in net.codes else net.quantized(x, net.quantization())
        last = rng.random() < 0.5
        if last:
            x = getattr(net, str(rng.choice(LAST)))(x)
        inner = str(rng.choice([value for value in values if value in net.codes]))
        assert_agrees(net, *(dict.fromkeys([x, inner]) if rng.random() < 0.3 else [x]), codes=int(last))


@pytest.mark.parametrize("form", ["QDQ", "QLinear"])
@pytest.mark.parametrize("counted", [False, True], ids=["", "padding counted"])
@pytest.mark.parametrize("padded", [False, True], ids=["", "padded"])
def test_an_average_between_two_scales_is_rounded_once(padded, counted, form):
    """However many positions of a window count; all engines by the same epilogues."""
    differ = []
    for seed in range(40 if TEST_ALL else 8):
        net, x = begun(np.random.default_rng(seed), 4)
        y = net.averaged(x, padded=padded, counted=counted, form=form)
        proto = net.model(y)
        inputs = net.rng.uniform(-2, 2, net.inputs["x"]).astype(np.float32)
        wanted = np.moveaxis(onnxruntime_gives(proto, {"x": inputs})[0], 1, -1)
        program = lower(from_proto(proto, "net.onnx"))
        assert sum(isinstance(step, Pool) and step.epilogue is not None for step in program.steps) == 1
        inputs = np.moveaxis(inputs, 1, -1)
        found = reference.run(program, inputs)
        np.testing.assert_array_equal(Session(program).run(inputs), found)
        apart = np.rint(np.abs(found - wanted) / net.codes[y][0])
        assert apart.max() <= 1
        differ.append(np.mean(apart > 0))
    assert np.mean(differ) <= 0.005, "more than float32 leaves between two codes"


@pytest.mark.parametrize("counted", [0, 1])
@pytest.mark.parametrize("form", ["QDQ", "QLinear"])
def test_what_ceil_mode_adds_counts_as_onnxruntime_counts_it(form, counted):
    """QLinearAveragePool divides by the whole window behind the end, AveragePool does not."""
    for size, kernel, stride, pads in ((5, 2, 2, (0, 0)), (6, 3, 2, (1, 1)), (7, 4, 3, (2, 1)), (6, 3, 3, (1, 0))):
        net = QdqNetwork(np.random.default_rng(size))
        x = net.input("x", (1, 2, size, size), (0.02, -3))
        out = -(-(size + sum(pads) - kernel) // stride) + 1
        sides = [pads[0], pads[0], pads[1], pads[1]]
        settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": sides, "ceil_mode": 1}
        y = net.average(x, (1, 2, out, out), (0.013, 7), form, count_include_pad=counted, **settings)
        assert_agrees(net, y, codes=1)


def uint8_input(net: QdqNetwork, shape: tuple[int, ...]) -> tuple[str, str, str]:
    """Codes of the network's input, their scale and their zero point."""
    net.inputs["x"] = net.shapes["x"] = shape
    scale, zero = net.constant(np.float32(0.02)), net.constant(np.uint8(125))
    return net.node("QuantizeLinear", "x", scale, zero, shape=shape), scale, zero


def uint8_output(net: QdqNetwork, codes: str, scale: str, zero: str) -> str:
    y = net.node("DequantizeLinear", codes, scale, zero, shape=net.shapes[codes])
    net.codes[y] = float(net.constants[scale]), 0
    return y


@pytest.mark.parametrize(("kind", "form"), [("Conv", "QLinear"), ("Conv", "QDQ"), ("ConvTranspose", "QDQ")])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_asymmetric_weights_in_groups(groups, kind, form):
    """uint8 weights around any zero point need 9 bits, and stay so in every group."""
    net = QdqNetwork(np.random.default_rng(groups))
    x = uint8_input(net, (1, 6, 5, 4))
    weight = net.constant(net.rng.integers(0, 256, (6, 6 // groups, 3, 3)).astype(np.uint8))
    quantization = net.constant(np.float32(0.003)), net.constant(np.uint8(100))
    out = net.constant(np.float32(0.05)), net.constant(np.uint8(120))
    settings = {"group": groups, "pads": [1, 1, 1, 1]}
    if form == "QLinear":
        made = net.node("QLinearConv", *x, weight, *quantization, *out, shape=net.shapes["x"], **settings)
    else:
        real, weights = (net.node("DequantizeLinear", *codes, shape=net.shapes["x"]) for codes in (x, (weight, *quantization)))
        made = net.node(kind, real, weights, shape=net.shapes["x"], **settings)
        made = net.node("QuantizeLinear", made, *out, shape=net.shapes["x"])
    assert_agrees(net, uint8_output(net, made, *out), codes=1)


def test_scales_along_the_inputs_of_a_product_run_in_float32():
    net = QdqNetwork(np.random.default_rng(0))
    x = net.input("x", (1, 3), (0.02, -3))
    codes = net.constant(net.rng.integers(-127, 128, (3, 4)).astype(np.int8))
    weight = net.node("DequantizeLinear", codes, net.constant(np.array([0.01, 0.02, 0.03], np.float32)), shape=(3, 4), axis=0)
    y = net.quantized(net.node("MatMul", x, weight, shape=(1, 4)), (0.03, 5))
    assert_agrees(net, y, codes=1, dtype="mixed")


def test_a_quantised_gemm_with_alpha():
    net = QdqNetwork(np.random.default_rng(0))
    x = uint8_input(net, (1, 3))
    weight = net.constant(net.rng.integers(-127, 128, (3, 4)).astype(np.int8))
    quantization = net.constant(np.full(4, 0.01, np.float32)), net.constant(np.zeros(4, np.int8))
    bias = net.constant(np.array([1000, -2000, 300, 0], np.int32))
    out = net.constant(np.float32(0.03)), net.constant(np.uint8(120))
    made = net.node("QGemm", *x, weight, *quantization, bias, *out, shape=(1, 4), domain="com.microsoft", alpha=0.5)
    assert_agrees(net, uint8_output(net, made, *out), codes=1)


def test_a_constant_joined_to_codes():
    net = QdqNetwork(np.random.default_rng(0))
    x = uint8_input(net, (1, 3, 4))
    constant = net.constant(net.rng.integers(0, 256, (1, 2, 4)).astype(np.uint8))
    quantization = net.constant(np.float32(0.01)), net.constant(np.uint8(90))
    out = net.constant(np.float32(0.025)), net.constant(np.uint8(120))
    made = net.node("QLinearConcat", *out, *x, constant, *quantization, shape=(1, 5, 4), domain="com.microsoft", axis=1)
    assert_agrees(net, uint8_output(net, made, *out))


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("before", ["same scale", "coarser", "float32", "convolution"])
def test_interpolation_never_takes_its_outputs_codes_for_its_input(before, rank):
    """Peaks that it lowers lie beyond them."""
    for seed in range(20 if TEST_ALL else 4):
        net, x = begun(np.random.default_rng(seed), rank)
        if before == "float32":
            x = net.node("Sigmoid", x, shape=net.shapes[x])
        elif before == "convolution":
            x = net.convolution(x, 3)
        quantization = net.codes[x] if before == "same scale" else (0.004, 20)
        assert_agrees(
            net, net.quantized(net.interpolated(x), quantization), codes=1, dtype="int8" if before == "same scale" else None
        )


def test_a_value_of_two_meanings_is_computed_twice():
    """What one reader takes for a ReLU's codes has negative numbers for the other."""
    net, x = begun(np.random.default_rng(0), 4)
    c = net.convolution(x, 4)
    first, second = net.quantized(c, (0.01, -128)), net.quantized(c, (0.02, 3))
    relu = net.quantized(net.relu(c), (0.015, -100))
    assert_agrees(net, first, second, relu, codes=1)


def test_a_moved_value_of_two_meanings_is_moved_once():
    net, x = begun(np.random.default_rng(0), 4)
    moved = net.flatten(x)
    first, second = net.quantized(moved, (0.01, -128)), net.quantized(moved, (0.02, 3))
    assert_agrees(net, first, second)
    program = lower(from_proto(net.model(first, second), "net.onnx"))
    assert [step.kind for step in program.steps] == ["Pool", "Transpose", "Reshape", "Lookup", "Lookup"]


def test_an_input_of_two_meanings_stays_float32():
    net = QdqNetwork(np.random.default_rng(0))
    first = net.input("x", (1, 4), (0.01, -128))
    second = net.quantized("x", (0.02, 3))
    assert_agrees(net, first, second, dtype="mixed")


def test_a_dense_layer_still_reads_the_value_as_it_lies():
    """The requantisation steps in front of the transpose that flattens, which the dense layer's weight takes."""
    net, x = begun(np.random.default_rng(0), 4)
    y = net.ended(net.quantized(net.flatten(x), net.quantization()))
    program = lower(from_proto(net.model(y), "net.onnx"))
    assert [step.kind for step in program.steps] == ["Pool", "Lookup", "Convolution"]


class Inputs(ortq.CalibrationDataReader):
    """Random numbers for onnxruntime's calibration."""

    def __init__(self, shape):
        rng = np.random.default_rng(1)
        self.samples = iter([{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(8)])

    def get_next(self):
        return next(self.samples, None)


def shuffle(parts, order, shape):
    """Reshape, Transpose, Reshape."""
    return [
        (helper.make_node("Reshape", ["c", "parts"], ["r"]), {"parts": np.array(parts)}),
        (helper.make_node("Transpose", ["r"], ["t"], perm=order), {}),
        (helper.make_node("Reshape", ["t", "shape"], ["m"]), {"shape": np.array(shape)}),
    ]


def plain(*nodes):
    return [(helper.make_node(kind, [a], [b], **attributes), {}) for kind, a, b, attributes in nodes]


MIDDLES = {
    "channel shuffle": (shuffle([1, 2, 4, 6, 5], [0, 2, 1, 3, 4], [1, 8, 6, 5]), (1, 8, 6, 5)),
    "pixel shuffle": (shuffle([1, 2, 2, 2, 6, 5], [0, 1, 4, 2, 5, 3], [1, 2, 12, 10]), (1, 2, 12, 10)),
    "flatten relu": (plain(("Flatten", "c", "f", {}), ("Relu", "f", "m", {})), (1, 240)),
    "transpose relu flatten": (
        plain(("Transpose", "c", "t", {"perm": [0, 2, 3, 1]}), ("Relu", "t", "r", {}), ("Flatten", "r", "m", {})),
        (1, 240),
    ),
}


@pytest.mark.filterwarnings("ignore")  # onnxruntime's quantizer warns of its own old habits
@pytest.mark.parametrize("form", list(ortq.QuantFormat), ids=lambda form: form.name)
@pytest.mark.parametrize("middle", MIDDLES)
def test_what_onnxruntimes_quantizer_writes(middle, form, tmp_path):
    """Conv, then something that moves values, then Conv or Gemm, quantised by onnxruntime and run by its usual session."""
    nodes, shape = MIDDLES[middle]
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((8, 3, 1, 1))} | {name: array for _, more in nodes for name, array in more.items()}
    constants["v"] = rng.standard_normal((4, shape[1], 1, 1) if len(shape) == 4 else (240, 5)) * 0.1
    last = helper.make_node("Conv" if len(shape) == 4 else "Gemm", ["m", "v"], ["y"])
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("Conv", ["x", "w"], ["c"]), *(node for node, _ in nodes), last],
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 6, 5])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(a if a.dtype == int else a.astype(np.float32), name) for name, a in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(proto), source)
    logging.disable(logging.WARNING)
    try:
        ortq.quantize_static(source, target, Inputs((1, 3, 6, 5)), quant_format=form, weight_type=ortq.QuantType.QInt8)
    finally:
        logging.disable(logging.NOTSET)
    x = rng.standard_normal((1, 3, 6, 5)).astype(np.float32)
    expected = ort.InferenceSession(str(target)).run(None, {"x": x})[0]
    found = Session(lower(from_proto(onnx.load(target), str(target)))).run(np.moveaxis(x, 1, -1))
    found = np.moveaxis(found, -1, 1) if found.ndim == 4 else found
    assert np.abs(found - expected).max() <= 0.02 * np.ptp(expected)
