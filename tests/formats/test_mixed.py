"""Files that are int8 in part, against onnxruntime and LiteRT: float32 heads, middles and tails; sessions, firmware, adaptation.

onnxruntime runs each file as it stands, without its optimiser.
"""

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

import codegen  # noqa: E402
import edgebn  # noqa: E402
from edgebn import program as p  # noqa: E402
from edgebn import reference  # noqa: E402
from edgebn.adapt.engines import ReferenceEngine  # noqa: E402
from edgebn.cli.main import main  # noqa: E402
from edgebn.errors import ModelError, QuantizationError  # noqa: E402
from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.formats.tflite import read  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.program_check import check_program  # noqa: E402
from edgebn.session import Session  # noqa: E402
from tests import emitted  # noqa: E402
from tests.conftest import TEST_ALL  # noqa: E402
from tests.formats.onnx.qdq_networks import MOVERS, QdqNetwork  # noqa: E402
from tests.formats.tflite.tflite_models import FileBuilder  # noqa: E402
from tests.graph_oracle import channels_first_values  # noqa: E402

TOLERANCE = 1e-5  # of an output's range
SEEDS = range(1000 if TEST_ALL else 80)
FLOATS = ("convolution", "dense", "Tanh", "Relu", "Clip", "Softmax", "Mul", "Sum", "AveragePool", "BatchNormalization")


def run_both(net, *outputs):
    """Return the program, and by output what the reference, a session and onnxruntime give."""
    proto = net.model(*outputs)
    inputs = {name: net.rng.uniform(-2, 2, shape).astype(np.float32) for name, shape in net.inputs.items()}
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    graph = from_proto(proto, "net.onnx")
    program = lower(graph)
    first = channels_first_values(graph)

    def shown(name, value):
        return np.moveaxis(value, 1, -1) if name in first else value

    wanted = ort.InferenceSession(proto.SerializeToString(), options).run(None, inputs)
    given = {name: shown(name, value) for name, value in inputs.items()}
    results = [reference.run(program, given), Session(program).run(given)]
    results = [result if isinstance(result, dict) else {outputs[0]: result} for result in results]
    return program, {
        name: (*(result[name] for result in results), shown(name, value)) for name, value in zip(outputs, wanted, strict=True)
    }


def assert_agrees(net, *outputs, codes=0):
    """At most `codes` codes apart where an output stands behind a QuantizeLinear, else 1e-5 of the range."""
    program, found = run_both(net, *outputs)
    for name, (by_reference, by_session, wanted) in found.items():
        bound = TOLERANCE * max(1.0, float(np.ptp(wanted)))
        if name in net.codes:
            bound += codes * net.codes[name][0]
        np.testing.assert_allclose(by_reference, wanted, rtol=0, atol=bound, err_msg=name)
        np.testing.assert_allclose(by_session, wanted, rtol=0, atol=bound, err_msg=name)
    return program


def begun(seed, shape=(1, 3, 8, 8)):
    """A network whose first layers are an int8 convolution."""
    net = QdqNetwork(np.random.default_rng(seed))
    x = net.input("x", shape, net.quantization())
    return net, net.quantized(net.convolution(x, 4), (0.02, -5))


def float_layer(net, kind, x):
    """A layer with no QuantizeLinear behind it."""
    shape, rng = net.shapes[x], net.rng
    if kind in ("convolution", "dense"):
        if kind == "convolution" and len(shape) not in (3, 4):
            kind = "dense"
        return getattr(net, kind)(x, int(rng.integers(2, 6)))
    if kind == "Softmax":  # in codes it is one of onnxruntime's at most, so it is read as float32, or as fine as codes of it are
        y = net.node(kind, x, shape=shape, axis=int(rng.integers(1, len(shape))))
        return net.node("Tanh", y, shape=shape) if rng.random() < 0.7 else net.quantized(y, (1 / 1000, -128))
    if kind == "Mul":
        return net.node(kind, x, net.constant(np.float32(rng.uniform(-1, 1))), shape=shape)
    if kind == "Sum":
        return net.node(kind, x, x, shape=shape)
    if kind == "Clip":
        return net.node(kind, x, net.constant(np.float32(-0.3)), net.constant(np.float32(0.7)), shape=shape)
    if kind == "AveragePool" and len(shape) in (3, 4):
        return (
            net.node(kind, x, shape=shape[:2] + tuple(size - 1 for size in shape[2:]), kernel_shape=[2] * len(shape[2:]))
            if min(shape[2:]) > 1
            else x
        )
    if kind == "BatchNormalization":
        vectors = [net.constant(rng.uniform(0.5, 1.5, shape[1]).astype(np.float32)) for _ in range(4)]
        return net.node(kind, x, *vectors, shape=shape)
    return net.node(kind if kind != "AveragePool" else "Tanh", x, shape=shape)


@pytest.mark.parametrize(
    "tail", ["convolution", "dense", "GlobalAveragePool", "ReduceMean", "Softmax", "Resize", "BatchNormalization"]
)
def test_a_float_tail(tail):
    for seed in range(8 if TEST_ALL else 2):
        net, x = begun(seed)
        if tail == "GlobalAveragePool":
            y = net.node(tail, x, shape=(1, 4, 1, 1))
        elif tail == "ReduceMean":
            y = net.node(tail, x, shape=(1, 4), axes=[2, 3], keepdims=0)
        elif tail == "Softmax":
            y = net.node(tail, x, shape=net.shapes[x], axis=1)
        elif tail == "Resize":
            scales = net.constant(np.float32([1, 1, 2, 2]))
            y = net.node(tail, x, "", scales, shape=(1, 4, 16, 16), mode="linear")
        else:
            y = float_layer(net, tail, x)
        program = assert_agrees(net, y)
        assert program.dtype == "mixed"
        assert program.buffers[program.inputs[0]].dtype == "int8"
        assert program.buffers[y].dtype == "float32"


def test_a_float_head_and_a_float_middle():
    for seed in range(8 if TEST_ALL else 2):
        net = QdqNetwork(np.random.default_rng(seed))
        net.inputs["x"] = net.shapes["x"] = (1, 3, 8, 8)
        head = net.quantized(net.convolution("x", 5), (0.02, -5))
        middle = net.node("Tanh", net.convolution(net.quantized(net.convolution(head, 4), (0.02, 3)), 6), shape=(1, 6, 8, 8))
        y = net.quantized(net.convolution(net.quantized(middle, (0.01, 0)), 3), (0.02, 7))
        program = assert_agrees(net, y, codes=1)
        types = [p.step_dtype(step, program) for step in program.steps]
        changes = [kind for i, kind in enumerate(types) if i == 0 or types[i - 1] != kind]
        assert changes == ["float32", "int8", "float32", "int8"], types
        assert program.dtype == "mixed"
        assert program.buffers["x"].dtype == "float32"


def test_random_networks():
    kinds = set()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        net = QdqNetwork(rng)
        shape = (1, int(rng.choice([2, 4])), *(int(size) for size in rng.integers(2, 7, int(rng.choice([1, 2])))))
        x = net.input("x", shape, net.quantization())
        x = net.node("MaxPool", x, shape=shape, kernel_shape=[1] * (len(shape) - 2))
        for _ in range(int(rng.integers(2, 6))):
            kind = str(rng.choice([*MOVERS, *FLOATS, *FLOATS]))
            x = getattr(net, kind)(x) if kind in MOVERS else float_layer(net, kind, x)
            if rng.random() < 0.4 and x not in net.codes:
                x = net.quantized(x, net.quantization())
            if np.prod(net.shapes[x]) > 2000:
                break
        inner = str(rng.choice([name for name in net.codes if name != x and name in {n.output[0] for n in net.nodes}]))
        kinds.add(assert_agrees(net, *dict.fromkeys([x, inner]), codes=1).dtype)
    assert kinds == {"int8", "mixed"}


def test_a_clip_between_two_codes_is_float32():
    net, x = begun(0)
    y = net.node("Clip", x, net.constant(np.float32(-0.33)), net.constant(np.float32(0.71)), shape=net.shapes[x])
    program = assert_agrees(net, y)
    assert [step.kind for step in program.steps][-2:] == ["Dequantize", "Elementwise"]
    net, x = begun(0)
    relu = net.node("Relu", x, shape=net.shapes[x])
    assert assert_agrees(net, relu).dtype == "int8"


def test_what_is_read_as_float32_too_is_computed_once():
    """As quantizers write it that put pairs in front of convolutions alone: the sum reads what the pair reads."""
    net, x = begun(0)
    c = net.convolution(x, 4)
    y = net.node("Add", c, net.convolution(net.quantized(c, (0.02, 0)), 4), shape=net.shapes[c])
    program = assert_agrees(net, y)
    assert [step.kind for step in program.steps].count("Convolution") == 3
    assert sum(p.step_dtype(step, program) == "int8" for step in program.steps if step.kind == "Convolution") == 1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file whose last layers are float32: convolutions in int8, mean and Gemm behind them."""
    net = QdqNetwork(np.random.default_rng(5))
    x = net.input("x", (1, 3, 8, 8), (0.02, 0))
    for scale in (0.02, 0.02, 0.015):
        x = net.quantized(net.relu(net.convolution(x, 8)), (scale, -128))
    net.node("ReduceMean", x, shape=(1, 8), axes=[2, 3], keepdims=0)
    y = net.dense(net.nodes[-1].output[0], 4)
    path = tmp_path_factory.mktemp("mixed") / "tail.onnx"
    onnx.save(net.model(y), path)
    return path


def test_steps_that_mix_types_are_refused():
    real, codes = p.Buffer("x", (1, 1, 4)), p.Buffer("q", (1, 1, 4), "int8", 0.1, 3)
    shapes = {"x": (4,), "q": (4,)}

    def program(step):
        return p.Program("m", "m.test", "test", False, {"x": real, "q": codes}, {}, (step,), step.inputs, (step.output,), shapes)

    check_program(program(p.Quantize("to codes", ("x",), "q")))
    check_program(program(p.Dequantize("to numbers", ("q",), "x")))
    for step, said in (
        (p.Quantize("s", ("q",), "x"), "step 's': its type does not fit"),
        (p.Dequantize("s", ("x",), "q"), "step 's': its type does not fit"),
        (p.Reshape("s", ("x",), "q"), "step 's' reads and makes float32 and int8, which it does not join"),
    ):
        with pytest.raises(ModelError, match=said):
            check_program(program(step))


def images(count, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (count, 8, 8, 3)).astype(np.float32)


def test_each_output_has_its_own_type(model):
    program = edgebn.load(model)
    assert program.dtype == "mixed"
    x = images(3)
    session, y = Session(program), program.outputs[0]
    real = session.run(x)
    codes = np.stack([reference.quantize_real(one, program.buffers["x"]) for one in x])
    raw = session.run(codes)
    assert (real.dtype, raw.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(real, raw)
    np.testing.assert_array_equal(session.run(codes[:1]), raw[:1])
    out = np.empty((1, 4), np.float32)
    assert session.run(codes[:1], out) is out
    np.testing.assert_array_equal(out, raw[:1])
    with pytest.raises(ModelError, match="give a C-contiguous float32 array"):
        session.run(codes, np.empty((3, 4), np.int8))
    inner = next(step.output for step in program.steps if p.step_dtype(step, program) == "int8")
    both = p.Program(**{**vars(program), "outputs": (y, inner), "shapes": {**program.shapes, inner: program.buffers[inner].shape}})
    assert {name: value.dtype.name for name, value in Session(both).run(codes).items()} == {y: "float32", inner: "int8"}
    assert {name: value.dtype.name for name, value in Session(both).run(x).items()} == {y: "float32", inner: "float32"}
    assert {name: value.dtype.name for name, value in reference.run(both, codes).items()} == {y: "float32", inner: "int8"}


def test_the_native_file_and_threads(model, tmp_path):
    program = edgebn.load(model)
    edgebn.save(program, tmp_path / "tail.edgebn")
    loaded = edgebn.load(tmp_path / "tail.edgebn")
    x = images(4)
    wanted = Session(program).run(x)
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(Session(loaded, threads=threads).run(x), wanted)


def test_it_is_not_quantised_again(model):
    with pytest.raises(QuantizationError, match="integer in part already; quantise the float32 one"):
        edgebn.quantize(edgebn.load(model), images(20))


def test_its_int8_part_adapts(model):
    program = edgebn.adaptable(edgebn.load(model), images(60))
    assert p.adapted_dtype(program) == "int8"
    session = Session(program)
    adapters = edgebn.Adapter(session), edgebn.Adapter(ReferenceEngine(program))
    x = images(80, 4) * 1.7 + 0.4
    found, wanted = (adapter.run(x) for adapter in adapters)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.ptp(wanted))
    assert adapters[0].report().layers[0].gate > 0
    adapters[0].reset()
    np.testing.assert_array_equal(session.run(x), Session(edgebn.load(model)).run(x))


def test_firmware_tests_itself_and_is_verified(model, tmp_path, capsys):
    program = edgebn.load(model)
    _, said = emitted.check(program, tmp_path / "c", "host")
    assert said.vectors == 2
    edgebn.save(program, tmp_path / "tail.edgebn")
    assert main(["device", "verify", str(tmp_path / "tail.edgebn"), "--board", "host", "--samples", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["mismatches"], report["layers_compared"]) == (0, len(program.steps))


def test_firmware_with_float_predictions_does_not_adapt(model, tmp_path):
    program = edgebn.adaptable(edgebn.load(model), images(40))
    with pytest.raises(ModelError, match=r"learns from int8 predictions.*float32; adapt in Python"):
        codegen.emit(program, tmp_path, adapt=True)


def test_int8_predictions_before_a_float_softmax_adapt_in_firmware(tmp_path):
    net = QdqNetwork(np.random.default_rng(6))
    x = net.input("x", (1, 3, 8, 8), (0.02, 0))
    for _ in range(2):
        x = net.quantized(net.relu(net.convolution(x, 8)), (0.02, -128))
    x = net.quantized(net.dense(x, 4), (0.02, 1))
    y = net.node("Softmax", x, shape=(1, 4), axis=1)
    program = edgebn.adaptable(lower(from_proto(net.model(y), "soft.onnx")), images(60))
    assert program.adaptation.classes == 4
    assert program.buffers[program.adaptation.logits].dtype == "int8"
    codegen.emit(program, tmp_path, adapt=True)
    assert "edgebn_adapt_predict" in (tmp_path / "soft.c").read_text()


def test_a_tensorflow_lite_file_with_a_float_end(tmp_path):
    """An int8 convolution, then DEQUANTIZE, RESHAPE and CONCATENATION in float32, and a second output in int8 behind QUANTIZE."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    rng = np.random.default_rng(0)
    files = FileBuilder()
    x = files.value((1, 4, 4, 3), np.int8, 0.02, 3, name="x")
    weights = files.constant(rng.integers(-127, 128, (2, 1, 1, 3)).astype(np.int8), np.float32([0.01, 0.02]), 0)
    bias = files.constant(rng.integers(-300, 300, 2).astype(np.int32), np.float32([0.0002, 0.0004]), 0)
    y = files.value((1, 4, 4, 2), np.int8, 0.05, -4, name="y")
    files.operator(
        "CONV_2D", [x, weights, bias], [y], "Conv2DOptions", padding=1, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1
    )
    real = files.value((1, 4, 4, 2), np.float32, name="real")
    files.operator("DEQUANTIZE", [y], [real], "DequantizeOptions")
    flat = files.value((1, 16, 2), np.float32, name="flat")
    files.operator("RESHAPE", [real, files.constant(np.array([1, 16, 2], np.int32))], [flat], "ReshapeOptions", newShape=[1, 16, 2])
    joined = files.value((1, 32, 2), np.float32, name="joined")
    files.operator("CONCATENATION", [flat, flat], [joined], "ConcatenationOptions", axis=1)
    soft = files.value((1, 32, 2), np.float32, name="soft")
    files.operator("SOFTMAX", [joined], [soft], "SoftmaxOptions", beta=1.0)
    again = files.value((1, 32, 2), np.int8, 1 / 256, -128, name="again")
    files.operator("QUANTIZE", [soft], [again], "QuantizeOptions")
    content = files.bytes([x], [joined, again])
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    codes = rng.integers(-128, 128, (1, 4, 4, 3)).astype(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    interpreter.invoke()
    expected = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    (tmp_path / "end.tflite").write_bytes(content)
    program = lower(read(tmp_path / "end.tflite"))
    assert program.dtype == "mixed"
    for result in (reference.run(program, codes), Session(program).run(codes)):
        for name, wanted in zip(program.outputs, expected, strict=True):
            assert result[name].dtype == wanted.dtype
            np.testing.assert_array_equal(result[name], wanted)
