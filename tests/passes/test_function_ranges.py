"""Flat ends of functions: their codes are saved, and no code of the output changes by it."""

import numpy as np
import pytest

from edgebn.functions import FUNCTIONS
from edgebn.graph import GraphBuilder
from edgebn.layers import Activation, Convolution
from edgebn.passes import lower
from edgebn.passes.quantization.function_ranges import function_ranges

LOW, HIGH = -12.0, 9.0
NEAR_HIGH = HIGH - 0.05, HIGH


def network(functions):
    build = GraphBuilder("net", "net", "test")
    build.add_input("x", (4, 4, 3))
    build.add(Convolution("conv", ("x",), "c", weight=np.ones((5, 1, 1, 3), np.float32)))
    for number, function in enumerate(functions):
        gate = {"alpha": 1 / 6, "beta": 0.5} if function == "hard_sigmoid" else {}
        build.add(Activation(f"f{number}", ("c",), f"y{number}", function=function, **gate))
    return lower(build.finish([f"y{number}" for number in range(len(functions))]))


def ranges_of(program):
    """Every function's output holds what it makes between LOW and HIGH."""
    ranges = {"c": (LOW, HIGH)}
    values = np.linspace(LOW, HIGH, 10001)
    for step in program.steps:
        if step.inputs == ("c",):
            made = FUNCTIONS[step.function](values, step)
            ranges[step.output] = min(made.min(), 0.0), max(made.max(), 0.0)
    return ranges


@pytest.mark.parametrize(
    ("functions", "low", "high"),
    [
        (["hard_swish"], (-3.0, -2.8), NEAR_HIGH),
        (["hard_sigmoid"], (-3.0, -2.9), (2.9, 3.0)),
        (["silu"], (-6.5, -4.5), NEAR_HIGH),
        (["hard_sigmoid", "hard_swish"], (-3.0, -2.8), NEAR_HIGH),
    ],
)
def test_flat_ends_are_left_out(functions, low, high):
    program = network(functions)
    ranges = ranges_of(program)
    found = function_ranges(program, ranges)["c"]
    assert low[0] - 0.02 <= found[0] <= low[1]
    assert high[0] <= found[1] <= high[1] + 0.02
    values = np.linspace(LOW, HIGH, 3000)
    for step in program.steps:
        if step.inputs == ("c",):
            scale = np.subtract(*ranges[step.output][::-1]) / 255
            whole, cut = (np.rint(FUNCTIONS[step.function](x, step) / scale) for x in (values, np.clip(values, *found)))
            np.testing.assert_array_equal(whole, cut)


def test_to_functions_that_are_not_int8_no_end_is_flat():
    program = network(["hard_swish", "silu"])
    ranges = ranges_of(program)
    assert "c" in function_ranges(program, ranges, {"conv": "float32"})
    for name in ("f0", "f1"):
        assert "c" not in function_ranges(program, ranges, {name: "float32"})


def test_what_others_read_keeps_its_range():
    build = GraphBuilder("net", "net", "test")
    build.add_input("x", (4, 4, 3))
    for name, given in (("conv", "x"), ("next", "c")):
        build.add(Convolution(name, (given,), name[0], weight=np.ones((3, 1, 1, 3), np.float32)))
    build.add(Activation("f", ("c",), "y", function="silu"))
    assert "c" not in function_ranges(lower(build.finish(["n", "y"])), {"c": (-9.0, 9.0), "y": (-0.3, 9.0), "n": (-9.0, 9.0)})
