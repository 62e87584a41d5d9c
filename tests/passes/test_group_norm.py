"""A group norm that a file spells out, as PyTorch exports it, becomes the one step it is; what only looks like one stays right."""

import numpy as np
import pytest

from edgebn import layers as nn
from tests.passes.networks import Net, assert_same


@pytest.fixture
def net():
    return Net(np.random.default_rng(7))


def spelled(net, shape, groups, *, elements=None, gamma=None, factor=None, offset=None, back=None):
    """Return a norm of (groups, elements) of an input of `shape`, and what is done by channel behind it."""
    x = net.builder.add_input("x", shape)
    elements = elements or int(np.prod(shape)) // groups
    inside = net.add(nn.Reshape, x, shape=(groups, elements))
    parameters = {"gamma": gamma, "beta": None if gamma is None else gamma - 2}
    y = net.add(nn.Normalization, inside, axes=(0, 1), groups=groups, axis=0, name="norm", **parameters)
    y = net.add(nn.Reshape, y, shape=back or shape)
    for kind, array in ((nn.Multiply, factor), (nn.Add, offset)):
        if array is not None:
            y = net.add(kind, y, net.add(nn.Constant, value=array.astype(np.float32)))
    return y


def check(net, *outputs):
    program = assert_same(net.builder.finish(list(outputs)), net.rng)
    return [step.kind for step in program.steps if step.kind not in ("Transpose", "Reshape")], program


def by_channel(net, shape):
    return net.normal(shape[0], *(1 for _ in shape[1:]))


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 7)])
@pytest.mark.parametrize("own", [False, True])
def test_a_group_norm_is_one_step(net, shape, groups, own):
    gamma = net.normal(groups, 1) if own else None
    kinds, program = check(
        net, spelled(net, shape, groups, gamma=gamma, factor=by_channel(net, shape), offset=by_channel(net, shape))
    )
    assert kinds == ["Normalization"]
    (norm,) = (step for step in program.steps if step.kind == "Normalization")
    assert norm.groups == groups
    assert program.buffers[norm.output].shape[-1] == shape[0]
    became = {record.name: record.became for record in program.records}
    assert sum("part of the group norm of norm" in text for text in became.values()) == 4


def test_a_product_that_is_read_twice_stays(net):
    shape = (6, 5, 4)
    y = spelled(net, shape, 2)
    product = net.add(nn.Multiply, y, net.add(nn.Constant, value=by_channel(net, shape)))
    kinds, _ = check(net, net.add(nn.Add, product, y))
    assert sorted(kinds) == ["Add", "Affine", "Normalization"]


@pytest.mark.parametrize(
    ("shape", "groups", "factor", "back"),
    [
        ((6, 5, 4), 4, None, None),  # groups of one channel and a half
        ((6, 5, 4), 2, (1, 5, 4), None),  # by place
        ((6, 5, 4), 2, None, (5, 6, 4)),  # another shape behind it
        ((6, 5, 4), 1, (1, 1, 4), None),
        ((120,), 2, None, None),
    ],
)
def test_what_is_no_group_norm_stays_the_same(net, shape, groups, factor, back):
    factor = None if factor is None else net.normal(*factor)
    kinds, _ = check(net, spelled(net, shape, groups, factor=factor, back=back))
    assert "Normalization" in kinds


def test_factors_that_no_float32_holds_stay_apart(net):
    shape = (6, 5, 4)
    huge = np.full((6, 1, 1), 1e30, np.float32)
    y = spelled(net, shape, 2, gamma=np.full((2, 1), 1e30, np.float32), factor=huge)
    program_kinds = check(net, net.add(nn.Multiply, y, net.add(nn.Constant, value=np.full((6, 1, 1), 1e-38, np.float32))))[0]
    assert len(program_kinds) > 1
