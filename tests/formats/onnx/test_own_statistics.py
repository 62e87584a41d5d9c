"""Layer, group, instance and RMS norms against onnxruntime: any axes, layouts and neighbours; and in emitted C."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import edgebn  # noqa: E402
from edgebn.errors import EdgebnError  # noqa: E402
from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from tests import emitted  # noqa: E402

RNG = np.random.default_rng(5)


def arrays(**shapes):
    return {name: RNG.normal(0.5, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def model(shape, nodes, constants, opset=21):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def layer(shape, axis, **attributes):
    """One LayerNormalization whose scale fits the axes and whose bias the last alone."""
    node = helper.make_node("LayerNormalization", ["x", "g", "b"], ["y"], axis=axis, **attributes)
    return model(shape, [node], arrays(g=shape[axis:], b=shape[-1:]))


def channels(shape, kind, **attributes):
    """A norm by channels behind a 1 x 1 convolution, which says that the network is channels first."""
    count = shape[1]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node(kind, ["c", "g", "b"], ["y"], epsilon=0.01, **attributes),
    ]
    weight = (count, count, *(1 for _ in shape[2:]))
    return model(shape, nodes, arrays(w=weight, g=(count,), b=(count,)))


def patched(shape, axes):
    """ConvNeXt: channels moved last, normalised, and moved back before a convolution."""
    count = shape[1]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("LayerNormalization", ["t", "g", "b"], ["n"], axis=axes),
        helper.make_node("Transpose", ["n"], ["u"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["u", "w"], ["y"]),
    ]
    return model(shape, nodes, arrays(w=(4, count, 1, 1), g=(count,), b=(count,)))


CASES = {
    **{f"layer norm {shape} from {axis}": layer(shape, axis) for shape in ((2, 7), (2, 5, 6), (2, 3, 4, 5)) for axis in (1, -1)},
    "layer norm of two axes in three": layer((1, 3, 4, 5), 2, epsilon=0.1),
    "layer norm of five axes": layer((2, 3, 4, 5, 2), 3),
    "instance norm": channels((2, 6, 5, 4), "InstanceNormalization"),
    "instance norm of sequences": channels((2, 6, 9), "InstanceNormalization"),
    "instance norm of one channel": channels((2, 1, 5, 4), "InstanceNormalization"),
    "group norm": channels((2, 6, 5, 4), "GroupNormalization", num_groups=3),
    "group norm of one group": channels((2, 6, 5, 4), "GroupNormalization", num_groups=1),
    "patches": patched((1, 24, 6, 5), 3),
}


def told(proto, x):
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def shown(array, program, name):
    """Give an array of the file the axes that sessions show."""
    is_moved = array.ndim > 2 and program.shapes[name] != array.shape[1:]
    return np.moveaxis(array, 1, -1) if is_moved else array


@pytest.mark.parametrize("name", CASES)
def test_as_onnxruntime(name):
    proto = CASES[name]
    shape = [axis.dim_value for axis in proto.graph.input[0].type.tensor_type.shape.dim]
    x = RNG.normal(3, 2, shape).astype(np.float32)
    program = lower(from_proto(proto, "net.onnx"))
    found = edgebn.Session(program).run(np.ascontiguousarray(shown(x, program, "x")))
    wanted = shown(told(proto, x), program, "y")
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2e-6 * np.ptp(wanted)


@pytest.mark.parametrize("name", ["patches", "group norm", "layer norm (2, 3, 4, 5) from 1"])
def test_emitted_c_agrees(name, tmp_path):
    program = lower(from_proto(CASES[name], "net.onnx"))
    emitted.check(program, tmp_path, "host", trace=False)


def test_sums_far_from_zero_lose_nothing():
    """A mean a thousand deviations away: sums in float32 would leave two digits of the variance."""
    proto = layer((1, 512), 1)
    x = (1000 + RNG.normal(0, 1, (1, 512))).astype(np.float32)
    found = edgebn.Session(lower(from_proto(proto, "net.onnx"))).run(x)
    gamma, beta = (numpy_helper.to_array(array).astype(np.float64) for array in proto.graph.initializer)
    exact = (x - x.mean(dtype=np.float64)) / np.sqrt(x.astype(np.float64).var() + 1e-5) * gamma + beta
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)


def test_it_stays_float32_in_quantised_programs():
    program = lower(from_proto(CASES["patches"], "net.onnx"))
    images = RNG.normal(0, 1, (16, *program.shapes["x"])).astype(np.float32)
    quantized = edgebn.quantize(program, calibration=images)
    assert quantized.dtype == "mixed"
    assert {step.kind for step in quantized.steps if quantized.buffers[step.output].dtype == "float32"} >= {"Normalization"}
    wanted, found = edgebn.Session(program).run(images), edgebn.Session(quantized).run(images)
    assert np.square(found - wanted).mean() < 1e-3 * np.square(wanted).mean()


@pytest.mark.parametrize("settings", [{"num_groups": 4}, {"num_groups": 0}])
def test_groups_that_do_not_divide_are_refused(settings):
    with pytest.raises(EdgebnError, match="do not divide 6 channels"):
        from_proto(channels((2, 6, 5, 4), "GroupNormalization", **settings), "net.onnx")
