"""Layers on four and five axes: whatever they work along, they run, and compute what the layers of the file say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import layers as nn
from edgebn.errors import UnsupportedLayerError
from edgebn.passes import lower
from tests.passes.networks import Net, assert_same

SEEDS = st.integers(0, 2**32 - 1)


def value(net: Net, rank: int) -> str:
    return net.builder.add_input(net.name("x"), tuple(net.pick(1, 2, 3, 4) for _ in range(rank)))


def crop(net: Net, x: str) -> str:
    sizes = tuple(net.size(1, size) for size in net.shape(x))
    starts = tuple(net.size(0, whole - size) for whole, size in zip(net.shape(x), sizes, strict=True))
    return net.add(nn.Crop, x, starts=starts, sizes=sizes)


def pad(net: Net, x: str) -> str:
    return net.add(nn.Pad, x, pads=tuple((net.pick(0, 0, 1), net.pick(0, 0, 2)) for _ in net.shape(x)), value=net.pick(0.0, 1.5))


def concat(net: Net, x: str) -> str:
    axis = net.size(0, len(net.shape(x)) - 1)
    other = net.builder.add_input(net.name("other"), tuple(size + (place == axis) for place, size in enumerate(net.shape(x))))
    return net.add(nn.Concat, x, other, x, axis=axis)


def broadcast(net: Net, x: str) -> str:
    """Axes of either value, or of both, may be 1; the other may be a constant and have fewer axes."""
    given = net.shape(x)
    shape = tuple(net.pick(1, size) if size > 1 else net.pick(1, 1, 3) for size in given)
    shape = shape[net.pick(0, 0, 1, 2) :]
    if net.pick(True, False):
        other = net.add(nn.Constant, value=net.normal(*shape))
    else:
        other = net.builder.add_input(net.name("other"), shape)
    return net.add(net.pick(nn.Add, nn.Multiply), *net.pick((x, other), (other, x)), low=net.pick(-np.inf, 0.0))


@pytest.mark.parametrize("layer", [crop, pad, concat, broadcast])
@given(seed=SEEDS)
def test_any_axes(layer, seed):
    net = Net(np.random.default_rng(seed))
    x = value(net, net.pick(4, 5))
    y = layer(net, net.relu(x) if net.pick(True, False) else x)
    assert_same(net.builder.finish([net.norm(y, plain=True) if net.pick(True, False) else y]), net.rng)


@given(seed=SEEDS)
def test_one_after_another(seed):
    net = Net(np.random.default_rng(seed))
    x = value(net, net.pick(4, 5))
    for _ in range(3):
        x = net.pick(crop, pad, concat, broadcast)(net, x)
    assert_same(net.builder.finish([x]), net.rng, cancelling=True)


def test_one_axis_is_one_step():
    net = Net(np.random.default_rng(7))
    x = net.builder.add_input("x", (2, 3, 5, 4))
    y = net.add(nn.Crop, net.add(nn.Concat, x, x, axis=1), starts=(0, 1, 0, 0), sizes=(2, 4, 5, 4))
    program = assert_same(net.builder.finish([y]), net.rng)
    assert [step.kind for step in program.steps if step.kind != "Reshape"] == ["Concat", "Crop"]


def test_values_that_alternate_along_long_axes_are_refused_by_name():
    net = Net(np.random.default_rng(7))
    a, b = net.builder.add_input("a", (300, 1, 300, 1)), net.builder.add_input("b", (1, 300, 1, 2))
    y = net.add(nn.Add, a, b, name="bad")
    with pytest.raises(UnsupportedLayerError, match=r"case\.file: layer 'bad' \(Add\): its inputs of shapes .* reshape them first"):
        lower(net.builder.finish([y]))
