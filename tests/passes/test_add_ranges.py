"""Ranges chosen behind an addition, against plain least squares, on values that a ReLU cuts."""

import numpy as np

from edgebn import program as p
from edgebn.passes.quantization.add_ranges import AddObserver, sum_range

RELU = (0.0, np.inf)


def sum_error(own, other, low, high):
    step = (high - low) / 255
    start = np.rint(low / step)
    codes = np.clip(np.rint(own / step), start, start + 255)
    return ((np.maximum(codes * step + other, 0) - np.maximum(own + other, 0)) ** 2).sum()


def test_what_the_activation_cuts_off_may_saturate():
    rng = np.random.default_rng(0)
    own, other = rng.normal(-3, 3, 20_000), rng.uniform(0, 1, 20_000)
    low, high = sum_range(own, other, RELU)
    assert -5 < low < -0.5
    assert high > 4
    assert sum_error(own, other, low, high) < 0.4 * sum_error(own, other, own.min(), own.max())


def test_values_that_are_all_zero_have_an_empty_range():
    assert sum_range(np.zeros(9), np.ones(9), RELU) == (0.0, 0.0)


def test_only_what_one_addition_alone_reads_is_chosen():
    """x -> a, a -> b, a + b: `a` has two readers, so only `b` is free."""
    plain = p.FloatEpilogue(np.zeros(2, np.float32), np.ones(2, np.float32), np.zeros(2, np.float32))
    weight = np.ones((2, 1, 1, 2), np.float32)
    steps = (
        p.Convolution("a", ("x",), "a", weight, plain),
        p.Convolution("b", ("a",), "b", weight, plain),
        p.Add("sum", ("a", "b"), "y", post=RELU),
    )
    buffers = {name: p.Buffer(name, (4, 4, 2)) for name in ("x", "a", "b", "y")}
    program = p.Program("m", "m.keras", "keras", False, buffers, {}, steps, ("x",), ("y",), {"x": (4, 4, 2), "y": (4, 4, 2)})
    seen = AddObserver(program)
    rng = np.random.default_rng(1)
    values = {name: rng.normal(size=(3, 4, 4, 2)).astype(np.float32) for name in "ab"}
    seen.see(values)
    seen.see(values)
    found = seen.ranges()
    assert set(found) == {"b"}
    low, high = found["b"]
    assert values["b"].min() <= low < 0 < high <= values["b"].max()
