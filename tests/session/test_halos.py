"""Halos are filled once where nothing else touches them, and once an inference where only their own kind does."""

import numpy as np
import pytest

from edgebn import program as p
from edgebn import reference
from edgebn.session import Session
from tests.programs import Maker, inputs_for


def chain(dtype, zero_points, layers=4):
    """Return convolutions by turns 3 x 3 and 1 x 1: every second value has the same halo; then one of another shape."""
    rng = np.random.default_rng(0)
    maker = Maker(None, dtype, rng)
    style = ((-np.inf, np.inf), (-np.inf, np.inf), (-128, 127), False)
    x = source = maker.buffer((9, 7, 16), zero_point=3)
    for index in range(layers * 2):
        side = 3 if index % 2 == 0 else 1
        weight = maker.weight((16, side, side, 16))
        zero_point = zero_points[index // 2 % len(zero_points)] if side == 1 else 5
        y = maker.buffer((9, 7, 16), scale=0.05, zero_point=zero_point)
        padding = (side // 2,) * 4
        epilogue = maker.epilogue(16, weight[0].size, y, style)
        maker.steps.append(p.Convolution(f"conv{index}", (x,), y, weight, epilogue, padding=padding))
        x = y
    return maker.program((source,), (x,))


def fills(program):
    return sum(row.operation == "fill_halo" for row in Session(program)._packed._packer.rows)


def assert_runs(program):
    session = Session(program)
    for seed in range(3):
        x = inputs_for(program, 2, seed)
        for n, sample in enumerate(x):
            expected = reference.run_steps(program, {program.inputs[0]: sample})
            for name, value in session.run_buffers(x).items():
                bound = 0 if program.dtype == "int8" else 1e-5 * max(1.0, float(np.abs(expected[name]).max()))
                np.testing.assert_allclose(value[n].astype(np.float64), expected[name], rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_halos_of_one_kind_keep_each_other(dtype):
    program = chain(dtype, zero_points=[3])
    assert fills(program) <= 2
    assert_runs(program)


def test_halos_of_other_zero_points_are_filled_again():
    program = chain("int8", zero_points=[3, 4])
    assert fills(program) >= 4
    assert_runs(program)
