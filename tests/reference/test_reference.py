"""The NumPy specification against programs nobody here wrote: onnxruntime and TensorFlow Lite Micro."""

import flatbuffers
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.errors import ModelError
from edgebn.formats.onnx import from_proto
from edgebn.passes import lower
from edgebn.passes.integer.multipliers import softmax_parameters
from tests.random_networks.running import run_onnxruntime


def onnxruntime_result(op, arrays, attributes, opset=13):
    """Run one ONNX operator on NCHW arrays."""
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int8): TensorProto.INT8}
    inputs = [helper.make_tensor_value_info(f"i{k}", kinds[a.dtype], a.shape) for k, a in enumerate(arrays)]
    kind = TensorProto.INT32 if op == "ConvInteger" else kinds[arrays[0].dtype]
    output = helper.make_tensor_value_info("y", kind, None)
    node = helper.make_node(op, [i.name for i in inputs], ["y"], **attributes)
    model = helper.make_model(
        helper.make_graph([node], "g", inputs, [output]), opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {f"i{k}": a for k, a in enumerate(arrays)})[0]


def run_step(step, value, out_shape, zero_point=0):
    dtype = str(value.dtype)
    buffers = {
        "x": p.Buffer("x", value.shape, dtype, 0.5, zero_point),
        "y": p.Buffer("y", out_shape, dtype, 0.5, zero_point),
    }
    shapes = {"x": value.shape, "y": out_shape}
    program = p.Program("m", "m.onnx", "onnx", False, buffers, {}, (step,), ("x",), ("y",), shapes)
    return reference.run_steps(program, {"x": value})["y"]


def nchw(x):
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def nhwc(x):
    return x[0].transpose(1, 2, 0)


def plain_epilogue(channels, bias=None):
    bias = np.zeros(channels, np.float32) if bias is None else bias
    return p.FloatEpilogue(bias, np.ones(channels, np.float32), np.zeros(channels, np.float32))


CONVOLUTIONS = [
    # strides, dilations, padding (top, left, bottom, right), groups
    ((1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((2, 1), (1, 2), (1, 0, 2, 3), 1),
    ((1, 2), (2, 1), (0, 2, 1, 0), 2),
    ((2, 2), (1, 1), (1, 1, 1, 1), 4),
]


@pytest.mark.parametrize(("strides", "dilations", "padding", "groups"), CONVOLUTIONS)
def test_convolution_is_onnxruntimes(strides, dilations, padding, groups):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 8, 4)).astype(np.float32)
    weight = rng.normal(size=(8, 3, 2, 4 // groups)).astype(np.float32)
    bias = rng.normal(size=8).astype(np.float32)
    attributes = {"strides": strides, "dilations": dilations, "pads": padding, "group": groups}
    want = nhwc(onnxruntime_result("Conv", [nchw(x), weight.transpose(0, 3, 1, 2).copy(), bias], attributes))
    step = p.Convolution("c", ("x",), "y", weight, plain_epilogue(8, bias), strides, dilations, padding, groups)
    np.testing.assert_allclose(run_step(step, x, want.shape), want, atol=2e-5)


@pytest.mark.parametrize(("strides", "dilations", "padding", "groups"), CONVOLUTIONS)
def test_int8_accumulators_are_onnxruntimes(strides, dilations, padding, groups):
    """Small numbers keep most sums within int8, so that the code is the sum itself (and then half of it)."""
    rng = np.random.default_rng(1)
    x = rng.integers(-20, 20, (9, 8, 4)).astype(np.int8)
    weight = rng.integers(-2, 3, (8, 3, 2, 4 // groups)).astype(np.int8)
    attributes = {"strides": strides, "dilations": dilations, "pads": padding, "group": groups}
    want = nhwc(onnxruntime_result("ConvInteger", [nchw(x), weight.transpose(0, 3, 1, 2).copy()], attributes, opset=10))
    for divisor in (1, 2):
        step = p.Convolution("c", ("x",), "y", weight, halving(8, divisor), strides, dilations, padding, groups)
        expected = np.clip(np.floor(want / divisor + 0.5), -128, 127)
        np.testing.assert_array_equal(run_step(step, x, want.shape), expected)


def halving(channels, divisor):
    """An integer epilogue that divides by 1 or 2, rounding half up."""
    full = np.full(channels, 2**31 - 1, np.int32)
    shift = np.full(channels, 20 + divisor - 1, np.uint8)
    r = np.full(channels, 1 << (20 + divisor - 2), np.int64)
    zeros = np.zeros(channels, np.int32)
    return p.IntEpilogue(zeros, -full, full, np.full(channels, 1 << 20, np.int32), r, shift, False, 0, -128, 127)


@pytest.mark.parametrize(("strides", "dilations", "groups"), [((1, 1), (1, 1), 1), ((2, 3), (1, 1), 2), ((2, 2), (2, 1), 4)])
def test_transposed_convolution_is_onnxruntimes(strides, dilations, groups):
    rng = np.random.default_rng(2)
    x = rng.integers(-5, 6, (4, 5, 4)).astype(np.float32)
    weight = rng.integers(-3, 4, (4, 3, 3, 4 // groups)).astype(np.float32)  # (O, kh, kw, I / groups)
    per_group = 4 // groups
    # ONNX wants (I, O / groups, kh, kw)
    theirs = np.concatenate([weight[g * per_group : (g + 1) * per_group].transpose(3, 0, 1, 2) for g in range(groups)])
    attributes = {"strides": strides, "dilations": dilations, "pads": (1, 0, 1, 2), "output_padding": (0, 0), "group": groups}
    want = nhwc(onnxruntime_result("ConvTranspose", [nchw(x), theirs.copy()], attributes))
    step = p.TransposedConvolution("t", ("x",), "y", weight, plain_epilogue(4), strides, dilations, (1, 0, 1, 2), (0, 0), groups)
    np.testing.assert_allclose(run_step(step, x, want.shape), want, atol=1e-5)
    # int8: the same sums, with the zero point folded into acc_bias for every output pixel alike
    codes, zero_point = (x + 3).astype(np.int8), 3
    acc_bias = (-zero_point * weight.reshape(4, -1).sum(axis=1)).astype(np.int32)
    epilogue = p.IntEpilogue(**{**vars(halving(4, 1)), "acc_bias": acc_bias})
    step = p.TransposedConvolution(
        "t", ("x",), "y", weight.astype(np.int8), epilogue, strides, dilations, (1, 0, 1, 2), (0, 0), groups
    )
    np.testing.assert_array_equal(run_step(step, codes, want.shape, zero_point), np.clip(want, -128, 127))


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize("function", ["max", "average"])
def test_pool_is_onnxruntimes(function, count_padding):
    x = np.random.default_rng(3).normal(size=(7, 8, 3)).astype(np.float32)
    window = p.Window(function, (3, 2), (2, 2), (1, 1), (1, 0, 1, 1), count_padding)
    attributes = {"kernel_shape": (3, 2), "strides": (2, 2), "pads": (1, 0, 1, 1)}
    if function == "average":
        attributes["count_include_pad"] = int(count_padding)
    want = nhwc(onnxruntime_result("MaxPool" if function == "max" else "AveragePool", [nchw(x)], attributes))
    np.testing.assert_allclose(run_step(p.Pool("p", ("x",), "y", window), x, want.shape), want, atol=1e-6)


def test_ceil_mode_rows_never_count():
    x = np.random.default_rng(4).normal(size=(6, 6, 2)).astype(np.float32)
    attributes = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "ceil_mode": 1, "count_include_pad": 1}
    want = nhwc(onnxruntime_result("AveragePool", [nchw(x)], attributes, opset=19))
    window = p.Window("average", (3, 3), (2, 2), (1, 1), (1, 1, 2, 2), count_padding=True, clipped_end=(1, 1))
    np.testing.assert_allclose(run_step(p.Pool("p", ("x",), "y", window), x, want.shape), want, atol=1e-6)


def test_int8_average_rounds_half_away_from_zero():
    x = np.array([3, 4, -3, -4, 0, 1, 0, -1], np.int8).reshape(4, 2, 1)  # averages 3.5, -3.5, 0.5, -0.5
    window = p.Window("average", (1, 2), (1, 2))
    np.testing.assert_array_equal(run_step(p.Pool("p", ("x",), "y", window), x, (4, 1, 1)).ravel(), [4, -4, 1, -1])


def test_float_epilogue_order_is_clip_norm_clip():
    """Batch norm after the activation: clip(clip(acc + bias, pre) * a + d, post)."""
    x = np.array([-2.0, 0.5, 9.0], np.float32).reshape(3, 1, 1)
    epilogue = p.FloatEpilogue(
        np.ones(1, np.float32), np.full(1, -2, np.float32), np.full(1, 4, np.float32), (0.0, 6.0), (-5.0, 3.0)
    )
    np.testing.assert_array_equal(run_step(p.Affine("a", ("x",), "y", epilogue), x, x.shape).ravel(), [3.0, 1.0, -5.0])


@pytest.mark.parametrize("zero_point", [-128, 5, 6])
def test_int8_average_with_ties_to_even_is_onnxruntimes(zero_point):
    """Of whole codes, a 2 x 2 window ties one time in four; its padding does not count."""
    x = np.random.default_rng(0).integers(-128, 128, (8, 8, 5)).astype(np.int8)
    names = ["x", "scale", "zero_point", "scale", "zero_point"]
    pool = helper.make_node(
        "QLinearAveragePool", names, ["y"], domain="com.microsoft", kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4
    )
    made = helper.make_tensor_value_info("y", TensorProto.INT8, None)
    given = helper.make_tensor_value_info("x", TensorProto.INT8, (1, 5, 8, 8))
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, (), [0.5]),
        helper.make_tensor("zero_point", TensorProto.INT8, (), [zero_point]),
    ]
    domains = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([pool], "g", [given], [made], constants), opset_imports=domains, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    want = session.run(None, {"x": x.transpose(2, 0, 1)[None]})[0][0].transpose(1, 2, 0)
    window = p.Window("average", (2, 2), (2, 2), padding=(1, 1, 1, 1), ties_to_even=True)
    buffers = {name: p.Buffer(name, shape, "int8", 0.5, zero_point) for name, shape in (("x", (8, 8, 5)), ("y", (5, 5, 5)))}
    shapes = {name: buffer.shape for name, buffer in buffers.items()}
    steps = (p.Pool("pool", ("x",), "y", window),)
    program = p.Program("m", "m.onnx", "onnx", True, buffers, {}, steps, ("x",), ("y",), shapes)
    np.testing.assert_array_equal(reference.run_steps(program, {"x": x})["y"], want)


@pytest.mark.parametrize(
    "operator", ["AveragePool", "GlobalAveragePool", "ReduceMean", "QLinearAveragePool", "QLinearGlobalAveragePool"]
)
@pytest.mark.parametrize(("given_zero", "made_zero"), [(0, 0), (5, 5), (-7, -7), (6, 3), (5, 2)])
def test_averages_of_onnx_files_round_ties_as_onnxruntime(operator, given_zero, made_zero):
    """Without its optimiser, which puts QLinearAveragePool, of other ties, in the place of a QDQ AveragePool."""
    side = 2 if "Global" in operator or operator == "ReduceMean" else 8
    settings = {"kernel_shape": [2, 2], "strides": [2, 2]} if side == 8 else {}
    before, after = ["scale", "before"], ["scale", "after"]
    if operator.startswith("QLinear"):
        nodes = [helper.make_node(operator, ["x", *before, *after], ["y"], domain="com.microsoft", **settings)]
    else:
        settings |= {"axes": [2, 3]} if operator == "ReduceMean" else {}
        nodes = [
            helper.make_node("DequantizeLinear", ["x", *before], ["real"]),
            helper.make_node(operator, ["real"], ["mean"], **settings),
            helper.make_node("QuantizeLinear", ["mean", *after], ["y"]),
        ]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, (), [0.5]),
        helper.make_tensor("before", TensorProto.INT8, (), [given_zero]),
        helper.make_tensor("after", TensorProto.INT8, (), [made_zero]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.INT8, (1, 40, side, side))
    made = helper.make_tensor_value_info("y", TensorProto.INT8, (1, 40, side // 2, side // 2))
    domains = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", [given], [made], constants), opset_imports=domains, ir_version=8)
    x = np.random.default_rng(0).integers(-128, 128, (1, 40, side, side)).astype(np.int8)
    want = run_onnxruntime(model, {"x": x}, optimised=False)["y"]
    got = edgebn.Session(lower(from_proto(model, "ties"))).run(np.moveaxis(x, 1, -1))
    np.testing.assert_array_equal(np.moveaxis(got, -1, 1), want)


def test_fused_pool_is_the_pool_of_the_unfused_rows():
    rng = np.random.default_rng(5)
    x, weight = rng.integers(-99, 99, (6, 6, 2)).astype(np.int8), rng.integers(-9, 9, (3, 1, 1, 2)).astype(np.int8)
    for function in ("max", "average"):
        window = p.Window(function, (2, 2), (2, 2))
        apart = run_step(p.Convolution("c", ("x",), "y", weight, halving(3, 2)), x, (6, 6, 3))
        want = run_step(p.Pool("p", ("x",), "y", window), apart, (3, 3, 3))
        got = run_step(p.Convolution("c", ("x",), "y", weight, halving(3, 2), pool=window), x, (3, 3, 3))
        np.testing.assert_array_equal(got, want)


def test_run_converts_at_the_edges_and_refuses_nan():
    step = p.Reshape("r", ("x",), "y")
    buffers = {name: p.Buffer(name, (1, 1, 4), "int8", 0.5, 10) for name in ("x", "y")}
    program = p.Program("m", "m.onnx", "onnx", False, buffers, {}, (step,), ("x",), ("y",), {"x": (4,), "y": (4,)})
    x = np.array([[0.25, 0.75, -100.0, 1e30]], np.float32)  # halves go to the even code; the rest saturates
    np.testing.assert_array_equal(reference.run(program, x), [[0.0, 1.0, -69.0, 58.5]])
    codes = np.array([[1, -2, 3, -4]], np.int8)
    assert reference.run(program, codes).dtype == np.int8
    with pytest.raises(ModelError, match="NaN"):
        reference.run(program, np.full((1, 4), np.nan, np.float32))


def test_every_step_class_is_specified():
    steps = {value for value in vars(p).values() if isinstance(value, type) and issubclass(value, p.Step) and value is not p.Step}
    assert steps == set(reference.STEPS)


@pytest.mark.parametrize("scale", [1e-4, 0.02, 0.17, 1.3, 40.0])
@pytest.mark.parametrize("channels", [2, 10, 400])
def test_int8_softmax_is_tensorflow_lite_micros(scale, channels):
    from tflite_micro.python.tflite_micro import runtime

    scale = float(np.float32(scale))
    interpreter = runtime.Interpreter.from_bytes(softmax_file((1, 3, channels), scale), arena_size=100_000)
    parameters = softmax_parameters(1.0, scale, "layer 's'")
    step = p.Softmax("s", ("x",), "y", 1.0, *parameters)
    rng = np.random.default_rng(6)
    for spread in (2, 10, 40, 100):
        codes = np.clip(np.rint(rng.normal(0, spread, (1, 3, channels))), -128, 127).astype(np.int8)
        interpreter.set_input(codes, 0)
        interpreter.invoke()
        np.testing.assert_array_equal(run_step(step, codes, codes.shape), interpreter.get_output(0))


def softmax_file(shape, scale):
    """A TensorFlow Lite file of one int8 softmax, written field by field."""
    b = flatbuffers.Builder(1024)

    def vector(values, prepend, size=4):
        b.StartVector(size, len(values), size)
        for value in reversed(values):
            prepend(value)
        return b.EndVector()

    def table(name, **fields):
        getattr(schema, f"{name}Start")(b)
        for field, value in fields.items():
            getattr(schema, f"{name}Add{field}")(b, value)
        return getattr(schema, f"{name}End")(b)

    def tensor(name, scale, zero_point):
        scales, zero_points = vector([scale], b.PrependFloat32), vector([zero_point], b.PrependInt64, 8)
        quantization = table("QuantizationParameters", Scale=scales, ZeroPoint=zero_points)
        name, dimensions = b.CreateString(name), vector(shape, b.PrependInt32)
        return table("Tensor", Shape=dimensions, Type=schema.TensorType.INT8, Name=name, Quantization=quantization)

    offsets = b.PrependUOffsetTRelative
    tensors = vector([tensor("x", scale, 5), tensor("y", 1 / 256, -128)], offsets)
    options = table("SoftmaxOptions", Beta=1.0)
    first, second = vector([0], b.PrependInt32), vector([1], b.PrependInt32)
    kind = schema.BuiltinOptions.SoftmaxOptions
    operator = table("Operator", Inputs=first, Outputs=second, BuiltinOptionsType=kind, BuiltinOptions=options)
    operators = vector([operator], offsets)
    graph = table("SubGraph", Tensors=tensors, Inputs=first, Outputs=second, Operators=operators)
    code = schema.BuiltinOperator.SOFTMAX
    codes = vector([table("OperatorCode", DeprecatedBuiltinCode=code, BuiltinCode=code, Version=2)], offsets)
    graphs, files = vector([graph], offsets), vector([table("Buffer")], offsets)
    b.Finish(table("Model", Version=3, OperatorCodes=codes, Subgraphs=graphs, Buffers=files), b"TFL3")
    return bytes(b.Output())
