"""Bilinear resampling of int8 codes: byte for byte the reference's, for any channels, sizes, weights and ways to round halves."""

import numpy as np
import pytest

from edgebn import program as p
from edgebn import reference
from edgebn.doctor.self_test import sharing_everything
from edgebn.session import Session

ROUNDINGS = {"away": {}, "even": {"even_from": -3}, "up": {"adds_half": True}}
# TensorFlow Lite's sizes and coordinates: (inputs, outputs, the first's place, the step between outputs).
DYADIC = {"twice": (6, 12, -0.25, 0.5), "by 16": (3, 33, 0.0, 0.0625), "half": (12, 6, 0.5, 2.0), "the same": (7, 7, 0.0, 1.0)}
OTHERS = {"by 3 and a bit": (4, 13, 0.0, 0.3), "down": (17, 5, 0.2, 3.4), "of one": (1, 9, 0.0, 0.0)}


def axis(inputs, outputs, first, step):
    """Return the two neighbours of each output, and their weights as float64."""
    at = np.clip(first + step * np.arange(outputs), 0, inputs - 1)
    low = np.floor(at).astype(np.int32)
    return np.stack([low, np.minimum(low + 1, inputs - 1)], axis=1), np.stack([1 - (at - low), at - low], axis=1)


def program(rows, columns, channels, rounding):
    """Return a network of one resampling along two of the axes above."""
    (row_index, row_weight), (column_index, column_weight) = axis(*rows), axis(*columns)
    weights = [row_weight, column_weight]
    if rounding == "up":
        weights = [one.astype(np.float32) for one in weights]
    else:
        upper = [np.rint(one[:, 1] * 1024) for one in weights]
        weights = [np.stack([1024 - one, one], axis=1).astype(np.int32) for one in upper]
    shapes = {"x": (rows[0], columns[0], channels), "y": (rows[1], columns[1], channels)}
    buffers = {name: p.Buffer(name, shape, "int8", 0.1, -3) for name, shape in shapes.items()}
    step = p.Resize("resized", ("x",), "y", "bilinear", row_index, column_index, *weights, **ROUNDINGS[rounding])
    return p.Program("resizing", "resizing", "native", False, buffers, {}, (step,), ("x",), ("y",), shapes)


def operations(network):
    return {row.operation for row in Session(network)._packed._packer.rows}


def check(network, threads=1):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (3, *network.shapes["x"])).astype(np.int8)
    x[1] = rng.choice(np.array([-128, 127], np.int8), x[1].shape)  # halves, where weights are
    with sharing_everything():
        found = Session(network, threads).run(x)
    np.testing.assert_array_equal(found, reference.run(network, x))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("channels", [1, 3, 7, 8, 15, 16, 21, 32, 33, 64])
def test_it_equals_the_reference(channels, rounding, threads):
    sizes = [*DYADIC.values(), *OTHERS.values()]
    for i, rows in enumerate(sizes):
        for columns in (sizes[i], sizes[i - 1]):
            check(program(rows, columns, channels, rounding), threads)


@pytest.mark.parametrize("name", DYADIC)
def test_float32_weights_that_round_nothing_are_integers(name):
    network = program(DYADIC[name], DYADIC["by 16"], 21, "up")
    assert "bilinear_i8" in operations(network)


@pytest.mark.parametrize("name", ["by 3 and a bit", "down"])
def test_float32_weights_that_round_stay_float32(name):
    assert "bilinear_half_i8" in operations(program(DYADIC["twice"], OTHERS[name], 21, "up"))


def test_fractions_of_too_many_bits_together_stay_float32():
    """Of 8 and 9 bits: with a code's eight they are one more than a float32 holds."""
    rows, columns = (3, 50, 0.0, 2.0**-8), (3, 50, 0.0, 2.0**-9)
    network = program(rows, columns, 4, "up")
    assert "bilinear_half_i8" in operations(network)
    check(network)
    network = program(rows, rows, 4, "up")
    assert "bilinear_i8" in operations(network)
    check(network)


@pytest.mark.parametrize("threads", [1, 2])
def test_shares_have_lines_of_their_own(threads):
    check(program((33, 180, 0.0, 0.17), (33, 190, 0.0, 0.17), 3, "away"), threads)
