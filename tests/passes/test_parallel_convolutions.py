"""Sums of convolutions of one value are one convolution, as networks trained with branches are exported; other sums stay sums.

`assert_same` holds each program against its layers one by one; onnxruntime, which adds the branches, is held against a whole block.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import edgebn
from edgebn import layers as nn
from tests.passes.networks import Net, assert_same

CHANNELS = 6


@pytest.fixture
def net():
    return Net(np.random.default_rng(11))


def branch(net, x, kernel, padding, *, outputs=CHANNELS, groups=1, bias=True, name=None, **fields):
    return net.add(
        nn.Convolution,
        x,
        name=name,
        weight=net.normal(outputs, *kernel, CHANNELS // groups),
        bias=net.normal(outputs) if bias else None,
        padding=padding,
        groups=groups,
        **fields,
    )


def total(net, *values, **fields):
    found, *others = values
    for value in others:
        found = net.add(nn.Add, found, value, **fields)
    return found


def kinds(net, *outputs):
    program = assert_same(net.builder.finish(list(outputs)), net.rng)
    return sorted(step.kind for step in program.steps), program


@pytest.mark.parametrize("groups", [1, 2, CHANNELS])
@pytest.mark.parametrize(
    "branches",
    [
        [((3, 3), (1, 1, 1, 1), {}), ((1, 1), (0, 0, 0, 0), {})],
        [((1, 1), (0, 0, 0, 0), {}), ((3, 3), (1, 1, 1, 1), {})],
        [((1, 1), (0, 0, 0, 0), {"bias": False}), ((1, 1), (0, 0, 0, 0), {"bias": False})],
        [((5, 5), (2, 2, 2, 2), {}), ((3, 3), (1, 1, 1, 1), {"bias": False}), ((1, 1), (0, 0, 0, 0), {})],
        [((3, 3), (2, 2, 2, 2), {"dilations": (2, 2)}), ((1, 1), (0, 0, 0, 0), {}), ((1, 3), (0, 2, 0, 2), {"dilations": (1, 2)})],
        [((3, 3), (0, 0, 2, 2), {}), ((1, 1), (0, 0, 0, 0), {})],  # at the first tap
        [((1, 5), (0, 2, 0, 2), {}), ((1, 1), (0, 0, 0, 0), {})],
    ],
)
@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_branches_are_one_convolution(net, branches, groups, strides):
    x = net.builder.add_input("x", (8, 9, CHANNELS))
    parts = [branch(net, x, kernel, padding, groups=groups, strides=strides, **fields) for kernel, padding, fields in branches]
    found, program = kinds(net, total(net, *parts))
    assert found == ["Convolution"]
    assert "part of" in " ".join(record.became for record in program.records)


def test_terms_of_a_sum_are_found_whatever_stands_between(net):
    """MobileOne adds its scale, the identity's norm and its kernels one after the other."""
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    scale = branch(net, x, (1, 1), (0, 0, 0, 0), groups=CHANNELS)
    norm = net.add(nn.Activation, x, function="tanh")
    kernels = [branch(net, x, (3, 3), (1, 1, 1, 1), groups=CHANNELS) for _ in range(4)]
    found, _ = kinds(net, net.add(nn.Activation, total(net, scale, norm, *kernels), function="clip", low=0.0))
    assert found == ["Add", "Convolution", "Elementwise"]


def test_the_other_order_of_a_sum(net):
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    inner = total(net, net.add(nn.Activation, x, function="tanh"), branch(net, x, (1, 1), (0, 0, 0, 0)))
    found, _ = kinds(net, total(net, branch(net, x, (3, 3), (1, 1, 1, 1)), inner))
    assert found == ["Add", "Convolution", "Elementwise"]


@pytest.mark.parametrize(
    "second",
    [
        {"kernel": (3, 1), "padding": (1, 0, 1, 0)},  # a cross: 3 x 3 would be more taps
        {"kernel": (1, 3), "padding": (0, 2, 0, 2), "dilations": (1, 2)},
        {"kernel": (1, 3), "padding": (0, 0, 0, 2)},  # one to the right
        {"kernel": (1, 3), "padding": (0, 1, 0, 1), "groups": 2},
    ],
)
def test_what_is_no_convolution_as_small_stays(net, second):
    x = net.builder.add_input("x", (7, 9, CHANNELS))
    first = branch(net, x, (1, 3), (0, 1, 0, 1))
    found, _ = kinds(net, total(net, first, branch(net, x, **second)))
    assert found.count("Convolution") == 2


def test_strides_and_inputs_must_be_the_same(net):
    x = net.builder.add_input("x", (8, 8, CHANNELS))
    y = net.builder.add_input("y", (4, 4, CHANNELS))
    halved = branch(net, x, (3, 3), (1, 1, 1, 1), strides=(2, 2))
    found, _ = kinds(net, total(net, halved, branch(net, y, (3, 3), (1, 1, 1, 1))))
    assert found.count("Convolution") == 2


def test_a_branch_that_is_read_elsewhere_stays(net):
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    one, other = branch(net, x, (3, 3), (1, 1, 1, 1)), branch(net, x, (1, 1), (0, 0, 0, 0))
    found, _ = kinds(net, total(net, one, other), net.add(nn.Activation, other, function="tanh"))
    assert found.count("Convolution") == 2


def test_a_branch_that_leaves_the_network_stays(net):
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    one, other = branch(net, x, (3, 3), (1, 1, 1, 1)), branch(net, x, (1, 1), (0, 0, 0, 0))
    found, _ = kinds(net, total(net, one, other), other)
    assert found.count("Convolution") == 2


def test_a_value_added_to_itself(net):
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    one = branch(net, x, (3, 3), (1, 1, 1, 1))
    kinds(net, net.add(nn.Add, one, one))


def test_a_sum_that_is_clipped_keeps_its_clip(net):
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    one, other, third = (branch(net, x, (3, 3), (1, 1, 1, 1)) for _ in range(3))
    clipped = net.add(nn.Add, one, other, low=0.0, high=1.0)
    found, _ = kinds(net, total(net, clipped, third))
    assert found.count("Convolution") >= 2


def test_weights_beyond_float32_stay_apart(net):
    x = net.builder.add_input("x", (7, 7, CHANNELS))
    large = np.full((CHANNELS, 1, 1, CHANNELS), 3e38, np.float32)
    parts = [net.add(nn.Convolution, x, weight=large, bias=None) for _ in range(2)]
    program = edgebn.passes.lower(net.builder.finish([total(net, *parts)]))
    assert sum(step.kind == "Convolution" for step in program.steps) == 2


def test_a_block_as_onnxruntime_adds_its_branches(tmp_path):
    rng, constants, nodes = np.random.default_rng(3), [], []

    def conv(name, kernel, padding):
        weight = rng.standard_normal((CHANNELS, 1, kernel, kernel)).astype(np.float32)
        constants.append(helper.make_tensor(f"{name}_w", TensorProto.FLOAT, weight.shape, weight.ravel()))
        bias = rng.standard_normal(CHANNELS).astype(np.float32)
        constants.append(helper.make_tensor(f"{name}_b", TensorProto.FLOAT, bias.shape, bias))
        inputs = ["x", f"{name}_w", f"{name}_b"]
        nodes.append(helper.make_node("Conv", inputs, [name], name=name, group=CHANNELS, pads=[padding] * 4, strides=[2, 2]))
        return name

    names = [conv("scale", 1, 0), conv("kernel_0", 3, 1), conv("kernel_1", 3, 1)]
    nodes.append(helper.make_node("Add", names[:2], ["half"], name="half"))
    nodes.append(helper.make_node("Add", ["half", names[2]], ["sum"], name="sum"))
    nodes.append(helper.make_node("Relu", ["sum"], ["y"], name="relu"))
    shape = (1, CHANNELS, 9, 10)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    path = tmp_path / "block.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "block", [given], [result], constants), opset_imports=opsets, ir_version=8), path
    )
    program = edgebn.load(path)
    assert [step.kind for step in program.steps] == ["Convolution"]
    x = rng.standard_normal(shape).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = edgebn.Session(program).run(np.ascontiguousarray(np.moveaxis(x, 1, -1)))
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, atol=1e-5)
