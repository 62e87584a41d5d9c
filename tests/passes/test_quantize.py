"""float32 to int8: real networks against their float32 selves, and every step class on a small network of all of them."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.errors import QuantizationError
from edgebn.functions import BINARY, OF_REALS
from edgebn.passes.quantization import calibrated, quantize_weights
from edgebn.passes.quantization.apart import steps_apart
from edgebn.passes.quantization.calibration import observe, ranges_and_means
from edgebn.passes.quantization.equalize import equalize
from edgebn.passes.quantization.error_table import error_rows
from edgebn.passes.quantization.keep import FLOAT_ONLY
from edgebn.passes.quantization.norm_ranges import norm_ranges
from edgebn.passes.quantization.quantize import quantize_program

AGREEMENT_BAR = 99.5  # percent; measured 99.7 on these 1,000 images, 99.69 on 3,500, the same with every instruction set


def runner(program):
    """Every buffer of a batch, by the specification."""

    def run_buffers(batch):
        count = len(next(iter(batch.values())))
        results = []
        for i in range(count):
            sample = {}
            for name, array in batch.items():
                buffer = program.buffers[name]
                sample[name] = reference.quantize_real(array[i], buffer) if buffer.dtype == "int8" else array[i]
            results.append(reference.run_steps(program, sample))
        return {name: np.stack([result[name] for result in results]) for name in results[0]}

    return run_buffers


class Maker:
    """Writes a float32 program step by step."""

    def __init__(self, shape, seed=0):
        self.rng = np.random.default_rng(seed)
        self.buffers = {"x": p.Buffer("x", shape)}
        self.constants, self.steps = {}, []

    def add(self, kind, inputs, shape, *arguments, **options):
        name = f"{kind.__name__.lower()}{len(self.steps)}"
        self.buffers[name] = p.Buffer(name, shape)
        self.steps.append(kind(name, inputs, name, *arguments, **options))
        return name

    def convolution(self, given, channels, kernel=(3, 3), norm=True, groups=1, **options):
        height, width, before = self.buffers[given].shape
        per_group = before // groups
        weight = self.rng.normal(size=(channels, *kernel, per_group)).astype(np.float32) / np.sqrt(
            kernel[0] * kernel[1] * per_group
        )
        norms, a, d = (), np.ones(channels, np.float32), np.zeros(channels, np.float32)
        if norm:
            gamma = (self.rng.uniform(0.3, 2.0, channels) * self.rng.choice([-1, 1], channels)).astype(np.float32)
            beta = self.rng.normal(size=channels).astype(np.float32)
            norms = (p.Norm("bn", gamma, beta, np.zeros(channels, np.float32), np.ones(channels, np.float32), 0.0),)
            a, d = gamma, beta
        epilogue = p.FloatEpilogue(np.zeros(channels, np.float32), a, d, post=options.pop("post", (0.0, np.inf)), norms=norms)
        padding = (kernel[0] // 2, kernel[1] // 2) * 2
        pool = options.get("pool")
        shape = (height // 2, width // 2, channels) if pool else (height, width, channels)
        return self.add(p.Convolution, (given,), shape, weight, epilogue, padding=padding, groups=groups, **options)

    def finish(self, output):
        shapes = {"x": self.buffers["x"].shape, output: self.buffers[output].shape}
        return p.Program("m", "m.keras", "keras", False, self.buffers, self.constants, tuple(self.steps), ("x",), (output,), shapes)


def network_of_everything():
    """One of every step class, 8 x 8 x 4 in, 10 probabilities out."""
    make = Maker((8, 8, 4))
    first = make.convolution("x", 8, pool=p.Window("max", (2, 2), (2, 2)))
    depthwise = make.convolution(first, 8, groups=8)
    total = make.add(p.Add, (first, depthwise), (4, 4, 8), (0.0, np.inf))
    wave = make.add(p.Elementwise, (make.convolution(total, 8, (1, 1), post=(-np.inf, np.inf)),), (4, 4, 8), "tanh")
    slope = np.linspace(-0.5, 0.5, 8).astype(np.float32).reshape(1, 1, 8)
    bent = make.add(p.Elementwise, (wave,), (4, 4, 8), "prelu", slope=slope)
    gate = make.add(p.Elementwise, (total,), (4, 4, 8), "sigmoid")
    product = make.add(p.Multiply, (bent, gate), (4, 4, 8))
    product = make.add(p.Binary, (product, wave), (4, 4, 8), "maximum", (-0.9, np.inf))
    both = make.add(p.Concat, (product, total), (4, 4, 16), 2)
    norm = p.Norm("bn", *(np.full(16, value, np.float32) for value in (-1.5, 0.2, 0.1, 2.0)), 1e-3)
    a = norm.gamma / np.sqrt(norm.variance + np.float32(1e-3))
    epilogue = p.FloatEpilogue(np.zeros(16, np.float32), a, norm.beta - norm.mean * a, norms=(norm,))
    scaled = make.add(p.Affine, (both,), (4, 4, 16), epilogue)
    padded = make.add(p.Pad, (scaled,), (5, 5, 16), ((1, 0), (0, 1), (0, 0)))
    cropped = make.add(p.Crop, (padded,), (4, 4, 16), (1, 0, 0))
    rows, halves = np.array([[0, 1], [1, 2], [2, 3], [3, 3]], np.int32), np.full((4, 2), 0.5, np.float32)
    smooth = make.add(p.Resize, (cropped,), (4, 4, 16), "bilinear", rows, rows, halves, halves)
    keys = make.add(p.Transpose, (smooth,), (4, 16, 4), (0, 2, 1))
    attended = make.add(p.MatMul, (make.add(p.MatMul, (smooth, keys), (4, 4, 4)), smooth), (4, 4, 16))
    turned = make.add(p.Transpose, (attended,), (4, 4, 16), (1, 0, 2))
    weight = make.rng.normal(size=(8, 2, 2, 16)).astype(np.float32) / 8
    plain = p.FloatEpilogue(np.zeros(8, np.float32), np.ones(8, np.float32), np.zeros(8, np.float32))
    wide = make.add(p.TransposedConvolution, (turned,), (8, 8, 8), weight, plain, strides=(2, 2))
    averaged = make.convolution(wide, 12, pool=p.Window("average", (2, 2), (2, 2)))
    mean = make.add(p.Pool, (averaged,), (1, 1, 12), p.Window("average", (4, 4), (1, 1)))
    flat = make.add(p.Reshape, (mean,), (1, 1, 12))
    logits = make.convolution(flat, 10, (1, 1), norm=False, post=(-np.inf, np.inf))
    return make.finish(make.add(p.Softmax, (logits,), (1, 1, 10)))


@pytest.mark.parametrize("function", [name for name in BINARY if name not in OF_REALS])
def test_functions_of_two_values_are_as_near_as_their_codes(function):
    """Scales and zero points differ; each result is within a code of the function of the real numbers that its codes stand for."""
    make = Maker((6, 5, 4))
    other = make.add(p.Elementwise, ("x",), (6, 5, 4), "sigmoid")
    program = make.finish(make.add(p.Binary, (other, "x"), (6, 5, 4), function))
    x = np.random.default_rng(2).normal(0.5, 1, (40, 6, 5, 4)).astype(np.float32)
    int8 = quantize_program(program, *ranges_and_means(program, observe(program, runner(program), x), "minmax"))
    codes = reference.quantize_real(x[0], int8.buffers["x"])
    values = reference.run_steps(int8, {"x": codes})
    output = int8.buffers[program.outputs[0]]
    a, b = ((values[name].astype(np.float64) - int8.buffers[name].zero_point) * int8.buffers[name].scale for name in (other, "x"))
    wanted = np.clip(BINARY[function](a, b) / output.scale + output.zero_point, -128, 127)
    assert np.abs(values[output.name] - wanted).max() < 0.52


@pytest.mark.parametrize("function", OF_REALS)
def test_quotients_and_powers_of_two_values_have_no_int8_form(function):
    make = Maker((2, 2, 4))
    program = make.finish(make.add(p.Binary, ("x", "x"), (2, 2, 4), function))
    with pytest.raises(QuantizationError, match=rf"layer '\w+': the function '{function}' of two values has no int8 form"):
        quantize_program(program, dict.fromkeys(program.buffers, (0.5, 2.0)))


def test_every_step_class_survives_quantisation():
    program = network_of_everything()
    kinds = {type(step) for step in program.steps}
    # Curve and Rescale are of int16, UnitNorm is of codes, others are of whole numbers: files bring them, quantisation makes none.
    brought = {p.Curve, p.Rescale, p.UnitNorm, p.Cast, p.IntegerBinary, p.ArgExtreme}
    assert kinds == set(reference.STEPS) - {p.Lookup, *FLOAT_ONLY, p.Quantize, p.Dequantize, *brought}
    apart = steps_apart(program)
    x = np.random.default_rng(1).normal(size=(60, 8, 8, 4)).astype(np.float32)
    observers = observe(apart, runner(apart), x)
    int8 = quantize_program(apart, *ranges_and_means(apart, observers, "mse"))
    assert {buffer.dtype for buffer in int8.buffers.values()} == {"int8"}
    rows = error_rows(apart, int8, runner(apart), runner(int8), x[:20])
    assert [row.sqnr for row in rows] == sorted(row.sqnr for row in rows)
    assert len(rows) == len(int8.steps)
    assert rows[0].sqnr > 20, rows[0]
    assert max(row.saturation for row in rows) < 1.0
    table = next(step for step in int8.steps if isinstance(step, p.Lookup) and len(step.table) > 1)
    assert table.table.shape == (8, 256)


def test_averages_apart_compute_the_same():
    program = network_of_everything()
    apart = steps_apart(program)
    assert len(apart.steps) == len(program.steps) + 1
    x = np.random.default_rng(2).normal(size=(3, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(reference.run(apart, x), reference.run(program, x), rtol=1e-6)


def test_equalized_network_computes_the_same():
    program = network_of_everything()
    sizes = {name: np.random.default_rng(3).uniform(0.05, 1, buffer.shape[2]) for name, buffer in program.buffers.items()}
    changed = equalize(program, sizes)
    assert any(
        (a.weight != b.weight).any() for a, b in zip(program.steps, changed.steps, strict=True) if isinstance(a, p.Convolution)
    )
    x = np.random.default_rng(4).normal(size=(4, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(reference.run(changed, x), reference.run(program, x), atol=1e-5)


@pytest.mark.parametrize("pool", [None, p.Window("max", (2, 2), (2, 2))], ids=["", "pooled"])
def test_the_error_table_sees_through_equalization(pool, tmp_path, monkeypatch):
    """Channels of very different sizes: equalisation lowers the true error, so no layer may look worse than without it."""
    make = Maker((8, 8, 4), seed=9)
    first = make.convolution("x", 16, pool=pool)
    program = make.finish(make.convolution(first, 8))
    norm = program.steps[0].epilogue.norms[0]
    sizes = np.geomspace(1.0, 0.01, 16).astype(np.float32)
    norm = dataclasses.replace(norm, gamma=norm.gamma * sizes, beta=norm.beta * sizes)
    epilogue = dataclasses.replace(program.steps[0].epilogue, a=norm.gamma, d=norm.beta, norms=(norm,))
    weight = program.steps[1].weight / sizes
    steps = (dataclasses.replace(program.steps[0], epilogue=epilogue), dataclasses.replace(program.steps[1], weight=weight))
    program = dataclasses.replace(program, steps=steps)
    x = np.random.default_rng(10).normal(size=(64, 8, 8, 4)).astype(np.float32)

    def sqnr(int8):
        return {row.layer: row.sqnr for row in edgebn.error_table(program, int8, x)}

    equalized = edgebn.quantize(program, x)
    assert equalized.channel_factors[steps[0].output].max() > 4
    assert set(equalized.channel_factors) <= set(equalized.buffers)
    monkeypatch.setattr("edgebn.passes.quantization.calibrated.equalize", lambda program, _: program)
    plain = edgebn.quantize(program, x)
    assert not plain.channel_factors
    with_it, without = sqnr(equalized), sqnr(plain)
    assert with_it[steps[0].name] > without[steps[0].name] - 1.0
    assert with_it[steps[1].name] > without[steps[1].name] + 3.0
    edgebn.save(equalized, tmp_path / "m.edgebn")
    assert sqnr(edgebn.load(tmp_path / "m.edgebn")) == with_it


def test_a_stream_with_a_vector_is_equalized_less():
    """Two networks that differ in a global average behind: one number a sample says little of how large a channel gets."""
    spread = {}
    for pooled in (False, True):
        make = Maker((8, 8, 4))
        first = make.convolution("x", 8)
        if pooled:
            first = make.add(p.Pool, (first,), (1, 1, 8), p.Window("average", (8, 8), (1, 1)))
        program = make.finish(make.convolution(first, 3, (1, 1)))
        sizes = {name: np.linspace(0.1, 1, buffer.shape[2]) for name, buffer in program.buffers.items()}
        gamma = equalize(program, sizes).steps[0].epilogue.norms[0].gamma / program.steps[0].epilogue.norms[0].gamma
        spread[pooled] = gamma.max() / gamma.min()
    assert 1.5 < spread[True] < 0.7 * spread[False]


def test_weights_of_a_channel_are_nearest_and_a_zero_channel_is_harmless():
    weight = np.random.default_rng(5).normal(size=(3, 3, 3, 8)).astype(np.float32)
    weight[1] = 0.0
    codes, scale = quantize_weights.quantize_weights(weight, np.array([0.0, 5.0, 0.0]), 0.1)
    assert codes.min() >= -127
    assert (codes[1] == 0).all()
    assert (scale > 0).all()
    error = np.abs(codes * scale[:, None, None, None] - weight)
    assert np.median(error) < 0.3 * scale.max()
    largest = np.abs(weight).max(axis=(1, 2, 3)) / 127
    assert (scale[[0, 2]] <= largest[[0, 2]] * (1 + 1e-6)).all()


def test_mean_error_is_what_rounding_takes_from_the_mean():
    rng = np.random.default_rng(6)
    weight = rng.normal(size=(4, 1, 1, 3)).astype(np.float32)
    codes, scale = quantize_weights.quantize_weights(weight, np.zeros(4), 1.0)
    x = rng.normal(size=(5000, 6)) + np.arange(6)  # two groups of three channels
    grouped = x.reshape(5000, 2, 3)
    exact = np.einsum("ngi,goi->ngo", grouped, weight.reshape(2, 2, 3)).reshape(5000, 4)
    rounded = np.einsum("ngi,goi->ngo", grouped, (codes * scale[:, None, None, None]).reshape(2, 2, 3)).reshape(5000, 4)
    want = (exact - rounded).mean(axis=0)
    np.testing.assert_allclose(quantize_weights.mean_error(weight, codes, scale, x.mean(axis=0), 2), want, atol=1e-9)


def test_ranges_from_norms_hold_the_values():
    make = Maker((8, 8, 4), seed=7)
    program = make.finish(make.convolution(make.convolution("x", 16), 16))
    ranges, means = norm_ranges(program)
    for step in program.steps:
        gamma, beta = step.epilogue.norms[0].gamma, step.epilogue.norms[0].beta
        low, high = ranges[step.output]
        assert low == 0.0
        assert high == pytest.approx((beta + 5 * np.abs(gamma)).max(), rel=1e-3)
        assert means[step.output].shape == (16,)


def test_without_a_norm_behind_the_input_data_is_asked_for():
    make = Maker((4, 4, 2))
    program = make.finish(make.convolution("x", 4, norm=False))
    with pytest.raises(QuantizationError, match="give calibration data"):
        edgebn.quantize(program)


def test_progress_covers_both_runs_and_the_rounding():
    make = Maker((4, 4, 2))
    program = make.finish(make.convolution("x", 4))
    calls = []
    pieces = (np.random.default_rng(i).normal(size=(3, 4, 4, 2)) for i in range(4))
    edgebn.quantize(program, pieces, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3 * i, 25) for i in range(1, 9)] + [(25, 25)]


def test_progress_learns_the_total_of_a_long_generator(monkeypatch):
    """Of 12 samples the first 3 are held, and run twice."""
    monkeypatch.setattr(calibrated, "FIRST_BYTES", 1)
    make = Maker((4, 4, 2))
    program = make.finish(make.convolution("x", 4))
    for given, total in ((np.zeros((12, 4, 4, 2)) + np.arange(12).reshape(12, 1, 1, 1), 12), (None, None)):
        pieces = given if given is not None else (np.random.default_rng(i).normal(size=(3, 4, 4, 2)) for i in range(4))
        calls = []
        edgebn.quantize(program, pieces, progress=lambda done, total: calls.append((done, total)))  # noqa: B023
        assert calls[0][1] is None if total is None else calls[0][1] is not None
        assert calls[-1][0] == calls[-1][1]
        assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_int8_and_unknown_methods_are_refused():
    make = Maker((4, 4, 2))
    program = make.finish(make.convolution("x", 4))
    int8 = edgebn.quantize(program)
    with pytest.raises(QuantizationError, match="int8 already"):
        edgebn.quantize(int8)
    with pytest.raises(QuantizationError, match="minmax"):
        edgebn.quantize(program, method="entropy")


def classes(program, x):
    return edgebn.Session(program).run(x).reshape(len(x), -1).argmax(axis=1)


def agreement(one, other):
    """Return how many of two lists of classes, or of labels, are the same, in percent."""
    return 100 * (one == other).mean()


def test_resnet8_keeps_its_accuracy(shared_models, shared_data):
    data = np.load(shared_data / "cifar10_dev.npz")
    program = edgebn.load(shared_models / "resnet8_jpeg.h5")
    x, labels = data["x_test"].astype(np.float32), data["y_test"].ravel()
    floats, codes = classes(program, x), classes(edgebn.quantize(program, data["x_train"][:500]), x)
    assert agreement(codes, labels) >= agreement(floats, labels) - 0.3
    assert agreement(floats, codes) >= AGREEMENT_BAR
    assert agreement(classes(edgebn.quantize(program), x), labels) >= agreement(floats, labels) - 1.5


def test_kws_keeps_its_accuracy(shared_models, shared_data):
    data = np.load(shared_data / "kws_dev.npz")
    x = (data["x"].astype(np.float32) - 83) * np.float32(0.5847029)
    program = edgebn.load(shared_models / "kws.keras")
    found, labels = x[100:], data["y"][100:]
    floats = agreement(classes(program, found), labels)
    assert agreement(classes(edgebn.quantize(program, x[:100]), found), labels) >= floats - 0.6
    assert agreement(classes(edgebn.quantize(program), found), labels) >= floats - 1.5


def padded_network(kind: str, value: float):
    """Something with fixed or its own codes, moved, and a padding with a number beyond what it makes."""
    make = Maker((6, 6, 4), seed=3)
    x = make.convolution("x", 4)
    if kind == "softmax":
        x = make.add(p.Softmax, (x,), (6, 6, 4))
    elif kind in ("sigmoid", "tanh"):
        x = make.add(p.Elementwise, (x,), (6, 6, 4), kind)
    x = make.add(p.Transpose, (make.add(p.Crop, (x,), (4, 6, 4), (1, 0, 0)),), (6, 4, 4), (1, 0, 2))
    return make, make.add(p.Pad, (x,), (8, 5, 4), ((1, 1), (0, 1), (0, 0)), value)


@pytest.mark.parametrize("method", ["mse", "minmax"])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "tanh", "convolution"])
@pytest.mark.parametrize("value", [-3.0, 1.0, 20.0])
def test_a_paddings_number_is_within_the_codes_it_surrounds(kind, value, method):
    """The range of a sigmoid, a softmax or what calibration saw ends before it."""
    make, y = padded_network(kind, value)
    program = make.finish(y)
    x = np.random.default_rng(5).normal(size=(16, 6, 6, 4)).astype(np.float32)
    int8 = edgebn.quantize(program, x, method=method)
    found, wanted = reference.run(int8, x), reference.run(program, x)
    inside = (slice(None), slice(1, -1), slice(0, -1))
    surrounded = np.ones(wanted.shape, bool)
    surrounded[inside] = False
    scale = int8.buffers[y].scale
    assert np.abs(found - wanted)[surrounded].max() <= max(scale, 1 / 128), "the padding"
    assert np.percentile(np.abs(found - wanted)[inside], 99) <= 3 * max(scale, 0.03), "what it surrounds"


def test_a_padding_that_never_wins_a_maximum_widens_no_range():
    make, y = padded_network("convolution", float(np.finfo(np.float32).min))
    program = make.finish(make.add(p.Pool, (y,), (6, 3, 4), p.Window("max", (3, 3), (1, 1))))
    x = np.random.default_rng(5).normal(size=(16, 6, 6, 4)).astype(np.float32)
    int8 = edgebn.quantize(program, x, method="minmax")
    found, wanted = reference.run(int8, x), reference.run(program, x)
    assert np.abs(found - wanted).max() <= 0.05 * np.ptp(wanted)


def peak_bytes(program, samples):
    """Return the most memory that quantising with so many samples takes at once, beyond the program."""
    rng = np.random.default_rng(0)
    pieces = (rng.normal(size=(20, 8, 8, 4)).astype(np.float32) for _ in range(samples // 20))
    tracemalloc.start()
    try:
        edgebn.quantize(program, pieces)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_samples(monkeypatch):
    """800 samples fill what is kept of an addition; 3,200 more are 3.3 MB of data."""
    monkeypatch.setattr(calibrated, "FIRST_BYTES", 1 << 16)
    make = Maker((8, 8, 4))
    first = make.convolution("x", 8)
    both = make.add(p.Add, (first, make.convolution(first, 8, post=(-np.inf, np.inf))), (8, 8, 8), (0.0, np.inf))
    logits = make.convolution(make.add(p.Pool, (both,), (1, 1, 8), p.Window("average", (8, 8), (1, 1))), 10, (1, 1), norm=False)
    program = make.finish(make.add(p.Softmax, (logits,), (1, 1, 10)))
    peak_bytes(program, 20)  # imports, and what is kept from the first use on
    few, many = peak_bytes(program, 800), peak_bytes(program, 4000)
    assert many < 1.25 * few, f"{few:,} and {many:,} bytes"
