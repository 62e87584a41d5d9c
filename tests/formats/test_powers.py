"""Powers as files have them: in units of the last place of float64's value, beside onnxruntime and LiteRT."""

import numpy as np
import pytest

import edgebn
from edgebn import reference
from edgebn.functions import FUNCTIONS
from tests.kernels import plain_process
from tests.units import assert_within

# Of the gamma of pictures, GeM pools, local response norms; some of whose products of squares round too often, and whole ones.
EXPONENTS = (1 / 2.2, 0.75, -0.75, 2.4, 3.7, -2.0, 3.0, -3.0, 4.0, 5.0, -5.0, 17.0, 1.0, 0.0)
UNITS = 2.0
COUNT = 4096


def numbers(exponent):
    """Return positive numbers whose powers are normal, and negative ones for whole exponents."""
    most = 80 / max(abs(exponent), 1)
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-most, most, (1, COUNT))).astype(np.float32)
    return np.where(rng.random((1, COUNT)) < 0.5, -x, x) if exponent == int(exponent) else x


def units(got, exact):
    return (np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)).max()


def steps(program):
    return [getattr(step, "function", step.kind) for step in program.steps]


def power_in_onnx(inputs, number, path):
    """Write a file with a Pow of its input 'x' and a number 'c', in either order; returns it and onnxruntime's session of it."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    shape = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Pow", inputs, ["y"])],
        "powers",
        [shape("x", onnx.TensorProto.FLOAT, [1, COUNT])],
        [shape("y", onnx.TensorProto.FLOAT, [1, COUNT])],
        [onnx.numpy_helper.from_array(np.float32(number), "c")],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)
    return edgebn.load(path), ort.InferenceSession(path)


@pytest.mark.parametrize("base", [2.0, 10.0, 1.7, 0.3])
def test_onnx_of_one_base(base, tmp_path):
    program, peer = power_in_onnx(["c", "x"], base, tmp_path / "power.onnx")
    most = 80 / abs(np.log(base))
    x = np.random.default_rng(0).uniform(-most, most, (1, COUNT)).astype(np.float32)
    got = edgebn.Session(program).run(x)
    assert units(got, np.float_power(np.float32(base), x)) <= 1.0
    assert units(got, peer.run(None, {"x": x})[0].astype(np.float64)) <= UNITS


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_onnx(exponent, tmp_path):
    program, peer = power_in_onnx(["x", "c"], exponent, tmp_path / "power.onnx")
    x = numbers(exponent)
    exact = np.float_power(x, np.float32(exponent))
    got = edgebn.Session(program).run(x)
    assert units(got, exact) <= UNITS
    assert units(reference.run(program, x), exact) <= UNITS
    assert units(got, peer.run(None, {"x": x})[0].astype(np.float64)) <= UNITS + 1


def test_a_local_response_norm(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    shape = onnx.helper.make_tensor_value_info
    settings = {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 2.0}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("LRN", ["x"], ["y"], **settings)],
        "norm",
        [shape("x", onnx.TensorProto.FLOAT, [1, 16, 8, 8])],
        [shape("y", onnx.TensorProto.FLOAT, [1, 16, 8, 8])],
    )
    path = tmp_path / "norm.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)
    program = edgebn.load(path)
    assert steps(program).count("power") == 1
    assert not {"log", "exp"} & set(steps(program))
    x = np.random.default_rng(0).normal(0, 100, (1, 16, 8, 8)).astype(np.float32)
    padded = np.pad(x.astype(np.float64) ** 2, ((0, 0), (2, 2), (0, 0), (0, 0)))
    sums = sum(padded[:, place : place + 16] for place in range(5))
    exact = x / (2.0 + float(np.float32(1e-4)) / 5 * sums) ** 0.75
    got = edgebn.Session(program).run(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert units(got, exact) <= UNITS + 2  # of the sum, its power and the product
    np.testing.assert_allclose(got, ort.InferenceSession(path).run(None, {"x": x})[0], rtol=1e-6)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_tflite(exponent, tmp_path):
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")
    from tests.formats.tflite.tflite_models import FileBuilder

    files = FileBuilder()
    x, y, z = (files.value((1, COUNT), np.float32) for _ in range(3))
    files.operator("POW", [x, files.constant(np.float32([exponent]))], [y], "PowOptions")
    files.operator("MUL", [y, files.constant(np.float32([1.0]))], [z], "MulOptions")
    path = tmp_path / "power.tflite"
    path.write_bytes(files.bytes([x], [z]))
    program, x = edgebn.load(path), numbers(exponent)
    got = edgebn.Session(program).run(x)
    assert units(got, np.float_power(x, np.float32(exponent))) <= UNITS
    interpreter = interpreters.Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(got, expected, rtol=2e-6)  # its whole powers are products, 10 units off at the seventeenth


def test_an_exponent_of_double_precision_is_one_of_float32():
    """As every parameter of a kernel: 0.3 is not the float32 nearest to it, which the kernel has."""
    program = edgebn.program.Elementwise("power", ("x",), "y", "power", alpha=0.3)
    x = np.float64([1e-30, 7.0, 1e30])
    assert (FUNCTIONS["power"](x, program) == x ** float(np.float32(0.3))).all()


# Of base and exponent: alike, repeated along each axis or all, on either side.
SHAPES = (((3, 5, 7), (3, 5, 7)), ((1, 1, 37), (1, 1, 37)), ((3, 5, 7), (1, 1, 7)), ((3, 5, 1), (1, 5, 7)), ((1, 1, 1), (3, 5, 7)),
          ((3, 5, 7), (1, 1, 1)), ((3, 1, 19), (1, 5, 1)))  # fmt: skip


def bases_and_exponents(base, exponent):
    """Return numbers of either sign, and exponents of which half are whole; among both zeros and infinities."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 3, base).astype(np.float32), rng.normal(0, 5, exponent).astype(np.float32)
    y = np.where(rng.random(exponent) < 0.5, np.rint(y), y)
    for array in (x, y):
        odd = np.float32([0.0, -0.0, np.inf, -np.inf, 1.0, -1.0])[: array.size // 4]
        array.flat[rng.permutation(array.size)[: odd.size]] = odd
    return x, y


def assert_powers(got, x, y):
    with np.errstate(all="ignore"):
        exact = np.float_power(x, y)
    assert_within(got, exact, 0.51)


@pytest.mark.parametrize(("base", "exponent"), SHAPES)
def test_onnx_of_two_values(base, exponent, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    path, shape, full = tmp_path / "power.onnx", onnx.helper.make_tensor_value_info, np.broadcast_shapes(base, exponent)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Pow", ["x", "y"], ["z"])],
        "powers",
        [shape("x", onnx.TensorProto.FLOAT, [1, *base]), shape("y", onnx.TensorProto.FLOAT, [1, *exponent])],
        [shape("z", onnx.TensorProto.FLOAT, [1, *full])],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)
    program = edgebn.load(path)
    assert steps(program) == ["power"]
    x, y = bases_and_exponents((1, *base), (1, *exponent))
    got = edgebn.Session(program).run({"x": x, "y": y})
    assert_powers(got, x, y)
    np.testing.assert_array_equal(edgebn.Session(program, threads=2).run({"x": x, "y": y}), got)
    assert_powers(reference.run(program, {"x": x, "y": y}), x, y)
    peer = ort.InferenceSession(path).run(None, {"x": x, "y": y})[0]
    known = np.isfinite(peer)
    assert units(got[known], peer[known].astype(np.float64)) <= UNITS


@pytest.mark.parametrize(("base", "exponent"), SHAPES)
@pytest.mark.parametrize("constant", ["", "base", "exponent"])
def test_tflite_of_two_values(base, exponent, constant, tmp_path):
    """Whole exponents and negative bases among them, in constants too; LiteRT has the library's powf."""
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")
    from tests.formats.tflite.tflite_models import FileBuilder

    given = dict(zip(("base", "exponent"), bases_and_exponents((1, *base), (1, *exponent)), strict=True))
    if constant:  # which are finite
        given[constant] = np.nan_to_num(given[constant], posinf=2.0, neginf=-3.0)
    files = FileBuilder()
    names = {
        name: files.constant(array) if name == constant else files.value(array.shape, np.float32) for name, array in given.items()
    }
    z = files.value(np.broadcast_shapes((1, *base), (1, *exponent)), np.float32)
    files.operator("POW", [*names.values()], [z], "PowOptions")
    path = tmp_path / "power.tflite"
    path.write_bytes(files.bytes([index for name, index in names.items() if name != constant], [z]))
    program = edgebn.load(path)
    entering = [array for name, array in given.items() if name != constant]
    got = edgebn.Session(program).run(dict(zip(program.inputs, entering, strict=True)))
    assert_powers(got, given["base"], given["exponent"])
    interpreter = interpreters.Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    for place, array in zip(interpreter.get_input_details(), entering, strict=True):
        interpreter.set_tensor(place["index"], array)
    interpreter.invoke()
    np.testing.assert_allclose(got, interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), rtol=2e-6)


def test_units_of_two_values_on_the_plain_kernels():
    plain_process.assert_passes(__file__, "onnx_of_two_values")
