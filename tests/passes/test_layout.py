"""Channels-first networks run channels-last with the same results, and without transposes where none is needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import layers as nn
from edgebn import reference
from edgebn.errors import UnsupportedLayerError
from edgebn.graph import GraphBuilder
from edgebn.passes import lower
from edgebn.passes.graph.layout import channels_first_values, to_channels_last
from edgebn.passes.graph.transposing import axis_groups, reshape_groups
from tests.passes.networks import Net, assert_same

SEEDS = st.integers(0, 2**32 - 1)


def kinds(program) -> list[str]:
    return [step.kind for step in program.steps]


def grow(net: Net, x: str) -> str:
    """One random layer on a (C, H, W) value."""
    channels, height, width = net.shape(x)
    choice = net.size(0, 16)
    if choice == 0:
        return net.norm(x, net.name("bn"), plain=True)
    if choice == 1:
        return net.relu(x)
    if choice == 2:
        return net.add(nn.Activation, x, function="prelu", slope=net.normal(*net.pick((channels, 1, 1), (1, height, 1), (width,))))
    if choice == 3:
        return net.add(nn.Add, x, net.relu(x))
    if choice == 4:
        return net.add(nn.Concat, x, net.norm(x, net.name("bn"), plain=True), axis=net.pick(0, 1, 2))
    if choice == 5:
        return net.add(nn.Pad, x, pads=((0, net.size(0, 1)), (1, 0), (0, 2)), value=0.5)
    if choice == 6:
        return net.add(nn.Crop, x, starts=(0, height - 1, 0), sizes=(channels, 1, width))
    if choice == 7:
        return net.add(nn.Softmax, x, axis=net.pick(0, 1, 2))
    if choice == 8:
        pooled = net.add(nn.Reduce, x, axes=(1, 2), keepdims=True, function=net.pick("mean", "sum", "max", "min"))
        return net.add(nn.Multiply, x, net.add(nn.Activation, pooled, function="sigmoid"))
    if choice == 9:
        constant = net.add(nn.Constant, value=net.normal(*net.pick((channels, 1, 1), (height, 1), (width,), (1,), ())))
        return net.add(net.pick(nn.Add, nn.Multiply), x, constant)
    if choice == 10:
        return net.add(nn.Transpose, net.add(nn.Transpose, x, permutation=(1, 2, 0)), permutation=net.pick((2, 0, 1), (0, 1, 2)))
    if choice == 11:
        return net.add(nn.Reshape, x, shape=net.pick((width, channels, height), (channels, width, height)))
    if choice == 12:
        merged = net.pick(
            (channels * height, width), (channels, height * width), (channels, 1, height, width), (width * channels, height)
        )
        flat = net.norm(net.add(nn.Reshape, x, shape=merged), net.name("bn"), plain=True, axis=net.pick(0, 1))
        return net.add(nn.Reshape, net.relu(flat), shape=net.pick((channels, height, width), (height, channels, width)))
    if choice == 16:
        return net.dense(x)
    if choice == 13:
        size = (height * 2, width + 1)
        ratio = (height / size[0], width / size[1])
        return net.add(nn.Resize, x, function="bilinear", size=size, ratio=ratio, coordinates="half_pixel", channels_first=True)
    if choice == 14 and min(height, width) >= 3:
        return net.pool(x, net.pick("max", "average"))
    return net.convolution(x)


@given(seed=SEEDS)
def test_random_channels_first_networks(seed):
    net = Net(np.random.default_rng(seed), first=True)
    x = net.convolution(net.image())
    values = [x]
    for _ in range(net.size(2, 6)):
        x = grow(net, x)
        values.append(x)
    assert_same(net.builder.finish([x, values[len(values) // 2]][: net.size(1, 2)]), net.rng, cancelling=True)


@given(seed=SEEDS)
def test_random_networks_without_a_channels_first_layer_keep_their_axes(seed):
    net = Net(np.random.default_rng(seed), first=True)
    x = net.builder.add_input("x", (3, 4, 5))
    for _ in range(3):
        x = net.norm(net.relu(x), net.name("bn"), plain=True)
    program = assert_same(net.builder.finish([x]), net.rng)
    assert program.shapes == {"x": (3, 4, 5), x: (3, 4, 5)}


def test_elementwise_networks_are_left_alone():
    builder = GraphBuilder("m", "m.onnx", "onnx", channels_first=True)
    x = builder.add_input("x", (3, 4, 5))
    x = builder.add(nn.Activation("sigmoid", (x,), "y", "sigmoid"))
    program = lower(builder.finish([x]))
    assert program.shapes == {"x": (3, 4, 5), "y": (3, 4, 5)}
    assert kinds(program) == ["Elementwise"]


def classifier(net: Net) -> str:
    x = net.relu(net.norm(net.convolution(net.image(), outputs=4), "bn"))
    residual = net.add(nn.Add, x, net.norm(x, "bn2"))
    x = net.pool(net.add(nn.Concat, residual, x, axis=0), "max")
    return net.dense(net.add(nn.Reshape, x, shape=(int(np.prod(net.shape(x))),)))


@pytest.mark.parametrize("seed", range(5))
def test_a_classifier_needs_no_transpose(seed):
    """The flatten in front of the dense layer is absorbed by its weight."""
    net = Net(np.random.default_rng(seed), first=True)
    program = assert_same(net.builder.finish([classifier(net)]), net.rng)
    assert "Transpose" not in kinds(program)
    assert "Reshape" not in kinds(program)


def test_inputs_and_outputs_that_are_images_become_channels_last():
    net = Net(np.random.default_rng(0), first=True)
    x = net.builder.add_input("x", (3, 8, 10))
    y = net.add(nn.Convolution, x, weight=net.normal(4, 1, 1, 3), channels_first=True)
    graph = net.builder.finish([y])
    program = assert_same(graph, net.rng)
    assert channels_first_values(graph) == {x, y}
    assert program.shapes == {x: (8, 10, 3), y: (8, 10, 4)}
    assert program.channels_first
    assert kinds(program) == ["Convolution"]


def test_sequences_become_channels_last():
    net = Net(np.random.default_rng(0), first=True)
    x = net.builder.add_input("x", (3, 20))
    y = net.add(nn.Convolution, x, weight=net.normal(4, 1, 3, 3), channels_first=True)
    program = assert_same(net.builder.finish([y]), net.rng)
    assert program.shapes == {x: (20, 3), y: (18, 4)}


@pytest.mark.parametrize("tail", [True, False])
def test_transposes_of_the_file_cancel(tail):
    """As converters write it: NHWC input, transpose, channels-first layers, transpose back."""
    net = Net(np.random.default_rng(0), first=True)
    x = net.builder.add_input("x", (6, 7, 3))
    y = net.convolution(net.add(nn.Transpose, x, permutation=(2, 0, 1)), outputs=4)
    y = net.norm(y, "bn")
    if tail:
        y = net.add(nn.Transpose, y, permutation=(1, 2, 0))
    program = assert_same(net.builder.finish([y]), net.rng)
    assert program.shapes[x] == (6, 7, 3)
    assert program.shapes[y][-1] == 4
    assert kinds(program) == ["Convolution"]


def test_an_output_that_a_keras_permute_makes_keeps_its_order():
    net = Net(np.random.default_rng(0))
    y = net.add(nn.Transpose, net.convolution(net.image(), outputs=3), permutation=(2, 0, 1))
    program = assert_same(net.builder.finish([y]), net.rng)
    assert kinds(program) == ["Convolution", "Transpose"]
    assert program.shapes[y][0] == 3


@pytest.mark.parametrize("permutation", [(1, 0, 2), (0, 2, 1), (2, 1, 0), (2, 0, 1)])
def test_other_transposes_run_as_steps(permutation):
    net = Net(np.random.default_rng(1))
    x = net.builder.add_input("x", (3, 4, 5))
    y = net.relu(net.add(nn.Transpose, net.relu(x), permutation=permutation))
    z = net.add(nn.Add, y, net.builder.add_input("z", net.shape(y)))
    program = assert_same(net.builder.finish([z]), net.rng)
    assert kinds(program).count("Transpose") == 1


def shuffled(net: Net) -> str:
    x = net.convolution(net.image(), outputs=6)
    _, height, width = net.shape(x)
    x = net.add(nn.Reshape, x, shape=(2, 3, height, width))
    x = net.add(nn.Transpose, x, permutation=(1, 0, 2, 3))
    return net.convolution(net.add(nn.Reshape, x, shape=(6, height, width)))


def test_a_channel_shuffle_is_one_transpose():
    net = Net(np.random.default_rng(2), first=True)
    program = assert_same(net.builder.finish([shuffled(net)]), net.rng)
    assert kinds(program).count("Transpose") == 1


def test_pixels_from_channels():
    """Depth to space, as PyTorch exports it."""
    net = Net(np.random.default_rng(2), first=True)
    x = net.convolution(net.image(), outputs=12)
    _, height, width = net.shape(x)
    x = net.add(nn.Reshape, x, shape=(3, 2, 2, height, width))
    x = net.add(nn.Transpose, x, permutation=(0, 3, 1, 4, 2))
    x = net.add(nn.Reshape, x, shape=(3, height * 2, width * 2))
    assert_same(net.builder.finish([net.convolution(x)]), net.rng)


@given(order=st.permutations(range(5)), sizes=st.lists(st.integers(1, 3), min_size=5, max_size=5))
def test_any_transpose_of_five_axes(order, sizes):
    net = Net(np.random.default_rng(0))
    x = net.add(nn.Reshape, net.builder.add_input("x", (int(np.prod(sizes)),)), shape=tuple(sizes))
    y = net.add(nn.Transpose, x, permutation=tuple(order))
    assert_same(net.builder.finish([net.add(nn.Reshape, y, shape=(int(np.prod(sizes)),))]), net.rng)


def test_a_transpose_of_too_many_axes_is_refused_by_name():
    net = Net(np.random.default_rng(0))
    x = net.add(nn.Reshape, net.builder.add_input("x", (128,)), shape=(2,) * 7)
    y = net.add(nn.Transpose, x, name="mixer", permutation=tuple(range(7))[::-1])
    with pytest.raises(UnsupportedLayerError, match=r"case\.file: layer 'mixer' \(Transpose\).*moves more than 6 runs"):
        lower(net.builder.finish([y]))


def test_reshape_groups():
    assert reshape_groups((6, 4, 5), (2, 3, 4, 5)) == [((0,), (0, 1)), ((1,), (2,)), ((2,), (3,))]
    assert reshape_groups((6, 4, 5), (6, 20)) == [((0,), (0,)), ((1, 2), (1,))]
    assert reshape_groups((4, 6), (6, 4)) == [((0, 1), (0, 1))]
    assert reshape_groups((3, 1, 1), (3,)) == [((0,), (0,)), ((1,), ()), ((2,), ())]
    assert reshape_groups((3,), (1, 3, 1)) == [((0,), (0, 1)), ((), (2,))]


def test_quantised_constants_keep_their_quantisation_and_turn_with_it():
    net = Net(np.random.default_rng(0), first=True)
    quantization = nn.Quantization.per_tensor(0.1, 0)
    x = net.builder.add_input("x", (3, 4, 5), quantization)
    pooled = net.builder.add(nn.Pool("pool", (x,), "pool", channels_first=True), quantization)
    per_channel = nn.Quantization(np.array([0.1, 0.2, 0.3]), np.zeros(3, np.int64), 0)
    codes = np.arange(3, dtype=np.int8).reshape(3, 1, 1)
    net.builder.add(nn.Constant("codes", (), "codes", codes), per_channel)
    slope = (codes * per_channel.scale[:, None, None]).astype(np.float32)
    y = net.builder.add(nn.Activation("prelu", (pooled, "codes"), "y", "prelu", slope=slope), quantization)
    added = net.builder.add(nn.Add("add", (y, "codes"), "z"), quantization)
    graph = to_channels_last(net.builder.finish([added]))
    activation, add = graph.layers[-2:]
    assert activation.slope.shape == (1, 1, 3)
    assert activation.inputs[1] == add.inputs[1]
    turned = graph.tensors[add.inputs[1]]
    assert turned.shape == (1, 1, 3)
    assert turned.quantization.axis == 2
    assert np.array_equal(turned.quantization.scale, per_channel.scale)


def test_axis_groups():
    assert axis_groups((4, 5, 6), (0, 1, 2)) == [(0, 1, 2)]
    assert axis_groups((4, 1, 6), (1, 0, 2)) == [(0, 2)]
    assert axis_groups((4, 5, 6), (1, 2, 0)) == [(1, 2), (0,)]
    assert axis_groups((2, 3, 4, 5), (0, 2, 1, 3)) == [(0,), (2,), (1,), (3,)]
    assert axis_groups((1, 1, 1), (2, 1, 0)) == []


def test_two_outputs_of_one_value_in_two_orders():
    net = Net(np.random.default_rng(0))
    x = net.convolution(net.image(), outputs=3)
    turned = net.add(nn.Transpose, x, permutation=(2, 0, 1))
    graph = net.builder.finish([x, turned])
    program = assert_same(graph, net.rng)
    assert set(program.outputs) == {x, turned}
    sample = net.rng.normal(size=(1, *program.shapes[program.inputs[0]])).astype(np.float32)
    found = reference.run(program, sample)
    assert np.array_equal(found[turned][0], np.transpose(found[x][0], (2, 0, 1)))
