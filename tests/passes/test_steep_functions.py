"""Logarithms of int8 powers: the way from better codes to the logarithm stays float32, and other functions do not."""

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from tests.passes.test_keep import data, ratio
from tests.passes.test_quantize import Maker


def spectrum(function, squared=True, **parameters):
    """Return the logarithm of a convolution's power, which another one reads, as networks for sound have it."""
    make = Maker((8, 8, 4))
    made = make.convolution("x", 8, norm=False, post=(-np.inf, np.inf))
    other = {"norm": False, "post": (1e-3, np.inf)}
    made = make.add(p.Multiply, (made, made), (8, 8, 8)) if squared else make.convolution(made, 8, **other)
    return make.finish(make.convolution(make.add(p.Elementwise, (made,), (8, 8, 8), function, **parameters), 8, norm=False))


def float_steps(quantized):
    return {step.name for step in quantized.steps if quantized.buffers[step.output].dtype == "float32" and "/" not in step.name}


def test_a_logarithm_of_a_power_is_float_from_the_power_on():
    program = spectrum("log")
    quantized = edgebn.quantize(program, data())
    assert float_steps(quantized) == {"multiply1", "elementwise2"}
    without = edgebn.quantize(program, data(), keep={})
    assert without.dtype == "int8"
    near, far = (ratio(program, one, data(16, seed=5)) for one in (quantized, without))
    assert near > far + 6


@pytest.mark.parametrize(("exponent", "is_steep"), [(0.3, True), (3.7, False)])
def test_a_root_of_a_power_is_float_where_that_is_nearer(exponent, is_steep):
    program = spectrum("power", alpha=exponent)
    quantized = edgebn.quantize(program, data())
    assert float_steps(quantized) == ({"multiply1", "elementwise2"} if is_steep else set())
    without = edgebn.quantize(program, data(), keep={})
    near, far = (ratio(program, one, data(16, seed=5)) for one in (quantized, without))
    assert near > far + 6 if is_steep else near == far


@pytest.mark.parametrize(("function", "squared"), [("log", False), ("tanh", True), ("sqrt", True)])
def test_nothing_is_float_where_nothing_is_won(function, squared):
    assert edgebn.quantize(spectrum(function, squared), data()).dtype == "int8"
