"""Int8 maps scaled by channel: the vector kernel against the integers, for every pair of codes and every size of pixels."""

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.kernels import executor, isa
from edgebn.kernels.add_int8_proof import UNIT
from edgebn.kernels.records import NEGATIVE_ROUNDING
from edgebn.kernels.scale_int8_proof import scaling_proof
from edgebn.session import bands
from edgebn.session.tables import Packed

HAS_KERNEL = "scale_tile_i8" in executor.operations()  # where codes have vectors; the same holds for what stands in its place


def arithmetic(seed, bounds=(-128, 127)):
    """Return the form of a product as files bring it: one rounding, or two; and with scales that are powers of two, all ties."""
    rng = np.random.default_rng(seed)
    kind, zero_point = seed % 3, int(rng.integers(-128, 128))
    if kind == 0:
        return p.IntMultiply(1 << 7, 1 << 14, 15, False, zero_point, *bounds)
    m, s = int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(37, 40))
    rounding = (1 << (s - 1)) + ((1 << 30) if kind == 2 else 0)
    return p.IntMultiply(m, rounding, s, kind == 2, zero_point, *bounds)


def proof(form):
    return scaling_proof((form.m, form.r, form.s, form.neg), (form.zero_point, form.qmin, form.qmax))


def program(shape, form, zeros, *, factors_first=False):
    """Return a network that scales a map of codes by channel."""
    x, y = (p.Buffer(name, shape, "int8", 0.1, zero) for name, zero in (("x", zeros[0]), ("y", form.zero_point)))
    factors = p.Buffer("f", (1, 1, shape[2]), "int8", 0.1, zeros[1])
    inputs = ("f", "x") if factors_first else ("x", "f")
    buffers = {one.name: one for one in (x, factors, y)}
    step = p.Multiply("scaled", inputs, "y", arithmetic=form)
    shapes = {name: one.shape for name, one in buffers.items()}
    return p.Program("scaling", "scaling", "native", False, buffers, {}, (step,), ("x", "f"), ("y",), shapes)


def codes(shape, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, (3, *shape)).astype(np.int8)


def operations(network, threads=1):
    table = Packed(network, edgebn.session.options.Options(threads=threads)).codes
    return [executor.by_code()[code].name for code in table.words[:, 0]]


@pytest.mark.parametrize("seed", range(24))
def test_every_pair_of_codes_is_exact_or_in_doubt(seed):
    """NumPy plays the kernel, for every a and b less their zero points that there can be."""
    form = arithmetic(seed, ((-128, 127), (-100, 90))[seed % 2])
    scalars = proof(form)
    assert scalars is not None
    numbers = np.arange(-255, 256)
    u = numbers[:, None] * numbers
    exact = (u.astype(object) * form.m + form.r - np.where((u < 0) & form.neg, NEGATIVE_ROUNDING, 0)) >> form.s
    expected = np.clip(exact + form.zero_point, form.qmin, form.qmax).astype(np.int64)
    scale, start, below = (np.int32(scalars[f"{name}_bits"]).view(np.float32) for name in ("scale", "start", "below"))
    products = numbers[:, None].astype(np.longdouble) * (numbers.astype(np.float32) * scale).astype(np.longdouble)
    if form.neg:
        products = products.astype(np.float32).astype(np.longdouble)
    t = (products + np.where(products < 0, below, start).astype(np.longdouble)).astype(np.float32).astype(np.int64)
    is_safe = (t & scalars["safe_mask"]) != 0
    found = np.clip(np.clip(t // UNIT, 0, 255) - 128, form.qmin, form.qmax)
    np.testing.assert_array_equal(found[is_safe], expected[is_safe])
    assert is_safe.mean() == (1.0 if form.m == 1 << 7 else pytest.approx(1.0, abs=0.01))


def test_what_float32_cannot_hold_is_left_to_integers():
    assert proof(p.IntMultiply(1 << 30, 1 << 29, 30, False, 0, -128, 127)) is None  # 65025 times 2**16 is beyond int32


@pytest.mark.parametrize("channels", [1, 3, 8, 16, 24, 32, 33, 40, 64, 65, 96, 144, 672])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (7, 7), (9, 14)])
def test_kernel(size, channels):
    for seed in range(3):
        form, zeros = arithmetic(seed + channels, ((-128, 127), (-50, 60))[seed % 2]), (7 * seed - 128, 127 - 80 * seed)
        network = program((*size, channels), form, zeros, factors_first=seed == 1)
        x, factors = codes((*size, channels)), codes((1, 1, channels), 1)
        got = edgebn.Session(network).run({"x": x, "f": factors})
        np.testing.assert_array_equal(got, reference.run(network, {"x": x, "f": factors}))
    fits = HAS_KERNEL and size != (1, 1) and size[0] * size[1] * channels >= isa.SELECTED.vector_bytes
    assert ("scale_tile_i8" in operations(network)) == fits


def test_threads_share_it(monkeypatch):
    for name, least in (("MIN_MACS", 1), ("MIN_PROGRAM_MACS", 0)):
        monkeypatch.setattr(bands, name, dict.fromkeys(("float32", "int8"), least))
    shape = (112, 111, 24)
    network = program(shape, arithmetic(1), (3, -128))
    x, factors = codes(shape), codes((1, 1, 24), 1)
    assert operations(network, threads=2).count("scale_tile_i8" if HAS_KERNEL else "multiply_i8") > 1
    got = edgebn.Session(network, threads=2).run({"x": x, "f": factors})
    np.testing.assert_array_equal(got, edgebn.Session(network).run({"x": x, "f": factors}))
