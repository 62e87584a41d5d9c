"""float32 averages of many numbers against float64, in kernels and in emitted C, and beside onnxruntime's."""

from dataclasses import replace

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.kernels.pool_shapes import BLOCK
from tests import c_programs
from tests.codegen.test_codegen_kernels import compiler
from tests.passes.test_quantize import Maker

NEAR = 3e-7  # of the average: between two and three roundings


def pool_program(shape, window, *, convolution=False):
    """Return an average pool, or a 1 x 1 convolution that changes nothing with that pool fused into it."""
    height, width, channels = shape
    top, left, bottom, right = window.padding
    rows = (height + top + bottom - window.kernel[0]) // window.strides[0] + 1
    columns = (width + left + right - window.kernel[1]) // window.strides[1] + 1
    make = Maker(shape)
    if convolution:
        weight = np.eye(channels, dtype=np.float32).reshape(channels, 1, 1, channels)
        plain = p.FloatEpilogue(np.zeros(channels, np.float32), np.ones(channels, np.float32), np.zeros(channels, np.float32))
        return make.finish(make.add(p.Convolution, ("x",), (rows, columns, channels), weight, plain, pool=window))
    return make.finish(make.add(p.Pool, ("x",), (rows, columns, channels), window))


def numbers(shape, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 0.3 + 1).astype(np.float32)


def window(kernel, strides=(1, 1), **options):
    return p.Window("average", kernel, strides, **options)


CASES = {
    "global": ((112, 112, 32), window((112, 112))),
    "odd channels": ((56, 56, 21), window((56, 56))),
    "few channels": ((112, 112, 3), window((112, 112))),
    "one channel": ((1, 20_000, 1), window((1, 20_000))),
    "rows": ((300, 7, 32), window((300, 1))),
    "columns": ((7, 300, 32), window((1, 300))),
    "narrow": ((400, 3, 16), window((400, 3))),
    "large windows": ((90, 90, 16), window((60, 60), (10, 10))),
    "padded": ((64, 64, 16), window((64, 64), (32, 32), padding=(32, 32, 32, 32))),
    "padding counts": ((64, 64, 5), window((64, 64), (32, 32), padding=(32, 32, 32, 32), count_padding=True)),
    "dilated": ((127, 127, 16), p.Window("average", (64, 64), (1, 1), (2, 2))),
}


def error(found, exact):
    """Return the largest error, of the value."""
    return np.max(np.abs(found.astype(np.float64) - exact) / np.abs(exact))


def exact_average(program, x):
    """The specification sums in float64."""
    return reference.run(program, x).astype(np.float64)


@pytest.mark.parametrize("convolution", [False, True], ids=["", "fused"])
@pytest.mark.parametrize("case", CASES)
def test_long_averages_are_as_near_as_float32_comes(case, convolution):
    shape, settings = CASES[case]
    if settings.dilations != (1, 1):
        program = pool_program((64, 64, shape[2]), window((64, 64)))
        program = replace(
            program, steps=(replace(program.steps[0], window=settings),), buffers={**program.buffers, "x": p.Buffer("x", shape)}
        )
        program = replace(program, shapes={**program.shapes, "x": shape})
    else:
        program = pool_program(shape, settings, convolution=convolution)
    x = numbers((1, *shape))
    assert error(edgebn.Session(program).run(x), exact_average(program, x)) < NEAR


def test_every_length_around_a_block():
    for count in (*range(1, 2 * BLOCK + 3), 1000):
        for shape, kernel in (((count, 1, 20), (count, 1)), ((1, count, 3), (1, count)), ((count, 5, 16), (count, 5))):
            program = pool_program(shape, window(kernel))
            x = numbers((2, *shape), count)
            assert error(edgebn.Session(program).run(x), exact_average(program, x)) < NEAR, (shape, kernel)


@pytest.mark.parametrize("settings", [window((1, 70)), window((9, 9), padding=(4, 4, 4, 4)), window((20, 70), count_padding=True)])
def test_one_channel_alone_has_the_bytes_that_it_has_beside_others(settings):
    x = numbers((2, 20, 70, 3))
    x[0, 3, 40, 0] = np.inf
    alone, beside = (edgebn.Session(pool_program((20, 70, count), settings)).run(x[..., :count]) for count in (1, 3))
    assert alone[..., 0].tobytes() == beside[..., 0].tobytes()


@pytest.mark.parametrize("channels", [3, 32])
def test_infinities_stay(channels):
    """Infinity less infinity, in what makes up for roundings, must not become NaN."""
    program = pool_program((20, 20, channels), window((20, 20)))
    x = numbers((3, 20, 20, channels))
    x[0, 3, 4, 0], x[1, 19, 19, 1], x[2, 0, 0, 2], x[2, 10, 0, 2] = np.inf, -np.inf, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        expected = reference.run(program, x)
    np.testing.assert_allclose(edgebn.Session(program).run(x), expected, rtol=1e-6)


def test_threads_give_the_same_bytes(monkeypatch):
    from edgebn.session import bands

    monkeypatch.setattr(bands, "MIN_MACS", {"float32": 1, "int8": 1})
    monkeypatch.setattr(bands, "MIN_PROGRAM_MACS", {"float32": 0, "int8": 0})
    program = pool_program((96, 96, 32), window((48, 48), (16, 16)), convolution=True)
    x = numbers((2, 96, 96, 32))
    alone = edgebn.Session(program).run(x)
    for threads in (2, 3):
        assert edgebn.Session(program, threads=threads).run(x).tobytes() == alone.tobytes()


@pytest.mark.parametrize("convolution", [False, True], ids=["", "fused"])
def test_emitted_c_is_as_near(convolution, tmp_path, monkeypatch):
    """Everything is near 1, so the tolerance is of the value."""
    text = c_programs.COMPARISONS["float"]
    assert str(c_programs.FLOAT_TOLERANCE) in text
    monkeypatch.setitem(c_programs.COMPARISONS, "float", text.replace(str(c_programs.FLOAT_TOLERANCE), str(NEAR)))
    cases = []
    for shape, settings in (
        ((64, 64, 3), window((64, 64))),
        ((1, 6000, 2), window((1, 6000))),
        ((60, 60, 2), window((40, 40), (10, 10))),
    ):
        program = pool_program(shape, settings, convolution=convolution)
        x = np.where(numbers(shape) > 1.9, np.float32(1), numbers(shape))
        x = np.minimum(x, np.float32(1))  # the tolerance is of the largest expected value
        cases.append((program, x))
    assert c_programs.build_and_run(cases, tmp_path, compiler("gcc")) == 0


onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from onnx import TensorProto, helper  # noqa: E402


def mean_file(path, axes, shape):
    """Write a ReduceMean over `axes` of an NCHW value."""
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=axes, keepdims=1)
    result = [1 if axis in axes else size for axis, size in enumerate(shape)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in (("x", shape), ("y", result))]
    graph = helper.make_graph([node], "g", [values[0]], [values[1]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.mark.parametrize("axes", [[1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]])
def test_means_over_any_axes_are_as_near_as_onnxruntimes(axes, tmp_path):
    shape = [1, 40, 112, 96]
    path = mean_file(tmp_path / "m.onnx", axes, shape)
    x = numbers(shape)
    exact = x.astype(np.float64).mean(axis=tuple(axes), keepdims=True)
    theirs = error(ort.InferenceSession(path).run(None, {"x": x})[0], exact)
    program = edgebn.load(path)
    if program.channels_first:  # where only rows and columns are averaged, they are those of an image
        ours = np.moveaxis(edgebn.Session(program).run(np.ascontiguousarray(np.moveaxis(x, 1, -1))), -1, 1)
    else:
        ours = edgebn.Session(program).run(x)
    assert error(ours, exact) <= max(theirs, NEAR)
