"""Layer, RMS and group norms that files spell out become the one step they are; what only looks like one stays right."""

import numpy as np
import pytest

from edgebn import layers as nn
from tests.passes.networks import Net, assert_same

SHAPE = (5, 6, 8)
EPSILON = 1e-3


@pytest.fixture
def net():
    return Net(np.random.default_rng(11))


def constant(net, value):
    return net.add(nn.Constant, value=np.asarray(value, np.float32))


def check(net, *outputs):
    program = assert_same(net.builder.finish(list(outputs)), net.rng)
    return [step.kind for step in program.steps if step.kind != "Reshape"], program


def mean(net, x, axes=(-1,)):
    axes = tuple(axis % len(net.shape(x)) for axis in axes)
    return net.add(nn.Reduce, x, function="mean", axes=axes, keepdims=True)


def squared(net, x, how):
    if how == "product":
        return net.add(nn.Multiply, x, x)
    return (
        net.add(nn.Activation, x, function="square") if how == "square" else net.add(nn.Activation, x, function="power", alpha=2.0)
    )


def inverse_root(net, total, how):
    if how == "power":
        return net.add(nn.Activation, total, function="power", alpha=-0.5)
    if how == "rsqrt":
        return net.add(nn.Activation, total, function="rsqrt")
    return net.add(nn.Activation, net.add(nn.Activation, total, function="sqrt"), function="reciprocal")


def over_root(net, value, spread, how):
    """Return a value over the root of a spread, spelled in one of four ways."""
    total = net.add(nn.Add, spread, constant(net, EPSILON))
    if how == "divide":
        return net.add(nn.Binary, value, net.add(nn.Activation, total, function="sqrt"), function="divide")
    return net.add(nn.Multiply, inverse_root(net, total, how), value)


def affine(net, y, *shape):
    return net.add(nn.Add, constant(net, net.normal(*shape)), net.add(nn.Multiply, y, constant(net, net.normal(*shape))))


@pytest.mark.parametrize("shape", [SHAPE, (9, 8), (8,)])
@pytest.mark.parametrize(
    ("square", "root"), [("power", "divide"), ("product", "rsqrt"), ("square", "reciprocal"), ("square", "power")]
)
def test_pytorchs_layer_norm_is_one_step(net, shape, square, root):
    x = net.builder.add_input("x", shape)
    deviation = net.add(nn.Binary, x, mean(net, x), function="subtract")
    y = over_root(net, deviation, mean(net, squared(net, deviation, square)), root)
    kinds, program = check(net, affine(net, y, shape[-1]))
    assert kinds == ["Normalization"]
    (norm,) = (step for step in program.steps if step.kind == "Normalization")
    assert (norm.centred, norm.epsilon) == (True, np.float32(EPSILON))
    assert sum("part of the norm" in record.became for record in program.records) >= 6


@pytest.mark.parametrize("root", ["divide", "rsqrt", "reciprocal"])
def test_an_rms_norm_is_one_step(net, root):
    x = net.builder.add_input("x", SHAPE)
    y = over_root(net, x, mean(net, squared(net, x, "power")), root)
    kinds, program = check(net, net.add(nn.Multiply, y, constant(net, net.normal(8))))
    assert kinds == ["Normalization"]
    assert not program.steps[-1].centred


def keras(net, x, axes, parameters, *, beta, clipped=False, other=None):
    """Return x * s + (beta - mean * s), as TensorFlow converts a norm of Keras; `other` has its mean taken in the place of x's."""
    average = mean(net, x, axes)
    spread = mean(net, net.add(nn.Binary, x, average, function="squared_difference"), axes)
    total = net.add(nn.Add, spread, constant(net, EPSILON))
    scale = net.add(nn.Multiply, inverse_root(net, total, "rsqrt"), constant(net, net.normal(*parameters)))
    average = average if other is None else mean(net, other, axes)
    if beta == "none":
        shift = net.add(nn.Multiply, net.add(nn.Multiply, average, constant(net, -1.0)), scale)
    elif beta == "less":
        shift = net.add(
            nn.Binary, constant(net, net.normal(*parameters)), net.add(nn.Multiply, average, scale), function="subtract"
        )
    else:
        negative = net.add(nn.Multiply, net.add(nn.Multiply, average, constant(net, -1.0)), scale)
        shift = net.add(nn.Add, negative, constant(net, net.normal(*parameters)))
    return net.add(nn.Add, net.add(nn.Multiply, x, scale), shift, low=0.0 if clipped else -np.inf)


@pytest.mark.parametrize("beta", ["none", "less", "plus"])
@pytest.mark.parametrize("clipped", [False, True])
def test_keras_layer_norm_is_one_step(net, beta, clipped):
    kinds, _ = check(net, keras(net, net.builder.add_input("x", SHAPE), (-1,), (8,), beta=beta, clipped=clipped))
    assert kinds == ["Normalization", *(["Elementwise"] if clipped else [])]


@pytest.mark.parametrize("shape", [(5, 6, 4, 3), (7, 2, 6)])
@pytest.mark.parametrize("beta", ["none", "less"])
def test_keras_group_norm_is_one_step(net, shape, beta):
    x = net.builder.add_input("x", (*shape[:-2], shape[-2] * shape[-1]))
    axes = (*range(len(shape) - 2), len(shape) - 1)
    y = keras(net, net.add(nn.Reshape, x, shape=shape), axes, shape[-2:], beta=beta, clipped=True)
    kinds, program = check(net, net.add(nn.Reshape, y, shape=(*shape[:-2], shape[-2] * shape[-1])))
    assert kinds == ["Normalization", "Elementwise"]
    (norm,) = (step for step in program.steps if step.kind == "Normalization")
    assert norm.groups == shape[-2]


def test_what_is_nearly_a_norm_stays_as_it_is(net):
    x, other = net.builder.add_input("x", SHAPE), net.builder.add_input("other", SHAPE)
    deviation = net.add(nn.Binary, x, mean(net, x), function="subtract")
    outputs = [
        keras(net, x, (-1,), (8,), beta="less", other=other),  # another value's mean
        over_root(net, other, mean(net, squared(net, deviation, "square")), "divide"),  # another value over the root
        over_root(net, deviation, mean(net, squared(net, deviation, "square"), (0,)), "divide"),  # along another axis
        over_root(net, deviation, mean(net, squared(net, other, "square")), "rsqrt"),
        over_root(net, x, mean(net, squared(net, deviation, "square")), "rsqrt"),
    ]
    clipped = net.add(nn.Binary, x, mean(net, x), function="subtract", low=-1.0)
    outputs.append(over_root(net, clipped, mean(net, squared(net, clipped, "product")), "divide"))  # an RMS norm of what is clipped
    kinds, program = check(net, *outputs)
    assert kinds.count("Normalization") == 1
    (norm,) = (step for step in program.steps if step.kind == "Normalization")
    assert not norm.centred


def test_a_root_that_is_read_elsewhere_too_stays_beside_the_norm(net):
    x = net.builder.add_input("x", SHAPE)
    deviation = net.add(nn.Binary, x, mean(net, x), function="subtract")
    total = net.add(nn.Add, mean(net, squared(net, deviation, "square")), constant(net, EPSILON))
    root = net.add(nn.Activation, total, function="sqrt")
    y = net.add(nn.Binary, deviation, root, function="divide")
    kinds, _ = check(net, y, net.add(nn.Multiply, root, root))
    assert kinds.count("Normalization") == 1


@pytest.mark.parametrize("constant_shape", [(6, 1), (5, 1, 1), (6, 8)])
def test_a_product_that_differs_from_pixel_to_pixel_stays(net, constant_shape):
    x = net.builder.add_input("x", SHAPE)
    y = over_root(net, x, mean(net, squared(net, x, "square")), "rsqrt")
    kinds, _ = check(net, net.add(nn.Multiply, y, constant(net, net.normal(*constant_shape))))
    assert len(kinds) == 2
    assert "Normalization" in kinds
