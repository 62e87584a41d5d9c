"""A convolution and the pool behind it become one step, with the same bytes as the two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import layers as nn
from edgebn import program as p
from edgebn import reference
from edgebn.passes import lower
from edgebn.passes.lowering.fuse_pool import fuse_pools
from tests.passes.networks import Net, assert_same

SEEDS = st.integers(0, 2**32 - 1)


def parted(program: p.Program) -> p.Program:
    """Undo the fusion: every fused pool a step of its own."""
    steps: list[p.Step] = []
    buffers = dict(program.buffers)
    for step in program.steps:
        if not isinstance(step, p.Convolution) or step.pool is None:
            steps.append(step)
            continue
        rows = f"{step.output}/rows"
        shape = p.unpooled_shape(step, buffers[step.inputs[0]].shape)
        buffers[rows] = replace(buffers[step.output], name=rows, shape=shape)
        steps.append(replace(step, output=rows, pool=None))
        steps.append(p.Pool(f"{step.name}/pool", (rows,), step.output, step.pool))
    return replace(program, steps=tuple(steps), buffers=buffers)


@given(seed=SEEDS)
def test_fused_float_is_the_same_as_unfused(seed):
    net = Net(np.random.default_rng(seed))
    x = net.relu(net.norm(net.even(net.image()), plain=True))
    y = net.pool(x, net.pick("max", "average"), padded=net.pick(True, False), counted=net.pick(True, False))
    program = assert_same(net.builder.finish([y]), net.rng)
    assert [step.kind for step in program.steps] == ["Convolution"]
    x = net.rng.normal(size=(2, *program.shapes[program.inputs[0]])).astype(np.float32)
    assert np.array_equal(reference.run(program, x), reference.run(parted(program), x))


def test_global_pools_fuse():
    net = Net(np.random.default_rng(0))
    y = net.add(nn.Reduce, net.relu(net.even(net.image())), axes=(0, 1))
    program = assert_same(net.builder.finish([y]), net.rng)
    (step,) = program.steps
    assert step.pool.kernel == p.unpooled_shape(step, program.buffers[step.inputs[0]].shape)[:2]


def test_the_unpooled_rows_are_no_buffer_and_the_record_says_so():
    net = Net(np.random.default_rng(0))
    x = net.even(net.image())
    y = net.pool(x, "max")
    program = lower(net.builder.finish([y]))
    assert set(program.buffers) == {program.inputs[0], y}
    became = {record.name: (record.step, record.became) for record in program.records}
    assert became[y] == (x, f"fused into {x}: pooled as it is computed")


@pytest.mark.parametrize("second", ["reader", "output"])
def test_rows_that_someone_else_needs_stay(second):
    net = Net(np.random.default_rng(0))
    x = net.even(net.image())
    outputs = [net.pool(x, "max"), net.add(nn.Activation, x, function="tanh") if second == "reader" else x]
    program = assert_same(net.builder.finish(outputs), net.rng)
    assert "Pool" in [step.kind for step in program.steps]


def test_dilated_windows_stay():
    net = Net(np.random.default_rng(0))
    y = net.add(nn.Pool, net.even(net.image()), function="max", dilations=(2, 2), strides=(1, 1))
    program = assert_same(net.builder.finish([y]), net.rng)
    assert [step.kind for step in program.steps] == ["Convolution", "Pool"]


def test_depthwise_and_dense_convolutions_fuse_but_transposed_ones_do_not():
    net = Net(np.random.default_rng(0))
    x = net.image()
    deep = net.pool(net.convolution(x, groups=net.shape(x)[-1], multiplier=1), "max")
    wide = net.pool(net.transposed(x), "max")
    program = assert_same(net.builder.finish([deep, wide]), net.rng)
    assert sorted(step.kind for step in program.steps) == ["Convolution", "Pool", "TransposedConvolution"]


def integer_program(
    rng: np.random.Generator, function: str, *, output_scale: float = 0.05, own_arithmetic: bool = False
) -> p.Program:
    channels = int(rng.integers(1, 6))
    constant = {"lo": -(2**31), "hi": 2**31 - 1}
    epilogue = p.IntEpilogue(
        rng.integers(-500, 500, channels).astype(np.int32),
        *(np.full(channels, value, np.int32) for value in constant.values()),
        rng.integers(2**20, 2**22, channels).astype(np.int32),
        np.full(channels, 2**27, np.int64),
        np.full(channels, 28, np.uint8),
        neg=False,
        zero_point=-5,
        qmin=-128,
        qmax=127,
    )
    weight = rng.integers(-127, 128, (channels, 3, 3, 2)).astype(np.int8)
    arithmetic = {"m": 2**30, "r": 2**33, "s": 34, "acc_bias": 20, "lo": -(2**31), "hi": 2**31 - 1}
    types = {"m": np.int32, "r": np.int64, "s": np.uint8, "acc_bias": np.int32, "lo": np.int32, "hi": np.int32}
    average = p.IntEpilogue(
        **{key: np.full(1, value, types[key]) for key, value in arithmetic.items()}, neg=False, zero_point=-5, qmin=-128, qmax=127
    )
    window = p.Window(function, (2, 2), (2, 2), padding=(0, 0, 0, 0) if own_arithmetic else (0, 0, 1, 1))
    size = 3 if not own_arithmetic else 2
    buffers = {
        "x": p.Buffer("x", (7, 7, 2), "int8", 0.1, 3),
        "rows": p.Buffer("rows", (5, 5, channels), "int8", 0.05, -5),
        "y": p.Buffer("y", (size, size, channels), "int8", output_scale, -5),
    }
    steps = (
        p.Convolution("conv", ("x",), "rows", weight, epilogue, weight_scale=np.full(channels, 0.01)),
        p.Pool("pool", ("rows",), "y", window, average if own_arithmetic else None),
    )
    shapes = {"x": (7, 7, 2), "y": buffers["y"].shape}
    return p.Program("m", "m.tflite", "tflite", False, buffers, {}, steps, ("x",), ("y",), shapes)


@given(seed=SEEDS, function=st.sampled_from(["max", "average"]))
def test_fused_int8_gives_the_same_bytes(seed, function):
    rng = np.random.default_rng(seed)
    program = integer_program(rng, function)
    fused = fuse_pools(program)
    assert [step.kind for step in fused.steps] == ["Convolution"]
    codes = rng.integers(-128, 128, (2, 7, 7, 2)).astype(np.int8)
    assert np.array_equal(reference.run(fused, codes), reference.run(program, codes))


@pytest.mark.parametrize("change", [{"output_scale": 0.07}, {"own_arithmetic": True}])
def test_int8_averages_that_change_the_scale_stay(change):
    program = integer_program(np.random.default_rng(0), "average", **change)
    assert fuse_pools(program) is program
