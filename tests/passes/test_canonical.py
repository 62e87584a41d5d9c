"""The rules that bring a network into its canonical form: each is exact, and each leaves the steps that it promises."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn import layers as nn
from edgebn import reference
from edgebn.errors import UnsupportedLayerError
from edgebn.passes import lower
from tests.passes.networks import Net, assert_same

SEEDS = st.integers(0, 2**32 - 1)


def kinds(program) -> list[str]:
    return [step.kind for step in program.steps]


def check(net: Net, *outputs: str):
    return assert_same(net.builder.finish(list(outputs)), net.rng)


@pytest.fixture
def net() -> Net:
    return Net(np.random.default_rng(7))


def constant(net: Net, value) -> str:
    return net.add(nn.Constant, value=np.asarray(value, np.float32))


# Layers that change nothing


def test_identity_layers_vanish(net):
    x = net.add(nn.Identity, net.even(net.add(nn.Identity, net.image())), name="dropout")
    x = net.add(nn.Activation, x)
    program = check(net, net.add(nn.Pad, net.add(nn.Concat, x, axis=2), pads=((0, 0),) * 3))
    assert kinds(program) == ["Convolution"]
    assert {record.became for record in program.records if record.name == "dropout"} == {
        "vanished: it changes nothing at inference"
    }


def test_a_network_that_does_nothing_copies_its_input(net):
    program = check(net, net.add(nn.Identity, net.add(nn.Identity, net.image())))
    assert kinds(program) == ["Reshape"]


def test_an_identity_between_two_outputs_copies(net):
    x = net.even(net.image())
    program = check(net, x, net.add(nn.Identity, x))
    assert kinds(program) == ["Convolution", "Reshape"]


def test_reshapes_that_move_nothing_are_no_steps(net):
    x = net.dense(net.builder.add_input("x", (1, 1, 5)))
    program = check(net, net.add(nn.Reshape, x, shape=(net.shape(x)[-1],)))
    assert kinds(program) == ["Convolution"]


def test_constants_fold(net):
    x = net.image()
    channels = net.shape(x)[-1]
    one = net.add(nn.Reshape, constant(net, net.normal(channels, 1)), shape=(1, channels))
    two = net.add(nn.Activation, net.add(nn.Add, constant(net, 2.0), one), low=1.5)
    three = net.add(nn.Concat, net.add(nn.Transpose, two, permutation=(1, 0)), constant(net, net.normal(channels, 1)), axis=1)
    program = check(net, net.add(nn.Multiply, x, net.add(nn.Reduce, three, axes=(1,))))
    assert kinds(program) == ["Affine"]
    assert not program.constants


def test_a_constant_output_is_refused(net):
    x = net.image()
    y = net.add(nn.Activation, constant(net, [1.0, 2.0]), name="frozen")
    with pytest.raises(UnsupportedLayerError, match=r"case\.file: layer 'frozen'.*does not depend on its input"):
        lower(net.builder.finish([net.relu(x), y]))


def test_dynamic_range_weights_become_real(net):
    codes = net.rng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    scale = net.rng.uniform(0.01, 0.1, 4)
    x = net.builder.add_input("x", (6, 6, 2))
    quantization = nn.Quantization(scale, np.zeros(4, np.int64), 0)
    graph = net.builder.finish([net.add(nn.Convolution, x, weight=codes, weight_quantization=quantization)])
    (step,) = lower(graph).steps
    assert step.weight.dtype == np.float32
    assert np.allclose(step.weight, codes * scale[:, None, None, None], rtol=1e-6)


@pytest.mark.parametrize("part", ["weights", "bias"])
def test_weights_and_biases_beyond_float32_are_refused(net, part):
    codes, x = np.full((4, 3, 3, 2), 100, np.int8), net.builder.add_input("x", (6, 6, 2))
    scale = np.full(4, 1e38 if part == "weights" else 1.0)
    bias = np.full(4, 1e300) if part == "bias" else None
    quantization = nn.Quantization(scale, np.zeros(4, np.int64), 0)
    y = net.add(nn.Convolution, x, weight=codes, weight_quantization=quantization, bias=bias)
    with pytest.raises(UnsupportedLayerError, match=rf"its {part}.*beyond float32"):
        lower(net.builder.finish([y]))


@given(bounds=st.lists(st.floats(-3, 3, width=32).map(lambda bound: round(bound, 3)), min_size=4, max_size=4))
def test_clip_after_clip_is_one_clip(bounds):
    net = Net(np.random.default_rng(0))
    x = net.image()
    for low, high in (sorted(bounds[:2]), sorted(bounds[2:])):
        x = net.add(nn.Activation, x, low=low, high=high)
    assert kinds(check(net, x)) == ["Elementwise"]


# Activations spelled out


def spelled_out(net: Net, x: str, spelling: str) -> str:
    if spelling == "silu":
        return net.add(nn.Multiply, x, net.add(nn.Activation, x, function="sigmoid"))
    if spelling == "hard sigmoid gate":
        return net.add(nn.Multiply, net.add(nn.Activation, x, function="hard_sigmoid", alpha=1 / 6, beta=0.5), x)
    shifted = net.add(nn.Add, x, constant(net, 3.0))
    ramp = net.add(nn.Activation, shifted, low=0.0, high=6.0)
    if spelling == "fused clip":
        ramp = net.add(nn.Add, constant(net, [3.0]), x, low=0.0, high=6.0)
    if spelling == "divided last":
        return net.add(nn.Multiply, net.add(nn.Multiply, x, ramp), constant(net, 1 / 6))
    return net.add(nn.Multiply, x, net.add(nn.Multiply, ramp, constant(net, 1 / 6)))


@pytest.mark.parametrize("spelling", ["silu", "hard sigmoid gate", "divided first", "divided last", "fused clip"])
def test_spelled_out_activations_are_one_step(net, spelling):
    program = check(net, spelled_out(net, net.image(), spelling))
    (step,) = program.steps
    assert step.function == ("silu" if spelling == "silu" else "hard_swish")


def spelled_gelu(net: Net, x: str, order: str, *, by_tanh: bool, root: float = 1.41421, cube: float = 0.044715) -> str:
    """Return 0.5 x (1 + erf(x / sqrt(2))), or that by tanh, as exporters write it; `root` may have six digits."""
    inner = x
    if by_tanh:
        squared = net.add(nn.Activation, x, function="square") if order == "half last" else net.add(nn.Multiply, x, x)
        cubed = net.add(nn.Multiply, net.add(nn.Multiply, constant(net, cube), x), squared)
        if order == "half first":
            power = net.add(nn.Activation, x, function="power", alpha=3.0)
            cubed = net.add(nn.Multiply, power, constant(net, cube))
        inner = net.add(nn.Add, x, cubed)
    factor = math.sqrt(2 / math.pi) if by_tanh else 1 / root
    scaled = net.add(nn.Multiply, inner, constant(net, factor))
    gate = net.add(nn.Add, constant(net, 1.0), net.add(nn.Activation, scaled, function="tanh" if by_tanh else "erf"))
    half = constant(net, 0.5)
    if order == "half first":
        return net.add(nn.Multiply, net.add(nn.Multiply, half, x), gate)
    if order == "half last":
        return net.add(nn.Multiply, net.add(nn.Multiply, x, gate), half)
    return net.add(nn.Multiply, x, net.add(nn.Multiply, gate, half))


@pytest.mark.parametrize("order", ["half first", "half last", "half the gate"])
@pytest.mark.parametrize("by_tanh", [False, True])
def test_spelled_out_gelus_are_one_step(net, order, by_tanh):
    (step,) = check(net, spelled_gelu(net, net.image(), order, by_tanh=by_tanh)).steps
    assert step.function == ("gelu_tanh" if by_tanh else "gelu")


def test_what_is_nearly_a_gelu_stays_as_it_is(net):
    x = net.image()
    by_erf = spelled_gelu(net, x, "half last", by_tanh=False, root=1.41)
    by_tanh = spelled_gelu(net, x, "half last", by_tanh=True, cube=0.0446)
    functions = {getattr(step, "function", "") for step in check(net, by_erf, by_tanh).steps}
    assert functions >= {"erf", "tanh"}
    assert not functions & {"gelu", "gelu_tanh"}


def test_a_ramp_alone_is_a_hard_sigmoid(net):
    ramp = net.add(nn.Activation, net.add(nn.Add, net.image(), constant(net, 3.0)), low=0.0, high=6.0)
    (step,) = check(net, net.add(nn.Multiply, ramp, constant(net, 1 / 6))).steps
    assert step.function == "hard_sigmoid"


def test_other_gates_stay_as_they_are(net):
    x, other = net.image(), net.builder.add_input("other", (1,))
    gate = net.add(nn.Activation, x, function="hard_sigmoid", alpha=0.2, beta=0.5)
    ramp = net.add(nn.Activation, net.add(nn.Add, x, constant(net, 2.0)), low=0.0, high=6.0)
    outputs = [
        net.add(nn.Multiply, x, gate),
        net.add(nn.Multiply, net.add(nn.Activation, x, function="sigmoid"), other),
        net.add(nn.Multiply, x, net.add(nn.Multiply, ramp, constant(net, 1 / 6))),
    ]
    program = check(net, *outputs)
    assert kinds(program).count("Multiply") == 3


# Constants per channel


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 1, 4)])
@pytest.mark.parametrize("kind", [nn.Add, nn.Multiply])
def test_constants_per_channel_are_affine_but_no_batch_norm(net, shape, kind):
    x = net.builder.add_input("x", (5, 6, 4))
    (step,) = check(net, net.add(kind, constant(net, net.normal(*shape)), x, name="scaled", low=-0.5, high=1.0)).steps
    assert step.kind == "Affine"
    assert [(norm.layer, norm.is_batch_norm) for norm in step.epilogue.norms] == [("scaled", False)]
    assert step.epilogue.post == (-0.5, 1.0)


@pytest.mark.parametrize("shape", [(5, 1, 1), (6, 1), (5, 6, 4)])
def test_other_constants_stay_buffers(net, shape):
    x = net.builder.add_input("x", (5, 6, 4))
    program = check(net, net.add(nn.Multiply, x, constant(net, net.normal(*shape))))
    assert kinds(program) == ["Multiply"]
    assert len(program.constants) == 1


def test_a_constant_larger_than_the_value_broadcasts_it(net):
    x = net.builder.add_input("x", (1, 4))
    assert check(net, net.add(nn.Add, x, constant(net, net.normal(3, 1)))).shapes["Add1"] == (3, 4)


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_separate_bias_is_the_layers_bias(net, with_bias):
    x = net.vector()
    bias = net.normal(3) if with_bias else None
    y = net.add(nn.Dense, x, weight=net.normal(3, net.shape(x)[0]), bias=bias)
    (step,) = check(net, net.relu(net.add(nn.Add, y, constant(net, net.normal(3))))).steps
    assert not step.epilogue.norms
    assert np.abs(step.epilogue.bias).min() > 0


# Windows


@given(seed=SEEDS)
def test_padding_goes_into_the_convolution(seed):
    net = Net(np.random.default_rng(seed))
    pads = ((net.size(0, 2), net.size(0, 2)), (net.size(0, 2), net.size(0, 2)), (0, 0))
    x = net.add(nn.Pad, net.image(), pads=pads)
    program = check(net, net.convolution(x), net.convolution(x))
    assert kinds(program) == ["Convolution", "Convolution"]


@pytest.mark.parametrize(("value", "channels"), [(1.0, 0), (0.0, 1)])
def test_other_padding_stays(net, value, channels):
    x = net.add(nn.Pad, net.image(), pads=((1, 1), (1, 1), (0, channels)), value=value)
    assert kinds(check(net, net.convolution(x))) == ["Pad", "Convolution"]


@pytest.mark.parametrize(
    ("function", "before", "value", "fits"),
    [
        ("max", "relu", 0.0, True),
        ("max", "none", 0.0, False),
        ("max", "none", -3.4028234663852886e38, True),
        ("max", "relu", 1.0, False),
        ("average", "none", 0.0, True),
        ("average", "none", 1.0, False),
    ],
)
@given(seed=SEEDS)
def test_padding_goes_into_a_pool_where_it_is_exact(function, before, value, fits, seed):
    net = Net(np.random.default_rng(seed))
    x = net.image()
    x = net.relu(x) if before == "relu" else x
    x = net.add(nn.Pad, x, pads=((1, 0), (net.size(0, 1), 1), (0, 0)), value=value)
    program = check(net, net.pool(x, function))
    assert ("Pad" not in kinds(program)) is fits


def test_padding_as_large_as_the_window_stays(net):
    x = net.add(nn.Pad, net.relu(net.image()), pads=((2, 2), (0, 0), (0, 0)))
    y = net.add(nn.Pool, x, function="max", kernel=(2, 2))
    assert kinds(check(net, y)) == ["Elementwise", "Pad", "Pool"]


@pytest.mark.parametrize("axes", [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)])
@pytest.mark.parametrize("function", ["mean", "max"])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reductions_are_pools(net, axes, function, keepdims):
    program = check(net, net.add(nn.Reduce, net.image(), axes=axes, function=function, keepdims=keepdims))
    assert set(kinds(program)) <= {"Pool", "Reshape"}
    assert kinds(program).count("Pool") == (2 if axes == (0, 2) else 1)


@pytest.mark.parametrize("axes", [axes for count in (1, 2, 3) for axes in itertools.combinations(range(3), count)])
def test_sums_and_minima_are_means_and_maxima(net, axes):
    x = net.image()
    total, least = (net.add(nn.Reduce, x, axes=axes, function=function, keepdims=True) for function in ("sum", "min"))
    assert set(kinds(check(net, total, least))) <= {"Pool", "Reshape", "Affine"}


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (1, 3), (0, 2), (0, 1, 2, 3)])
def test_reductions_of_other_ranks(net, axes):
    x = net.add(nn.Reshape, net.builder.add_input("x", (6, 5, 4)), shape=(2, 3, 5, 4))
    y = net.builder.add_input("y", (7, 3))
    check(net, net.add(nn.Reduce, x, axes=axes), net.add(nn.Reduce, y, axes=axes[:1], keepdims=True))


def test_a_global_pool_has_no_reshape(net):
    program = check(net, net.dense(net.add(nn.Reduce, net.relu(net.even(net.image())), axes=(0, 1))))
    assert kinds(program) == ["Convolution", "Convolution"]
    assert program.steps[0].pool is not None


@pytest.mark.parametrize("shape", [(4, 5, 3), (6, 3), (1, 1, 7), (4, 1, 3)])
@pytest.mark.parametrize("between", [False, True])
def test_flatten_and_dense_are_one_convolution(net, shape, between):
    x = net.builder.add_input("x", shape)
    flat = net.add(nn.Reshape, x, shape=(int(np.prod(shape)),))
    y = net.relu(net.norm(net.dense(net.relu(flat) if between else flat), plain=True))
    program = check(net, net.add(nn.Softmax, y, axis=0))
    assert kinds(program) == ["Elementwise"] * between + ["Convolution", "Softmax"]
    assert program.steps[between].weight.shape[1:] == (1,) * (3 - len(shape)) + shape


def test_a_branch_from_the_flattened_value_still_finds_it(net):
    x = net.even(net.image())
    flat = net.add(nn.Reshape, x, shape=(int(np.prod(net.shape(x))),))
    program = check(net, net.dense(flat), net.add(nn.Softmax, flat, axis=0))
    assert kinds(program).count("Reshape") == 1


def test_dense_on_every_pixel(net):
    assert kinds(check(net, net.dense(net.image()))) == ["Convolution"]


@pytest.mark.parametrize("kind", ["max", "nearest", "crop", "concat"])
def test_a_clip_steps_into_the_epilogue_before_a_layer_that_only_picks(net, kind):
    x = net.norm(net.even(image := net.image()), plain=True)
    height, width, channels = net.shape(x)
    if kind == "max":
        x = net.pool(x, "max")
    elif kind == "nearest":
        x = net.add(nn.Resize, x, size=(height * 2, width), ratio=(0.5, 1.0))
    elif kind == "crop":
        x = net.add(nn.Crop, x, starts=(1, 1, 0), sizes=(height - 1, width - 1, channels))
    else:
        x = net.add(nn.Concat, x, net.even(image), axis=2)
    program = check(net, net.add(nn.Activation, x, low=0.0, high=1.0, name="clip"))
    assert "Elementwise" not in kinds(program)
    assert {step.epilogue.post for step in program.steps if step.kind == "Convolution"} == {(0.0, 1.0)}
    (became,) = [record.became for record in program.records if record.name == "clip"]
    assert became.startswith("folded into")


def test_a_clip_stays_behind_an_average(net):
    program = check(net, net.relu(net.pool(net.even(net.image()), "average")))
    assert kinds(program) == ["Convolution", "Elementwise"]


# Every step on its own, and what is refused


@given(seed=SEEDS)
def test_resampling_tables(seed):
    net = Net(np.random.default_rng(seed))
    x = net.image()
    height, width, _ = net.shape(x)
    size = (net.size(1, 15), net.size(1, 15))
    coordinates = net.pick("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
    rounding = net.pick("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    fields = {"size": size, "ratio": (height / size[0], width / size[1]), "coordinates": coordinates, "rounding": rounding}
    found = kinds(check(net, net.add(nn.Resize, x, function=net.pick("nearest", "bilinear"), **fields)))
    assert found == (["Reshape"] if size == (height, width) else ["Resize"])  # of the same size, it only names its input anew


def test_values_of_four_axes(net):
    x = net.add(nn.Reshape, net.builder.add_input("x", (6, 5, 4)), shape=(2, 3, 5, 4))
    padded = net.add(nn.Pad, x, pads=((0, 1), (0, 0), (0, 0), (1, 0)), value=2.0)
    cropped = net.add(nn.Crop, padded, starts=(1, 0, 2, 1), sizes=(2, 3, 3, 4))
    joined = net.add(nn.Concat, net.add(nn.Concat, cropped, cropped, axis=3), padded_like(net, cropped), axis=0)
    check(net, net.add(nn.Softmax, net.dense(net.norm(joined, plain=True)), axis=3))


def padded_like(net: Net, x: str) -> str:
    return net.add(nn.Pad, x, pads=((0, 0), (0, 0), (0, 0), (0, net.shape(x)[3])))


@given(seed=SEEDS)
def test_work_along_any_axis_of_a_longer_value(seed):
    """Concat, Pad, Crop and Gather along the axes that (height, width, channels) merges, and along several at once."""
    net = Net(np.random.default_rng(seed))
    shape = tuple(net.size(1, 4) for _ in range(net.size(4, 5)))
    x = net.add(nn.Reshape, net.builder.add_input("x", (int(np.prod(shape)),)), shape=shape)
    for _ in range(2):
        shape = net.shape(x)
        kind = net.pick("Concat", "Pad", "Crop", "Gather")
        if kind == "Concat":
            x = net.add(nn.Concat, x, net.relu(x), x, axis=net.size(0, len(shape) - 1))
        elif kind == "Pad":
            x = net.add(nn.Pad, x, pads=tuple((net.size(0, 1), net.size(0, 2)) for _ in shape), value=2.0)
        elif kind == "Gather":
            lists = (net.rng.integers(0, size, net.size(1, 4)) if net.size(0, 1) else None for size in shape)
            x = net.add(nn.Gather, x, indices=tuple(lists))
        else:
            starts = tuple(net.size(0, size - 1) for size in shape)
            sizes = tuple(net.size(1, size - start) for size, start in zip(shape, starts, strict=True))
            x = net.add(nn.Crop, x, starts=starts, sizes=sizes)
    check(net, x)


def test_records_speak_of_every_layer_of_the_file(net):
    x = net.even(net.image())
    y = net.dense(net.add(nn.Reshape, net.relu(net.norm(x)), shape=(int(np.prod(net.shape(x))),)))
    graph = net.builder.finish([y])
    program = lower(graph)
    assert [record.name for record in program.records] == [layer.name for layer in graph.layers]
    height, width, channels = net.shape(x)
    macs = {record.name: record.macs for record in program.records if record.macs}
    outputs = net.shape(y)[0]
    assert macs == {x: height * width * channels * channels * 9, y: height * width * channels * outputs}
    assert sum(record.parameters for record in program.records) == sum(layer.parameters() for layer in graph.layers)
    names = {step.name for step in program.steps}
    assert all(record.step in names or record.became.startswith("vanished") for record in program.records)


def test_a_transposed_convolution_counts_by_its_input(net):
    program = lower(net.builder.finish([y := net.transposed(net.image())]))
    (record,) = [record for record in program.records if record.name == y]
    (step,) = program.steps
    height, width, _ = program.buffers[step.inputs[0]].shape
    assert record.macs == height * width * step.weight.size


def test_several_outputs_and_inputs_keep_their_names(net):
    a, b = net.image(), net.builder.add_input("b", (5,))
    outputs = [net.relu(net.even(a)), net.dense(b), net.add(nn.Softmax, b, axis=0)]
    program = check(net, *outputs)
    assert program.inputs == (a, b)
    assert list(program.outputs) == outputs
    assert set(reference.run(program, {a: np.zeros((1, *net.shape(a))), b: np.zeros((1, 5))})) == set(outputs)


def grow(net: Net, x: str) -> str:
    """One random layer on an (H, W, C) value."""
    height, width, channels = net.shape(x)
    choice = net.size(0, 14)
    if choice <= 2:
        return net.norm(x, net.name("bn"), plain=True, sign=net.pick("any", "positive"), axis=net.pick(2, 2, 2, 0, 1))
    if choice <= 4:
        return net.relu(x)
    if choice == 5:
        return net.add(nn.Add, x, net.norm(x, net.name("bn"), plain=True), low=net.pick(-np.inf, 0.0))
    if choice == 6:
        return net.add(nn.Concat, net.relu(x), x, axis=2)
    if choice == 7:
        return net.add(nn.Pad, x, pads=((1, 1), (0, 1), (0, 0)))
    if choice == 8:
        return net.add(nn.Crop, x, starts=(height - 1, 0, 0), sizes=(1, width, channels))
    if choice == 9:
        return net.sampled(x)
    if choice == 10:
        return net.add(net.pick(nn.Add, nn.Multiply), constant(net, net.normal(*net.pick((channels,), (1,), (width, 1)))), x)
    if choice == 11:
        flat = net.norm(net.add(nn.Reshape, x, shape=(height * width, channels)), net.name("bn"), plain=True)
        return net.add(nn.Reshape, net.relu(flat), shape=(width, height, channels))
    if choice == 12:
        return net.dense(x)
    if choice == 13 and min(height, width) >= 3:
        return net.pool(x, net.pick("max", "average"), padded=net.pick(True, False), counted=net.pick(True, False))
    return net.convolution(x)


@given(seed=SEEDS)
def test_random_networks(seed):
    net = Net(np.random.default_rng(seed))
    values = [net.convolution(net.image())]
    for _ in range(net.size(3, 8)):
        values.append(grow(net, net.pick(values[-1], values[-1], values[-1], values[net.size(0, len(values) - 1)])))
    pooled = net.add(nn.Reduce, values[-1], axes=(0, 1), function=net.pick("mean", "max"))
    flat = net.add(nn.Reshape, values[-1], shape=(int(np.prod(net.shape(values[-1]))),))
    ends = [pooled, net.norm(net.dense(pooled), plain=True), net.relu(net.dense(flat)), net.pick(*values)]
    outputs = net.rng.choice(ends, net.size(1, 4), replace=False).tolist()
    assert_same(net.builder.finish(outputs), net.rng, cancelling=True)
