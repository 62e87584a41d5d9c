"""Tables of codes, in whole vectors and code by code: every code in every place."""

import numpy as np
import pytest

from edgebn import program as p
from edgebn.kernels import isa
from edgebn.session import Session

LARGE = max(isa.SELECTED.vector_bytes, 1)


def looked_up(shape, tables, x):
    table = np.random.default_rng(1).integers(-128, 128, (tables, 256)).astype(np.int8)
    buffers = {name: p.Buffer(name, shape, "int8", 0.05, 3) for name in "xy"}
    step = p.Lookup("table", ("x",), "y", table)
    program = p.Program("table", "table", "test", False, buffers, {}, (step,), ("x",), ("y",), dict.fromkeys("xy", shape))
    channels = np.arange(shape[2]) if tables > 1 else 0
    return Session(program).run(x), table[channels, x.astype(int) + 128]


@pytest.mark.parametrize("tables", ["one", "by channel"])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, LARGE - 1), (1, 1, LARGE), (1, 1, LARGE + 1), (7, 5, 3), (16, 16, 3), (9, 11, 40)]
)
def test_every_code_is_looked_up(shape, tables):
    if shape[2] == 0:
        pytest.skip("the plain kernels have no vectors")
    codes = np.resize(np.random.default_rng(0).permutation(256) - 128, (3, *shape)).astype(np.int8)
    for start in (0, 101):
        found, expected = looked_up(shape, 1 if tables == "one" else shape[2], np.roll(codes, start))
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("widths", [(16, 16), (16, 48), (32, 8, 64), (40, 96), (128, 256), (3, 16)], ids=str)
@pytest.mark.parametrize("columns", [1, 3, 9])
def test_every_code_is_looked_up_to_pixels_that_are_apart(columns, widths):
    """Joins along channels look their parts up into pixels that hold others' channels too."""
    rng = np.random.default_rng(2)
    tables = tuple(rng.integers(-128, 128, 256).astype(np.int8) for _ in widths)
    shapes = {f"x{i}": (5, columns, width) for i, width in enumerate(widths)} | {"y": (5, columns, sum(widths))}
    buffers = {name: p.Buffer(name, shape, "int8", 0.05, 3) for name, shape in shapes.items()}
    names = tuple(name for name in shapes if name != "y")
    step = p.Concat("join", names, "y", axis=2, tables=tables)
    program = p.Program("table", "table", "test", False, buffers, {}, (step,), names, ("y",), shapes)
    for start in (0, 101):
        x = {name: np.roll(np.resize(rng.permutation(256) - 128, (2, *shapes[name])), start).astype(np.int8) for name in names}
        expected = np.concatenate([table[x[name].astype(int) + 128] for name, table in zip(names, tables, strict=True)], axis=3)
        np.testing.assert_array_equal(Session(program).run(x), expected)
