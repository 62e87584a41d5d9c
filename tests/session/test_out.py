"""`out=` that is the input, overlaps it, or overlaps another output: the numbers are those of a call without it, or a refusal."""

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn.errors import ModelError

SAMPLE = 12  # numbers in a sample of the input: (2, 3, 2)


def network(outputs, dtype="float32"):
    """Return a 1 x 1 convolution from (2, 3, 2) to (2, 3, outputs)."""
    rng = np.random.default_rng(0)
    epilogue = p.FloatEpilogue(*(rng.standard_normal(outputs).astype(np.float32) for _ in range(3)))
    buffers = {"x": p.Buffer("x", (2, 3, 2)), "y": p.Buffer("y", (2, 3, outputs))}
    weight = rng.standard_normal((outputs, 1, 1, 2)).astype(np.float32)
    steps = (p.Convolution("conv", ("x",), "y", weight, epilogue),)
    shapes = {name: buffer.shape for name, buffer in buffers.items()}
    program = p.Program("m", "m.test", "test", False, buffers, {}, steps, ("x",), ("y",), shapes)
    return program if dtype == "float32" else edgebn.quantize(program, rng.standard_normal((50, 2, 3, 2)).astype(np.float32))


def numbers(count, dtype):
    rng = np.random.default_rng(count)
    return rng.integers(-128, 128, count).astype(dtype) if dtype == "int8" else rng.standard_normal(count).astype(dtype)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("outputs", [1, 2, 3], ids=["smaller", "equal", "larger"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_out_over_the_input_gives_what_a_call_without_it_gives(dtype, outputs, threads):
    session = edgebn.Session(network(outputs, dtype), threads=threads)
    result = 6 * outputs  # numbers in a sample of the output
    for batch in (1, 2, 5):
        for offset in range(-result * batch - 1, SAMPLE * batch + 2):
            x_at, out_at = max(-offset, 0), max(offset, 0)
            memory = numbers(200, dtype)
            x = memory[x_at : x_at + batch * SAMPLE].reshape(batch, 2, 3, 2)
            out = memory[out_at : out_at + batch * result].reshape(batch, 2, 3, outputs)
            expected = session.run(x.copy())
            assert session.run(x, out=out) is out
            np.testing.assert_array_equal(out, expected, err_msg=f"batch {batch}, offset {offset}")


@pytest.mark.parametrize("codes", [False, True])
def test_the_whole_input_is_read_first_whatever_its_type(codes):
    """Codes and real numbers of an int8 network differ in size: results may end far behind the sample they come from."""
    session = edgebn.Session(network(3, "int8"))
    dtype = np.int8 if codes else np.float32
    memory = numbers(200, np.dtype(dtype).name)
    x, out = memory[: 4 * SAMPLE].reshape(4, 2, 3, 2), memory[5 : 5 + 4 * 18].reshape(4, 2, 3, 3)
    expected = session.run(x.copy())
    np.testing.assert_array_equal(session.run(x, out=out), expected)


def two_ends():
    """Return a network with two inputs and two outputs, each output made of both inputs."""
    shape = (2, 3, 2)
    buffers = {name: p.Buffer(name, shape) for name in ("a", "b", "sum", "product")}
    steps = (p.Add("add", ("a", "b"), "sum"), p.Multiply("multiply", ("a", "b"), "product"))
    shapes = dict.fromkeys(buffers, shape)
    return p.Program("m", "m.test", "test", False, buffers, {}, steps, ("a", "b"), ("sum", "product"), shapes)


def test_outputs_over_several_inputs():
    session = edgebn.Session(two_ends())
    for batch, offset in ((1, 3), (3, 0), (3, 5), (3, -5)):
        memory = numbers(400, "float32")
        count = batch * SAMPLE
        given = {name: memory[at : at + count].reshape(batch, 2, 3, 2) for name, at in (("a", 20), ("b", 120))}
        out = {
            name: memory[at + offset : at + offset + count].reshape(batch, 2, 3, 2) for name, at in (("sum", 120), ("product", 20))
        }
        expected = session.run({name: x.copy() for name, x in given.items()})
        session.run(given, out=out)
        for name, values in expected.items():
            np.testing.assert_array_equal(out[name], values)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("apart", [0, 1, SAMPLE - 1])
def test_outputs_that_overlap_are_refused(batch, apart):
    session = edgebn.Session(two_ends())
    memory, count = numbers(200, "float32"), batch * SAMPLE
    x = dict.fromkeys("ab", np.zeros((batch, 2, 3, 2), np.float32))
    out = {"sum": memory[:count].reshape(x["a"].shape), "product": memory[apart : apart + count].reshape(x["a"].shape)}
    before = memory.copy()
    with pytest.raises(ModelError, match="'sum' and for 'product' share memory"):
        session.run(x, out=out)
    np.testing.assert_array_equal(memory, before)
    out["product"] = memory[count : 2 * count].reshape(x["a"].shape)  # beside each other is fine
    np.testing.assert_array_equal(session.run(x, out=out)["product"], 0)
