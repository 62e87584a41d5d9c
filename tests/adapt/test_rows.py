"""Which layers and rows are observed: what the user says, or what tells most for its cost."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import edgebn
from edgebn import layers, passes
from edgebn.adapt.rows import shown_rows, telling_steps
from edgebn.errors import ModelError
from edgebn.graph import GraphBuilder


def add_block(graph, rng, x, name, shape, groups=1, stride=1):
    """Add convolution, batch norm and ReLU; return their output."""
    padding = (shape[1] // 2, shape[2] // 2) * 2
    weight = rng.normal(0, 0.4, shape).astype(np.float32)
    options = {"padding": padding, "groups": groups, "strides": (stride, stride)}
    x = graph.add(layers.Convolution(name, (x,), name, weight, None, **options))
    one = np.ones(shape[0], np.float32)
    x = graph.add(layers.BatchNorm(f"{name}/bn", (x,), f"{name}/bn", one, 0 * one, 0 * one, one, 1e-3, 2))
    return graph.add(layers.Activation(f"{name}/relu", (x,), f"{name}/relu", "clip", 0.0))


def network(*, is_residual=False):
    """Return conv and two blocks of depthwise and pointwise; if asked for, a sum and a 1 x 1 layer beside no depthwise one."""
    graph = GraphBuilder("rows", "rows", "test")
    block = partial(add_block, graph, np.random.default_rng(1))
    x = block(graph.add_input("x", (12, 6, 3)), "first", (8, 3, 3, 3))
    for i in range(2):
        x = block(x, f"depthwise{i}", (8, 3, 3, 1), 8)
        x = block(x, f"pointwise{i}", (8, 1, 1, 8))
    if is_residual:
        x = graph.add(layers.Add("sum", (x, block(x, "wide", (8, 3, 3, 8))), "sum"))
        x = block(x, "bottleneck", (8, 1, 1, 8))
    x = graph.add(layers.Reshape("flatten", (x,), "flatten", (576,)))
    dense = np.random.default_rng(2).normal(0, 0.1, (4, 576)).astype(np.float32)
    x = graph.add(layers.Dense("dense", (x,), "dense", dense, np.zeros(4, np.float32)))
    return passes.lower(graph.finish([graph.add(layers.Softmax("softmax", (x,), "softmax", 0))]))


def observed(program, rows=None):
    images = np.random.default_rng(2).normal(0, 1, (20, 12, 6, 3)).astype(np.float32)
    given = edgebn.adaptable(program, images, rows=rows).adaptation
    return {layer.observation.step: layer.observation for layer in given.layers}


ALL = ["first", "depthwise0", "pointwise0", "depthwise1", "pointwise1"]


def test_pointwise_layers_beside_depthwise_ones_are_left_out():
    assert list(observed(network())) == ["first", "depthwise0", "depthwise1"]
    there = list(observed(network(is_residual=True)))
    assert there == ["first", "depthwise0", "depthwise1", "wide", "bottleneck"]


def test_the_first_layer_stays_whatever_it_is():
    program = network()
    behind = replace(program, steps=program.steps[2:])
    assert [step.name for step in telling_steps(behind)] == ["pointwise0", "depthwise1"]


@pytest.mark.parametrize("rows", [1, dict.fromkeys(ALL, 1)])
def test_the_user_may_observe_them(rows):
    assert list(observed(network(), rows)) == ALL


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (1.5, "rows is 1.5; give n"),
        (True, "rows is True"),
        ("2", "rows is '2'"),
        (-1, "rows is -1"),
        ({"first": 2.0}, r"rows of layer 'first' is 2\.0"),
        ({"first": -3}, "of layer 'first' is -3"),
        ({"first": None}, "of layer 'first' is None"),
        ({"nothing": 1, "first": 1}, "rows names nothing; the layers that can adapt are first, depthwise0"),
        ([1, 2], r"rows is \[1, 2\]"),
        (0, "leaves out every layer"),
        (dict.fromkeys(ALL, 0), "leaves out every layer"),
    ],
)
def test_other_rows_are_refused(rows, words):
    with pytest.raises(ModelError, match=words):
        observed(network(), rows)


def test_any_whole_number_will_do():
    assert observed(network(), np.int32(2)).keys() == observed(network(), 2).keys()
    assert observed(network(), 10**9)["first"].row_step == observed(network(), 16)["first"].row_step


def test_rows_named_for_some_layers_leave_the_others_as_they_are():
    usual, found = observed(network()), observed(network(), {"pointwise1": 4, "depthwise0": 0})
    assert list(found) == ["first", "depthwise1", "pointwise1"]
    assert (found["pointwise1"].first_row, found["pointwise1"].row_step) == (1, 4)
    assert found["first"].row_step == usual["first"].row_step


@pytest.mark.parametrize("every", range(1, 15))
def test_rows_lie_as_far_from_the_top_as_from_the_bottom(every):
    program = network()
    first, step = shown_rows(program, telling_steps(program)[0], every)
    last = range(first, 12, step)[-1]
    assert step == min(every, 12)
    assert 0 <= (11 - last) - first <= 1


def test_a_layer_of_few_rows_shows_no_fewer_than_one_of_many():
    """8 rows by every third would be three, one of them at the border."""
    graph, rng = GraphBuilder("rows", "rows", "test"), np.random.default_rng(3)
    x, channels = graph.add_input("x", (32, 32, 3)), 3
    for stride, wide in ((1, 16), (2, 32), (2, 64)):
        x, channels = add_block(graph, rng, x, f"c{wide}", (wide, 3, 3, channels), stride=stride), wide
    program = passes.lower(graph.finish([x]))
    counts = []
    for step, height in zip(telling_steps(program), (32, 16, 8), strict=True):
        first, every = shown_rows(program, step, None)
        counts.append(len(range(first, height, every)))
    assert counts[0] <= counts[1] <= counts[2]
    assert counts[0] > 1
