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
