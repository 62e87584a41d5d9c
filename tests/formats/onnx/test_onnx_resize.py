"""Resize and Upsample against onnxruntime: every mode, coordinate transformation and rounding, on scales that divide badly.

Both PyTorch exporters write these operators; where float32 and float64 differ in a size or a pixel, onnxruntime decides.
"""

import os

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgebn import program as p  # noqa: E402
from edgebn import reference  # noqa: E402
from edgebn.errors import EdgebnError  # noqa: E402
from edgebn.formats.onnx import from_proto  # noqa: E402
from edgebn.formats.onnx.resize import COORDINATES, ROUNDINGS  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.session import Session  # noqa: E402
from tests.emitted import check as check_emitted  # noqa: E402

TEST_ALL = os.environ.get("EDGEBN_TEST_ALL") == "1"
DRAWS = 60 if TEST_ALL else 6
FLOAT = TensorProto.FLOAT


def resize(shape, opset, *, scales=None, sizes=None, **attributes):
    """One Resize (Upsample in opset 9) of a value of `shape`, by scales or by sizes."""
    constants = {"none": np.zeros(0, np.float32)}
    if scales is not None:
        constants["scales"] = np.array(scales, np.float32)
        inputs = ["x", "scales"] if opset < 11 else ["x", "none", "scales"]
    else:
        constants["sizes"] = np.array(sizes, np.int64)
        inputs = ["x", "none", "none", "sizes"]
    graph = helper.make_graph(
        [helper.make_node("Upsample" if opset < 10 else "Resize", inputs, ["y"], "resize", **attributes)],
        "net",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items() if name in inputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def check(shape, opset, tolerance=1e-6, **settings):
    """Hold one network against onnxruntime; where that makes an empty value, edgebn refuses."""
    model = resize(shape, opset, **settings)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    expected = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    if expected.size == 0:
        with pytest.raises(EdgebnError, match="empty or absurd"):
            from_proto(model, "net.onnx")
        return
    found = np.moveaxis(reference.run(lower(from_proto(model, "net.onnx")), np.moveaxis(x, 1, -1)), -1, 1)
    assert found.shape == expected.shape, (shape, settings)
    assert np.abs(found - expected).max() <= tolerance * max(np.ptp(expected), 1.0), (shape, settings)


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_codes_are_truncated_as_onnxruntime_does(coordinates, unsigned):
    """A linear Resize that reads and makes codes (QOperator files): the same bytes, whatever onnxruntime's roundings are."""
    rng = np.random.default_rng(1)
    kind, low = (np.uint8, 0) if unsigned else (np.int8, -128)
    for _ in range(2 * DRAWS):
        (height, up), (width, along) = draw(rng), draw(rng)
        shape, scales = (2, 3, height, width), [1, 1, up, along]
        if int(np.float32(up) * height) < 1 or int(np.float32(along) * width) < 1:
            continue
        model = resize(shape, 19, scales=scales, mode="linear", coordinate_transformation_mode=coordinates)
        zero = numpy_helper.from_array(np.array(rng.integers(low, low + 256), kind), "zero")
        scale = numpy_helper.from_array(np.float32(0.25), "scale")
        model.graph.initializer.extend([zero, scale])
        node = model.graph.node[0]
        node.input[0], node.output[0] = "codes", "resized"
        model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]))
        model.graph.node.append(helper.make_node("DequantizeLinear", ["resized", "scale", "zero"], ["y"]))
        codes = rng.integers(low, low + 256, shape)
        x = ((codes - numpy_helper.to_array(zero).astype(int)) * 0.25).astype(np.float32)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        expected = session.run(None, {"x": x})[0]
        found = np.moveaxis(reference.run(lower(from_proto(model, "net.onnx")), np.moveaxis(x, 1, -1)), -1, 1)
        np.testing.assert_array_equal(found, expected, err_msg=f"{shape} {scales}")


def quantised_resize(scale, zero, coordinates):
    """QDQ pairs of one scale around a linear Resize to twice the size."""
    constants = {
        "scale": np.float32(scale),
        "zero": np.int8(zero),
        "none": np.zeros(0, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Resize", ["d", "none", "scales"], ["r"], mode="linear", coordinate_transformation_mode=coordinates),
        helper.make_node("QuantizeLinear", ["r", "scale", "zero"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3, 6, 7))],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("zero", [0, 3, -6])
@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel"])
def test_halves_between_codes_go_to_an_even_number_of_steps(coordinates, zero, tmp_path):
    """As QuantizeLinear rounds; the scale is a power of two, with which onnxruntime's float32 is exact."""
    model = quantised_resize(0.125, zero, coordinates)
    x = ((np.random.default_rng(4).integers(-128, 128, (1, 3, 6, 7)) - zero) * 0.125).astype(np.float32)
    (wanted,) = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    program = lower(from_proto(model, "net.onnx"))
    assert [step.even_from for step in program.steps if isinstance(step, p.Resize)] == [zero]
    turned = program.shapes["x"] != (3, 6, 7)
    given = np.moveaxis(x, 1, -1) if turned else x
    for found in (reference.run(program, {"x": given}), Session(program).run({"x": given})):
        array = np.asarray(next(iter(found.values())) if isinstance(found, dict) else found)
        np.testing.assert_array_equal(np.moveaxis(array, -1, 1) if turned else array, wanted)
    check_emitted(program, tmp_path, "host")


def draw(rng):
    """Return a length and a scale of it: tenths, quotients of small numbers and any number."""
    scale = rng.choice([rng.uniform(0.1, 4), rng.integers(1, 40) / 10, rng.integers(1, 12) / rng.integers(1, 12)])
    return int(rng.integers(1, 33)), float(scale)


@pytest.mark.parametrize("mode", [*ROUNDINGS, "linear"])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_resize(coordinates, mode):
    rng = np.random.default_rng(COORDINATES.index(coordinates))
    common = {"mode": "linear"} if mode == "linear" else {"mode": "nearest", "nearest_mode": mode}
    common["coordinate_transformation_mode"] = coordinates
    for opset in (11, 13, 18, 19):
        for _ in range(DRAWS):
            (height, up), (width, across) = draw(rng), draw(rng)
            shape, sizes = (1, 2, height, width), tuple(int(size) for size in rng.integers(1, 40, 2))
            check(shape, opset, scales=[1, 1, up, across], **common)
            check(shape, opset, sizes=[1, 2, *sizes], **common)
            check((1, 3, width), opset, scales=[1, 1, across], **common)
            if opset >= 18:
                check(shape, opset, scales=[across, up], axes=[3, 2], **common)
                for policy in ("stretch", "not_larger", "not_smaller"):
                    check(shape, opset, sizes=sizes, axes=[2, 3], keep_aspect_ratio_policy=policy, **common)


@pytest.mark.parametrize("coordinates", COORDINATES[:5])
def test_cubic(coordinates):
    rng = np.random.default_rng(COORDINATES.index(coordinates))
    # onnxruntime computes the weights in float32.
    common = {"mode": "cubic", "coordinate_transformation_mode": coordinates, "tolerance": 4e-6}
    for _ in range(2 * DRAWS):
        (height, up), (width, across) = draw(rng), draw(rng)
        shape, sizes = (1, 2, height, width), tuple(int(size) for size in rng.integers(1, 40, 2))
        # Behind the last pixel, where asymmetric coordinates come to, hardly any weight is inside: what is left is all rounding.
        inside = int(coordinates != "asymmetric")
        own = {"cubic_coeff_a": -0.5, "exclude_outside": inside} if rng.random() < 0.5 else {}
        check(shape, 13, scales=[1, 1, up, across], **common, **own)
        check(shape, 19, sizes=[1, 2, *sizes], **common, **own)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("opset", [9, 10])
def test_before_opset_11(opset, mode):
    rng = np.random.default_rng(opset)
    for _ in range(4 * DRAWS):
        (height, up), (width, across) = draw(rng), draw(rng)
        if opset == 9:  # Upsample
            up, across = max(up, 1.0), max(across, 1.0)
        check((1, 2, height, width), opset, scales=[1, 1, up, across], mode=mode)


@pytest.mark.parametrize(("size", "scale"), [(5, 1.8), (10, 0.7), (10, 2.3), (3, 10 / 3), (15, 0.8), (15, 1.8), (29, 2.3)])
@pytest.mark.parametrize("opset", [10, 17])
def test_what_pytorch_exports(opset, size, scale):
    """The nearest resampling that torch.onnx.export writes, by factors that float32 does not hold exactly."""
    attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if opset > 10 else {}
    check((1, 1, size, size), opset, scales=[1, 1, scale, scale], mode="nearest", **attributes)


def test_the_same_size_is_the_same_value():
    """Whatever scale rounds to it: onnxruntime copies."""
    check((1, 2, 8, 6), 19, scales=[1, 1, 1.1, 1.1], mode="linear")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "cubic", "antialias": 1}, "antialias=1"),
        ({"mode": "quintic"}, "its mode 'quintic' is not one that ONNX defines"),
        ({"mode": "linear", "antialias": 1}, "antialias=1"),
        ({"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}, "'tf_crop_and_resize'"),
        ({"mode": "linear", "scales": [1, 2, 1, 1]}, "the batch or the channels"),
    ],
)
def test_refusals(settings, words):
    model = resize((1, 2, 4, 5), 19, **{"scales": [1, 1, 2, 2], **settings})
    with pytest.raises(EdgebnError, match=r"net\.onnx: layer 'resize' \(Resize\): ") as caught:
        from_proto(model, "net.onnx")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
