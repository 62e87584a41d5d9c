"""Steps that move values, at sizes where the kernels go by squares, by interleaving or by whole rows."""

import itertools

import numpy as np
import pytest

import edgebn
from edgebn import program as p


def moved(shape, steps, dtype, out_shape):
    """Return a program of moving steps (made by functions of input and output names) on one input."""
    names = ["x", *(f"v{i}" for i in range(len(steps) - 1)), "y"]
    buffers, shapes = {"x": p.Buffer("x", shape, dtype, 0.5, 3)}, [shape, *out_shape]
    for name, size in zip(names[1:], shapes[1:], strict=True):
        buffers[name] = p.Buffer(name, size, dtype, 0.5, 3)
    made = tuple(step(a, b) for step, a, b in zip(steps, names, names[1:], strict=False))
    ends = {"x": shape, "y": shapes[-1]}
    return p.Program("net", "net", "onnx", False, buffers, {}, made, ("x",), ("y",), ends)


def values(shape, dtype):
    rng = np.random.default_rng(0)
    if dtype == "int8":
        return rng.integers(-128, 128, (2, *shape)).astype(np.int8)
    return rng.standard_normal((2, *shape)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("permutation", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("shape", [(9, 11, 10), (1, 40, 17), (20, 8, 2), (6, 3, 9), (5, 4, 8), (8, 8, 8), (2, 16, 16), (33, 1, 12)])
def test_transpose(shape, permutation, dtype):
    out = tuple(shape[axis] for axis in permutation)
    program = moved(shape, [lambda a, b: p.Transpose("turn", (a,), b, permutation)], dtype, [out])
    x = values(shape, dtype)
    np.testing.assert_array_equal(edgebn.Session(program).run(x), x.transpose(0, *(1 + axis for axis in permutation)))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("starts", [(0, 0, 0), (1, 2, 0), (0, 0, 3), (2, 0, 1)])
def test_crop(starts, dtype):
    shape, out = (7, 12, 9), (4, 8, 5)
    program = moved(shape, [lambda a, b: p.Crop("part", (a,), b, starts)], dtype, [out])
    x = values(shape, dtype)
    where = tuple(slice(start, start + size) for start, size in zip(starts, out, strict=True))
    np.testing.assert_array_equal(edgebn.Session(program).run(x), x[(slice(None), *where)])
