"""Which layers and rows are observed: what the user says, or what tells most for its cost."""

from dataclasses import replace

import numpy as np
import pytest

import edgebn
from edgebn import layers, passes
from edgebn.adapt.rows import telling_steps
from edgebn.graph import GraphBuilder


def network(*, is_residual=False):
    """Return conv and two blocks of depthwise and pointwise; if asked for, a sum and a 1 x 1 layer beside no depthwise one."""
    rng = np.random.default_rng(1)
    graph = GraphBuilder("rows", "rows", "test")

    def block(x, name, shape, groups=1):
        padding = (shape[1] // 2, shape[2] // 2) * 2
        weight = rng.normal(0, 0.4, shape).astype(np.float32)
        x = graph.add(layers.Convolution(name, (x,), name, weight, None, padding=padding, groups=groups))
        one = np.ones(shape[0], np.float32)
        x = graph.add(layers.BatchNorm(f"{name}/bn", (x,), f"{name}/bn", one, 0 * one, 0 * one, one, 1e-3, 2))
        return graph.add(layers.Activation(f"{name}/relu", (x,), f"{name}/relu", "clip", 0.0))

    x = block(graph.add_input("x", (12, 6, 3)), "first", (8, 3, 3, 3))
    for i in range(2):
        x = block(x, f"depthwise{i}", (8, 3, 3, 1), 8)
        x = block(x, f"pointwise{i}", (8, 1, 1, 8))
    if is_residual:
        x = graph.add(layers.Add("sum", (x, block(x, "wide", (8, 3, 3, 8))), "sum"))
        x = block(x, "bottleneck", (8, 1, 1, 8))
    x = graph.add(layers.Reshape("flatten", (x,), "flatten", (576,)))
    dense = rng.normal(0, 0.1, (4, 576)).astype(np.float32)
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


def test_rows_named_for_some_layers_leave_the_others_as_they_are():
    usual, found = observed(network()), observed(network(), {"pointwise1": 4, "depthwise0": 0})
    assert list(found) == ["first", "depthwise1", "pointwise1"]
    assert (found["pointwise1"].first_row, found["pointwise1"].row_step) == (1, 4)
    assert found["first"].row_step == usual["first"].row_step
